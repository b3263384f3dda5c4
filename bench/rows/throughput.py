"""One client alone gets its files in and out at the speed of the machine."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from statistics import median
from time import process_time

from bench.client import get, put
from bench.findings import Finding
from bench.machine import files_rate
from bench.node import Node
from bench.setting import WARM_UP, Setting
from bench.sizes import GIB, MB, shown

AT_LEAST = 150
AT_LEAST_DEFAULT = 350
AT_LEAST_DEFAULT_GET = 600
"""MB/s, of the embedded default without syncing."""
SHARE_OF_DISK = 0.8
"""Of what the disk takes of share bytes from a program that does nothing but write and sync them."""

DEFAULT = (2, 3)
ENCODINGS = {DEFAULT: "embedded default, 2 of 3", (4, 6): "4 of 6", (3, 10): "3 of 10"}


@dataclass(frozen=True)
class _Run:
    """One transfer: its rate in MB/s, and the processor seconds that each side spent on a GiB."""

    rate: float
    node_cost: float
    client_cost: float


class _Meter:
    """Reads what both sides have spent since it was made."""

    def __init__(self, node: Node, size: int) -> None:
        self._process = node.process
        self._size = size
        self._node = node.process.processor_seconds()
        self._client = process_time()

    def run(self, seconds: float) -> _Run:
        per_gib = GIB / self._size
        return _Run(
            self._size / MB / seconds,
            (self._process.processor_seconds() - self._node) * per_gib,
            (process_time() - self._client) * per_gib,
        )


def measure(setting: Setting) -> Iterator[Finding]:
    size = setting.scale.throughput
    for encoding, name in ENCODINGS.items():
        chosen = None if encoding == DEFAULT else "/".join(map(str, encoding))
        is_default = encoding == DEFAULT
        for sync in (True, False):
            with setting.node(encoding=chosen, sync=sync) as node:
                put(node.address, setting.new_body(WARM_UP))
                disk, puts, gets = _runs(setting, node, encoding)
            asked = AT_LEAST_DEFAULT if is_default and not sync else AT_LEAST
            yield _finding(f"PUT of {shown(size)}, {name}, {'synced' if sync else 'not synced'}", puts, asked)
            if sync and is_default:
                yield _beside_disk(f"PUT of {shown(size)}, {name}, synced, beside the disk", puts, disk)
            if not sync:
                # Reading doesn't sync, so the other node's would say the same.
                yield _finding(f"GET of {shown(size)}, {name}", gets, AT_LEAST_DEFAULT_GET if is_default else AT_LEAST)


def _runs(setting: Setting, node: Node, encoding: tuple[int, int]) -> tuple[list[float], list[_Run], list[_Run]]:
    """What the disk can take by itself, in MB/s of a file; and what was put and got."""
    size = setting.scale.throughput
    needed, total = encoding
    disk, puts, gets = [], [], []
    for _ in range(setting.scale.runs):
        node.empty()
        # By turns: disks are not the same from minute to minute.
        disk.append(files_rate(setting.scratch, total, size // needed) * needed / total)
        body = setting.new_body(size)
        meter = _Meter(node, size)
        stored = put(node.address, body)
        puts.append(meter.run(stored.seconds))
        meter = _Meter(node, size)
        gets.append(meter.run(get(node.address, stored.cap, size).seconds))
    # Hashing would cost the client what the node needs, so it is done once and not timed.
    get(node.address, stored.cap, size, expected_digest=body.digest())
    return disk, puts, gets


def _finding(what: str, runs: list[_Run], at_least: float) -> Finding:
    rates = [run.rate for run in runs]
    node_cost = median(run.node_cost for run in runs)
    client_cost = median(run.client_cost for run in runs)
    return Finding(
        what,
        f"{at_least} MB/s or more",
        rates,
        "MB/s",
        median(rates) >= at_least,
        f"processor seconds per GiB: node {node_cost:.1f}, client {client_cost:.1f}",
    )


def _beside_disk(what: str, runs: list[_Run], disk: list[float]) -> Finding:
    ratios = [run.rate / rate for run, rate in zip(runs, disk, strict=True)]
    return Finding(
        what,
        f"{SHARE_OF_DISK:.0%} or more",
        [100 * ratio for ratio in ratios],
        "%",
        median(ratios) >= SHARE_OF_DISK,
        f"the disk would take a file at {median(disk):.0f} MB/s",
    )
