"""One HTTP connection in memory, driven byte by byte and second by second."""

from __future__ import annotations

from twisted.internet.address import IPv4Address
from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.internet.interfaces import IAddress
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from twisted.web.resource import IResource, Resource
from zope.interface import implementer

from tahoeish.streams.body import BodyStream
from tahoeish.streams.http1 import Http1Channel
from tahoeish.streams.request import IStreamingResource, StreamingRequest
from tahoeish.streams.site import BodyLimits, StreamingSite

HERE = IPv4Address("TCP", "127.0.0.1", 1)


class Transport(StringTransport):
    """Remembers that it was closed for writing, or dropped."""

    aborted = False
    half_closed = False

    def abortConnection(self) -> None:
        self.aborted = True
        super().abortConnection()

    def loseWriteConnection(self) -> None:
        self.half_closed = True


class Connection:
    """A client's end."""

    def __init__(self, resource: IResource, limits: BodyLimits | None = None) -> None:
        self.clock = Clock()
        self.site = StreamingSite(resource, reactor=self.clock, limits=limits)
        address: IAddress = HERE
        channel = self.site.buildProtocol(address)
        assert isinstance(channel, Http1Channel)
        self.channel = channel
        self.transport = Transport()
        self.channel.makeConnection(self.transport)

    def send(self, data: bytes | memoryview) -> None:
        self.channel.dataReceived(data)

    @property
    def paused(self) -> bool:
        return self.transport.producerState == "paused"

    def received(self) -> bytes:
        """What the client got, and hadn't got the last time."""
        data: bytes = self.transport.value()
        self.transport.clear()
        return data

    def close(self) -> None:
        """In good order."""
        self.channel.connectionLost(Failure(ConnectionDone()))

    def cut(self) -> None:
        self.channel.connectionLost(Failure(ConnectionLost()))


@implementer(IStreamingResource)
class Recorder(Resource):
    """Reads its body to the end and says how long it was; notes everything."""

    isLeaf = True

    def __init__(self) -> None:
        super().__init__()
        self.pieces: list[bytes] = []
        self.errors: list[BaseException] = []
        self.asked: list[tuple[bytes, bytes]] = []
        self.body: BodyStream | None = None

    async def respond(self, request: StreamingRequest, body: BodyStream) -> None:
        self.asked.append((request.method, request.path))
        self.body = body
        try:
            async for piece in body:
                self.pieces.append(bytes(piece))
        except BaseException as error:
            self.errors.append(error)
            raise
        answer(request, 200, b"%d bytes" % len(b"".join(self.pieces)))


@implementer(IStreamingResource)
class Refuser(Resource):
    """Answers 413 without reading."""

    isLeaf = True

    async def respond(self, request: StreamingRequest, body: BodyStream) -> None:
        answer(request, 413, b"no")


def answer(request: StreamingRequest, code: int, text: bytes) -> None:
    request.setResponseCode(code)
    request.setHeader(b"Content-Type", b"text/plain")
    request.setHeader(b"Content-Length", b"%d" % len(text))
    request.write(text)
