"""A storage node's HTTP side as a whole: all endpoints, one site, and TLS with a limit of connections around it."""

from __future__ import annotations

from twisted.internet.interfaces import IAddress, IOpenSSLContextFactory, IReactorTime
from twisted.logger import Logger
from twisted.protocols.tls import TLSMemoryBIOProtocol

from tahoeish.storage.http.answers import answer_failure, answer_message, is_mishap
from tahoeish.storage.http.extension import Extension
from tahoeish.storage.http.immutable import ImmutableShares
from tahoeish.storage.http.leases import Leases
from tahoeish.storage.http.mutable import MutableShares
from tahoeish.storage.http.routing import Call, Endpoint, Router
from tahoeish.storage.space import SpaceGauge
from tahoeish.storage.wire import VERSION_PATH, Version, dump_version
from tahoeish.streams.records import BatchingTLSFactory
from tahoeish.streams.request import StreamingRequest
from tahoeish.streams.site import BodyLimits, StreamingSite

log = Logger()


class VersionEndpoint:
    """What every client asks once a second, and takes as the sign that the node lives: never waits for anything."""

    def __init__(self, gauge: SpaceGauge, application: str, *, max_share_size: int, max_mutable_size: int) -> None:
        self._gauge = gauge
        self._application = application
        self._max_share_size = max_share_size
        self._max_mutable_size = max_mutable_size

    def endpoint(self) -> Endpoint:
        return Endpoint("GET", VERSION_PATH, self.version)

    async def version(self, call: Call) -> None:
        space = self._gauge.space
        version = Version(min(space, self._max_share_size), self._max_mutable_size, space, self._application)
        answer_message(call.request, 200, dump_version(version))


class StorageSite(StreamingSite):
    """Everything that a storage node serves to those who know its swissnum."""

    # More than our own clients send at once, so that a gulp leaves no rest of that to wake up for.
    largest_gulp = 640 * 1024
    lets_gather = True
    speaks_http2 = False

    def __init__(
        self,
        swissnum: str,
        version: VersionEndpoint,
        immutable: ImmutableShares,
        mutable: MutableShares,
        leases: Leases,
        extension: Extension,
        *,
        reactor: IReactorTime,
        limits: BodyLimits | None = None,
    ) -> None:
        endpoints = (
            version.endpoint(),
            *immutable.endpoints(),
            *mutable.endpoints(),
            leases.endpoint(),
            *extension.endpoints(),
        )
        super().__init__(
            Router(swissnum, endpoints), reactor=reactor, limits=limits, failed=answer_failure, is_mishap=is_mishap
        )

    def log(self, request: StreamingRequest) -> None:  # type: ignore[override]
        # Shares come and go in many small requests, and every client asks for the version every second.
        if request.method not in (b"GET", b"HEAD", b"PATCH", b"PUT") or request.code >= 400:
            super().log(request)


class LimitedTLSFactory(BatchingTLSFactory):
    """Speaks TLS, with at most so many at a time; others are turned away at once."""

    def __init__(
        self, tls: IOpenSSLContextFactory, site: StorageSite, *, max_connections: int, clock: IReactorTime
    ) -> None:
        super().__init__(tls, False, site, clock)
        self._max_connections = max_connections

    def buildProtocol(self, addr: IAddress | None) -> TLSMemoryBIOProtocol | None:  # type: ignore[override]
        if len(self.protocols) >= self._max_connections:
            log.warn("a connection was turned away: there are {count} already", count=len(self.protocols))
            return None
        return super().buildProtocol(addr)
