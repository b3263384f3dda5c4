"""
A file while it comes from a node.

The connection pushes, the reader pulls, and in between lies at most `HIGH_WATER` and what one `recv` brings.
While nobody reads, the connection is paused, and the node waits.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from types import TracebackType
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure
from twisted.web.client import ResponseDone
from twisted.web.iweb import IResponse

from tahoeish.client.errors import TransferBroken
from tahoeish.streams.failures import innermost

HIGH_WATER = 1024 * 1024
"""So much may wait unread: enough that a disk can be given big writes."""


class _BodyReader(Protocol):
    """Gathers a response's body until somebody takes it."""

    # Declared as less than it is: what an Agent gives to a body's protocol can also be paused.
    transport: Any

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self._held = 0
        self._ended: Failure | None = None
        self._taker: Deferred[None] | None = None

    def dataReceived(self, data: bytes) -> None:
        self._pieces.append(data)
        self._held += len(data)
        if self._held >= HIGH_WATER:
            # Asked for again with each piece, because whoever hands out the connection resumes it at first.
            self.transport.pauseProducing()
        self._wake()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._ended = reason
        self._wake()

    async def take(self) -> list[bytes]:
        """All that has come; waits for something to come. Nothing at the end of a whole body."""
        while not self._pieces and self._ended is None:
            self._taker = Deferred(self._taker_gone)
            await self._taker
        if self._pieces:
            taken, self._pieces, full, self._held = self._pieces, [], self._held >= HIGH_WATER, 0
            if full and self._ended is None:
                self.transport.resumeProducing()
            return taken
        assert self._ended is not None
        if not self._ended.check(ResponseDone):
            raise TransferBroken(f"the node did not send all of it: {innermost(self._ended)}")
        return []

    def abandon(self) -> None:
        self._pieces = []
        if self._ended is None:
            # A paused connection is dropped; an open one would be closed in good order, which takes a node
            # that stops sending.
            self.transport.pauseProducing()
            self.transport.loseConnection()

    def _wake(self) -> None:
        if self._taker is not None:
            taker, self._taker = self._taker, None
            taker.callback(None)

    def _taker_gone(self, _: Deferred[None]) -> None:
        self._taker = None
        self.abandon()


class Download:
    """
    A file's bytes, or a range of them, to be iterated over once: `async for piece in download`.

    `length` is how many there will be. A download that isn't read to its end has to be closed, best by `async
    with download`, which breaks off the transfer; so does cancelling who waits for bytes. Iteration raises
    `TransferBroken` where the bytes end before the file does.
    """

    def __init__(
        self,
        response: IResponse,
        length: int | None = None,
        progress: Callable[[int, int | None], object] | None = None,
    ) -> None:
        self.length = length
        self.received = 0
        self._progress = progress
        self._body = _BodyReader()
        response.deliverBody(self._body)

    async def batch(self) -> list[bytes]:
        """All pieces that have come since the last time, at least one; none at the end."""
        pieces = await self._body.take()
        self.received += sum(len(piece) for piece in pieces)
        if self._progress is not None:
            self._progress(self.received, self.length)
        if self.length is not None and (self.received > self.length or not pieces):
            self._check_length(self.length)
        return pieces

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while pieces := await self.batch():
            for piece in pieces:
                yield piece

    def close(self) -> None:
        """Break off what has not come yet. Harmless at the end, and when repeated."""
        self._body.abandon()

    def _check_length(self, length: int) -> None:
        if self.received != length:
            self.close()
            raise TransferBroken(f"the node sent {self.received} bytes of {length}")

    async def __aenter__(self) -> Download:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
