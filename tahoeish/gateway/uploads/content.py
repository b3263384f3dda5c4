"""What a request brings for its session: pieces that may be stopped, counted, and looked at before they count."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Sequence

from twisted.internet.defer import CancelledError, Deferred

from tahoeish.chk.buffers import Buffer

HELD_MOST = 16 * 1024 * 1024
"""
What one request may bring that is held back until it has been verified. More than that goes to the peers at once, and
if it turns out to be damaged, it can't be taken back from them, and the upload is over.
"""

_NO_PIECES: Sequence[Buffer] = ()


class Stopped(Exception):
    """Something newer has taken over."""


class TooMuch(Exception):
    """More comes than may."""


class Content:
    """Passes the pieces of `source` on, `most` bytes of them at the most, until it is stopped."""

    def __init__(self, source: AsyncIterable[Buffer], most: int | None) -> None:
        self._pieces = aiter(source)
        self._most = most
        self._passed = 0
        self._stopped = False
        self._waiting: Deferred[Buffer | None] | None = None

    def stop(self) -> None:
        """No more is wanted. Whoever waits for a piece gets `Stopped`."""
        self._stopped = True
        if self._waiting is not None:
            self._waiting.cancel()

    def __aiter__(self) -> AsyncIterator[Buffer]:
        return self

    async def __anext__(self) -> Buffer:
        if self._stopped:
            raise Stopped
        self._waiting = Deferred.fromCoroutine(_next(self._pieces))
        try:
            piece = await self._waiting
        except CancelledError:
            if self._stopped:
                raise Stopped from None
            raise
        finally:
            self._waiting = None
        if piece is None:
            raise StopAsyncIteration
        self._passed += len(piece)
        if self._most is not None and self._passed > self._most:
            raise TooMuch
        return piece


async def held_back(source: AsyncIterable[Buffer], most: int) -> AsyncIterator[Buffer]:
    """The pieces when all are there, or more than `most` bytes of them."""
    held, size = list[Buffer](), 0
    async for piece in source:
        held.append(piece)
        size += len(piece)
        if size > most:
            for each in held:
                yield each
            held = []
    for each in held:
        yield each


async def nothing() -> AsyncIterator[Buffer]:
    """Of a request that only wants the upload to be completed."""
    for piece in _NO_PIECES:
        yield piece


async def _next(pieces: AsyncIterator[Buffer]) -> Buffer | None:
    # StopAsyncIteration doesn't pass through a Deferred unharmed.
    async for piece in pieces:
        return piece
    return None
