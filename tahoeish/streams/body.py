"""
A request's body as an asynchronous stream with back-pressure.

Theory of operation. The connection pushes: `arrived`, `complete`, `fail`, and `flush` once it has nothing more to
say for now. The reader pulls: `read`. Between them lies one small buffer. Nobody reads: the buffer fills up to
`HIGH_WATER`, the flow is paused, and the client waits in its own `send`. Somebody reads: the flow is resumed.

A body ends once. Whichever of its endings comes first decides; what comes later is ignored.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Protocol, TypeAlias

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.interfaces import IDelayedCall, IReactorTime

Piece: TypeAlias = bytes | bytearray | memoryview

HIGH_WATER = 32 * 1024
"""
Bytes that may wait unread before the flow is paused. What one `recv` brings after that is kept, too: 64 KiB when there
are many bodies, 128 KiB when there are few, 640 KiB at a storage node.
"""


class BodyError(Exception):
    """
    The body will not be whole. Each subclass is one of the ways in which it can end early.

    `http_status` is what the client is answered, where there is still somebody to answer.
    """

    http_status = 400

    def __init__(self, message: str, received: int = 0) -> None:
        super().__init__(message)
        self.received = received


class ClientGone(BodyError):
    """The connection broke."""


class BodyTruncated(BodyError):
    """The client closed the connection in good order, but before it had sent all that it announced."""


class BodyMalformed(BodyError):
    """The chunked transfer coding can't be understood."""


class BodyTooLong(BodyError):
    """More bytes than this resource takes, announced or sent."""

    http_status = 413


class ClientIdle(BodyError):
    """We waited for bytes and none came."""

    http_status = 408


class BodyOverdue(BodyError):
    """The body as a whole took longer than allowed."""

    http_status = 408


class NodeStopping(BodyError):
    """The node shuts down and can't wait for the rest."""

    http_status = 503


class Flow(Protocol):
    """What a body needs of the connection that it arrives on. One implementation per version of HTTP."""

    def pause(self) -> None:
        """Take no more from the client until `resume`. What is in our hands already may still arrive."""

    def resume(self) -> None:
        """Take from the client again."""

    def invite(self) -> None:
        """The body is wanted: tell a client that waits for `100 Continue`."""

    def abort(self) -> None:
        """Drop the connection at once."""


class BodyStream:
    """
    The body of one request.

    `length` is what the client announced, None when it didn't. `received` counts what has come in so far.
    """

    def __init__(
        self,
        flow: Flow,
        clock: IReactorTime,
        *,
        length: int | None,
        idle_timeout: float,
        deadline: float = 0,
    ) -> None:
        self.length = length
        self.received = 0
        self._flow = flow
        self._clock = clock
        self._limit: int | None = None
        self._pending: Piece = b""
        self._reader: Deferred[Piece] | None = None
        self._completed = False
        self._error: BodyError | None = None
        self._discarding = False
        self._paused = False
        self._invited = False
        self._idle_timeout = idle_timeout
        self._waiting_since = 0.0
        self._idle_call: IDelayedCall | None = None
        self._deadline_call: IDelayedCall | None = None
        if deadline:
            self._deadline_call = clock.callLater(deadline, self._overdue, deadline)

    # What a reader asks.

    @property
    def ended(self) -> bool:
        """Nothing more will come, for better or for worse."""
        return self._completed or self._error is not None

    @property
    def whole(self) -> bool:
        """All of it has come in, if not yet been read."""
        return self._completed

    @property
    def error(self) -> BodyError | None:
        """Why it isn't whole, once that is known."""
        return self._error

    @property
    def awaited(self) -> bool:
        """Somebody waits for more of it."""
        return self._reader is not None

    @property
    def wants_flow(self) -> bool:
        """False while the connection is to be left alone; it asks after somebody else has resumed it."""
        return not self._paused

    @property
    def remaining(self) -> int | None:
        """Bytes still to come, None when nobody knows."""
        if self._completed:
            return 0
        return None if self.length is None else self.length - self.received

    def limit_to(self, size: int) -> None:
        """
        Refuse more than `size` bytes.

        Raises `BodyTooLong` at once when the announced length is above it, so nothing needs to be read to know.
        """
        self._limit = size
        if max(self.length or 0, self.received) > size:
            error = self._too_long(size)
            # A body that has come in whole with its head has ended already, and can't fail any more.
            self.fail(error)
            raise self._error or error

    def read(self) -> Deferred[Piece]:
        """
        The next bytes, as many as there are; `b""` at the end. Fails with a `BodyError` when the body won't be
        whole, after what came before that, and every time after. One reader at a time; cancelling it loses nothing.
        """
        if self._reader is not None:
            raise RuntimeError("two readers of one body")
        if self._pending:
            return succeed(self._take())
        if self._error is not None:
            return fail(self._error)
        if self._completed:
            return succeed(b"")
        self._invite()
        self._reader = Deferred(self._forget_reader)
        self._watch_idle()
        self._resume()
        return self._reader

    async def __aiter__(self) -> AsyncIterator[Piece]:
        while data := await self.read():
            yield data

    async def read_all(self, limit: int) -> bytes:
        """All of a body that is small; `BodyTooLong` above `limit`."""
        self.limit_to(limit)
        pieces = []
        while data := await self.read():
            pieces.append(data)
        return b"".join(pieces)

    # What the connection tells.

    def arrived(self, data: Piece) -> None:
        """More of the body. Never raises, never calls the reader: that waits for `flush`."""
        if self.ended:
            return
        self.received += len(data)
        if self._discarding:
            return
        if self._limit is not None and self.received > self._limit:
            self.fail(self._too_long(self._limit))
        elif not self._pending:
            self._pending = data
        else:
            # A client may send byte by byte; joining them keeps what we hold as small as what it sent.
            if not isinstance(self._pending, bytearray):
                self._pending = bytearray(self._pending)
            self._pending += data

    def flush(self) -> None:
        """The connection has nothing more to say for now: wake the reader, or pause when nobody reads."""
        if self._reader is not None:
            if self._pending:
                self._wake().callback(self._take())
            elif self._completed:
                self._wake().callback(b"")
        elif len(self._pending) >= HIGH_WATER and not self.ended:
            self._pause()

    def complete(self) -> None:
        """That was all."""
        if not self.ended:
            self._completed = True
            self._settle()

    def fail(self, error: BodyError) -> None:
        """It will not be whole. What was sent before the client was lost can still be read; else it is dropped."""
        if self.ended:
            return
        error.received = self.received
        self._error = error
        if not isinstance(error, (ClientGone, BodyTruncated)):
            self._pending = b""
        self._settle()
        if self._reader is not None:
            if self._pending:
                self._wake().callback(self._take())
            else:
                self._wake().errback(error)

    def discard(self) -> None:
        """Nobody will read the rest, which still has to be taken from the client so that it reads our answer."""
        self._discarding = True
        self._pending = b""
        if self._error is None:
            self._resume()

    # Inside.

    def _take(self) -> Piece:
        data, self._pending = self._pending, b""
        return data

    def _wake(self) -> Deferred[Piece]:
        reader, self._reader = self._reader, None
        assert reader is not None
        return reader

    def _forget_reader(self, _: Deferred[Piece]) -> None:
        self._reader = None

    def _invite(self) -> None:
        if not self._invited:
            self._invited = True
            if not self.received:
                self._flow.invite()

    def _pause(self) -> None:
        if not self._paused:
            self._paused = True
            self._flow.pause()

    def _resume(self) -> None:
        if self._paused:
            self._paused = False
            self._flow.resume()

    def _settle(self) -> None:
        # A connection that was paused for this body has to be heard again: for the next request, or to notice
        # that the client is gone.
        self._resume()
        for call in (self._idle_call, self._deadline_call):
            if call is not None and call.active():
                call.cancel()
        self._idle_call = self._deadline_call = None

    def _watch_idle(self) -> None:
        # One timer that looks at the clock when it rings is cheaper than one that is set anew for each read.
        self._waiting_since = self._clock.seconds()
        if self._idle_call is None and self._idle_timeout:
            self._idle_call = self._clock.callLater(self._idle_timeout, self._check_idle)

    def _check_idle(self) -> None:
        self._idle_call = None
        if self._reader is None:
            return
        left = self._waiting_since + self._idle_timeout - self._clock.seconds()
        if left > 0:
            self._idle_call = self._clock.callLater(left, self._check_idle)
        else:
            self.fail(ClientIdle(f"the client has sent nothing for {self._idle_timeout:g} seconds"))

    def _overdue(self, seconds: float) -> None:
        self._deadline_call = None
        self.fail(BodyOverdue(f"the body was not complete after {seconds:g} seconds"))

    def _too_long(self, limit: int) -> BodyTooLong:
        if self.length is not None:
            return BodyTooLong(f"the body is {self.length} bytes long, but at most {limit} are taken here")
        return BodyTooLong(f"the body is longer than the {limit} bytes that are taken here")
