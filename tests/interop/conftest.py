"""What all of these tests need."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.interop.installation import NotInstalled, installed


@pytest.fixture(scope="session")
def tahoe_program() -> Path:
    """The stock command line. Without it, the tests are skipped."""
    try:
        return installed()
    except NotInstalled as error:
        pytest.skip(f"NOT TESTED against the real Tahoe-LAFS. {error}")
