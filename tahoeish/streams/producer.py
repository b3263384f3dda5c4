"""
The body of a request that we send: an `IBodyProducer` over an asynchronous stream.

Theory of operation. A producer is a coroutine that writes, and a valve that the transport opens and closes.
The coroutine passes the valve before it asks its source for more, so a source is never ahead of the socket by
more than the buffer in hand.

Transports take `bytes` and nothing else: TCP refuses a memoryview, and where it has several writes at once,
as with each chunk of a chunked body, it joins them. So a buffer goes out in pieces of at most `PIECE`, which
bounds every copy that is made on the way. Bytes no longer than that are handed over as they are.
"""

from __future__ import annotations

from collections.abc import AsyncIterable, Coroutine, Iterable, Iterator
from inspect import CORO_SUSPENDED, getcoroutinestate
from typing import TYPE_CHECKING, Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IConsumer
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.iweb import UNKNOWN_LENGTH, IBodyProducer
from zope.interface import implementer

if TYPE_CHECKING:
    from typing_extensions import Buffer

PIECE = 256 * 1024
"""The most that is written to a transport at once."""

_log = Logger()


class SourceLengthMismatch(Exception):
    """The source of a body doesn't give as many bytes as the request's head has promised."""


class SourceTooShort(SourceLengthMismatch):
    """It ended early."""

    def __init__(self, promised: int, given: int) -> None:
        super().__init__(f"the source ended after {given} of the {promised} bytes that were promised")
        self.promised = promised
        self.given = given


class SourceTooLong(SourceLengthMismatch):
    """It went on."""

    def __init__(self, promised: int) -> None:
        super().__init__(f"the source gave more than the {promised} bytes that were promised")
        self.promised = promised


def cut(buffer: Buffer) -> Iterator[bytes]:
    """What `buffer` holds, in pieces that any transport takes, each made when it is asked for."""
    if isinstance(buffer, bytes) and len(buffer) <= PIECE:
        if buffer:
            yield buffer
        return
    with memoryview(buffer) as whole, whole.cast("B") as octets:
        for start in range(0, len(octets), PIECE):
            yield bytes(octets[start : start + PIECE])


class _Valve:
    """Open or closed; who wants to pass waits while it's closed."""

    def __init__(self) -> None:
        self._closed = False
        self._waiting: Deferred[None] | None = None

    def close(self) -> None:
        self._closed = True

    def open(self) -> None:
        self._closed = False
        if self._waiting is not None:
            waiting, self._waiting = self._waiting, None
            waiting.callback(None)

    async def passed(self) -> None:
        # A consumer may close the valve again while it is being opened.
        while self._closed:
            self._waiting = Deferred(self._forget)
            await self._waiting

    def _forget(self, _: Deferred[None]) -> None:
        self._waiting = None


class _Production:
    """
    One run of a producer's coroutine.

    `finished` is the Deferred that `IBodyProducer.startProducing` owes: it fires once, when all is written or
    when that has failed; cancelling it stops the run; after `stop` it never fires.
    """

    def __init__(self) -> None:
        self.valve = _Valve()
        self.finished: Deferred[None] = Deferred(self._cancelled)
        self._stopped = False
        self._writing: Coroutine[Deferred[Any], Any, None] | None = None
        self._written: Deferred[None] | None = None

    def start(self, writing: Coroutine[Deferred[Any], Any, None]) -> None:
        self._writing = writing
        self._written = Deferred.fromCoroutine(writing)
        self._written.addCallbacks(self._succeeded, self._failed)

    async def clearance(self) -> None:
        """Come back when more may be written; `CancelledError` when nothing may be any more."""
        await self.valve.passed()
        if self._stopped:
            raise CancelledError()

    async def write(self, consumer: IConsumer, pieces: Iterable[bytes]) -> None:
        for piece in pieces:
            await self.clearance()
            consumer.write(piece)

    def stop(self) -> None:
        if self._stopped:
            return
        self._stopped = True
        # A consumer may stop us from within `write`. A coroutine can't be cancelled while it runs, but this
        # one will ask for clearance.
        if self._writing is not None and getcoroutinestate(self._writing) == CORO_SUSPENDED:
            assert self._written is not None
            self._written.cancel()

    def _cancelled(self, _: Deferred[None]) -> None:
        self.stop()

    def _succeeded(self, _: None) -> None:
        if not self._stopped:
            self._stopped = True
            self.finished.callback(None)

    def _failed(self, reason: Failure) -> None:
        if not self._stopped:
            self._stopped = True
            self.finished.errback(reason)
        elif not reason.check(CancelledError):
            _log.failure("the source of a body failed when it was stopped", failure=reason)


@implementer(IBodyProducer)
class StreamProducer:
    """
    A body that comes from an asynchronous stream. It can be produced once.

    The next buffer is pulled when the transport has room for it; by then the last one may be filled again.
    The source is closed (`aclose`, where it has that) however production ends. What it raises fails the
    request, and so does any other number of bytes than `length`; None is for an unknown one.
    """

    def __init__(self, stream: AsyncIterable[Buffer], length: int | None) -> None:
        # UNKNOWN_LENGTH is one particular string, which the Agent recognizes by its identity.
        self.length: int | str = UNKNOWN_LENGTH if length is None else length
        self._promised = length
        self._stream = stream
        self._production = _Production()
        self._started = False

    def startProducing(self, consumer: IConsumer) -> Deferred[None]:
        if self._started:
            raise RuntimeError("a body that comes from a stream can be sent only once")
        self._started = True
        self._production.start(self._write_all(consumer))
        return self._production.finished

    def pauseProducing(self) -> None:
        self._production.valve.close()

    def resumeProducing(self) -> None:
        self._production.valve.open()

    def stopProducing(self) -> None:
        self._production.stop()

    async def _write_all(self, consumer: IConsumer) -> None:
        iterator = aiter(self._stream)
        given = 0
        try:
            await self._production.clearance()
            async for buffer in iterator:
                given += memoryview(buffer).nbytes
                if self._promised is not None and given > self._promised:
                    raise SourceTooLong(self._promised)
                await self._production.write(consumer, cut(buffer))
                await self._production.clearance()
        finally:
            if (close := getattr(iterator, "aclose", None)) is not None:
                await close()
        if self._promised is not None and given < self._promised:
            raise SourceTooShort(self._promised, given)
