"""A storage node of ours, or one that looks like a stock one, behind real TLS on loopback."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.internet.task import deferLater
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.python.failure import Failure
from twisted.web.resource import Resource
from zope.interface import implementer

from tahoeish.storage.certificate import ServerCertificate, tls_options
from tahoeish.storage.http.extension import Extension
from tahoeish.storage.http.immutable import ImmutableShares
from tahoeish.storage.http.leases import Leases
from tahoeish.storage.http.mutable import MutableShares
from tahoeish.storage.http.reading import ShareSender
from tahoeish.storage.http.receiving import ShareReceiver
from tahoeish.storage.http.routing import Endpoint
from tahoeish.storage.http.site import StorageSite, VersionEndpoint
from tahoeish.storage.mutable import MutableStore
from tahoeish.storage.nurl import Nurl
from tahoeish.storage.shares import ShareStore
from tahoeish.storage.space import SpaceGauge
from tahoeish.storage.uploads import Uploads
from tahoeish.streams.body import BodyStream
from tahoeish.streams.budget import ByteBudget
from tahoeish.streams.request import IStreamingResource, StreamingRequest
from tahoeish.streams.threads import ThreadRunner, direct
from tahoeish.streams.tls import spki_hash

SWISSNUM = "zj6vmlqjdtwhfrukhtuk37uwi64jfixl"
SPACE = 20_000_000
PATIENCE = 10.0

Serve = Callable[[StreamingRequest, BodyStream], Awaitable[None]]
Fault = Callable[[StreamingRequest, BodyStream, Serve], Awaitable[None]]
"""What happens to a request in place of its being served."""


class StockExtension(Extension):
    """What is there at a storage node that has never heard of us: nothing."""

    def endpoints(self) -> Sequence[Endpoint]:
        return ()


class StorageNode:
    """
    Start and stop it as often as needed; it stays at its port. Of unfinished shares only lasting ones outlive `stop`.

    The next request that `trouble` is for, by the beginning of "METHOD /path", meets it; what is left of the list is
    for later ones. `asked` are all requests that came.
    """

    def __init__(self, directory: Path, *, stock: bool = False, run_in_thread: ThreadRunner = direct) -> None:
        self.directory = directory
        self.stock = stock
        self.run_in_thread = run_in_thread
        self.certificate = ServerCertificate.generate()
        self.tls: Any = tls_options(self.certificate)
        self.asked: list[str] = []
        self.trouble: list[tuple[str, Fault]] = []
        self.space = SPACE
        self.max_share_size = 2**40
        self.uploads: Uploads | None = None
        self.store: ShareStore | None = None
        self._port: Any = None
        self._number = 0
        self._factory: Any = None
        self._served: Any = None

    @property
    def nurl(self) -> Nurl:
        return Nurl(spki_hash(self.certificate.certificate), "127.0.0.1", self._number, SWISSNUM)

    @property
    def connections(self) -> int:
        return len(self._factory.protocols)

    async def start(self) -> None:
        clock: Any = reactor
        self.store = ShareStore(self.directory, durable=False, now=time.time)
        self.store.start()
        self.uploads = Uploads(self.store, run_in_thread=self.run_in_thread, clock=clock, idle_limit=1800)
        self._factory = TLSMemoryBIOFactory(self.tls, False, await self._site(self.store, self.uploads, clock))
        self._factory.noisy = False
        self._port = clock.listenTCP(self._number, self._factory, interface="127.0.0.1")
        self._number = self._port.getHost().port

    async def stop(self) -> None:
        if self._port is None:
            return
        port, self._port = self._port, None
        await maybeDeferred(port.stopListening)
        for connection in list(self._factory.protocols):
            connection.abortConnection()
        await self.is_quiet()
        assert self.uploads is not None and self.store is not None
        await self.uploads.stop()
        self.sender.stop()
        self.store.stop()

    async def serve(self, request: StreamingRequest, body: BodyStream) -> None:
        """As if there were no trouble."""
        await self._served.respond(request, body)

    async def is_quiet(self) -> None:
        """Nobody is connected any more."""
        await until(lambda: not self.connections, "all connections are closed")

    def count(self, request: str) -> int:
        return sum(asked.startswith(request) for asked in self.asked)

    def files(self) -> set[str]:
        """The numbers of all shares there, finished or not."""
        return {path.name.rpartition(".")[2] for path in (self.directory / "shares").rglob("*") if path.is_file()}

    async def _site(self, store: ShareStore, uploads: Uploads, clock: Any) -> StorageSite:
        gauge = SpaceGauge(lambda: self.space, run_in_thread=direct, clock=clock)
        await gauge.start()
        self.sender = sender = ShareSender(direct, clock, 60)
        mutables = MutableStore(self.directory, durable=False, now=time.time, node_id=bytes(20))
        site = StorageSite(
            SWISSNUM,
            VersionEndpoint(gauge, "tahoeish/1", max_share_size=self.max_share_size, max_mutable_size=2**20),
            ImmutableShares(store, uploads, ShareReceiver(clock), sender, run_in_thread=direct),
            MutableShares(
                mutables,
                store,
                sender,
                run_in_thread=direct,
                memory=ByteBudget(2**20),
                max_body=2**20,
                max_share_size=2**20,
            ),
            Leases(store, run_in_thread=direct),
            (StockExtension if self.stock else Extension)(uploads),
            reactor=clock,
        )
        self._served = site.resource
        site.resource = _Troubled(self)
        return site


@implementer(IStreamingResource)
class _Troubled(Resource):
    isLeaf = True

    def __init__(self, node: StorageNode) -> None:
        super().__init__()
        self._node = node

    async def respond(self, request: StreamingRequest, body: BodyStream) -> None:
        asked = f"{request.method.decode()} {request.path.decode()}"
        self._node.asked.append(asked)
        for trouble in self._node.trouble:
            beginning, fault = trouble
            if asked.startswith(beginning):
                self._node.trouble.remove(trouble)
                await fault(request, body, self._node.serve)
                return
        await self._node.serve(request, body)


# Faults.


def answering(
    status: int, text: str = "", content_type: str = "text/plain", headers: Mapping[str, str] | None = None
) -> Fault:
    async def fault(request: StreamingRequest, body: BodyStream, serve: Serve) -> None:
        request.setResponseCode(status)
        for name, value in {"Content-Type": content_type, **(headers or {})}.items():
            request.setHeader(name, value)
        request.write(text.encode("latin-1"))

    return fault


async def silence(request: StreamingRequest, body: BodyStream, serve: Serve) -> None:
    """Nothing happens any more."""
    await Deferred()


async def halting(request: StreamingRequest, body: BodyStream, serve: Serve) -> None:
    """An answer begins, and doesn't go on."""
    request.setResponseCode(206)
    request.setHeader("Content-Length", "1000")
    request.write(b"some")
    await Deferred()


async def cut(request: StreamingRequest, body: BodyStream, serve: Serve) -> None:
    """The connection ends before anything has happened."""
    request.channel.transport.abortConnection()  # type: ignore[attr-defined]
    await Deferred()


async def cut_in_the_middle(request: StreamingRequest, body: BodyStream, serve: Serve) -> None:
    """The connection ends when some of the body has come."""
    await anext(aiter(body))
    await cut(request, body, serve)


async def served_in_vain(request: StreamingRequest, body: BodyStream, serve: Serve) -> None:
    """What was asked for is done, but the connection ends before the answer is out."""
    request.write = lambda data: None  # type: ignore[method-assign]
    await serve(request, body)
    await cut(request, body, serve)


class Talker(Protocol):
    """A server that is no storage node, and says so."""

    def __init__(self, greeting: bytes) -> None:
        factory: Any = Factory.forProtocol(lambda: self)
        factory.noisy = False
        listener: Any = reactor
        self._greeting = greeting
        self._port = listener.listenTCP(0, factory, interface="127.0.0.1")
        self._lost: Deferred[None] = Deferred()
        self.port: int = self._port.getHost().port

    def connectionMade(self) -> None:
        assert self.transport is not None
        self.transport.write(self._greeting)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._lost.callback(None)

    async def stop(self) -> None:
        await maybeDeferred(self._port.stopListening)
        await self._lost


async def until(condition: Callable[[], object], what: str) -> None:
    """Look again and again until the condition holds."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, f"waited in vain for this: {what}"
        await deferLater(reactor, 0.005)
