"""A whole node, assembled from its configuration. The only place that knows all the parts."""

from __future__ import annotations

import os
import resource
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from twisted.application.service import Service
from twisted.internet.defer import CancelledError, Deferred, maybeDeferred
from twisted.internet.defer import TimeoutError as GraceOver
from twisted.internet.endpoints import serverFromString
from twisted.internet.interfaces import IListeningPort
from twisted.logger import Logger
from twisted.python.failure import Failure

from tahoeish.chk.erasure import best_codec
from tahoeish.gateway.errors import answer_failure
from tahoeish.gateway.root import HEADERS, gateway_root
from tahoeish.grid.download import Downloader
from tahoeish.grid.local import LocalPeer
from tahoeish.grid.spool import SpoolRoom
from tahoeish.grid.upload import EncodingChoice, Uploader
from tahoeish.node.config import Config
from tahoeish.node.directory import NodeDirectoryError, OpenNodeDirectory
from tahoeish.node.peers import LocalPeers
from tahoeish.streams.budget import ByteBudget, SegmentAllowance
from tahoeish.streams.request import BodyLimits, StreamingSite
from tahoeish.streams.threads import WorkerPool

log = Logger()

ABORT_SECONDS = 10
"""What transfers get to clean up after themselves once they were told to stop."""


class Node(Service):
    """
    One node. `start` and `stop` for those who can wait; as a twisted service it does both in the background.

    `reactor` is a real one: it listens, runs threads, and tells the time.
    """

    def __init__(self, config: Config, path: Path, reactor: Any, random_bytes: Callable[[int], bytes]) -> None:
        self.config = config
        self.path = path
        self.urls: list[str] = []
        self.missing_peers: dict[str, str] = {}
        self._reactor = reactor
        self._random_bytes = random_bytes
        self._directory: OpenNodeDirectory | None = None
        self._ports: list[Any] = []
        threads = config.threads
        self._sealers = WorkerPool(reactor, threads.seal or os.cpu_count() or 1, "seal")
        self._disks = WorkerPool(reactor, threads.disk, "disk")
        self._starting: Deferred[None] | None = None
        self._peers: LocalPeers | None = None
        self._site: StreamingSite | None = None

    # As a service of twistd's.

    def startService(self) -> None:
        super().startService()
        starting = Deferred.fromCoroutine(self.start())
        at_once = getattr(starting, "result", None)
        if isinstance(at_once, Failure):
            starting.addErrback(lambda _: None)
            # twistd ends with a status of its own only for what goes wrong before the reactor runs.
            at_once.raiseException()
        starting.addErrback(self._could_not_start)

    def stopService(self) -> Deferred[None]:
        super().stopService()
        return Deferred.fromCoroutine(self.stop())

    def _could_not_start(self, failure: Failure) -> None:
        if failure.check(CancelledError):
            return
        if failure.check(NodeDirectoryError, CannotListen):
            log.critical("the node can't start: {reason}", reason=failure.getErrorMessage())
        else:
            log.failure("the node can't start", failure)
        self._reactor.callWhenRunning(self._reactor.stop)

    # For those who can wait.

    async def start(self) -> None:
        """Raises `NodeDirectoryError` or `CannotListen`; `stop` is still due then. It may also come before the end."""
        self._starting = Deferred.fromCoroutine(self._start())
        try:
            await self._starting
        finally:
            self._starting = None

    async def stop(self) -> None:
        """Let running transfers end within the grace time, then end them; nothing half-done is left."""
        if self._starting is not None:
            self._starting.cancel()
        ports, self._ports = self._ports, []
        for port in ports:
            await maybeDeferred(port.stopListening)
        if self._site is not None:
            await self._drain(self._site)
        if self._peers is not None:
            await self._peers.stop()
            self._sealers.stop()
            self._disks.stop()
            self._peers = None
        if self._directory is not None:
            self._directory.close()
            self._directory = None

    def hurry(self) -> None:
        """Somebody has asked twice: no more grace."""
        if self._site is not None:
            for request in list(self._site.transfers):
                request.stop()

    # Inside.

    async def _start(self) -> None:
        _allow_many_files()
        self._directory = OpenNodeDirectory(self.path, self._random_bytes)
        self._sealers.start()
        self._disks.start()
        self._peers = self._local_peers(self._directory)
        self._site = self._make_site(self._peers, self._directory)
        # First of all, and without waiting for anything, so that a taken address is told at once. Whoever connects
        # now is served when the peers are there.
        for endpoint in self.config.gateway.listen:
            await self._listen(endpoint, self._site)
        for port in self._ports:
            port.pauseProducing()
        self.missing_peers = await self._peers.start()
        for name, problem in self.missing_peers.items():
            log.error("{name} is missing: {problem}", name=name, problem=problem)
        for port in self._ports:
            port.resumeProducing()
        self.urls = [_url(port) for port in self._ports]
        self._directory.write_url(self.urls[0])
        log.info("listening at {urls}", urls=", ".join(self.urls))

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

    def _local_peers(self, directory: OpenNodeDirectory) -> LocalPeers:
        peers = [
            (
                LocalPeer(
                    peer.name,
                    peer.directory,
                    run_in_thread=self._disks,
                    lease_secret=directory.lease_secret,
                    now=time.time,
                    durable=self.config.durability.sync,
                ),
                peer.directory,
            )
            for peer in self.config.grid.peers
        ]
        return LocalPeers(
            peers,
            directory.private_path / "peers.json",
            run_in_thread=self._disks,
            random_bytes=self._random_bytes,
            clock=self._reactor,
        )

    def _make_site(self, peers: LocalPeers, directory: OpenNodeDirectory) -> StreamingSite:
        config, reactor = self.config, self._reactor
        codec = best_codec()
        uploader = Uploader(
            peers=peers.current,
            encoding=_encoding_choice(config),
            allowance=SegmentAllowance(config.memory.uploads),
            budget=ByteBudget(config.memory.work),
            run_in_thread=self._sealers,
            codec=codec,
            clock=reactor,
            random_bytes=self._random_bytes,
            peer_timeout=config.grid.write_timeout,
            spool_room=SpoolRoom(self.path / "spool", config.gateway.spool_limit, self._disks, self._random_bytes),
        )
        downloader = Downloader(
            peers=peers.current,
            budget=ByteBudget(config.memory.downloads),
            run_in_thread=self._sealers,
            codec=codec,
            clock=reactor,
            stall_timeout=config.grid.stall_timeout,
        )
        root = gateway_root(
            peers=peers.current,
            uploader=uploader,
            downloader=downloader,
            clock=reactor,
            idle_timeout=config.gateway.idle_timeout,
            max_upload_size=config.gateway.max_upload_size,
            convergence_secret=directory.convergence_secret,
        )
        limits = BodyLimits(
            idle_timeout=config.gateway.idle_timeout,
            deadline=config.gateway.body_deadline,
            linger_bytes=config.gateway.linger_bytes,
            linger_seconds=config.gateway.linger_time,
        )
        return StreamingSite(root, reactor=reactor, limits=limits, failed=answer_failure, headers=HEADERS)

    async def _listen(self, endpoint: str, site: StreamingSite) -> None:
        try:
            self._ports.append(await serverFromString(self._reactor, endpoint).listen(site))
        except Exception as error:
            raise CannotListen(f"can't listen at {endpoint}: {error}") from error


class CannotListen(Exception):
    """An address can't be listened at: another program does, or it isn't ours."""


def _encoding_choice(config: Config) -> EncodingChoice:
    encoding = config.encoding
    # As 7 of 10 is usual, which survives a few peers being away without giving up much of what was asked for. But
    # there can't be more happiness than peers.
    usual = max(encoding.needed, encoding.total * 7 // 10)
    happy = encoding.happy or min(usual, len(config.grid.peers))
    return EncodingChoice(encoding.needed, encoding.total, happy, encoding.segment_size)


def _url(port: IListeningPort) -> str:
    address: Any = port.getHost()
    host = getattr(address, "host", None)
    if host is None:
        return str(address)
    if host in ("0.0.0.0", "::"):
        host = "127.0.0.1"
    return f"http://[{host}]:{address.port}" if ":" in host else f"http://{host}:{address.port}"


def _allow_many_files() -> None:
    # Each upload has a socket and a file per share open; the usual soft limit of 1024 is soon reached.
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
