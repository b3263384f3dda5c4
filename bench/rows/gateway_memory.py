"""Many uploads at once take no more of the gateway's memory than its budget."""

from __future__ import annotations

from collections.abc import Iterator

from bench.client import get, put
from bench.findings import Finding
from bench.grid import running_grid
from bench.many import most_memory
from bench.setting import FILE_OF_MANY, WARM_UP, Setting
from bench.sizes import MIB, shown

MOST = 160
"""MiB in all."""


def measure(setting: Setting) -> Iterator[Finding]:
    clients = setting.scale.together
    with running_grid(setting.new_directory(), sync=False) as store:
        get(store.address, put(store.address, setting.new_body(WARM_UP)).cap, WARM_UP)
        idle = store.gateway.resident() / MIB
        peaks = [most_memory(setting, store, clients) for _ in range(setting.scale.runs)]
    yield Finding(
        f"the gateway's peak memory, {clients} clients PUT {shown(FILE_OF_MANY)} each at once, ten nodes over TLS",
        f"under {MOST} MiB",
        peaks,
        "MiB",
        max(peaks) < MOST,
        f"from {idle:.0f} MiB when idle; one gateway, run after run",
    )
