"""The answer is there when the last byte is in, however long the body was."""

from __future__ import annotations

from collections.abc import Iterator
from statistics import median

from bench.client import put
from bench.findings import Finding
from bench.node import Node
from bench.setting import WARM_UP, Setting
from bench.sizes import MIB, shown

AT_MOST = 0.15
"""Seconds, without syncing."""
SAME_WITHIN = 0.02
"""Seconds; one run differs from the next by as much."""


def measure(setting: Setting) -> Iterator[Finding]:
    scale = setting.scale
    for sync in (False, True):
        how = "synced" if sync else "not synced"
        with setting.node(sync=sync) as node:
            put(node.address, setting.new_body(WARM_UP))
            least = [_wait_for_answer(setting, node, MIB) for _ in range(2 * scale.runs)]
            short = [_wait_for_answer(setting, node, scale.short) for _ in range(2 * scale.runs)]
            long = [_wait_for_answer(setting, node, scale.large) for _ in range(scale.large_runs)]
            longest = [] if sync else [_wait_for_answer(setting, node, scale.huge) for _ in range(scale.large_runs)]
        for size, waits in ((MIB, least), (scale.short, short), (scale.large, long), (scale.huge, longest)):
            if not waits:
                continue
            yield Finding(
                f"last byte to answer, {shown(size)}, {how}",
                "to be stated" if sync else f"under {AT_MOST} s",
                waits,
                "s",
                None if sync else max(waits) < AT_MOST,
            )
        yield Finding(
            f"what {shown(scale.large)} waits longer than {shown(scale.short)}, {how}",
            "to be stated" if sync else f"no longer, within {SAME_WITHIN} s",
            [median(long) - median(short)],
            "s",
            None if sync else median(long) - median(short) <= SAME_WITHIN,
        )


def _wait_for_answer(setting: Setting, node: Node, size: int) -> float:
    node.empty()
    return put(node.address, setting.new_body(size)).answering
