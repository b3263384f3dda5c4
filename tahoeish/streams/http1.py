"""
HTTP/1.1 under a streaming request: twisted.web's parser, asked to let go of what it would do by itself.

The parser calls into a request from the middle of its own loops, where writing an answer, or ending one, breaks it
(`HTTPChannel` would read the rest of the body as headers). So nothing of ours runs in there: bytes are noted while
the parser works, and the request acts when it has come to rest, at the end of `dataReceived`.
"""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from twisted.internet.interfaces import IDelayedCall, IHandshakeListener
from twisted.internet.protocol import connectionDone
from twisted.python.failure import Failure
from twisted.web.http import HTTPChannel, Request
from zope.interface import implementer

from tahoeish.streams.channel import take_expectation
from tahoeish.streams.gathering import Gathering
from tahoeish.streams.records import BatchingTLSTransport
from tahoeish.streams.slowness import Patience, unsent
from tahoeish.streams.straight import send_now

if TYPE_CHECKING:
    from tahoeish.streams.request import StreamingRequest
    from tahoeish.streams.site import StreamingSite

LARGEST_SEND = 512 * 1024
"""What the system is given to send at a time."""

SHORT_REST = 64 * 1024
"""When no more than this is left of a body that nobody reads, taking it is cheaper than a new connection."""

_TLS_HANDSHAKE = b"\x16"
"""With this byte begins a client that takes us for a server of TLS; no method does."""

REASONS = {104: "Upload Resumption Supported"} | {status.value: status.phrase for status in HTTPStatus}
"""Of statuses; 104 is newer than the table."""


@implementer(IHandshakeListener)
class Http1Channel(HTTPChannel):
    """One connection. Speaks HTTP/1.0 and 1.1, and makes way when its client has chosen HTTP/2."""

    requests: list[StreamingRequest]
    site: StreamingSite

    takes_views = True

    _heard_of = False
    _settling = False
    _suspended_timeout: float | None = None

    def connectionMade(self) -> None:
        super().connectionMade()
        self._patience = Patience()
        self.site.connected(1)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        super().connectionLost(reason)
        self.site.connected(-1)

    def handshakeCompleted(self) -> None:
        transport: Any = self.transport
        if transport.negotiatedProtocol != b"h2":
            return
        transport.unregisterProducer()
        self.setTimeout(None)
        self.site.connected(-1)
        # From now on the TLS below speaks with that one, as if it had from the start.
        transport.wrappedProtocol = self.site.build_http2()
        transport.wrappedProtocol.makeConnection(transport)

    def request_line(self) -> tuple[bytes, bytes, bytes]:
        return self._command, self._path, self._version

    def begin(self, request: StreamingRequest, length: int | None) -> Http1Flow:
        limits = self.site.limits
        flow = Http1Flow(self, request, linger_bytes=limits.linger_bytes, linger_seconds=limits.linger_seconds)
        flow.take_at_once(self.site.gulp(length))
        if self.site.lets_gather and length:
            flow.let_gather(length)
        # From head to end of a body, the body's own clock counts: it knows who is waiting for whom.
        self._suspended_timeout = self.setTimeout(None)
        return flow

    def dataReceived(self, data: bytes | memoryview) -> None:
        if not self._heard_of:
            self._heard_of = True
            if data[:1] == _TLS_HANDSHAKE:
                # It waits for us, and we would wait for the end of a line.
                self._respondToBadRequestAndDisconnect()
                return
        if isinstance(data, bytes):
            super().dataReceived(data)
        elif self._takes_all_at_once:
            self.rawDataReceived(data)  # type: ignore[arg-type]
        else:
            super().dataReceived(bytes(data))
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

    def write(self, data: bytes | memoryview) -> None:
        """A memoryview isn't kept."""
        if isinstance(data, memoryview) and not isinstance(self.transport, BatchingTLSTransport):
            data = bytes(data[send_now(self.transport, data) :])
        super().write(data)

    def resumeProducing(self) -> None:
        """The client has read what we wrote. Twisted would now read the body on, but that is for the body to say."""
        super().resumeProducing()
        self._keep_paused()

    def requestDone(self, request: Request) -> None:
        if isinstance(self.transport, BatchingTLSTransport):
            # The end of an answer waits for nothing that could go with it.
            self.transport.flush()
        self._patience.renew()
        super().requestDone(request)

    def allContentReceived(self) -> None:
        for line in getattr(self._transferDecoder, "_trailerHeaders", ()):
            name, _, value = bytes(line).partition(b":")
            self.requests[-1].trailers.addRawHeader(name.strip(), value.strip())
        if self._suspended_timeout is not None:
            self.setTimeout(self._suspended_timeout)
            self._suspended_timeout = None
        super().allContentReceived()

    def timeoutConnection(self) -> None:
        """Twisted counts from the end of an answer, which a slow client may not have read by now."""
        if self._patience.lasts(unsent(self.transport)):
            self.setTimeout(self.timeOut)
        else:
            super().timeoutConnection()

    def _respondToBadRequestAndDisconnect(self) -> None:
        request = self.requests[-1] if self.requests else None
        if request is None or not request.receiving_body:
            super()._respondToBadRequestAndDisconnect()
            return
        # Let the resource give the answer: it has work to undo, and can say more than "400".
        self._transferDecoder = _Sink(request)
        request.body_malformed()

    @property
    def _takes_all_at_once(self) -> bool:
        """What comes in is all of a body, and the parser is free: it keeps none of it."""
        in_body = not self.line_mode and not self._handlingRequest
        return in_body and not self._buffer and not self.paused and not self._busyReceiving

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
        self._linger_bytes = linger_bytes
        self._linger_seconds = linger_seconds
        self._linger_call: IDelayedCall | None = None
        self._gathering: Gathering | None = None
        self._expected = take_expectation(request)

    def take_at_once(self, size: int) -> None:
        """From now on, ask the socket for so many bytes each time, and give it as many as it takes."""
        # What isn't a socket gives what it has.
        if hasattr(self._transport, "bufferSize"):
            self._transport.bufferSize = size
            self._transport.SEND_LIMIT = LARGEST_SEND

    def let_gather(self, remaining: int) -> None:
        """Take the body in gulps, of which so many bytes are to come."""
        # Below TLS, if that is there; what isn't a socket at all can't be told.
        connection = getattr(self._transport, "transport", self._transport)
        if self._gathering is None and hasattr(connection, "socket"):
            self._gathering = Gathering(connection, connection.bufferSize, self._channel.callLater)
        self.noted(0, remaining)

    def noted(self, size: int, remaining: int | None) -> None:
        if self._linger_call is not None:
            self._linger_bytes -= size
            if self._linger_bytes < 0:
                self.abort()
        elif self._gathering is not None and remaining is not None:
            self._gathering.expect(remaining)

    def settled(self) -> None:
        """The socket waits by itself."""

    def pause(self) -> None:
        self._transport.pauseProducing()

    def resume(self) -> None:
        self._transport.resumeProducing()

    def invite(self) -> None:
        if self._expected:
            self._expected = False
            self.write_interim(100, {})

    def write_interim(self, code: int, headers: Mapping[bytes, bytes]) -> None:
        lines = [f"HTTP/1.1 {code} {REASONS.get(code, '')}".encode("ascii")]
        lines += [b"%b: %b" % field for field in headers.items()]
        self._transport.write(b"\r\n".join([*lines, b"", b""]))

    def abort(self) -> None:
        self.close()
        self._transport.abortConnection()

    def before_early_answer(self, request: StreamingRequest) -> None:
        rest = request.body.remaining
        if self._expected or rest is None or rest > SHORT_REST or request.body.error is not None:
            self._channel.persistent = False
            request.setHeader(b"Connection", b"close")

    def answer_early(self, request: StreamingRequest) -> None:
        request.body.discard()
        self._linger_call = self._channel.callLater(self._linger_seconds, self.abort)
        if not self._channel.persistent and not self._channel.isSecure():
            half_close = getattr(self._transport, "loseWriteConnection", None)
            if half_close is not None:
                half_close()

    @property
    def unsent(self) -> int:
        return unsent(self._transport)

    def sent(self) -> None:
        """What is written is the connection's business, which outlives its requests."""

    def close(self) -> None:
        if self._linger_call is not None and self._linger_call.active():
            self._linger_call.cancel()
        self._linger_call = None
        if self._gathering is not None:
            self._gathering.stop()

    @property
    def _transport(self) -> Any:
        return self._channel.transport
