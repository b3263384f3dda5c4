"""A whole node, assembled from its configuration. The only place that knows all the parts."""

from __future__ import annotations

import ctypes
import os
import resource
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.defer import TimeoutError as GraceOver
from twisted.logger import Logger
from twisted.web.resource import IResource

from tahoeish.chk.erasure import best_codec
from tahoeish.gateway.access import NO_USERS, viewer_of
from tahoeish.gateway.dav.visit import FileOptions, Names
from tahoeish.gateway.errors import answer_failure
from tahoeish.gateway.resource import NotFound
from tahoeish.gateway.root import HEADERS, gateway_root
from tahoeish.gateway.whence import is_loopback
from tahoeish.grid.download import Downloader
from tahoeish.grid.shareset import EncodingChoice
from tahoeish.grid.spool import SpoolRoom
from tahoeish.grid.upload import Uploader
from tahoeish.namespace.catalogue import Catalogue
from tahoeish.namespace.database import Database
from tahoeish.namespace.throttle import Throttle
from tahoeish.namespace.users import Users
from tahoeish.node.background import NodeService
from tahoeish.node.catalogue import open_database
from tahoeish.node.config import Config, ConfigError
from tahoeish.node.crew.portion import portion_of_patience
from tahoeish.node.directory import NodeDirectoryError, RunningNodeDirectory
from tahoeish.node.door import guarded
from tahoeish.node.listening import url_of
from tahoeish.node.peer_maker import PeerMaker
from tahoeish.node.peers import LocalPeers
from tahoeish.node.purging import Purging
from tahoeish.node.roster import Roster
from tahoeish.node.storage_service import StorageService
from tahoeish.node.surroundings import Alone, Surroundings
from tahoeish.storage.nurl import Nurl
from tahoeish.streams.budget import ByteBudget, SegmentAllowance
from tahoeish.streams.gate import Gate
from tahoeish.streams.request import BodyLimits, StreamingRequest, StreamingSite
from tahoeish.streams.tasks import together
from tahoeish.streams.threads import WorkerPool, claimed

log = Logger()

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
"""Of mallopt(3)."""

ABORT_SECONDS = 10
"""What transfers get to clean up after themselves once they were told to stop."""


NAME_THREADS = 8
"""That ask the catalogue. They wait for its disk or its server, and take no processor meanwhile."""

PASSWORD_THREADS = 2
"""Each takes 19 MiB while it checks a password."""


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
        self._surroundings = surroundings or Alone()
        self._directory: RunningNodeDirectory | None = None
        self._ports: list[Any] = []
        threads = config.threads
        self._sealers = WorkerPool(reactor, threads.seal or os.cpu_count() or 1, "seal")
        self._disks = WorkerPool(reactor, threads.disk, "disk")
        # Of their own, so that somebody who wants a small file doesn't stand behind all that is being written.
        self._readers = WorkerPool(reactor, threads.disk, "read")
        self._starting: Deferred[None] | None = None
        self._roster: Roster | None = None
        self._uploader: Uploader | None = None
        self._storage: StorageService | None = None
        self._sites: list[StreamingSite] = []
        self._site: StreamingSite | None = None
        self._database: Database | None = None
        self._purging: Purging | None = None
        self._names = WorkerPool(reactor, NAME_THREADS, "names")
        self._hashers = WorkerPool(reactor, max(1, PASSWORD_THREADS // self._surroundings.processes), "password")

    @property
    def nurl(self) -> Nurl | None:
        return self._storage.nurl if self._storage else None

    async def start(self) -> None:
        self._starting = Deferred.fromCoroutine(self._start())
        try:
            await self._starting
        finally:
            self._starting = None

    async def stop(self) -> None:
        if self._starting is not None:
            self._starting.cancel()
        ports, self._ports = self._ports, []
        for port in ports:
            await maybeDeferred(port.stopListening)
        if self._storage is not None:
            await self._storage.stop_listening()
        await together([self._drain(site) for site in self._sites])
        if self._purging is not None:
            await self._purging.stop()
            self._purging = None
        if self._roster is not None:
            await self._roster.stop()
            self._roster = None
        if self._storage is not None:
            await self._storage.stop()
            self._storage = None
        if self._directory is not None:
            self._sealers.stop()
            self._disks.stop()
            self._readers.stop()
            self._hashers.stop()
            self._names.stop()
            if self._database is not None:
                self._database.close()
                self._database = None
            self._directory.close()
            self._directory = None

    def hurry(self) -> None:
        for site in self._sites:
            for request in list(site.transfers):
                request.stop()

    async def reload(self) -> None:
        if self._roster is None or self._directory is None or self._starting is not None:
            return
        try:
            peers = self._directory.config().grid.peers
            grid = replace(self.config.grid, peers=peers)
            self.missing_peers = await self._roster.change(grid.enabled_peers)
        except (ConfigError, NodeDirectoryError) as error:
            log.error("the peers stay as they are: {problem}", problem=str(error))
            return
        self.config = replace(self.config, grid=grid)
        if self._uploader is not None:
            self._uploader.encoding = _encoding_choice(self.config)
        self._tell_missing()
        log.info("{count} peers from now on", count=len(grid.enabled_peers))

    # Inside.

    async def _start(self) -> None:
        _tune_process()
        self._directory = self._surroundings.enter(self.path, self._random_bytes)
        # First of all, and without waiting for anything, so that a taken address is told at once. Whoever connects
        # now is served when the peers and shares are there.
        if self.config.storage.enabled:
            self._storage = self._storage_service(self._directory)
            self._sites.append(self._storage.site)
            await self._storage.listen()
        if self.config.gateway.enabled:
            self._roster = self._make_roster(self._directory)
            self._site = self._make_site()
            self._sites.append(self._site)
            self._surroundings.serve(self._site)
            for endpoint in self.config.gateway.listen:
                self._ports.append(await self._surroundings.listen(self._reactor, endpoint, self._site))
        if self._storage is not None:
            await self._storage.start()
        if self._roster is not None and self._site is not None:
            await self._start_gateway(self._site, self._roster, self._directory)

    async def _start_gateway(self, site: StreamingSite, roster: Roster, directory: RunningNodeDirectory) -> None:
        opening = self._names(open_database, self.config, self.path)
        self._database = await claimed(opening, lambda unclaimed: unclaimed.close())
        catalogue = Catalogue(self._database, time.time)
        site.resource = guarded(
            self._make_root(roster, directory, catalogue),
            self._database,
            names=self._names,
            hashers=self._hashers,
            clock=self._reactor,
            random_bytes=self._random_bytes,
            throttle=Throttle(portion_of_patience(self._surroundings.processes)),
            open_caps=self.config.gateway.open_caps,
        )
        await self._warn_without_users(self._database)
        if self._surroundings.leads:
            self._start_purging(catalogue)
        self.missing_peers = await roster.change(self.config.grid.enabled_peers)
        self._tell_missing()
        for port in self._ports:
            port.resumeProducing()
        self.urls = [url_of(port) for port in self._ports]
        directory.write_url(self.urls[0])
        log.info("listening at {urls}", urls=", ".join(self.urls))

    def _start_purging(self, catalogue: Catalogue) -> None:
        self._purging = Purging(
            catalogue,
            self.config.catalogue.versions_kept,
            run_in_thread=self._names,
            clock=self._reactor,
            now=time.time,
        )
        self._purging.start()

    def _tell_missing(self) -> None:
        for name, problem in self.missing_peers.items():
            log.error("{name} is missing: {problem}", name=name, problem=problem)

    def _storage_service(self, directory: RunningNodeDirectory) -> StorageService:
        return StorageService(
            self.config,
            directory.private_path,
            reactor=self._reactor,
            listen=self._surroundings.listen,
            run_in_thread=self._disks,
            random_bytes=self._random_bytes,
        )

    async def _drain(self, site: StreamingSite) -> None:
        if site.transfers:
            log.info("waiting for {count} transfers to end", count=len(site.transfers))
        with suppress(GraceOver):
            await site.when_quiet().addTimeout(self.config.gateway.shutdown_grace, self._reactor)
            return
        log.warn("aborting {count} transfers", count=len(site.transfers))
        self.hurry()
        with suppress(GraceOver):
            await site.when_quiet().addTimeout(ABORT_SECONDS, self._reactor)

    def _make_roster(self, directory: RunningNodeDirectory) -> Roster:
        maker = PeerMaker(
            self.config.grid,
            reactor=self._reactor,
            run_in_thread=self._disks,
            read_in_thread=self._readers,
            lease_secret=directory.lease_secret,
            random_bytes=self._random_bytes,
            durable=self.config.durability.sync,
            crew=self._surroundings.crew,
        )
        folders = LocalPeers(
            directory.private_path / "peers.json",
            run_in_thread=self._disks,
            random_bytes=self._random_bytes,
            clock=self._reactor,
        )
        return Roster(maker, folders, transfers=self._transfers, clock=self._reactor)

    def _transfers(self) -> list[StreamingRequest]:
        return [request for site in self._sites for request in site.transfers]

    def _make_site(self) -> StreamingSite:
        gateway = self.config.gateway
        limits = BodyLimits(
            idle_timeout=gateway.idle_timeout,
            deadline=gateway.body_deadline,
            linger_bytes=gateway.linger_bytes,
            linger_seconds=gateway.linger_time,
        )
        # Its resources come when the catalogue is open; nobody is let in before that.
        return StreamingSite(NotFound(), reactor=self._reactor, limits=limits, failed=answer_failure, headers=HEADERS)

    async def _warn_without_users(self, database: Database) -> None:
        hosts = [getattr(port.getHost(), "host", "127.0.0.1") for port in self._ports]
        beyond = [host for host in hosts if not is_loopback(host)]
        self.without_users = not await self._names(Users(database, time.time).there_are_any)
        if beyond and self.without_users:
            log.warn("listening at {hosts}, but {reason}", hosts=", ".join(beyond), reason=NO_USERS)

    def _make_root(self, peers: Roster, directory: RunningNodeDirectory, catalogue: Catalogue) -> IResource:
        config, reactor = self.config, self._reactor
        codec = best_codec()
        work, reading = ByteBudget(config.memory.work), ByteBudget(config.memory.downloads)
        uploader = self._uploader = Uploader(
            peers=peers.current,
            encoding=_encoding_choice(config),
            gate=Gate(work, reactor),
            allowance=SegmentAllowance(config.memory.uploads),
            budget=work,
            run_in_thread=self._sealers,
            codec=codec,
            clock=reactor,
            random_bytes=self._random_bytes,
            peer_timeout=config.grid.write_timeout,
            spool_room=SpoolRoom(self.path / "spool", config.gateway.spool_limit, self._disks, self._random_bytes),
        )
        downloader = Downloader(
            peers=peers.current,
            gate=Gate(reading, reactor),
            budget=reading,
            run_in_thread=self._sealers,
            codec=codec,
            clock=reactor,
            stall_timeout=config.grid.stall_timeout,
        )
        return gateway_root(
            peers=peers.current,
            workers=self._surroundings.workers,
            uploader=uploader,
            downloader=downloader,
            clock=reactor,
            idle_timeout=config.gateway.idle_timeout,
            max_upload_size=config.gateway.max_upload_size,
            convergence_secret=directory.convergence_secret,
            names=Names(catalogue, self._names, time.time, reactor, config.gateway.idle_timeout),
            viewer_of=viewer_of,
            file_options=FileOptions(config.files.refuse, config.files.propfind_limit, config.files.public_names),
        )


def _encoding_choice(config: Config) -> EncodingChoice:
    encoding = config.encoding
    # As 7 of 10 is usual, which survives a few peers being away without giving up much of what was asked for. But
    # there can't be more happiness than peers.
    usual = max(encoding.needed, encoding.total * 7 // 10)
    happy = encoding.happy or min(usual, len(config.grid.enabled_peers))
    return EncodingChoice(encoding.needed, encoding.total, happy, encoding.segment_size)


def _tune_process() -> None:
    # Threads that do little between letting go of the interpreter and wanting it back would otherwise wait for it
    # five milliseconds each time, and with them the reactor.
    sys.setswitchinterval(0.0005)
    # The C library gives large buffers back to the system one by one, which then clears each page of the next one;
    # that costs as much as all encryption. Elsewhere than with glibc there is no such knob, or no need for it.
    with suppress(OSError, AttributeError):
        library = ctypes.CDLL(None)
        library.mallopt(_MMAP_THRESHOLD, 4 * 1024 * 1024)
        library.mallopt(_TRIM_THRESHOLD, 32 * 1024 * 1024)
    # Each upload has a socket and a file per share open; the usual soft limit of 1024 is soon reached.
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
