"""Ours beside others that store files: all of them in one run, by turns, with the same client."""

from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median

from bench import contenders
from bench.charts import GET_COST, GET_RATE, LAST_BYTE, MEMORY, PUT_COST, PUT_RATE, SMALL_FILES
from bench.client import get, put
from bench.contenders import Contender, everybody
from bench.findings import Finding, charted, not_measured, told
from bench.many import most_memory, small_files_rate
from bench.setting import EIGHT, SMALL_FILE, WARM_UP, Setting
from bench.sizes import GIB, MIB, shown
from bench.store import Store
from bench.transfer import Put, Transfer, measured_get, measured_put

SIZES = (MIB, 16 * MIB, 64 * MIB, 256 * MIB, GIB)

ONE_AT_A_TIME = (contenders.FLASK,)
"""These serve one client after the other, so what many take at once says nothing of them."""


@dataclass(frozen=True)
class _Ratio:
    """How many times as fast one must be as the other; 0 if that is only to be known."""

    one: str
    other: str
    at_least: float


PUT_RATIOS = (
    _Ratio(contenders.OURS, contenders.TAHOE, 4),
    _Ratio(contenders.OURS, contenders.FOOLSCAP, 0),
    _Ratio(contenders.OURS_SYNCED, contenders.SWIFT_WIDE, 1.5),
    _Ratio(contenders.OURS, contenders.SWIFT_WIDE, 0),
    _Ratio(contenders.OURS_NARROW, contenders.SWIFT_NARROW, 1),
    _Ratio(contenders.OURS_LOCAL, contenders.OURS, 0),
    _Ratio(contenders.OURS_NARROW_LOCAL, contenders.OURS_NARROW, 0),
)
GET_RATIOS = (_Ratio(contenders.OURS, contenders.TAHOE, 4), _Ratio(contenders.OURS, contenders.FOOLSCAP, 0))
SMALL_RATIOS = (
    _Ratio(contenders.OURS, contenders.TAHOE, 2),
    _Ratio(contenders.OURS, contenders.FOOLSCAP, 2),
    _Ratio(contenders.OURS_SYNCED, contenders.SWIFT_WIDE, 0),
    _Ratio(contenders.OURS_NARROW, contenders.SWIFT_NARROW, 0),
)


@dataclass
class _Results:
    """One contender's, run by run."""

    puts: dict[int, list[Put]] = field(default_factory=lambda: defaultdict(list))
    gets: dict[int, list[Transfer]] = field(default_factory=lambda: defaultdict(list))
    memory: dict[int, list[float]] = field(default_factory=lambda: defaultdict(list))
    small: list[float] = field(default_factory=list)


def measure(setting: Setting) -> Iterator[Finding]:
    with everybody(setting) as field_:
        for name, why in field_.absent.items():
            yield not_measured(name, why)
        results = {name: _Results() for name in field_.contenders}
        broken: dict[str, str] = {}
        for run in range(setting.scale.runs):
            for name, contender in field_.contenders.items():
                if name in broken:
                    continue
                print(f"run {run + 1}: {name}", file=sys.stderr, flush=True)
                try:
                    _take_turn(setting, contender, results[name], first=run == 0)
                except Exception as error:
                    # What the others do is wanted all the same.
                    broken[name] = told(error)
    for name, why in broken.items():
        yield Finding(name, "to last through all runs", [], "", False, f"broke off: {why}")
    largest = max(_sizes(setting))
    what = f"of {shown(largest)}"
    yield from _ratios(
        f"PUT {what}", PUT_RATIOS, {name: _rates(each.puts.get(largest, ())) for name, each in results.items()}
    )
    yield from _ratios(
        f"GET {what}", GET_RATIOS, {name: _rates(each.gets.get(largest, ())) for name, each in results.items()}
    )
    small = f"{setting.scale.small_files} files of {shown(SMALL_FILE)}, {EIGHT} at a time"
    yield from _ratios(small, SMALL_RATIOS, {name: each.small for name, each in results.items()})
    for name, each in results.items():
        yield from _points(name, each)


def _take_turn(setting: Setting, contender: Contender, results: _Results, *, first: bool) -> None:
    with contender.turn() as store:
        put(store.address, setting.new_body(WARM_UP), door=store.door)
        if first and contender.gives_back:
            _check(setting, store)
        for size in _sizes(setting):
            stored = measured_put(store, setting.new_body(size))
            results.puts[size].append(stored)
            if contender.gives_back:
                results.gets[size].append(measured_get(store, stored.file, size))
        results.small.append(small_files_rate(setting, store))
        if contender.name not in ONE_AT_A_TIME:
            for clients in _clients(setting):
                results.memory[clients].append(most_memory(setting, store, clients))
        store.empty()


def _check(setting: Setting, store: Store) -> None:
    """What it stores, it gives back."""
    body = setting.new_body(setting.scale.short)
    file = put(store.address, body, door=store.door).cap
    get(store.address, file, body.size, expected_digest=body.digest(), door=store.door)


def _sizes(setting: Setting) -> Sequence[int]:
    return [size for size in SIZES if size <= setting.scale.throughput]


def _clients(setting: Setting) -> Sequence[int]:
    most = setting.scale.together
    return sorted({1, max(1, most // 5), max(1, most // 2), most})


def _rates(transfers: Sequence[Transfer]) -> Sequence[float]:
    return [transfer.rate for transfer in transfers]


def _ratios(what: str, ratios: Sequence[_Ratio], rates: Mapping[str, Sequence[float]]) -> Iterator[Finding]:
    for ratio in ratios:
        title = f"{what}: how many times as fast {ratio.one} is as {ratio.other}"
        ones, others = rates.get(ratio.one, ()), rates.get(ratio.other, ())
        if not ones or not others:
            missing = ratio.other if ones else ratio.one
            yield not_measured(title, f"{missing} wasn't measured")
            continue
        # Run by run: what the machine did meanwhile has slowed both.
        times = [one / other for one, other in zip(ones, others, strict=False)]
        asked = f"{ratio.at_least:g} times or more" if ratio.at_least else "to be stated"
        holds = median(times) >= ratio.at_least if ratio.at_least else None
        remark = f"{median(ones):.0f} and {median(others):.0f}"
        yield Finding(title, asked, times, "times", holds, remark)


def _points(name: str, results: _Results) -> Iterator[Finding]:
    for size, puts in results.puts.items():
        yield charted(PUT_RATE, name, size, _rates(puts))
        yield charted(LAST_BYTE, name, size, [each.answering for each in puts])
        # The kernel counts in hundredths of a second, which is too coarse for less.
        if size >= 16 * MIB:
            yield charted(PUT_COST, name, size, [each.cost.served for each in puts])
    for size, gets in results.gets.items():
        yield charted(GET_RATE, name, size, _rates(gets))
        if size >= 64 * MIB:
            yield charted(GET_COST, name, size, [each.cost.served for each in gets])
    for clients, memory in results.memory.items():
        yield charted(MEMORY, name, clients, memory)
    if results.small:
        yield charted(SMALL_FILES, name, "files/s", results.small)
