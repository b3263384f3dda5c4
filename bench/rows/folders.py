"""Large folders: listed quickly and in flat memory, moved at once."""

from __future__ import annotations

from collections.abc import Iterator
from time import perf_counter

from bench.dav import DavClient, put_files
from bench.findings import Finding
from bench.node import Node
from bench.setting import EIGHT, Setting
from bench.sizes import MIB
from bench.watch import Watch

LISTED_WITHIN = 1.0
MOVED_WITHIN = 0.2
"""Seconds."""
MOST_MEMORY = 16
"""MiB."""
PROPERTIES = (
    b'<?xml version="1.0"?><D:propfind xmlns:D="DAV:"><D:prop><D:displayname/><D:getlastmodified/>'
    b"<D:getcontentlength/><D:resourcetype/><D:getetag/></D:prop></D:propfind>"
)
"""What file managers and rclone ask for."""


def measure(setting: Setting) -> Iterator[Finding]:
    with setting.node() as node:
        client = DavClient(node.address)
        yield from _list(setting, node, client)
        _fill(client, "/files/moved", setting.scale.moved)
        yield _move(setting, client)
        client.close()


def _fill(client: DavClient, folder: str, count: int) -> None:
    """Ten files, and copies of copies. All of them are so small that they are in their caps."""
    client.ask("MKCOL", folder)
    client.ask("MKCOL", f"{folder}-seed")
    for number in range(10):
        client.ask("PUT", f"{folder}-seed/{number}", b"small")
    within, size = f"{folder}-seed", 10
    while size < count // 10:
        larger = f"{within}-10"
        client.ask("MKCOL", larger)
        for number in range(10):
            client.ask("COPY", within, b"", f"Destination: {larger}/{number}")
        within, size = larger, size * 10
    for number in range(10):
        client.ask("COPY", within, b"", f"Destination: {folder}/{number}")


def _list(setting: Setting, node: Node, client: DavClient) -> Iterator[Finding]:
    client.ask("MKCOL", "/files/flat")
    files = [(f"/files/flat/file%20{number}", setting.new_body(0)) for number in range(setting.scale.listed)]
    put_files(node.address, files, EIGHT)
    seconds, growth = [], []
    client.ask("PROPFIND", "/files/flat", PROPERTIES, "Depth: 1")
    for _ in range(setting.scale.runs):
        node.process.forget_most_resident()
        before = node.process.resident()
        with Watch(node.process.resident) as memory:
            begun = perf_counter()
            answer = client.ask("PROPFIND", "/files/flat", PROPERTIES, "Depth: 1")
            seconds.append(perf_counter() - begun)
        growth.append(max(0, memory.peak - before, node.process.most_resident() - before))
    what = f"PROPFIND Depth 1 of {setting.scale.listed} entries"
    yield Finding(
        what,
        f"under {LISTED_WITHIN:g} s",
        seconds,
        "s",
        max(seconds) < LISTED_WITHIN,
        f"{answer.received / MIB:.1f} MiB of XML",
    )
    yield Finding(
        f"{what}: memory growth",
        f"under {MOST_MEMORY} MiB",
        [count / MIB for count in growth],
        "MiB",
        max(growth) < MOST_MEMORY * MIB,
    )


def _move(setting: Setting, client: DavClient) -> Finding:
    seconds = []
    for number in range(setting.scale.runs):
        source, destination = (f"/files/moved{'-there' if there else ''}" for there in (number % 2, 1 - number % 2))
        begun = perf_counter()
        client.ask("MOVE", source, b"", f"Destination: {destination}")
        seconds.append(perf_counter() - begun)
    slowest = max(seconds)
    what = f"MOVE of a folder of {setting.scale.moved} files"
    return Finding(what, f"under {MOVED_WITHIN:g} s", seconds, "s", slowest < MOVED_WITHIN)
