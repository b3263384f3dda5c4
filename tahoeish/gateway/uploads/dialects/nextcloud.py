"""
Nextcloud's chunked upload: a folder is made, numbered chunks are put into it, in any order and several at a time, and
moving `.file` out of it makes them a file, in the order of their numbers.

A chunk that comes in its turn goes straight into the session. One that comes early is held, within a bound, until the
ones before it are there. Chunks are numbered from 1 or 0 on, or called `FIRST-LAST` by the bytes that are in them, as
rclone does it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

from tahoeish.gateway.uploads.asked import Fields, UploadRefused, number_in

FINAL_NAME = ".file"
MAX_CHUNKS = 10_000

_NUMBERED = re.compile(r"[0-9]{1,15}", re.ASCII)
_RANGED = re.compile(r"([0-9]{1,15})-([0-9]{1,15})", re.ASCII)


@dataclass(frozen=True, slots=True)
class Chunk:
    text: str
    """What the client calls it."""

    place: int
    """Orders the chunks of an upload."""

    after: int
    """The place of the chunk behind it, where that is certain."""

    ranged: bool
    """Places are bytes of the file."""


@dataclass(frozen=True, slots=True)
class Stream:
    """
    It is its turn: its bytes go into the session, behind what is there. The chunk begins at `start`, so of one that was
    broken off, those that the session has already are left out.
    """

    start: int


@dataclass(frozen=True, slots=True)
class Hold:
    """It is early: keep it, at most `most` bytes of it, and then say `held` or `dropped`."""

    most: int


@dataclass(frozen=True, slots=True)
class Swallow:
    """It is there already, `size` bytes of it, and comes again because its client doesn't know that."""

    size: int


Place: TypeAlias = Stream | Hold | Swallow


def parse_chunk(name: str) -> Chunk:
    """Raises `UploadRefused`."""
    if _NUMBERED.fullmatch(name):
        return Chunk(name, int(name), int(name) + 1, ranged=False)
    match = _RANGED.fullmatch(name)
    if match is None or int(match[2]) < int(match[1]):
        raise UploadRefused(400, f"a chunk is called by its number, or FIRST-LAST by its bytes, not {name[:40]!r}")
    return Chunk(name, int(match[1]), int(match[2]) + 1, ranged=True)


def total_length(fields: Fields) -> int | None:
    """Of the whole file, which any request of the upload may tell. Raises `UploadRefused`."""
    return number_in(fields, "oc-total-length", "OC-Total-Length")


class Assembly:
    """
    Puts the chunks of one upload in order; lets those that are early have `most_held` bytes altogether.

    `entered`: what `record` has said before a restart. What was held then has to come again.
    """

    def __init__(self, most_held: int, entered: Mapping[str, int] | None = None) -> None:
        self._most_held = most_held
        self._entered: dict[int, tuple[Chunk, int]] = {}
        self._held: dict[int, tuple[Chunk, int]] = {}
        self._reserved: dict[int, int] = {}
        self.holding = 0
        """Bytes that wait, or are kept free for what is coming."""
        self._size_entered = 0
        self._next: int | None = None
        self._ranged: bool | None = None
        for text, size in (entered or {}).items():
            self.went_in(parse_chunk(text), size)

    def record(self) -> Mapping[str, int]:
        """The chunks that are in the session, with their sizes."""
        return {chunk.text: size for chunk, size in self._entered.values()}

    def comes(self, chunk: Chunk, size: int | None) -> Place:
        """A chunk's request is there, `size` bytes long if that is known. Raises `UploadRefused`."""
        if self._ranged not in (None, chunk.ranged):
            raise UploadRefused(400, "the chunks of an upload are either numbered, or called by their bytes")
        if chunk.ranged and size not in (None, chunk.after - chunk.place):
            raise UploadRefused(400, f"chunk {chunk.text} has {size} bytes, which isn't what its name says")
        known = self._entered.get(chunk.place) or self._held.get(chunk.place)
        if known is not None:
            if size not in (None, known[1]):
                raise UploadRefused(409, f"chunk {chunk.text} is there already, and has {known[1]} bytes, not {size}")
            return Swallow(known[1])
        if self._is_in_turn(chunk):
            self._ranged = chunk.ranged
            self._next = chunk.place
            return Stream(self._size_entered)
        if self._next is not None and chunk.place < self._next:
            raise UploadRefused(409, f"chunk {chunk.text} comes too late: what belongs behind it is stored already")
        return self._hold(chunk, chunk.after - chunk.place if chunk.ranged else size)

    def went_in(self, chunk: Chunk, size: int) -> Chunk | None:
        """All `size` bytes of it are safe in the session. Returns the held chunk that goes in next, if there is one."""
        _, held = self._held.pop(chunk.place, (chunk, 0))
        self.holding -= held
        self._size_entered += size
        self._ranged = chunk.ranged
        self._entered[chunk.place] = chunk, size
        self._next = chunk.after
        following, _ = self._held.get(chunk.after, (None, 0))
        return following

    def held(self, chunk: Chunk, size: int) -> Chunk | None:
        """All of an early chunk is kept. Returns it if it isn't early any more, but goes in next."""
        self.dropped(chunk)
        if chunk.place in self._entered:
            return None
        self._held[chunk.place] = chunk, size
        self.holding += size
        return chunk if chunk.place == self._next else None

    def dropped(self, chunk: Chunk) -> None:
        """An early chunk was broken off."""
        self.holding -= self._reserved.pop(chunk.place, 0)

    def close(self, total: int | None, offset: int) -> list[Chunk]:
        """
        The client says that this was all, `total` bytes if it tells; the session stands at `offset`. Returns what is
        still held, in the order in which it goes in. Raises `UploadRefused` when something is missing.
        """
        if self._reserved or offset != self._size_entered:
            raise UploadRefused(409, "a chunk is still on its way, or was broken off; send it again")
        waiting = [self._held[place] for place in sorted(self._held)]
        size = offset + sum(size for _, size in waiting)
        if total is not None and size != total:
            raise UploadRefused(400, f"the chunks have {size} bytes together, and the whole should have {total}")
        followed = {chunk.after for chunk, _ in waiting}
        for chunk, _ in waiting:
            follows = chunk.place in followed or self._is_in_turn(chunk)
            # Numbers may have been left out, where the length proves that nothing else was.
            if not follows and (chunk.ranged or total is None):
                raise UploadRefused(409, f"what belongs before chunk {chunk.text} is missing")
        return [chunk for chunk, _ in waiting]

    def _is_in_turn(self, chunk: Chunk) -> bool:
        if self._next is None:
            return chunk.place == 0 or (not chunk.ranged and chunk.place == 1)
        return chunk.place == self._next

    def _hold(self, chunk: Chunk, size: int | None) -> Hold:
        if len(self._entered) + len(self._held) + len(self._reserved) >= MAX_CHUNKS:
            raise UploadRefused(400, f"an upload has at most {MAX_CHUNKS} chunks")
        self.dropped(chunk)
        room = self._most_held - self.holding
        if room <= 0 or (size or 0) > room:
            raise UploadRefused(
                503,
                f"chunk {chunk.text} is early, and too much waits already for what comes before; send it again later",
                {"Retry-After": "5"},
            )
        self._ranged = chunk.ranged
        most = self._reserved[chunk.place] = room if size is None else size
        self.holding += most
        return Hold(most)
