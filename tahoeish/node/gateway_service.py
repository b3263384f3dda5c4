"""The gateway's part of a node, assembled: peers, catalogue, and the site that clients see."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from twisted.internet.defer import maybeDeferred
from twisted.logger import Logger, globalLogPublisher
from twisted.web.resource import IResource

from tahoeish.chk.erasure import best_codec
from tahoeish.gateway.access import NO_USERS, viewer_of
from tahoeish.gateway.cors import Policy
from tahoeish.gateway.dav.naming import KIND as NAME
from tahoeish.gateway.dav.naming import NameTargets
from tahoeish.gateway.dav.visit import FileOptions, Names
from tahoeish.gateway.errors import is_mishap
from tahoeish.gateway.failures import answer_failure
from tahoeish.gateway.links.arrivals import KIND as ARRIVAL
from tahoeish.gateway.links.arrivals import Arrivals
from tahoeish.gateway.pages.report import Reporter
from tahoeish.gateway.pages.trouble import Trouble
from tahoeish.gateway.resource import NotFound
from tahoeish.gateway.root import HEADERS, GatewayMeans, gateway_root
from tahoeish.gateway.uploads.asked import Limits
from tahoeish.gateway.whence import is_loopback
from tahoeish.grid.download import Downloader
from tahoeish.grid.shareset import EncodingChoice
from tahoeish.grid.spool import SpoolRoom
from tahoeish.grid.upload import Uploader
from tahoeish.namespace.catalogue import Catalogue
from tahoeish.namespace.database import Database
from tahoeish.namespace.throttle import Throttle
from tahoeish.namespace.uploads import UploadTable
from tahoeish.namespace.users import Users
from tahoeish.node.catalogue import open_database
from tahoeish.node.config import Config, Grid
from tahoeish.node.crew.portion import portion_of_patience
from tahoeish.node.directory import RunningNodeDirectory
from tahoeish.node.door import guarded
from tahoeish.node.link_service import LinkService
from tahoeish.node.listening import url_of
from tahoeish.node.peer_maker import PeerMaker
from tahoeish.node.peers import LocalPeers
from tahoeish.node.purging import Purging
from tahoeish.node.roster import Roster
from tahoeish.node.surroundings import Surroundings
from tahoeish.node.upload_service import UploadService
from tahoeish.streams.budget import ByteBudget, SegmentAllowance
from tahoeish.streams.gate import Gate
from tahoeish.streams.request import StreamingRequest
from tahoeish.streams.site import BodyLimits, StreamingSite
from tahoeish.streams.threads import ThreadRunner, WorkerPool, claimed

log = Logger()

NAME_THREADS = 8
"""That ask the catalogue. They wait for its disk or its server, and take no processor meanwhile."""

PASSWORD_THREADS = 2
"""Each takes 19 MiB while it checks a password."""


class GatewayService:
    """
    Listens, serves and stops.

    `transfers` are all requests that the node is answering. `missing_peers` says what is wrong, by name, with peers
    that can't be had; `without_users`, that nobody has been added yet.
    """

    def __init__(
        self,
        config: Config,
        path: Path,
        directory: RunningNodeDirectory,
        *,
        reactor: Any,
        random_bytes: Callable[[int], bytes],
        surroundings: Surroundings,
        disks: ThreadRunner,
        transfers: Callable[[], list[StreamingRequest]],
    ) -> None:
        self.urls: list[str] = []
        self.missing_peers: dict[str, str] = {}
        self.without_users = False
        self._config = config
        self._path = path
        self._directory = directory
        self._reactor = reactor
        self._random_bytes = random_bytes
        self._surroundings = surroundings
        self._sealers = WorkerPool(reactor, config.threads.seal or os.cpu_count() or 1, "seal")
        self._disks = disks
        # Of their own, so that somebody who wants a small file doesn't stand behind all that is being written.
        self._readers = WorkerPool(reactor, config.threads.disk, "read")
        self._names = WorkerPool(reactor, NAME_THREADS, "names")
        self._hashers = WorkerPool(reactor, max(1, PASSWORD_THREADS // surroundings.processes), "password")
        self._roster = self._make_roster(transfers)
        self._uploader: Uploader | None = None
        self._database: Database | None = None
        self._purging: Purging | None = None
        self._uploads: UploadService | None = None
        self._links: LinkService | None = None
        self._trouble = Trouble()
        self.site = self._make_site()
        self._ports: list[Any] = []

    async def listen(self) -> None:
        """Take the addresses; nobody is served before `start`. Raises `CannotListen`."""
        self._surroundings.serve(self.site)
        for endpoint in self._config.gateway.listen:
            self._ports.append(await self._surroundings.listen(self._reactor, endpoint, self.site))

    async def start(self) -> None:
        """Raises `NodeDirectoryError` when the catalogue can't be had."""
        globalLogPublisher.addObserver(self._trouble)
        opening = self._names(open_database, self._config, self._path)
        self._database = await claimed(opening, lambda unclaimed: unclaimed.close())
        catalogue = Catalogue(self._database, time.time)
        self.site.resource = guarded(
            self._make_root(catalogue),
            self._database,
            names=self._names,
            hashers=self._hashers,
            clock=self._reactor,
            random_bytes=self._random_bytes,
            throttle=Throttle(portion_of_patience(self._surroundings.processes)),
            open_caps=self._config.gateway.open_caps,
            cors=Policy(self._config.gateway.cors_origins),
        )
        await self._warn_without_users(self._database)
        if self._surroundings.leads:
            self._start_purging(catalogue)
        self.missing_peers = await self._roster.change(self._config.grid.enabled_peers)
        self._tell_missing()
        if self._uploads is not None:
            await self._uploads.start()
        if self._links is not None:
            self._links.start()
        for port in self._ports:
            port.resumeProducing()
        self.urls = list(map(url_of, self._config.gateway.listen, self._ports))
        self._directory.write_url(self.urls[0])
        log.info("listening at {urls}", urls=", ".join(self.urls))

    async def change_peers(self, grid: Grid) -> None:
        """From now on these. Raises `NodeDirectoryError`, which changes nothing."""
        self.missing_peers = await self._roster.change(grid.enabled_peers)
        self._config = replace(self._config, grid=grid)
        if self._uploader is not None:
            self._uploader.encoding = _encoding_choice(self._config)
        self._tell_missing()

    async def stop_listening(self) -> None:
        ports, self._ports = self._ports, []
        for port in ports:
            await maybeDeferred(port.stopListening)

    async def stop(self) -> None:
        """Let go of peers and catalogue, when nobody is served any more."""
        globalLogPublisher.removeObserver(self._trouble)
        if self._purging is not None:
            await self._purging.stop()
        if self._links is not None:
            await self._links.stop()
        if self._uploads is not None:
            await self._uploads.stop()
        await self._roster.stop()
        for threads in (self._sealers, self._readers, self._hashers, self._names):
            threads.stop()
        if self._database is not None:
            self._database.close()

    # Inside.

    def _start_purging(self, catalogue: Catalogue) -> None:
        self._purging = Purging(
            catalogue,
            self._config.catalogue.versions_kept,
            run_in_thread=self._names,
            clock=self._reactor,
            now=time.time,
        )
        self._purging.start()

    def _tell_missing(self) -> None:
        for name, problem in self.missing_peers.items():
            log.error("{name} is missing: {problem}", name=name, problem=problem)

    def _make_roster(self, transfers: Callable[[], list[StreamingRequest]]) -> Roster:
        maker = PeerMaker(
            self._config.grid,
            reactor=self._reactor,
            run_in_thread=self._disks,
            read_in_thread=self._readers,
            lease_secret=self._directory.lease_secret,
            random_bytes=self._random_bytes,
            durable=self._config.durability.sync,
            crew=self._surroundings.crew,
        )
        folders = LocalPeers(
            self._directory.private_path / "peers.json",
            run_in_thread=self._disks,
            random_bytes=self._random_bytes,
            clock=self._reactor,
        )
        return Roster(maker, folders, transfers=transfers, clock=self._reactor)

    def _make_site(self) -> StreamingSite:
        gateway = self._config.gateway
        limits = BodyLimits(
            idle_timeout=gateway.idle_timeout,
            deadline=gateway.body_deadline,
            linger_bytes=gateway.linger_bytes,
            linger_seconds=gateway.linger_time,
        )
        # Its resources come when the catalogue is open; nobody is let in before that.
        return StreamingSite(
            NotFound(),
            reactor=self._reactor,
            limits=limits,
            failed=answer_failure,
            is_mishap=is_mishap,
            headers=HEADERS,
        )

    async def _warn_without_users(self, database: Database) -> None:
        hosts = [getattr(port.getHost(), "host", "127.0.0.1") for port in self._ports]
        beyond = [host for host in hosts if not is_loopback(host)]
        self.without_users = not await self._names(Users(database, time.time).there_are_any)
        if beyond and self.without_users:
            log.warn("listening at {hosts}, but {reason}", hosts=", ".join(beyond), reason=NO_USERS)

    def _make_root(self, catalogue: Catalogue) -> IResource:
        config, reactor, peers = self._config, self._reactor, self._roster.current
        codec = best_codec()
        work = ByteBudget(config.memory.work, crowd=config.memory.work // 4)
        reading = ByteBudget(config.memory.downloads)
        uploader = self._uploader = Uploader(
            peers=peers,
            encoding=_encoding_choice(config),
            gate=Gate(work, reactor),
            allowance=SegmentAllowance(config.memory.uploads),
            budget=work,
            run_in_thread=self._sealers,
            codec=codec,
            clock=reactor,
            random_bytes=self._random_bytes,
            peer_timeout=config.grid.write_timeout,
            spool_room=SpoolRoom(self._path / "spool", config.gateway.spool_limit, self._disks, self._random_bytes),
        )
        downloader = Downloader(
            peers=peers,
            gate=Gate(reading, reactor),
            budget=reading,
            run_in_thread=self._sealers,
            codec=codec,
            clock=reactor,
            stall_timeout=config.grid.stall_timeout,
        )
        names = Names(catalogue, self._names, time.time, reactor, config.gateway.idle_timeout)
        assert self._database is not None
        self._links = LinkService(
            config,
            self._database,
            names,
            reactor=reactor,
            random_bytes=self._random_bytes,
            leads=self._surroundings.leads,
        )
        self._uploads = self._make_uploads(names, uploader, downloader, self._links.means.arrivals)
        reporter = Reporter(lambda: self.site.transfers, self._uploads.services.keeper, uploader, reading)
        self._surroundings.tell_of(reporter.report)
        users = Users(self._database, time.time)
        means = GatewayMeans(
            peers=peers,
            workers=self._surroundings.workers,
            uploader=uploader,
            downloader=downloader,
            clock=reactor,
            idle_timeout=config.gateway.idle_timeout,
            max_upload_size=config.gateway.max_upload_size,
            convergence_secret=self._directory.convergence_secret,
            names=names,
            viewer_of=viewer_of,
            file_options=FileOptions(config.files.refuse, config.files.propfind_limit, config.files.public_names),
            uploads=self._uploads.services,
            unpacking=ByteBudget(config.memory.unpacking),
            links=self._links.means,
            trouble=self._trouble,
            reporter=reporter,
            elsewhere=self._surroundings.elsewhere,
            is_operator=lambda user: self._names(users.is_operator, user),
        )
        return gateway_root(means)

    def _make_uploads(
        self, names: Names, uploader: Uploader, downloader: Downloader, arrivals: Arrivals
    ) -> UploadService:
        assert self._database is not None
        gateway = self._config.gateway
        return UploadService(
            table=UploadTable(self._database, time.time),
            ask=self._names,
            uploader=uploader,
            downloader=downloader,
            makers={NAME: NameTargets(names), ARRIVAL: arrivals},
            limits=Limits(max_size=gateway.max_upload_size, max_age=int(gateway.unfinished_kept)),
            viewer_of=viewer_of,
            clock=self._reactor,
            now=time.time,
            random_bytes=self._random_bytes,
            leads=self._surroundings.leads,
        )


def _encoding_choice(config: Config) -> EncodingChoice:
    encoding = config.encoding
    # As 7 of 10 is usual, which survives a few peers being away without giving up much of what was asked for. But
    # there can't be more happiness than peers.
    usual = max(encoding.needed, encoding.total * 7 // 10)
    happy = encoding.happy or min(usual, len(config.grid.enabled_peers))
    return EncodingChoice(encoding.needed, encoding.total, happy, encoding.segment_size)
