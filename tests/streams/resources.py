"""Resources that a test can hold up, drain and ask."""

from __future__ import annotations

from twisted.internet.defer import Deferred
from twisted.web.resource import Resource
from twisted.web.server import Request
from zope.interface import implementer

from tahoeish.streams.body import BodyStream, ClientGone
from tahoeish.streams.request import IStreamingResource, StreamingRequest
from tahoeish.streams.response import PIECE, streaming
from tests.streams.wire import answer

MIB = 1024 * 1024


@implementer(IStreamingResource)
class Holder(Resource):
    """Reads no body before its test says so, each request by itself."""

    isLeaf = True

    def __init__(self) -> None:
        super().__init__()
        self.go: dict[bytes, Deferred[None]] = {}
        self.bodies: dict[bytes, BodyStream] = {}
        self.errors: dict[bytes, BaseException] = {}

    async def respond(self, request: StreamingRequest, body: BodyStream) -> None:
        path = request.path
        self.bodies[path] = body
        self.go[path] = Deferred()
        try:
            if not path.startswith(b"/read"):
                await self.go[path]
            size = 0
            async for piece in body:
                size += len(piece)
            if path.startswith(b"/read-and-wait"):
                await self.go[path]
        except BaseException as error:
            self.errors[path] = error
            raise
        answer(request, 200, b"%d" % size)


@implementer(IStreamingResource)
class Fountain(Resource):
    """As many bytes as the address says, as fast as they are taken; notes how many it has got rid of."""

    isLeaf = True

    def __init__(self) -> None:
        super().__init__()
        self.written: dict[bytes, int] = {}
        self.ended: list[bytes] = []

    async def respond(self, request: StreamingRequest, body: BodyStream) -> None:
        name, _, size = request.path.rpartition(b"/")
        written = 0
        async with streaming(request, request.site.reactor, request.site.limits.idle_timeout) as writer:
            while written < int(size):
                await writer.write(bytes(PIECE))
                self.written[name] = written = written + PIECE
        self.ended.append(name)


@implementer(IStreamingResource)
class Talker(Resource):
    """Answers in several steps."""

    isLeaf = True

    async def respond(self, request: StreamingRequest, body: BodyStream) -> None:
        request.write_interim(104, {b"Upload-Offset": b"0", b"Location": b"/here"})
        await body.read_all(MIB)
        request.write_interim(104, {b"Upload-Offset": b"3"})
        trailers = sorted(request.trailers.getAllRawHeaders())
        answer(request, 200, repr(trailers).encode())
        request.write_interim(104, {b"Upload-Offset": b"too late"})


@implementer(IStreamingResource)
class Breaker(Resource):
    """Fails in the middle of its response."""

    isLeaf = True

    async def respond(self, request: StreamingRequest, body: BodyStream) -> None:
        request.setHeader(b"Content-Length", b"1000")
        request.write(bytes(500))
        raise ClientGone("as good a reason as any")


class Page(Resource):
    """An ordinary resource of twisted.web."""

    isLeaf = True

    def render_GET(self, request: Request) -> bytes:
        return b"page " + b"/".join(request.postpath or [])

    def render_POST(self, request: Request) -> bytes:
        assert request.content is not None
        return b"%d %r" % (len(request.content.read()), request.getHeader(b"host"))

    def render_DELETE(self, request: Request) -> bytes:
        request.setResponseCode(204)
        return b""
