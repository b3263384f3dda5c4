"""The promises, by the names that the command line knows them by. Each module measures one of them."""

from collections.abc import Callable, Iterator, Mapping

from bench.findings import Finding
from bench.rows import (
    browser_page,
    crowd,
    encodings,
    first_byte,
    first_share,
    flat_memory,
    folders,
    gateway_memory,
    grid,
    kernels,
    kills,
    last_byte,
    long_body,
    mount,
    named_files,
    peers,
    resume,
    slow_crowd,
    small_files,
    stock_grid,
    throughput,
)
from bench.setting import Setting

ROWS: Mapping[str, Callable[[Setting], Iterator[Finding]]] = {
    "flat-memory": flat_memory.measure,
    "last-byte": last_byte.measure,
    "first-share": first_share.measure,
    "throughput": throughput.measure,
    "crowd": crowd.measure,
    "slow-crowd": slow_crowd.measure,
    "grid": grid.measure,
    "small-files": small_files.measure,
    "gateway-memory": gateway_memory.measure,
    "long-body": long_body.measure,
    "first-byte": first_byte.measure,
    "encodings": encodings.measure,
    "kernels": kernels.measure,
    "peers": peers.measure,
    "named-files": named_files.measure,
    "folders": folders.measure,
    "mount": mount.measure,
    "kills": kills.measure,
    "resume": resume.measure,
    "browser-page": browser_page.measure,
    "stock-grid": stock_grid.measure,
}
