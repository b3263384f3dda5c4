"""What is true of folders is true of ten storage nodes behind TLS: as fast as the disks, and as soon at the end."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import median
from time import sleep

from bench.client import get, put
from bench.findings import Finding
from bench.grid import running_grid
from bench.setting import WARM_UP, Setting
from bench.sizes import MIB, shown
from bench.store import Store
from bench.transfer import Put, Transfer, costs, measured_get, measured_put

AT_LEAST = 60
AT_LEAST_GET = 300
"""MB/s."""
MOST_COST = 10.5
"""Processor seconds per GiB, of the gateway and the storage nodes."""
LONGEST_WAIT = 0.15
LONGEST_WAIT_SYNCED = 0.5
"""Seconds."""
MOST_GROWTH_GATEWAY = 64
MOST_GROWTH_STORAGE_NODE = 16
"""MiB."""
REST = 1.0
"""Seconds until processes that have just been used are idle."""


@dataclass(frozen=True)
class _Memory:
    """What the gateway has, and each of the storage nodes, in MiB."""

    gateway: float
    storage_nodes: Sequence[float]


@dataclass(frozen=True)
class _Measured:
    puts: Sequence[Put]
    gets: Sequence[Transfer]
    idle: _Memory
    most: Sequence[_Memory]
    """During each PUT."""
    waits: dict[int, list[float]]
    """From the last byte to the answer, by size."""


def measure(setting: Setting) -> Iterator[Finding]:
    for sync in (True, False):
        with running_grid(setting.new_directory(), sync=sync) as grid:
            measured = _measured(setting, grid)
        how = "synced" if sync else "not synced"
        yield from _put_findings(measured, how)
        longest = LONGEST_WAIT_SYNCED if sync else LONGEST_WAIT
        yield from wait_findings(f"ten nodes of ours, {how}", measured.waits, longest)
        yield from _memory_findings(measured, how)
        if not sync:
            # Reading doesn't sync, so the other grid's would say the same.
            yield from _get_findings(measured)


def wait_sizes(setting: Setting) -> Sequence[int]:
    """Files whose last byte is waited for, besides the large one."""
    return MIB, setting.scale.short


def wait_findings(where: str, waits: dict[int, list[float]], longest: float) -> Iterator[Finding]:
    for size, seconds in waits.items():
        yield Finding(
            f"last byte to answer, {shown(size)}, {where}",
            f"under {longest} s",
            seconds,
            "s",
            max(seconds) < longest,
        )


def _measured(setting: Setting, grid: Store) -> _Measured:
    scale = setting.scale
    size = scale.throughput
    warm_up = setting.new_body(WARM_UP)
    get(grid.address, put(grid.address, warm_up).cap, WARM_UP)
    sleep(REST)
    idle = _resident(grid)
    puts, gets, most = [], [], []
    for _ in range(scale.runs):
        _forget_most_resident(grid)
        stored = measured_put(grid, setting.new_body(size))
        most.append(_most_resident(grid))
        puts.append(stored)
        gets.append(measured_get(grid, stored.file, size))
    body = setting.new_body(size)
    get(grid.address, put(grid.address, body).cap, size, expected_digest=body.digest())
    waits = {
        each: [measured_put(grid, setting.new_body(each)).answering for _ in range(scale.runs)]
        for each in wait_sizes(setting)
    }
    return _Measured(puts, gets, idle, most, {**waits, size: [stored.answering for stored in puts]})


def _put_findings(measured: _Measured, how: str) -> Iterator[Finding]:
    puts = measured.puts
    what = f"PUT of {shown(puts[0].size)}, 3 of 10, to ten nodes of ours, {how}"
    rates = [each.rate for each in puts]
    yield Finding(what, f"{AT_LEAST} MB/s or more", rates, "MB/s", median(rates) >= AT_LEAST)
    spent = [each.cost.served for each in puts]
    yield Finding(
        f"{what}: processor seconds per GiB",
        f"under {MOST_COST} s",
        spent,
        "s",
        median(spent) < MOST_COST,
        costs(puts),
    )


def _get_findings(measured: _Measured) -> Iterator[Finding]:
    gets = measured.gets
    rates = [each.rate for each in gets]
    yield Finding(
        f"GET of {shown(gets[0].size)}, 3 of 10, from ten nodes of ours",
        f"{AT_LEAST_GET} MB/s or more",
        rates,
        "MB/s",
        median(rates) >= AT_LEAST_GET,
        f"processor seconds per GiB: {costs(gets)}",
    )


def _memory_findings(measured: _Measured, how: str) -> Iterator[Finding]:
    idle = measured.idle
    what = f"PUT of {shown(measured.puts[0].size)} to ten nodes of ours, {how}"
    growth = [most.gateway - idle.gateway for most in measured.most]
    yield Finding(
        f"memory growth of the gateway, {what}",
        f"under {MOST_GROWTH_GATEWAY} MiB",
        growth,
        "MiB",
        max(growth) < MOST_GROWTH_GATEWAY,
        f"from {idle.gateway:.0f} MiB when idle",
    )
    growth = [
        max(now - before for now, before in zip(most.storage_nodes, idle.storage_nodes, strict=True))
        for most in measured.most
    ]
    yield Finding(
        f"memory growth of the storage node that grew most, {what}",
        f"under {MOST_GROWTH_STORAGE_NODE} MiB",
        growth,
        "MiB",
        max(growth) < MOST_GROWTH_STORAGE_NODE,
        f"from {median(idle.storage_nodes):.0f} MiB when idle",
    )


def _forget_most_resident(grid: Store) -> None:
    for process in (grid.gateway, *grid.storage_nodes):
        process.forget_most_resident()


def _resident(grid: Store) -> _Memory:
    return _Memory(grid.gateway.resident() / MIB, [node.resident() / MIB for node in grid.storage_nodes])


def _most_resident(grid: Store) -> _Memory:
    return _Memory(grid.gateway.most_resident() / MIB, [node.most_resident() / MIB for node in grid.storage_nodes])
