"""Our gateway beside the stock one, on the same ten stock storage nodes, by turns."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import median

from bench.client import get, put
from bench.findings import Finding, not_measured, told
from bench.rows.grid import LONGEST_WAIT_SYNCED, wait_findings, wait_sizes
from bench.setting import WARM_UP, Setting
from bench.sizes import shown
from bench.stock import running_beside_stock
from bench.store import Store
from bench.transfer import Put, costs, measured_put
from tests.interop.installation import REQUIREMENT, NotInstalled, installed

NODES = f"ten nodes of {REQUIREMENT.replace('==', ' ')}"


def measure(setting: Setting) -> Iterator[Finding]:
    try:
        program = installed()
    except NotInstalled as error:
        yield not_measured(f"our gateway and the stock one, {NODES}", told(error))
    else:
        yield from _measure(setting, program)


def _measure(setting: Setting, program: Path) -> Iterator[Finding]:
    size = setting.scale.throughput
    with running_beside_stock(program, setting.new_directory()) as (ours, stock):
        for grid in (ours, stock):
            put(grid.address, setting.new_body(WARM_UP))
        pairs = [
            (measured_put(ours, setting.new_body(size)), measured_put(stock, setting.new_body(size)))
            for _ in range(setting.scale.large_runs)
        ]
        _compare(setting, ours, stock)
        waits, stock_waits = (_waits(setting, grid) for grid in (ours, stock))
    puts, stock_puts = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
    yield _rate(f"PUT of {shown(size)}, 3 of 10, to {NODES}, through our gateway", puts)
    yield _rate(f"PUT of {shown(size)}, 3 of 10, to {NODES}, through the stock gateway", stock_puts)
    yield _ratio("how many times as long the stock gateway takes", [one.seconds / our.seconds for our, one in pairs])
    yield _ratio(
        "how many times the processor seconds it takes, over all processes",
        [one.cost.served / our.cost.served for our, one in pairs],
    )
    our_waits = {**waits, size: [each.answering for each in puts]}
    yield from wait_findings(f"our gateway, {NODES}", our_waits, LONGEST_WAIT_SYNCED)
    for each, seconds in {**stock_waits, size: [each.answering for each in stock_puts]}.items():
        what = f"last byte to answer, {shown(each)}, the stock gateway, {NODES}"
        yield Finding(what, "to be stated", seconds, "s", None)


def _compare(setting: Setting, ours: Store, stock: Store) -> None:
    """What either has stored, ours gives back."""
    ours.empty()
    for grid in (ours, stock):
        body = setting.new_body(setting.scale.short)
        get(ours.address, put(grid.address, body).cap, body.size, expected_digest=body.digest())


def _waits(setting: Setting, grid: Store) -> dict[int, list[float]]:
    runs = range(setting.scale.runs)
    return {size: [measured_put(grid, setting.new_body(size)).answering for _ in runs] for size in wait_sizes(setting)}


def _rate(what: str, puts: Sequence[Put]) -> Finding:
    spent = median(each.cost.served for each in puts)
    remark = f"processor seconds per GiB: {spent:.1f}, of these {costs(puts)}"
    return Finding(what, "to be stated", [each.rate for each in puts], "MB/s", None, remark)


def _ratio(what: str, ratios: Sequence[float]) -> Finding:
    return Finding(f"the same PUT: {what}", "to be stated", ratios, "times", None)
