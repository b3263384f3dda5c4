"""A very long body: in bounded time, memory and wait at the end, over TLS."""

from __future__ import annotations

from collections.abc import Iterator
from time import sleep

from bench.client import get, put
from bench.findings import Finding
from bench.grid import running_grid
from bench.rows.grid import LONGEST_WAIT, MOST_GROWTH_GATEWAY, REST
from bench.setting import WARM_UP, Setting
from bench.sizes import GIB, MIB, shown
from bench.transfer import costs, measured_put

MOST_SECONDS_PER_GIB = 6
"""One minute for 10 GiB."""


def measure(setting: Setting) -> Iterator[Finding]:
    size = setting.scale.huge
    where = "ten nodes of ours over TLS, 3 of 10, not synced"
    puts, growth = [], []
    with running_grid(setting.new_directory(), sync=False) as store:
        get(store.address, put(store.address, setting.new_body(WARM_UP)).cap, WARM_UP)
        sleep(REST)
        idle = store.gateway.resident()
        for _ in range(setting.scale.large_runs):
            store.gateway.forget_most_resident()
            puts.append(measured_put(store, setting.new_body(size)))
            growth.append((store.gateway.most_resident() - idle) / MIB)
    most = MOST_SECONDS_PER_GIB * size / GIB
    seconds = [each.seconds for each in puts]
    yield Finding(
        f"PUT of {shown(size)}, {where}",
        f"under {most:.3g} s",
        seconds,
        "s",
        max(seconds) < most,
        f"processor seconds per GiB: {costs(puts)}",
    )
    yield Finding(
        f"memory growth of the gateway, PUT of {shown(size)}, {where}",
        f"under {MOST_GROWTH_GATEWAY} MiB",
        growth,
        "MiB",
        max(growth) < MOST_GROWTH_GATEWAY,
        f"from {idle / MIB:.0f} MiB when idle",
    )
    waits = [each.answering for each in puts]
    yield Finding(
        f"last byte to answer, {shown(size)}, {where}",
        f"under {LONGEST_WAIT} s",
        waits,
        "s",
        max(waits) < LONGEST_WAIT,
    )
