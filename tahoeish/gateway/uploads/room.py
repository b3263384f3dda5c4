"""How much a quota lets in of a file whose length nobody knows when it begins."""

from __future__ import annotations

import json
from collections.abc import AsyncIterable, AsyncIterator, Mapping

from tahoeish.chk.buffers import Buffer
from tahoeish.gateway.errors import Refused
from tahoeish.gateway.uploads.live import LiveSession


def with_room(target: Mapping[str, object], room: int | None) -> dict[str, object]:
    """The target, for a file of at most so many bytes; None for any number."""
    return dict(target) if room is None else {**target, "room": room}


def within_room(live: LiveSession, source: AsyncIterable[Buffer]) -> AsyncIterable[Buffer]:
    """What is to be appended, as far as it may be."""
    room = json.loads(live.row.target).get("room")
    return source if room is None else at_most(room, source, already=live.row.offset)


async def at_most(room: int, source: AsyncIterable[Buffer], already: int = 0) -> AsyncIterator[Buffer]:
    """Raises `Refused` instead of the piece with which there are too many bytes; `already` are there before."""
    received = already
    async for piece in source:
        received += len(piece)
        if received > room:
            raise Refused(
                507, f"the quota leaves room for {room} bytes, and more have come", condition="<D:quota-not-exceeded/>"
            )
        yield piece
