"""The floor on this machine: what can't be left out, beside what sealing alone takes and what the whole does."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from statistics import median

from bench.client import put
from bench.findings import Finding
from bench.grid import running_grid
from bench.helper import Helper
from bench.kernels import ALL, SEALING, ZFEC, kernels, sealing, sealing_rate
from bench.setting import WARM_UP, Setting
from bench.sizes import MIB, shown
from bench.transfer import Put, costs, measured_put

SEALING_AT_LEAST = 0.85
"""Of what the kernels in it take by themselves."""
AMOUNT = 256 * MIB


def measure(setting: Setting) -> Iterator[Finding]:
    amount = min(AMOUNT, setting.scale.throughput)
    cores = os.cpu_count() or 1
    floors: dict[str, list[float]] = {name: [] for name in (*ALL, ZFEC)}
    sealings, rates = [], []
    # By turns, so that what else the machine does meets all of them alike.
    for _ in range(setting.scale.runs):
        with Helper(kernels, setting.scratch, amount) as helper:
            for name, seconds in helper.result().items():
                floors[name].append(seconds)
        with Helper(sealing, amount) as sealer:
            sealings.append(sealer.result())
        with Helper(sealing_rate, amount, cores) as sealer:
            rates.append(sealer.result())
    for name, each in floors.items():
        yield _stated(f"floor at 3 of 10: {name}", each, "s/GiB")
    to_seal = _sums(floors, SEALING)
    everything = _sums(floors, ALL)
    yield _stated("floor at 3 of 10: sealing (cipher, hashes, code)", to_seal, "s/GiB")
    yield _stated("floor at 3 of 10: everything", everything, "s/GiB")
    reached = [floor / spent for floor, spent in zip(to_seal, sealings, strict=True)]
    yield Finding(
        "sealing alone, at the rate of its kernels",
        f"{SEALING_AT_LEAST:.0%} or more",
        [100 * ratio for ratio in reached],
        "%",
        median(reached) >= SEALING_AT_LEAST,
        f"{median(sealings):.2f} s/GiB in one thread",
    )
    yield _stated(f"sealing alone, {cores} threads", rates, "MB/s")
    puts = _puts(setting)
    size, floor = shown(setting.scale.throughput), median(everything)
    yield Finding(
        f"PUT of {size} to ten nodes over TLS, at the cost of the floor",
        "to be stated",
        [100 * floor / each.cost.served for each in puts],
        "%",
        None,
        f"{median(each.cost.served for each in puts):.1f} s/GiB instead of {floor:.1f}: {costs(puts)}",
    )


def _puts(setting: Setting) -> Sequence[Put]:
    with running_grid(setting.new_directory(), sync=False) as store:
        put(store.address, setting.new_body(WARM_UP))
        return [measured_put(store, setting.new_body(setting.scale.throughput)) for _ in range(setting.scale.runs)]


def _sums(floors: dict[str, list[float]], names: Sequence[str]) -> Sequence[float]:
    """Run by run."""
    return [sum(each) for each in zip(*(floors[name] for name in names), strict=True)]


def _stated(what: str, values: Sequence[float], unit: str) -> Finding:
    return Finding(what, "to be stated", values, unit, None)
