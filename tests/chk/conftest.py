"""What the tests of the file format share."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def no_lost_failures() -> None:
    """Nothing here has Deferreds to lose, and the collection that finds lost ones costs more than most tests."""
