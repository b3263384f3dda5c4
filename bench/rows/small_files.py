"""Small files, eight at a time: what a file costs that has hardly any bytes."""

from __future__ import annotations

from collections.abc import Iterator
from statistics import median

from bench.client import put
from bench.findings import Finding
from bench.grid import running_grid
from bench.many import small_files_rate
from bench.setting import EIGHT, SMALL_FILE, WARM_UP, Setting
from bench.sizes import shown
from bench.store import Store

AT_LEAST_GRID = 120
AT_LEAST_EMBEDDED = 300
"""Files per second."""


def measure(setting: Setting) -> Iterator[Finding]:
    for sync in (False, True):
        with running_grid(setting.new_directory(), sync=sync) as store:
            where = f"ten nodes of ours over TLS, {'synced' if sync else 'not synced'}"
            yield _finding(setting, store, where, 0 if sync else AT_LEAST_GRID)
    with setting.node() as node:
        store = Store(node.address, node.process, [], node.empty)
        yield _finding(setting, store, "embedded default, 2 of 3, synced", AT_LEAST_EMBEDDED)


def _finding(setting: Setting, store: Store, where: str, at_least: float) -> Finding:
    put(store.address, setting.new_body(WARM_UP))
    rates = [small_files_rate(setting, store) for _ in range(setting.scale.runs)]
    return Finding(
        f"{setting.scale.small_files} files of {shown(SMALL_FILE)}, {EIGHT} at a time, {where}",
        f"{at_least} files/s or more" if at_least else "to be stated",
        rates,
        "files/s",
        median(rates) >= at_least if at_least else None,
    )
