"""Hundreds of clients at once are all served, in bounded memory, and a small request beside them isn't kept waiting."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence

from bench.client import put
from bench.crowd import CrowdResult, get_all, put_all
from bench.findings import Finding, percentile
from bench.helper import Helper
from bench.node import Node
from bench.probe import SmallGets
from bench.setting import SMALL_FILE, Setting
from bench.sizes import MB, MIB, shown
from bench.watch import Watch

MOST_MEMORY = 400
"""MiB."""
LONGEST_SMALL_GET = 1.0
"""Seconds."""


def measure(setting: Setting) -> Iterator[Finding]:
    scale = setting.scale
    count, size = scale.clients, scale.client_file
    doing = f"{count} clients {{}} {shown(size)} each"
    bodies = [setting.new_body(size) for _ in range(count)]
    digests = [body.digest() for body in bodies]
    with setting.node() as node:
        small = put(node.address, setting.new_body(SMALL_FILE)).cap
        caps = yield from _together(setting, node, small, doing.format("PUT"), put_all, bodies)
        wanted = [(cap, digest) for cap, digest in zip(caps, digests, strict=True) if cap is not None]
        yield from _together(setting, node, small, doing.format("GET"), get_all, wanted)


def _together(
    setting: Setting,
    node: Node,
    small: str,
    who: str,
    crowd: Callable[..., CrowdResult],
    each: Sequence[object],
) -> Generator[Finding, None, Sequence[str | None]]:
    """One client for each of `each`, and the small requests beside them. Returns the caps that they were told."""
    process = node.process
    process.forget_most_resident()
    with (
        Watch(process.resident) as memory,
        SmallGets(node.address, small, SMALL_FILE) as beside,
        Helper(crowd, node.address, each) as helper,
    ):
        result = helper.result()
    most = max(memory.peak, process.most_resident()) / MIB
    count, served = setting.scale.clients, len(each) - len(result.failures)
    yield Finding(
        f"{who}: served",
        f"all {count}",
        [served],
        "clients",
        served == count,
        _course(result, served * setting.scale.client_file),
    )
    yield Finding(f"{who}: the node's peak memory", f"under {MOST_MEMORY} MiB", [most], "MiB", most < MOST_MEMORY)
    yield _small_gets(who, beside)
    return result.caps


def _course(result: CrowdResult, total: int) -> str:
    if result.failures:
        return f"{len(result.failures)} failures, the first: {result.failures[0]}"
    return (
        f"{total / MB / result.seconds:.0f} MB/s altogether, the slowest waited {result.slowest:.1f} s;"
        f" processor seconds of the clients {result.processor_seconds:.1f}"
    )


def _small_gets(who: str, beside: SmallGets) -> Finding:
    what = f"{who}: a small GET beside them, 99th percentile"
    asked = f"under {LONGEST_SMALL_GET:g} s"
    if beside.failures:
        return Finding(what, asked, [], "s", False, f"{len(beside.failures)} failed, the first: {beside.failures[0]}")
    slowest = percentile(beside.seconds, 99)
    return Finding(
        what,
        asked,
        [slowest],
        "s",
        slowest < LONGEST_SMALL_GET,
        f"{len(beside.seconds)} of them, median {percentile(beside.seconds, 50):.3f} s,"
        f" longest {max(beside.seconds):.2f} s",
    )
