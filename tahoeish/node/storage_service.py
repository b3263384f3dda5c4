"""The storage node's part of a node: a store, the site that serves it, and the port where TLS is spoken."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any, TypeAlias

from twisted.internet.defer import maybeDeferred
from twisted.internet.interfaces import IProtocolFactory
from twisted.logger import Logger

from tahoeish.node.config import Config, Storage
from tahoeish.node.directory import NodeDirectoryError, write_durably
from tahoeish.node.storage_identity import IdentityFiles, StorageIdentity
from tahoeish.storage.certificate import tls_options
from tahoeish.storage.errors import StoreError
from tahoeish.storage.expiry import Collector, ExpiryPolicy
from tahoeish.storage.expiry_cycle import ExpiryCycle
from tahoeish.storage.http.extension import Extension
from tahoeish.storage.http.immutable import ImmutableShares
from tahoeish.storage.http.leases import Leases
from tahoeish.storage.http.mutable import MutableShares
from tahoeish.storage.http.reading import ShareSender
from tahoeish.storage.http.receiving import ShareReceiver
from tahoeish.storage.http.site import LimitedTLSFactory, StorageSite, VersionEndpoint
from tahoeish.storage.mutable import MutableStore
from tahoeish.storage.nurl import Nurl
from tahoeish.storage.shares import ShareStore
from tahoeish.storage.space import SpaceGauge
from tahoeish.storage.uploads import Uploads
from tahoeish.streams.budget import ByteBudget
from tahoeish.streams.site import BodyLimits
from tahoeish.streams.threads import ThreadRunner, Turns

log = Logger()

Listen: TypeAlias = Callable[[Any, str, IProtocolFactory], Awaitable[Any]]
"""From a reactor, an endpoint and a factory to a port; see `tahoeish.node.listening.listen`."""

_NO_LIMIT = 2**60


class StorageService:
    """
    Listens, serves and stops. What it is known by is made when there is none yet.

    Raises `NodeDirectoryError` when that can't be.
    """

    def __init__(
        self,
        config: Config,
        private: Path,
        *,
        reactor: Any,
        listen: Listen,
        run_in_thread: ThreadRunner,
        random_bytes: Callable[[int], bytes],
    ) -> None:
        self.nurl: Nurl | None = None
        self._config = config.storage
        self._reactor = reactor
        self._listen = listen
        self._run_in_thread = run_in_thread
        self._files = IdentityFiles(private)
        self._identity = StorageIdentity.complete(self._files, self._config.permutation_seed, random_bytes)
        durable = config.durability.sync
        space = self._config.reserved_space
        directory = self._config.directory
        self._store = ShareStore(directory, durable=durable, now=time.time, reserved_space=space)
        self._mutables = MutableStore(
            directory,
            durable=durable,
            now=time.time,
            node_id=self._identity.certificate.tub_id,
            reserved_space=space,
        )
        self._uploads = Uploads(
            self._store,
            run_in_thread=run_in_thread,
            clock=reactor,
            idle_limit=self._config.upload_idle_limit,
            max_share_size=self._config.max_share_size or None,
            read_only=self._config.read_only,
        )
        self._gauge = SpaceGauge(self._room, run_in_thread=run_in_thread, clock=reactor)
        self._sender = ShareSender(run_in_thread, reactor, self._config.idle_timeout)
        self._expiry = self._make_expiry(durable=durable) if self._config.expire else None
        self.site = self._make_site()
        self._ports: list[Any] = []
        self._in_turn = Turns(run_in_thread)

    async def listen(self) -> None:
        """Take the addresses; nobody is served before `start`. Raises `CannotListen`."""
        tls = tls_options(self._identity.certificate)
        factory = LimitedTLSFactory(tls, self.site, max_connections=self._config.max_connections, clock=self._reactor)
        for endpoint in self._config.listen:
            self._ports.append(await self._listen(self._reactor, endpoint, factory))
        host, number = _location(self._config, self._ports[0].getHost())
        self.nurl = self._identity.nurl(host, number)

    async def start(self) -> None:
        """Raises `NodeDirectoryError` when the shares can't be had."""
        try:
            await self._in_turn(self._store.start)
            await self._gauge.start()
        except StoreError as error:
            raise NodeDirectoryError(str(error)) from error
        self._uploads.start()
        if self._expiry is not None:
            self._expiry.start()
        assert self.nurl is not None, "it doesn't listen yet"
        write_durably(self._files.nurl, f"{self.nurl}\n".encode(), 0o600)
        for port in self._ports:
            port.resumeProducing()
        log.info(
            "serving the shares in {path} at {address}", path=str(self._config.directory), address=self.nurl.location
        )

    async def stop_listening(self) -> None:
        ports, self._ports = self._ports, []
        for port in ports:
            await maybeDeferred(port.stopListening)

    async def stop(self) -> None:
        """Let go of the shares, when nobody is served any more. Of what isn't complete, only lasting uploads stay."""
        if self._expiry is not None:
            await self._expiry.stop()
        await self._uploads.stop()
        self._sender.stop()
        await self._in_turn(self._store.stop)

    def _make_site(self) -> StorageSite:
        config = self._config
        max_share_size = config.max_share_size or _NO_LIMIT
        return StorageSite(
            self._identity.swissnum,
            VersionEndpoint(
                self._gauge,
                f"tahoeish/{version('tahoeish')}",
                max_share_size=max_share_size,
                max_mutable_size=min(max_share_size, config.max_mutable_request),
            ),
            ImmutableShares(
                self._store,
                self._uploads,
                ShareReceiver(self._reactor),
                self._sender,
                run_in_thread=self._run_in_thread,
            ),
            MutableShares(
                self._mutables,
                self._store,
                self._sender,
                run_in_thread=self._run_in_thread,
                memory=ByteBudget(config.max_mutable_request),
                max_body=config.max_mutable_request,
                max_share_size=max_share_size,
                read_only=config.read_only,
            ),
            Leases(self._store, run_in_thread=self._run_in_thread),
            Extension(self._uploads),
            reactor=self._reactor,
            limits=BodyLimits(idle_timeout=config.idle_timeout),
        )

    def _make_expiry(self, *, durable: bool) -> ExpiryCycle:
        config = self._config
        policy = ExpiryPolicy(config.expire_after)
        collector = Collector(config.directory, policy, now=time.time, durable=durable, dry_run=False)
        return ExpiryCycle(collector, run_in_thread=self._run_in_thread, clock=self._reactor)

    def _room(self) -> int:
        return 0 if self._config.read_only else self._store.available_space()


def _location(config: Storage, address: Any) -> tuple[str, int]:
    if config.location:
        host, _, port = config.location.rpartition(":")
        return host.removeprefix("[").removesuffix("]"), int(port)
    if not hasattr(address, "port"):
        raise NodeDirectoryError("a storage node that listens at no TCP port needs a location in [storage]")
    if address.host in ("0.0.0.0", "::"):
        log.warn("[storage] location isn't set, so only this machine can use the NURL")
        return "127.0.0.1", address.port
    return address.host, address.port
