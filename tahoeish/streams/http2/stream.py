"""One request of an HTTP/2 connection: its stream, and the flow of its body."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from h2.errors import ErrorCodes
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionLost
from twisted.internet.interfaces import IDelayedCall
from twisted.python.failure import Failure
from twisted.web._http2 import H2Stream
from twisted.web.http_headers import Headers

from tahoeish.streams.body import BodyMalformed, BodyTruncated
from tahoeish.streams.channel import take_expectation

if TYPE_CHECKING:
    from tahoeish.streams.http2.connection import Http2Connection
    from tahoeish.streams.request import StreamingRequest
    from tahoeish.streams.site import StreamingSite

INITIAL_WINDOW = 65535
"""What a client may send before anybody reads. It is HTTP/2's own default, so it holds before our settings arrive."""

LINGER_SECONDS = 2
"""What a client gets to see by itself that it needn't send on what has been answered."""

FULL = 64 * 1024
"""Bytes of a response that wait to be sent before whoever writes it has to wait, too."""


class Http2Stream(H2Stream):
    """
    The channel of one request.

    It isn't forgotten with its answer, if the client still sends then: a client may take the reset of a stream for the
    end of all, and not look at the answer that has just come before it. So that comes `LINGER_SECONDS` later, and
    meanwhile the client isn't let send more.

    `queue` is what waits to be sent, `queued` how many bytes of content that is, and `window` what the client may still
    send. When it has `ended`, nothing more comes from the client; when it is `gone`, nothing more goes to it.
    """

    site: StreamingSite
    takes_views = False
    command: bytes
    path: bytes

    _conn: Http2Connection
    _request: StreamingRequest

    def __init__(
        self, stream_id: int, connection: Http2Connection, headers: Iterable[tuple[bytes, bytes]], *, ended: bool
    ) -> None:
        self.ended = ended
        self.gone = False
        self._answered = False
        self.queue: deque[Any] = deque()
        self.queued = 0
        self.window = INITIAL_WINDOW
        self._sent = 0
        self._waiting: Deferred[None] | None = None
        self._call: IDelayedCall | None = None
        site = connection.site
        super().__init__(stream_id, connection, headers, site.requestFactory, site, site)

    @property
    def request(self) -> StreamingRequest:
        return self._request

    # What the request calls.

    def request_line(self) -> tuple[bytes, bytes, bytes]:
        return self.command, self.path, b"HTTP/2"

    def begin(self, request: StreamingRequest, length: int | None) -> Http2Flow:
        return Http2Flow(self, request)

    def writeHeaders(self, version: bytes, code: bytes, reason: bytes, headers: Headers) -> None:
        if not self.gone:
            super().writeHeaders(version, code, reason, headers)

    def write(self, data: bytes) -> None:
        if data and not self.gone:
            super().write(data)

    def requestDone(self, request: StreamingRequest) -> None:
        if not self.gone:
            self._watch_for_stalling()
            super().requestDone(request)

    def abortConnection(self) -> None:
        """The client shall not take what it has for a whole response."""
        if not self.gone:
            self._conn.reset(self, ErrorCodes.INTERNAL_ERROR)
            # As with a connection, the news comes when whoever has given up has come to rest.
            self._conn.callLater(0, self.connectionLost, Failure(ConnectionLost("the stream was given up")))

    def write_interim(self, code: int, headers: Mapping[bytes, bytes]) -> None:
        if not self.gone:
            self._conn.write_interim(self.streamID, [(b":status", b"%d" % code), *headers.items()])

    def open_window(self, size: int) -> None:
        """Let the client send so much more."""
        self.window += size
        self._conn.open_window(self.streamID, size)

    def sent(self) -> Deferred[None] | None:
        if self.gone or self._answered:
            return None
        self._waiting = Deferred(self._forget_waiting)
        return self._waiting

    # What the connection calls.

    def receiveDataChunk(self, data: bytes, flowControlledLength: int) -> None:
        self.window -= flowControlledLength
        if self._answered:
            return
        body = self._request.body
        if body.remaining is not None and len(data) > body.remaining:
            body.fail(BodyMalformed(f"the body is longer than the {body.length} bytes that were announced"))
        else:
            self._request.handleContentChunk(data)

    @property
    def closing_fields(self) -> list[tuple[bytes, bytes]]:
        return [(name.lower().encode(), value.encode()) for name, value in self._request.closing_fields.items()]

    def receive_trailers(self, fields: Iterable[tuple[bytes, bytes]]) -> None:
        for name, value in fields:
            self._request.trailers.addRawHeader(name, value)

    def requestComplete(self) -> None:
        self.ended = True
        body = self._request.body
        if self._answered:
            self._conn.forget(self)
        elif body.remaining:
            body.fail(
                BodyTruncated(f"the client ended the body after {body.received} of the {body.length} bytes announced")
            )
        else:
            self._request.requestReceived(*self.request_line())

    def settle(self) -> None:
        """Everything that has come in together has been noted."""
        self._request.settle()

    def took(self, size: int) -> None:
        """So much of the queue has been sent."""
        self.queued -= size
        self._sent += size

    def pause_if_full(self) -> None:
        if self.queued >= FULL:
            self.flowControlBlocked()

    def resume_if_empty(self) -> None:
        if self.producer and not self._producerProducing and self.queued <= FULL // 2:
            self._producerProducing = True
            self.producer.resumeProducing()

    def answered(self) -> None:
        """The whole response has been sent."""
        self._answered = True
        self._stop_call()
        self._stop_waiting()
        if not self.ended:
            self._call = self._conn.callLater(LINGER_SECONDS, self._stop_client)

    def forget(self) -> None:
        """It is over, for better or for worse."""
        self.gone = True
        self._stop_call()
        self._stop_waiting()

    # Inside.

    def _convertHeaders(self, headers: Iterable[tuple[bytes, bytes]]) -> None:
        # Twisted's own tells the request of the body's length before all headers are there.
        pseudo: dict[bytes, bytes] = {}
        fields = self._request.requestHeaders
        for name, value in headers:
            if name.startswith(b":"):
                pseudo[name] = value
            else:
                fields.addRawHeader(name, value)
        authority = pseudo.get(b":authority")
        if authority is not None:
            fields.setRawHeaders(b"Host", [authority])
        self.command = pseudo[b":method"]
        # CONNECT has no path, and names in HTTP/1.1, too, only where to.
        self.path = pseudo.get(b":path") or authority or b"*"
        announced = fields.getRawHeaders(b"Content-Length")
        length = int(announced[0]) if announced else None
        self._request.gotLength(0 if self.ended and length is None else length)
        self._request.parseCookies()

    def _forget_waiting(self, _: Deferred[None]) -> None:
        self._waiting = None

    def _stop_waiting(self) -> None:
        waiting, self._waiting = self._waiting, None
        if waiting is not None:
            waiting.callback(None)

    def _stop_call(self) -> None:
        if self._call is not None:
            self._call.cancel()
            self._call = None

    def _stop_client(self) -> None:
        self._call = None
        self._conn.reset(self, ErrorCodes.NO_ERROR)

    def _watch_for_stalling(self) -> None:
        """Nobody writes any more who would notice that the client takes nothing."""
        if self.site.limits.idle_timeout:
            self._call = self._conn.callLater(self.site.limits.idle_timeout, self._look_whether_stalled, self._sent)

    def _look_whether_stalled(self, before: int) -> None:
        self._call = None
        if self._sent == before:
            self.abortConnection()
        else:
            self._watch_for_stalling()


class Http2Flow:
    """
    One stream as its body sees it; see `tahoeish.streams.channel.RequestFlow`.

    The window of a body grows while somebody waits for it, and isn't opened again while nobody does.
    """

    def __init__(self, stream: Http2Stream, request: StreamingRequest) -> None:
        self._stream = stream
        self._paused = False
        self._closed = False
        self._expected = take_expectation(request)

    def pause(self) -> None:
        self._paused = True

    def resume(self) -> None:
        self._paused = False
        self._open()

    def invite(self) -> None:
        if self._expected:
            self._expected = False
            self.write_interim(100, {})

    def abort(self) -> None:
        self._stream.abortConnection()

    def before_early_answer(self, request: StreamingRequest) -> None:
        """It is nothing special here: the stream ends, and the connection goes on."""

    def answer_early(self, request: StreamingRequest) -> None:
        request.end_early()

    def noted(self, size: int, remaining: int | None) -> None:
        """The stream counts for itself."""

    def settled(self) -> None:
        if not self._paused:
            self._open()

    def close(self) -> None:
        self._closed = True

    def write_interim(self, code: int, headers: Mapping[bytes, bytes]) -> None:
        self._stream.write_interim(code, headers)

    @property
    def unsent(self) -> int:
        return self._stream.queued

    def sent(self) -> Deferred[None] | None:
        return self._stream.sent()

    def _open(self) -> None:
        stream, body = self._stream, self._stream.request.body
        if self._closed or stream.gone or stream.ended:
            return
        wanted = stream.site.window(body.length) if body.awaited else INITIAL_WINDOW
        if body.remaining is not None:
            wanted = min(wanted, body.remaining)
        # Little by little would be a frame for each frame.
        if stream.window < wanted // 2 or (stream.window < wanted == body.remaining):
            stream.open_window(wanted - stream.window)
