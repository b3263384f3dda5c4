"""
HTTP/1.1 under a streaming request: twisted.web's parser, asked to let go of what it would do by itself.

The parser calls into a request from the middle of its own loops, where writing an answer, or ending one, breaks it
(`HTTPChannel` would read the rest of the body as headers). So nothing of ours runs in there: bytes are noted while
the parser works, and the request acts when it has come to rest, at the end of `dataReceived`.
"""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Any

from twisted.internet.interfaces import IDelayedCall
from twisted.internet.protocol import connectionDone
from twisted.python.failure import Failure
from twisted.web.http import HTTPChannel

if TYPE_CHECKING:
    from tahoeish.streams.request import StreamingRequest, StreamingSite

SHORT_REST = 64 * 1024
"""When no more than this is left of a body that nobody reads, taking it is cheaper than a new connection."""

SHORTEST_WAIT = 16 * 1024
"""What isn't more than this needn't gather."""


class Http1Channel(HTTPChannel):
    """One connection. Speaks HTTP/1.0 and 1.1 only."""

    requests: list[StreamingRequest]
    site: StreamingSite

    _settling = False
    _suspended_timeout: float | None = None

    def connectionMade(self) -> None:
        super().connectionMade()
        self.site.connected(1)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        super().connectionLost(reason)
        self.site.connected(-1)

    def dataReceived(self, data: bytes) -> None:
        super().dataReceived(data)
        if self._settling:
            return
        # Ending one request feeds a pipelined one through here again: a loop, so that a long pipeline isn't a
        # deep stack.
        self._settling = True
        settled = None
        try:
            while self.requests and self.requests[-1] is not settled:
                settled = self.requests[-1]
                settled.settle()
        finally:
            self._settling = False

    def resumeProducing(self) -> None:
        """The client has read what we wrote. Twisted would now read the body on, but that is for the body to say."""
        super().resumeProducing()
        self._keep_paused()

    def suspend_timeout(self) -> None:
        """From head to end of a body, the body's own clock counts: it knows who is waiting for whom."""
        self._suspended_timeout = self.setTimeout(None)

    def allContentReceived(self) -> None:
        if self._suspended_timeout is not None:
            self.setTimeout(self._suspended_timeout)
            self._suspended_timeout = None
        super().allContentReceived()

    def _respondToBadRequestAndDisconnect(self) -> None:
        request = self.requests[-1] if self.requests else None
        if request is None or not request.receiving_body:
            super()._respondToBadRequestAndDisconnect()
            return
        # Let the resource give the answer: it has work to undo, and can say more than "400".
        self._transferDecoder = _Sink(request)
        request.body_malformed()

    def _keep_paused(self) -> None:
        if self.requests and self.requests[-1].receiving_body and not self.requests[-1].body.wants_flow:
            self._networkProducer.pauseProducing()


class _Sink:
    """Takes what comes after a broken chunk, where no end can be told any more."""

    def __init__(self, request: StreamingRequest) -> None:
        self._request = request

    def dataReceived(self, data: bytes) -> None:
        self._request.handleContentChunk(data)


class Http1Flow:
    """
    The connection as one body sees it; see `tahoeish.streams.body.Flow`.

    An early answer is followed by a *linger*: we close our side and take what the client still sends for a while,
    because closing a socket with unread bytes resets it, and the reset eats the answer before the client has read it.
    """

    def __init__(
        self, channel: Http1Channel, request: StreamingRequest, *, linger_bytes: int, linger_seconds: float
    ) -> None:
        self._channel = channel
        self._request = request
        self._linger_bytes = linger_bytes
        self._linger_seconds = linger_seconds
        self._linger_call: IDelayedCall | None = None
        self._least = 1
        self._expected = self._take_expectation()

    def take_at_once(self, size: int) -> None:
        """From now on, ask the socket for so many bytes each time."""
        # What isn't a socket gives what it has.
        if hasattr(self._transport, "bufferSize"):
            self._transport.bufferSize = size

    def let_gather(self, remaining: int | None) -> None:
        """Wake up only when the socket has a gulp, or what is sure to come of the `remaining` bytes of the body."""
        connection = getattr(self._transport, "transport", self._transport)
        if not hasattr(connection, "socket"):
            return
        # Of TLS's last records, up to one may be here already without having been understood.
        least = min(connection.bufferSize, (remaining or 0) - 2 * SHORTEST_WAIT)
        least = least if least > SHORTEST_WAIT else 1
        if least != self._least:
            self._least = least
            connection.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, least)

    def pause(self) -> None:
        self._transport.pauseProducing()

    def resume(self) -> None:
        self._transport.resumeProducing()

    def invite(self) -> None:
        if self._expected:
            self._expected = False
            self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def abort(self) -> None:
        self.close()
        self._transport.abortConnection()

    def before_early_answer(self) -> None:
        """The head of a response is about to be written while the body isn't in."""
        rest = self._request.body.remaining
        if self._expected or rest is None or rest > SHORT_REST or self._request.body.error is not None:
            self._channel.persistent = False
            self._request.setHeader(b"Connection", b"close")

    def answer_early(self) -> None:
        self._request.body.discard()
        self._linger_call = self._channel.callLater(self._linger_seconds, self.abort)
        if not self._channel.persistent and not self._channel.isSecure():
            half_close = getattr(self._transport, "loseWriteConnection", None)
            if half_close is not None:
                half_close()

    def swallow(self, size: int) -> None:
        """Count what came in during the linger."""
        if self._linger_call is not None:
            self._linger_bytes -= size
            if self._linger_bytes < 0:
                self.abort()

    def close(self) -> None:
        """The body's last byte is in, or the connection is lost: nothing to wait for any more."""
        if self._linger_call is not None and self._linger_call.active():
            self._linger_call.cancel()
        self._linger_call = None

    @property
    def _transport(self) -> Any:
        return self._channel.transport

    def _take_expectation(self) -> bool:
        # twisted.web sends "100 Continue" by itself to any request that still has this header when its head has
        # been looked at, before a resource could refuse.
        headers = self._request.requestHeaders
        expected = headers.getRawHeaders(b"Expect") or []
        headers.removeHeader(b"Expect")
        return [value.lower() for value in expected] == [b"100-continue"] and self._request.clientproto == b"HTTP/1.1"
