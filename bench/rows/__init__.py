"""The promises, by the names that the command line knows them by. Each module measures one of them."""

from collections.abc import Callable, Iterator, Mapping

from bench.findings import Finding
from bench.rows import crowd, first_share, flat_memory, grid, last_byte, slow_crowd, stock_grid, throughput
from bench.setting import Setting

ROWS: Mapping[str, Callable[[Setting], Iterator[Finding]]] = {
    "flat-memory": flat_memory.measure,
    "last-byte": last_byte.measure,
    "first-share": first_share.measure,
    "throughput": throughput.measure,
    "crowd": crowd.measure,
    "slow-crowd": slow_crowd.measure,
    "grid": grid.measure,
    "stock-grid": stock_grid.measure,
}
