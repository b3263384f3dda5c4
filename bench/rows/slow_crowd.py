"""Hundreds of slow clients neither starve, nor take the speed from a fast one."""

from __future__ import annotations

from collections.abc import Iterator
from statistics import median
from time import monotonic, sleep

from bench.client import put
from bench.findings import Finding
from bench.helper import CONTEXT, Helper
from bench.node import Node
from bench.setting import WARM_UP, Setting
from bench.sizes import MB, MIB, shown
from bench.slow_crowd import RATE, SlowCrowdResult, send_slowly
from bench.watch import Watch

LEAST_SHARE = 0.5
"""Of the rate that the fast client has alone."""
LONGEST_STALL = 10
"""Seconds."""
MOST_MEMORY = 400
"""MiB."""
PATIENCE = 120
"""Seconds."""


def measure(setting: Setting) -> Iterator[Finding]:
    scale = setting.scale
    all_there, stop = CONTEXT.Event(), CONTEXT.Event()
    with setting.node() as node:
        put(node.address, setting.new_body(WARM_UP))
        alone = _rates(setting, node)
        node.empty()
        process = node.process
        process.forget_most_resident()
        with (
            Watch(process.resident) as memory,
            Helper(send_slowly, node.address, scale.clients, all_there, stop) as helper,
        ):
            if not all_there.wait(60):
                raise TimeoutError(f"{scale.clients} clients can't be connected in a minute")
            sleep(scale.settling)
            beside = _rates(setting, node)
            stop.set()
            slow: SlowCrowdResult = helper.result()
        most = max(memory.peak, process.most_resident()) / MIB
    yield from _findings(setting, alone, beside, slow, most)


def _rates(setting: Setting, node: Node) -> list[float]:
    """As often as asked, as long as there is patience."""
    size = setting.scale.beside
    rates: list[float] = []
    give_up_at = monotonic() + PATIENCE
    while len(rates) < setting.scale.runs and monotonic() < give_up_at:
        rates.append(size / MB / put(node.address, setting.new_body(size)).seconds)
    return rates


def _findings(
    setting: Setting, alone: list[float], beside: list[float], slow: SlowCrowdResult, most: float
) -> Iterator[Finding]:
    scale = setting.scale
    who = f"{scale.clients} clients at {RATE // 1000} KB/s"
    fast = f"PUT of {shown(scale.beside)}"
    yield Finding(f"{fast} alone", "to be stated", alone, "MB/s", None)
    least = LEAST_SHARE * median(alone)
    yield Finding(
        f"{fast} beside {who}",
        f"at least half of that, {least:.0f} MB/s",
        beside,
        "MB/s",
        median(beside) >= least,
        f"{median(beside) / median(alone):.0%} of its lone rate",
    )
    failures = f"{len(slow.failures)} failures, the first: {slow.failures[0]}" if slow.failures else ""
    yield Finding(
        f"{who}: stored", f"all {scale.clients}", [slow.stored], "clients", slow.stored == scale.clients, failures
    )
    yield Finding(
        f"{who}: the longest stall of any",
        f"at most {LONGEST_STALL} s",
        [slow.longest_stall],
        "s",
        slow.longest_stall <= LONGEST_STALL,
        f"they sent at {min(slow.rates, default=0) / 1000:.1f} to {max(slow.rates, default=0) / 1000:.1f} KB/s;"
        f" processor seconds of the clients {slow.processor_seconds:.1f}",
    )
    yield Finding(
        f"{who} and the fast one: the node's peak memory", f"under {MOST_MEMORY} MiB", [most], "MiB", most < MOST_MEMORY
    )
