"""One client alone gets its files in and out at the speed of the machine."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from statistics import median
from time import process_time

from bench.client import get, put
from bench.findings import Finding
from bench.node import Node
from bench.setting import WARM_UP, Setting
from bench.sizes import GIB, MB, shown

AT_LEAST = 150
"""MB/s."""

ENCODINGS = {None: "embedded default, 2 of 3", "3/10": "3 of 10"}


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
        for sync in (True, False):
            with setting.node(encoding=encoding, sync=sync) as node:
                put(node.address, setting.new_body(WARM_UP))
                puts, gets = _runs(setting, node)
            yield _finding(f"PUT of {shown(size)}, {name}, {'synced' if sync else 'not synced'}", puts)
            if not sync:
                # Reading doesn't sync, so the other node's would say the same.
                yield _finding(f"GET of {shown(size)}, {name}", gets)


def _runs(setting: Setting, node: Node) -> tuple[list[_Run], list[_Run]]:
    size = setting.scale.throughput
    puts, gets = [], []
    for _ in range(setting.scale.runs):
        node.empty()
        body = setting.new_body(size)
        meter = _Meter(node, size)
        stored = put(node.address, body)
        puts.append(meter.run(stored.seconds))
        meter = _Meter(node, size)
        gets.append(meter.run(get(node.address, stored.cap, size).seconds))
    # Hashing would cost the client what the node needs, so it is done once and not timed.
    get(node.address, stored.cap, size, expected_digest=body.digest())
    return puts, gets


def _finding(what: str, runs: list[_Run]) -> Finding:
    rates = [run.rate for run in runs]
    node_cost = median(run.node_cost for run in runs)
    client_cost = median(run.client_cost for run in runs)
    return Finding(
        what,
        f"{AT_LEAST} MB/s or more",
        rates,
        "MB/s",
        median(rates) >= AT_LEAST,
        f"processor seconds per GiB: node {node_cost:.1f}, client {client_cost:.1f}",
    )
