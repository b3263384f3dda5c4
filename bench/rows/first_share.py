"""Shares are written while the body arrives, not afterwards."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from time import perf_counter, sleep

from bench.body import Body, Buffer
from bench.client import put_pieces
from bench.findings import Finding
from bench.node import Node
from bench.setting import WARM_UP, Setting
from bench.sizes import KIB, MB, MIB

AT_MOST = 3
"""MiB."""
PIECE = 64 * KIB
RATE = MB
SIZE = 8 * MIB
LOOK_EVERY = 0.005
"""Seconds."""
HEADERS = 12 + 68
"""Of a share's file, and of the share in it; the longer of the two kinds."""


def measure(setting: Setting) -> Iterator[Finding]:
    with setting.node() as node:
        put_pieces(node.address, setting.new_body(WARM_UP), WARM_UP)
        for length, framing in ((SIZE, "length known"), (None, "length unknown")):
            runs = [_send_slowly(node, setting.new_body(SIZE), length) for _ in range(setting.scale.runs)]
            for whose, sent in (
                ("the first peer", [first for first, _ in runs]),
                ("the last peer", [last for _, last in runs]),
            ):
                asked = f"at most {AT_MOST} MiB" if whose == "the first peer" else "to be stated"
                yield Finding(
                    f"sent of a slow body when {whose} has share bytes, {framing}",
                    asked,
                    [count / MIB for count in sent],
                    "MiB",
                    max(sent) <= AT_MOST * MIB if whose == "the first peer" else None,
                )


def _send_slowly(node: Node, body: Body, length: int | None) -> tuple[int, int]:
    """How many bytes the kernel had taken from us when the first peer had some of a share, and when the last had."""
    node.empty()
    seen: dict[Path, int] = {}

    def paced() -> Iterator[Buffer]:
        begun = perf_counter()
        sent = 0
        for piece in _recut(body):
            yield piece
            sent += len(piece)
            while len(seen) < len(node.peers):
                for peer in node.peers:
                    if peer not in seen and has_share_bytes(peer):
                        seen[peer] = sent
                wait = begun + sent / RATE - perf_counter()
                if wait <= 0:
                    break
                sleep(min(LOOK_EVERY, wait))

    put_pieces(node.address, paced(), length)
    counts = [seen.get(peer, body.size) for peer in node.peers]
    return min(counts), max(counts)


def _recut(body: Body) -> Iterator[memoryview]:
    for piece in body:
        view = memoryview(piece)
        for start in range(0, len(view), PIECE):
            yield view[start : start + PIECE]


def has_share_bytes(peer: Path) -> bool:
    """Real ones: room that was only set aside reads as zeros."""
    for folder, _, names in os.walk(peer / "shares"):
        for name in names:
            try:
                with open(os.path.join(folder, name), "rb") as file:
                    file.seek(HEADERS)
                    if any(file.read(4 * KIB)):
                        return True
            except FileNotFoundError:
                continue  # It has just been finished, and lies elsewhere now.
    return False
