"""One stock grid for all of these tests, and gateways of ours for each encoding."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.interop.grids import StockGrid, running_stock_grid
from tests.interop.installation import NotInstalled, installed

NODES = 10


@pytest.fixture(scope="session")
def tahoe_program() -> Path:
    """The stock command line. Without it, the tests are skipped."""
    try:
        return installed()
    except NotInstalled as error:
        pytest.skip(f"NOT TESTED against the real Tahoe-LAFS. {error}")


@pytest.fixture(scope="session")
def grid(tahoe_program: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[StockGrid]:
    """Ten stock storage nodes that run. Whoever stops one starts it again."""
    with running_stock_grid(tahoe_program, tmp_path_factory.mktemp("stock") / "grid", NODES) as grid:
        yield grid
