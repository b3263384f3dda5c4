"""The first byte of a long file comes at once."""

from __future__ import annotations

from collections.abc import Iterator
from statistics import median

from bench.client import get, put
from bench.findings import Finding
from bench.grid import running_grid
from bench.setting import Setting
from bench.sizes import shown

AT_MOST = 0.03
"""Seconds, from before the connection is made, from peers that are connected already."""


def measure(setting: Setting) -> Iterator[Finding]:
    size = setting.scale.throughput
    with running_grid(setting.new_directory(), sync=False) as store:
        cap = put(store.address, setting.new_body(size)).cap
        get(store.address, cap, size)
        waits = [get(store.address, cap, size).first for _ in range(setting.scale.runs)]
    yield Finding(
        f"first byte of a GET of {shown(size)}, 3 of 10, ten nodes of ours over TLS",
        f"under {AT_MOST} s",
        waits,
        "s",
        median(waits) < AT_MOST,
    )
