"""Real servers on loopback that stand in for a node: one that behaves, and one that does as a test says."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest_twisted
from twisted.internet import reactor
from twisted.internet.defer import Deferred, DeferredQueue
from twisted.internet.interfaces import IAddress
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.protocols.policies import WrappingFactory
from twisted.python.failure import Failure
from twisted.web.http import Request
from twisted.web.resource import Resource
from twisted.web.server import Site

from tahoeish.chk.caps import LITERAL_MAX, LiteralCap, ReadCap

CONTENT = bytes(range(256)) * 4000
MORE_THAN_SOCKETS_HOLD = 64 * 1024 * 1024


def cap_for(content: bytes) -> str:
    """A cap of the right length; nobody here looks at the rest of it."""
    if len(content) <= LITERAL_MAX:
        return str(LiteralCap(content))
    digest = hashlib.sha256(content).digest()
    return str(ReadCap(key=digest[:16], ueb_hash=digest, needed=2, total=3, size=len(content)))


@contextmanager
def listening(factory: Any) -> Iterator[str]:
    """Serve on a port of its own, whose URL this is. In the end drop what is still connected."""
    tracking: WrappingFactory[Any] = WrappingFactory(factory)
    tracking.noisy = False
    factory.noisy = False
    port: Any = reactor.listenTCP(0, tracking, interface="127.0.0.1")  # type: ignore[arg-type]
    try:
        yield f"http://127.0.0.1:{port.getHost().port}"
    finally:
        lost = [_when_lost(connection) for connection in list(tracking.protocols)]
        for gone in [port.stopListening(), *lost]:
            pytest_twisted.blockon(gone)


def _when_lost(connection: Any) -> Deferred[None]:
    lost: Deferred[None] = Deferred()
    passed_on = connection.connectionLost

    def connection_lost(reason: Failure) -> None:
        passed_on(reason)
        lost.callback(None)

    connection.connectionLost = connection_lost
    connection.transport.abortConnection()
    return lost


class MemoryNode(Resource):
    """Keeps files by their caps, and the headers of the requests it got."""

    def __init__(self) -> None:
        super().__init__()
        self.files: dict[str, bytes] = {}
        self.requests: list[Request] = []

    def site(self) -> Site:
        return Site(self)

    def store(self, content: bytes) -> str:
        cap = cap_for(content)
        self.files[cap] = content
        return cap

    def header(self, name: str) -> str | None:
        """As the last request had it."""
        value: str | None = self.requests[-1].getHeader(name)
        return value

    def getChild(self, path: bytes, request: Request) -> Resource:
        return self

    def render_PUT(self, request: Request) -> bytes:
        self.requests.append(request)
        assert request.path == b"/uri"
        request.setResponseCode(201)
        assert request.content is not None
        return self.store(request.content.read()).encode()

    def render_GET(self, request: Request) -> bytes:
        self.requests.append(request)
        cap = request.path.removeprefix(b"/uri/").decode()
        if cap not in self.files:
            request.setResponseCode(410)
            request.setHeader("content-type", "application/problem+json")
            return b'{"title": "Not enough shares", "detail": "2 are needed, 1 was found", "status": 410}'
        content = self.files[cap]
        wanted = request.getHeader("range")
        if wanted is None:
            return content
        first, last = (int(number) for number in wanted.removeprefix("bytes=").split("-"))
        request.setResponseCode(206)
        return content[first : last + 1]


class Conversation(Protocol):
    """One connection of a `ScriptedNode`: what came, and a hand on the transport."""

    transport: Any

    def __init__(self, begun: Callable[[Conversation], object]) -> None:
        self._begun = begun
        self.received = bytearray()
        self.lost: Failure | None = None
        self._conditions: list[tuple[Callable[[Conversation], object], Deferred[None]]] = []

    def when(self, condition: Callable[[Conversation], object]) -> Deferred[None]:
        """Fires once that holds."""
        holds: Deferred[None] = Deferred()
        self._conditions.append((condition, holds))
        self._check()
        return holds

    def when_head_is_in(self) -> Deferred[None]:
        return self.when(lambda conversation: b"\r\n\r\n" in conversation.received)

    def when_lost(self) -> Deferred[None]:
        return self.when(lambda conversation: conversation.lost is not None)

    def answer(self, text: bytes) -> None:
        self.transport.write(text)

    def connectionMade(self) -> None:
        self._begun(self)

    def dataReceived(self, data: bytes) -> None:
        self.received += data
        self._check()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.lost = reason
        self._check()

    def _check(self) -> None:
        conditions, self._conditions = self._conditions, []
        for condition, holds in conditions:
            if condition(self):
                holds.callback(None)
            else:
                self._conditions.append((condition, holds))


class ScriptedNode(Factory):
    """Does nothing by itself: a test takes the `conversations` that come up, and acts in them."""

    def __init__(self) -> None:
        self.conversations: DeferredQueue[Conversation] = DeferredQueue()

    def buildProtocol(self, addr: IAddress | None) -> Conversation:
        return Conversation(begun=self.conversations.put)
