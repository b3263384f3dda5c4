"""A whole node, assembled from its configuration, in its parts: it may be a storage node, a gateway, or both."""

from __future__ import annotations

import resource
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from twisted.internet.defer import TimeoutError as GraceOver
from twisted.logger import Logger

from tahoeish.node.background import NodeService
from tahoeish.node.config import Config, ConfigError
from tahoeish.node.directory import NodeDirectoryError, RunningNodeDirectory
from tahoeish.node.heap import HeapCare, keep_large_buffers, set_aside_what_stays
from tahoeish.node.storage_service import StorageService
from tahoeish.node.surroundings import Alone, Surroundings
from tahoeish.storage.nurl import Nurl
from tahoeish.streams.request import StreamingRequest
from tahoeish.streams.site import StreamingSite
from tahoeish.streams.tasks import together
from tahoeish.streams.threads import WorkerPool

if TYPE_CHECKING:
    from tahoeish.node.gateway_service import GatewayService

log = Logger()

ABORT_SECONDS = 10
"""What transfers get to clean up after themselves once they were told to stop."""


class Node(NodeService):
    """
    A node in one process, or one process of a node, by its `surroundings`.

    `reactor` is a real one: it listens, runs threads, and tells the time.
    """

    def __init__(
        self,
        config: Config,
        path: Path,
        reactor: Any,
        random_bytes: Callable[[int], bytes],
        surroundings: Surroundings | None = None,
    ) -> None:
        self.config = config
        self.path = path
        self.urls: list[str] = []
        self.missing_peers: dict[str, str] = {}
        self._reactor = reactor
        self._random_bytes = random_bytes
        self._surroundings: Surroundings = surroundings or Alone()
        self._directory: RunningNodeDirectory | None = None
        self._disks = WorkerPool(reactor, config.threads.disk, "disk")
        self._heap_care = HeapCare(lambda: bool(self._transfers()), run_in_thread=self._disks, clock=reactor)
        self._storage: StorageService | None = None
        self._gateway: GatewayService | None = None

    @property
    def nurl(self) -> Nurl | None:
        return self._storage.nurl if self._storage else None

    async def _stop(self) -> None:
        if self._gateway is not None:
            await self._gateway.stop_listening()
        if self._storage is not None:
            await self._storage.stop_listening()
        await together([self._drain(site) for site in self._sites])
        if self._gateway is not None:
            await self._gateway.stop()
            self._gateway = None
        if self._storage is not None:
            await self._storage.stop()
            self._storage = None
        await self._heap_care.stop()
        self._disks.stop()
        if self._directory is not None:
            self._directory.close()
            self._directory = None

    def hurry(self) -> None:
        for site in self._sites:
            for request in list(site.transfers):
                request.stop()

    async def reload(self) -> None:
        if self._gateway is None or self._directory is None or self._starting is not None:
            return
        try:
            peers = self._directory.config().grid.peers
            grid = replace(self.config.grid, peers=peers)
            await self._gateway.change_peers(grid)
        except (ConfigError, NodeDirectoryError) as error:
            log.error("the peers stay as they are: {problem}", problem=str(error))
            return
        self.config = replace(self.config, grid=grid)
        self.missing_peers = self._gateway.missing_peers
        log.info("{count} peers from now on", count=len(grid.enabled_peers))

    # Inside.

    async def _start(self) -> None:
        _tune_process()
        self._directory = self._surroundings.enter(self.path, self._random_bytes)
        # First of all, and without waiting for anything, so that a taken address is told at once. Whoever connects
        # now is served when the peers and shares are there.
        if self.config.storage.enabled:
            self._storage = self._storage_service(self._directory)
            await self._storage.listen()
        if self.config.gateway.enabled:
            self._gateway = self._gateway_service(self._directory)
            await self._gateway.listen()
        if self._storage is not None:
            await self._storage.start()
        if self._gateway is not None:
            await self._gateway.start()
            self.urls = self._gateway.urls
            self.missing_peers = self._gateway.missing_peers
            self.without_users = self._gateway.without_users
        self._heap_care.start()
        set_aside_what_stays()

    def _storage_service(self, directory: RunningNodeDirectory) -> StorageService:
        return StorageService(
            self.config,
            directory.private_path,
            reactor=self._reactor,
            listen=self._surroundings.listen,
            run_in_thread=self._disks,
            random_bytes=self._random_bytes,
        )

    def _gateway_service(self, directory: RunningNodeDirectory) -> GatewayService:
        # A node that only keeps shares needs no database, nor anything else of what comes along here.
        from tahoeish.node.gateway_service import GatewayService

        return GatewayService(
            self.config,
            self.path,
            directory,
            reactor=self._reactor,
            random_bytes=self._random_bytes,
            surroundings=self._surroundings,
            disks=self._disks,
            transfers=self._transfers,
        )

    async def _drain(self, site: StreamingSite) -> None:
        site.retire()
        if site.transfers:
            log.info("waiting for {count} transfers to end", count=len(site.transfers))
        with suppress(GraceOver):
            await site.when_quiet().addTimeout(self.config.gateway.shutdown_grace, self._reactor)
            return
        log.warn("aborting {count} transfers", count=len(site.transfers))
        self.hurry()
        with suppress(GraceOver):
            await site.when_quiet().addTimeout(ABORT_SECONDS, self._reactor)

    @property
    def _sites(self) -> list[StreamingSite]:
        return [part.site for part in (self._storage, self._gateway) if part is not None]

    def _transfers(self) -> list[StreamingRequest]:
        return [request for site in self._sites for request in site.transfers]


def _tune_process() -> None:
    # Threads that do little between letting go of the interpreter and wanting it back would otherwise wait for it
    # five milliseconds each time, and with them the reactor.
    sys.setswitchinterval(0.0005)
    keep_large_buffers()
    # Each upload has a socket and a file per share open; the usual soft limit of 1024 is soon reached.
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
