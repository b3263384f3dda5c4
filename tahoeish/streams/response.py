"""A response that is written only as fast as the client drinks."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IPushProducer, IReactorTime
from twisted.python.failure import Failure
from zope.interface import implementer

from tahoeish.streams.body import ClientGone
from tahoeish.streams.slowness import Patience

if TYPE_CHECKING:
    from tahoeish.streams.request import StreamingRequest

PIECE = 64 * 1024
"""What is handed to the transport at a time in the beginning: little enough to wait in it for a slow client."""

LARGEST_PIECE = 512 * 1024
"""The same for a client that takes what it gets at once: each time costs both sides as much as many bytes."""

AT_ONCE_SECONDS = 0.02


@implementer(IPushProducer)
class ResponseWriter:
    """
    Writes the body of one response. Use `streaming`, which gives the transport back at the end.

    A client that takes nothing for `idle_timeout` seconds is given up.
    """

    def __init__(self, request: StreamingRequest, clock: IReactorTime, idle_timeout: float, piece: int = PIECE) -> None:
        self._request = request
        self._clock = clock
        self._idle_timeout = idle_timeout
        self._piece = self._smallest = piece
        self._paused = False
        self._waiting_since = 0.0
        self._patience = Patience()
        self._drained: Deferred[None] | None = None
        self._idle_call: IDelayedCall | None = None

    async def write(self, data: bytes | bytearray | memoryview) -> None:
        """Returns when the client has taken enough of it; raises `ClientGone` when it never will."""
        if isinstance(data, bytes) and len(data) <= self._piece:
            await self._when_drained()
            self._request.write(data)
            return
        rest = memoryview(data)
        while rest:
            await self._when_drained()
            # A few bytes aren't worth a piece of their own.
            size = self._piece if len(rest) > self._piece + self._piece // 8 else len(rest)
            piece, rest = rest[:size], rest[size:]
            self._request.write(piece)
            if not self._paused:
                self._piece = min(2 * self._piece, LARGEST_PIECE)

    # What the transport calls.

    def pauseProducing(self) -> None:
        self._paused = True

    def resumeProducing(self) -> None:
        self._paused = False
        if self._drained is not None:
            took_at_once = self._clock.seconds() - self._waiting_since < AT_ONCE_SECONDS
            self._piece = min(2 * self._piece, LARGEST_PIECE) if took_at_once else self._smallest
        self._release(None)

    def stopProducing(self) -> None:
        """The transport is lost; `lost` says so to whoever waits."""

    def lost(self, _: Failure) -> None:
        self._release(ClientGone("the client went away before it had the whole response"))

    # Inside.

    async def _when_drained(self) -> None:
        if self._request.disconnected:
            raise ClientGone("the client went away before it had the whole response")
        if not self._paused:
            return
        self._waiting_since = self._clock.seconds()
        self._drained = Deferred(self._forget)
        self._patience.renew(self._request.unsent)
        self._watch_idle()
        await self._drained

    def _forget(self, _: Deferred[None]) -> None:
        self._stop_clock()
        self._drained = None

    def _release(self, error: Exception | None) -> None:
        drained, self._drained = self._drained, None
        self._stop_clock()
        if drained is not None:
            if error is None:
                drained.callback(None)
            else:
                drained.errback(error)

    def _watch_idle(self) -> None:
        if self._idle_timeout:
            self._idle_call = self._clock.callLater(self._idle_timeout, self._check_idle)

    def _check_idle(self) -> None:
        self._idle_call = None
        if self._patience.lasts(self._request.unsent):
            self._watch_idle()
            return
        self._request.abort()
        self._release(ClientGone(f"the client has read nothing for {self._idle_timeout:g} seconds"))

    def _stop_clock(self) -> None:
        if self._idle_call is not None:
            self._idle_call.cancel()
            self._idle_call = None


@asynccontextmanager
async def streaming(
    request: StreamingRequest, clock: IReactorTime, idle_timeout: float, *, piece: int = PIECE
) -> AsyncIterator[ResponseWriter]:
    """
    A writer for the body of the response, whose head has been set; the body ends with the block.

    `piece` is what it hands to the transport at a time.
    """
    writer = ResponseWriter(request, clock, idle_timeout, piece)
    if request.disconnected:
        raise ClientGone("the client went away before the response began")
    request.notifyFinish().addErrback(writer.lost)
    request.registerProducer(writer, True)
    try:
        yield writer
    finally:
        if not request.disconnected:
            request.unregisterProducer()
