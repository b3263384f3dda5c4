"""A transfer takes no more memory for being larger, and no temporary disk at all."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from statistics import median
from time import sleep
from typing import TypeVar

from bench.client import get, put
from bench.findings import Finding
from bench.node import Node
from bench.process import TemporaryDisk
from bench.setting import WARM_UP, Setting
from bench.sizes import MIB, shown
from bench.watch import Watch

T = TypeVar("T")

MOST_GROWTH = 48
"""MiB."""
SAME_WITHIN = 8
"""MiB; what the allocator does differs as much from run to run."""
REST = 1.0
"""Seconds until a node that has just been used is idle."""


@dataclass(frozen=True)
class _Transfer:
    """What one transfer took of the node."""

    idle: float
    """MiB of memory before."""
    peak: float
    temporary: int
    """Bytes on disk."""

    @property
    def growth(self) -> float:
        return self.peak - self.idle


def measure(setting: Setting) -> Iterator[Finding]:
    scale = setting.scale
    for announced, framing in ((True, "length known"), (False, "length unknown")):
        small = [_put_and_get(setting, scale.small, announced=announced) for _ in range(scale.runs)]
        large = [_put_and_get(setting, scale.large, announced=announced) for _ in range(scale.large_runs)]
        for index, doing in enumerate((f"PUT, {framing}", f"GET of what was put with {framing}")):
            yield from _findings(
                doing, scale.small, scale.large, [run[index] for run in small], [run[index] for run in large]
            )


def _findings(
    doing: str, small_size: int, large_size: int, small: list[_Transfer], large: list[_Transfer]
) -> Iterator[Finding]:
    for size, transfers in ((small_size, small), (large_size, large)):
        growth = [transfer.growth for transfer in transfers]
        yield Finding(
            f"memory growth, {shown(size)}, {doing}",
            f"under {MOST_GROWTH} MiB",
            growth,
            "MiB",
            max(growth) < MOST_GROWTH,
            f"from {median(transfer.idle for transfer in transfers):.0f} MiB when idle"
            f" to {median(transfer.peak for transfer in transfers):.0f} MiB",
        )
    difference = median(transfer.growth for transfer in large) - median(transfer.growth for transfer in small)
    yield Finding(
        f"what {shown(large_size)} takes more than {shown(small_size)}, {doing}",
        f"the same, within {SAME_WITHIN} MiB",
        [difference],
        "MiB",
        difference <= SAME_WITHIN,
    )
    temporary = [transfer.temporary / MIB for transfer in (*small, *large)]
    yield Finding(f"temporary disk, {doing}", "none", temporary, "MiB", max(temporary) == 0)


def _put_and_get(setting: Setting, size: int, *, announced: bool) -> tuple[_Transfer, _Transfer]:
    body = setting.new_body(size)
    digest = body.digest()
    with setting.node() as node:
        warm_up = setting.new_body(WARM_UP)
        get(node.address, put(node.address, warm_up).cap, WARM_UP)
        sleep(REST)
        idle = node.process.resident()
        stored, putting = _watched(node, idle, lambda: put(node.address, body, announced=announced))
        sleep(REST)
        _, getting = _watched(node, idle, lambda: get(node.address, stored.cap, size, expected_digest=digest))
    return putting, getting


def _watched(node: Node, idle: int, transfer: Callable[[], T]) -> tuple[T, _Transfer]:
    process = node.process
    process.forget_most_resident()
    with Watch(process.resident) as memory, Watch(TemporaryDisk(process, node.temporary, node.peers)) as temporary:
        result = transfer()
    most = max(memory.peak, process.most_resident())
    return result, _Transfer(idle / MIB, most / MIB, temporary.peak)
