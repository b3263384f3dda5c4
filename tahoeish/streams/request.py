"""Requests that are answered from their head on: `StreamingRequest` for twisted.web, and what a resource is for it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from http import HTTPStatus
from io import BytesIO
from types import MappingProxyType
from typing import TYPE_CHECKING
from urllib.parse import unquote_to_bytes

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import ConnectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web import server
from twisted.web.http import RESPONSES, datetimeToString, parse_qs
from twisted.web.http_headers import Headers
from twisted.web.resource import IResource
from zope.interface import Attribute

from tahoeish.streams.body import (
    BodyError,
    BodyMalformed,
    BodyStream,
    BodyTruncated,
    ClientGone,
    NodeStopping,
    Piece,
)
from tahoeish.streams.channel import Channel, RequestFlow
from tahoeish.streams.failures import forget_frames

if TYPE_CHECKING:
    from tahoeish.streams.site import StreamingSite

log = Logger()


class ClientsFault(Exception):
    """What a client has to be told, and nobody else needs to know."""


class BadHead(ClientsFault):
    """The head of a request breaks HTTP's rules."""

    http_status = 400


class IStreamingResource(IResource):
    """A resource that is asked when the head of a request is in."""

    async def respond(request: StreamingRequest, body: BodyStream) -> None:
        """
        Answer the request.

        Until `body` is read for the first time the client has not been told to go on: whatever can be refused is
        refused before that. Returning ends the response. Raising leaves the answer to the site's `failed`. When the
        client goes away, reading the body fails with a `BodyError`; after the body is in, this call is cancelled.
        """


class IBoundedResource(IResource):
    """A resource without streaming that wants another bound on its body than the site's."""

    max_body: int = Attribute("The most bytes that it takes.")


def _phrase(status: int) -> bytes | None:
    try:
        return HTTPStatus(status).phrase.encode()
    except ValueError:
        return None


class StreamingRequest(server.Request):
    """
    One request. `body` is there from the moment the head is in, and when the body has been read to its end, `trailers`
    are the fields that came after it.

    Unlike twisted.web's own, `finish` may be called at any time, also while the client is still sending, and after
    it has gone.
    """

    channel: Channel  # type: ignore[assignment]
    site: StreamingSite
    body: BodyStream
    trailers: Headers
    closing_fields: Mapping[str, str] = MappingProxyType({})
    """What follows the response's body, if it has been announced; to be set before the end."""
    resource: IResource | None = None

    _flow: RequestFlow
    _head_in = False
    _content_in = False
    _answered = False
    _work: Deferred[None] | None = None
    _routed_paths: tuple[list[bytes], list[bytes]]

    def setResponseCode(self, code: int, message: bytes | None = None) -> None:
        """As twisted.web's, which doesn't know what newer statuses are called."""
        super().setResponseCode(code, _phrase(code) if message is None and code not in RESPONSES else message)

    # What the channel calls, from inside its parser.

    def gotLength(self, length: int | None) -> None:
        channel = self.channel
        limits = channel.site.limits
        # twisted.web fills these in only once the body is complete.
        self.method, self.uri, self.clientproto = channel.request_line()
        self.trailers = Headers()
        self._flow = channel.begin(self, length)
        self.body = BodyStream(
            self._flow,
            channel.site.reactor,
            length=length,
            idle_timeout=limits.idle_timeout,
            deadline=limits.deadline if length != 0 else 0,
        )
        self._head_in = True

    def handleContentChunk(self, data: Piece) -> None:
        self.body.arrived(data)
        self._flow.noted(len(data), self.body.remaining)

    def requestReceived(self, command: bytes, path: bytes, version: bytes) -> None:
        self._content_in = True
        self._flow.close()
        self.body.complete()
        if self._answered:
            super().finish()

    def connectionLost(self, reason: Failure) -> None:
        super().connectionLost(reason)
        if not self._head_in:
            return
        self._flow.close()
        whole = self.body.whole
        if reason.check(ConnectionDone):
            self.body.fail(BodyTruncated(self._truncation()))
        else:
            self.body.fail(ClientGone("the connection was lost while the body was being sent"))
        if whole and self._work is not None:
            # The body has no reader any more that would notice. Nobody is left to be told of the result.
            self._work.cancel()

    # What the channel calls when its parser has come to rest.

    @property
    def receiving_body(self) -> bool:
        """The head is in and the body isn't."""
        return self._head_in and not self._content_in

    def settle(self) -> None:
        """Everything that has come in so far has been noted: act on it."""
        if not self._head_in:
            return
        if self._work is None:
            self._begin()
        self.body.flush()
        self._flow.settled()

    def body_malformed(self) -> None:
        """The transfer coding is broken; there is no telling where the body ends."""
        self.body.fail(BodyMalformed("the chunked transfer coding of the body is broken"))

    def end_early(self) -> None:
        """The response ends here, and nothing more will be taken of the body."""
        self._content_in = True
        self._flow.close()
        self.body.fail(BodyTruncated("it was answered before it was in"))
        super().finish()

    # What a resource calls.

    def write(self, data: bytes | memoryview) -> None:
        if isinstance(data, memoryview) and not self._takes_views:
            data = bytes(data)
        if not self.startedWriting and not self._content_in and not self._disconnected:
            self._flow.before_early_answer(self)
        super().write(data)

    @property
    def unsent(self) -> int:
        """How much of what was written waits for the client; 0 where that can't be told."""
        return self._flow.unsent

    def write_interim(self, code: int, headers: Mapping[bytes, bytes]) -> None:
        """
        Tell the client something before the response itself, as `104 Upload Resumption Supported`.

        HTTP/1.0 knows nothing of the kind, and it is too late once the response has begun; then nothing happens.
        """
        if self.clientproto != b"HTTP/1.0" and not self.startedWriting and not self._disconnected:
            self._flow.write_interim(code, headers)

    @property
    def takes_closing_fields(self) -> bool:
        """The client reads on behind the body of the response."""
        codings = b",".join(self.requestHeaders.getRawHeaders(b"TE") or []).lower().split(b",")
        return self.clientproto != b"HTTP/1.0" and b"trailers" in (coding.strip() for coding in codings)

    def announce_closing_fields(self, names: Iterable[str]) -> None:
        """When all other fields of the head have been set: these come behind the body."""
        self.setHeader(b"Trailer", ", ".join(names).encode())
        if self.clientproto == b"HTTP/1.1":
            # There, only chunks are followed by something.
            self.responseHeaders.removeHeader(b"Content-Length")

    def finish(self) -> None:
        if self._disconnected or self.finished or self._answered:
            return
        if self._content_in:
            self._end_chunks()
            super().finish()
            return
        if not self.startedWriting:
            self.write(b"")
        self._end_chunks()
        self._answered = True
        self._flow.answer_early(self)

    @property
    def disconnected(self) -> bool:
        """Nobody is there any more to read a response."""
        return self._disconnected

    def abort(self) -> None:
        """Drop the connection, so that the client can't take what it got for a whole response."""
        if not self._disconnected:
            self._flow.abort()

    def stop(self) -> None:
        """The node can't wait for this request any longer."""
        if self.body.whole:
            if self._work is not None:
                self._work.cancel()
        else:
            self.body.fail(NodeStopping("the node is shutting down; send it again later"))

    # Inside.

    @property
    def _takes_views(self) -> bool:
        return not self.chunked and self.channel.takes_views and self.responseHeaders.hasHeader(b"Content-Length")

    def _end_chunks(self) -> None:
        if self.chunked:
            lines = [f"{name}: {value}\r\n" for name, value in self.closing_fields.items()]
            self.channel.write(f"0\r\n{''.join(lines)}\r\n".encode())
            self.chunked = 0

    def _begin(self) -> None:
        self.site = self.channel.site
        self.site.transfers.add(self)
        self.site.changed()
        self._work = Deferred.fromCoroutine(self._serve())
        self._work.addErrback(lambda failure: log.failure("a request was not answered", failure))
        self._work.addCallback(lambda _: self._flow.sent())
        self._work.addBoth(lambda _: self.site._transfer_ended(self))

    async def _serve(self) -> None:
        try:
            self.setHeader(b"Server", b"tahoeish")
            self.setHeader(b"Date", datetimeToString())
            for name, value in self.site.headers.items():
                self.setHeader(name, value)
            self._parse_target()
            resource = self.site.getResourceFor(self)
            if IStreamingResource.providedBy(resource):
                await resource.respond(self, self.body)
                self.finish()
            else:
                await self._serve_buffered(resource)
        except (Exception, CancelledError) as error:
            self._fail(Failure())
            forget_frames(error)

    def _parse_target(self) -> None:
        if self.clientproto == b"HTTP/1.1" and len(self.requestHeaders.getRawHeaders(b"Host") or []) != 1:
            raise BadHead("an HTTP/1.1 request has exactly one Host header")
        self.path, _, query = _without_origin(self.uri).partition(b"?")
        self.args = parse_qs(query, True) if query else {}
        self.prepath = []
        self.postpath = [unquote_to_bytes(part) for part in self.path[1:].split(b"/")]

    async def _serve_buffered(self, resource: IResource) -> None:
        limit = self.site.limits.max_buffered
        if IBoundedResource.providedBy(resource):
            limit = resource.max_body
        content = await self.body.read_all(limit)
        self.content = BytesIO()
        self.content.write(content)
        super().requestReceived(self.method, self.uri, self.clientproto)

    def _fail(self, failure: Failure) -> None:
        if self._disconnected:
            if self.site.is_mishap(failure.value):
                log.failure("after the client had gone", failure)
        elif self.startedWriting:
            # Too late for another status. A client that counts, or waits for the last chunk, sees that it's broken.
            if not failure.check(BodyError, CancelledError):
                log.failure("a response broke off", failure)
            self.abort()
        else:
            self.site.failed(self, failure)
            self.finish()

    def _truncation(self) -> str:
        if self.body.length is None:
            return f"the client closed the connection after {self.body.received} bytes, in the middle of the body"
        return (
            f"the client closed the connection after {self.body.received} of the {self.body.length} bytes "
            "that it had announced"
        )


def _without_origin(target: bytes) -> bytes:
    """A target may name the server, too, as for a proxy."""
    scheme, separator, rest = target.partition(b"://")
    if not separator or scheme.lower() not in (b"http", b"https"):
        return target
    return b"/" + rest.partition(b"/")[2]
