"""Resumable uploads: nothing is lost over a bad line, little is sent twice, and in pieces it is nearly as fast."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from statistics import median

from bench.client import get, put
from bench.findings import Finding
from bench.grid import running_grid
from bench.process import Process, TemporaryDisk
from bench.setting import WARM_UP, Setting
from bench.sizes import MB, MIB, shown
from bench.tus import PIECE, put_in_pieces
from bench.watch import Watch
from tests.node.torturing import Trouble, restless_grid, upload_in_trouble

MOST_TWICE = 5.0
"""Percent."""
SHARE_OF_PUT = 0.7
SAME_WITHIN = 8
"""MiB; what the allocator does differs as much from run to run."""
SEED = 50
STORAGE_NODES = 10


@dataclass(frozen=True)
class _Pair:
    """Rates in MB/s, and the highest resident memory in MiB."""

    whole: float
    pieces: float
    memory_whole: float
    memory_pieces: float


def measure(setting: Setting) -> Iterator[Finding]:
    yield _troubled(setting)
    size = setting.scale.throughput
    for sync in (True, False):
        how = "synced" if sync else "not synced"
        with setting.node(sync=sync) as node:
            temporary = TemporaryDisk(node.process, node.temporary, [*node.peers, node.home])
            with Watch(temporary) as disk:
                pairs = _pairs(setting, node.address, node.process, node.empty)
        yield from _findings(f"{shown(size)}, embedded default, {how}", pairs)
        yield Finding(
            f"temporary disk, {shown(size)} in pieces of {shown(PIECE)}, {how}",
            "none",
            [disk.peak / MIB],
            "MiB",
            disk.peak == 0,
        )
        with running_grid(setting.new_directory(), sync=sync) as grid:
            pairs = _pairs(setting, grid.address, grid.gateway, grid.empty)
        yield from _findings(f"{shown(size)}, ten nodes of ours, {how}", pairs)


def _troubled(setting: Setting) -> Finding:
    size = setting.scale.throughput
    # A smaller file has less trouble, so that as much of it is sent twice.
    part = min(1.0, size / (1024 * MIB))
    trouble = Trouble(max(1, round(50 * part)), max(1, round(10 * part)), 2)
    with restless_grid(setting.new_directory(), STORAGE_NODES, "3/10") as (gateway, storages):
        ordeal = upload_in_trouble(gateway, storages, size, trouble, SEED)
    return Finding(
        f"sent twice of {shown(size)}; {trouble.cuts} cuts of the line, {trouble.kills} kills of the gateway,"
        f" {trouble.restarts} of {STORAGE_NODES} storage nodes restarted",
        f"at most {MOST_TWICE:.0f} %, and the right bytes",
        [100 * ordeal.twice],
        "%",
        100 * ordeal.twice <= MOST_TWICE,
    )


def _pairs(setting: Setting, address: tuple[str, int], process: Process, empty: Callable[[], None]) -> list[_Pair]:
    size = setting.scale.throughput
    put(address, setting.new_body(WARM_UP))
    put_in_pieces(address, setting.new_body(WARM_UP))
    pairs = []
    for _ in range(setting.scale.runs):
        # By turns: machines are not the same from minute to minute.
        empty()
        process.forget_most_resident()
        whole = put(address, setting.new_body(size)).seconds
        memory_whole = process.most_resident()
        empty()
        process.forget_most_resident()
        body = setting.new_body(size)
        pieces = put_in_pieces(address, body)
        memory_pieces = process.most_resident()
        pairs.append(_Pair(size / MB / whole, size / MB / pieces.seconds, memory_whole / MIB, memory_pieces / MIB))
    get(address, pieces.cap, size, expected_digest=body.digest())
    return pairs


def _findings(what: str, pairs: list[_Pair]) -> Iterator[Finding]:
    ratios = [pair.pieces / pair.whole for pair in pairs]
    yield Finding(
        f"tus in pieces of {shown(PIECE)} beside a PUT, {what}",
        f"{SHARE_OF_PUT:.0%} or more",
        [100 * ratio for ratio in ratios],
        "%",
        median(ratios) >= SHARE_OF_PUT,
        f"{median(pair.pieces for pair in pairs):.0f} and {median(pair.whole for pair in pairs):.0f} MB/s",
    )
    more = [pair.memory_pieces - pair.memory_whole for pair in pairs]
    yield Finding(
        f"memory of the gateway above that during a PUT, {what}",
        f"the same, within {SAME_WITHIN} MiB",
        more,
        "MiB",
        median(more) <= SAME_WITHIN,
    )
