"""A storage node's site in memory, and a client that knows how to ask."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from http.client import HTTPMessage, parse_headers
from io import BytesIO
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionLost
from twisted.internet.task import Clock
from twisted.python.failure import Failure

from tahoeish.storage.http.extension import Extension
from tahoeish.storage.http.immutable import ImmutableShares
from tahoeish.storage.http.leases import Leases
from tahoeish.storage.http.mutable import MutableShares
from tahoeish.storage.http.reading import ShareSender
from tahoeish.storage.http.receiving import ShareReceiver
from tahoeish.storage.http.site import StorageSite, VersionEndpoint
from tahoeish.storage.mutable import MutableStore
from tahoeish.storage.shares import ShareStore
from tahoeish.storage.space import SpaceGauge
from tahoeish.storage.uploads import Uploads
from tahoeish.storage.wire import (
    AllocationRequest,
    Secret,
    authorization,
    content_range,
    dump_allocation_request,
    immutable_path,
    secret_header,
    share_path,
)
from tahoeish.streams.budget import ByteBudget
from tahoeish.streams.threads import ThreadRunner, direct
from tests.storage.stores import NOW, SECRETS, STORAGE_INDEX
from tests.streams.wire import HERE, Transport

SWISSNUM = "zj6vmlqjdtwhfrukhtuk37uwi64jfixl"
UPLOAD_SECRET = b"u" * 20
WRITE_ENABLER = b"w" * 32
IDLE_LIMIT = 1800
SPACE = 123_456_789
MAX_MUTABLE_BODY = 100_000

LEASE = ((Secret.LEASE_RENEW, SECRETS.renew), (Secret.LEASE_CANCEL, SECRETS.cancel))
UPLOAD = ((Secret.UPLOAD, UPLOAD_SECRET),)
ALLOCATE = (*LEASE, *UPLOAD)
WRITE = ((Secret.WRITE_ENABLER, WRITE_ENABLER), *LEASE)

SecretPairs = Iterable[tuple[Secret, bytes]]
Headers = Iterable[tuple[str, str]]


@dataclass(frozen=True)
class Answer:
    status: int
    headers: HTTPMessage
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode()

    def json(self) -> Any:
        return json.loads(self.body)


class Server:
    """A site over a store. Threads are calls, and time stands still."""

    def __init__(
        self,
        store: ShareStore,
        *,
        run_in_thread: ThreadRunner = direct,
        max_share_size: int | None = None,
        read_only: bool = False,
    ) -> None:
        self.store = store
        self.clock = Clock()
        self.space = SPACE
        self.measured = 0
        self.uploads = Uploads(
            store,
            run_in_thread=run_in_thread,
            clock=self.clock,
            idle_limit=IDLE_LIMIT,
            max_share_size=max_share_size,
            read_only=read_only,
        )
        self.gauge = SpaceGauge(self._measure, run_in_thread=run_in_thread, clock=self.clock)
        mutables = MutableStore(store.directory, durable=False, now=lambda: NOW, node_id=bytes(20))
        self.sender = sender = ShareSender(run_in_thread, self.clock, 60)
        self.site = StorageSite(
            SWISSNUM,
            VersionEndpoint(self.gauge, "tahoeish/1", max_share_size=2**40, max_mutable_size=2**30),
            ImmutableShares(store, self.uploads, ShareReceiver(self.clock), sender, run_in_thread=run_in_thread),
            MutableShares(
                mutables,
                store,
                sender,
                run_in_thread=run_in_thread,
                memory=ByteBudget(MAX_MUTABLE_BODY),
                max_body=MAX_MUTABLE_BODY,
                max_share_size=max_share_size or 2**40,
                read_only=read_only,
            ),
            Leases(store, run_in_thread=run_in_thread),
            Extension(self.uploads),
            reactor=self.clock,
        )

    def _measure(self) -> int:
        self.measured += 1
        return self.space

    def stop(self) -> Deferred[None]:
        self.sender.stop()
        return Deferred.fromCoroutine(self.uploads.stop())

    # What clients do.

    def ask(
        self,
        method: str,
        path: str,
        body: bytes = b"",
        *,
        secrets: SecretPairs = (),
        headers: Headers = (),
        authorized: bool = True,
    ) -> Answer:
        """One request on a connection of its own, and its answer."""
        connection = Connection(self)
        connection.send(head(method, path, len(body), secrets=secrets, headers=headers, authorized=authorized) + body)
        return connection.answer(method)

    def allocate(
        self, numbers: Iterable[int], size: int, *, secret: bytes = UPLOAD_SECRET, storage_index: bytes = STORAGE_INDEX
    ) -> Answer:
        message = dump_allocation_request(AllocationRequest(frozenset(numbers), size))
        secrets = (*LEASE, (Secret.UPLOAD, secret))
        return self.ask("POST", immutable_path(storage_index), message, secrets=secrets)

    def write(self, number: int, offset: int, content: bytes, *, secret: bytes = UPLOAD_SECRET) -> Answer:
        return self.ask(
            "PATCH",
            share_path(STORAGE_INDEX, number),
            content,
            secrets=((Secret.UPLOAD, secret),),
            headers=(("Content-Range", content_range(offset, offset + len(content) - 1)),),
        )

    def upload(self, number: int, content: bytes) -> None:
        """A whole share."""
        assert self.allocate({number}, len(content)).status == 200
        assert self.write(number, 0, content).status == 201

    def read(self, number: int, wanted: str | None = None, method: str = "GET") -> Answer:
        headers = () if wanted is None else (("Range", wanted),)
        return self.ask(method, share_path(STORAGE_INDEX, number), headers=headers)


class Connection:
    """A client's end of one connection."""

    def __init__(self, server: Server) -> None:
        channel = server.site.buildProtocol(HERE)
        assert channel is not None
        self.channel = channel
        self.transport = Transport()
        channel.makeConnection(self.transport)

    def send(self, data: bytes) -> None:
        self.channel.dataReceived(data)

    def cut(self) -> None:
        self.channel.connectionLost(Failure(ConnectionLost()))

    @property
    def paused(self) -> bool:
        return self.transport.producerState == "paused"

    @property
    def answered(self) -> bool:
        return bool(self.transport.value())

    def answer(self, method: str = "GET") -> Answer:
        """The answer, which must be there, whole."""
        wire = BytesIO(self.transport.value())
        self.transport.clear()
        status_line = wire.readline()
        assert status_line.startswith(b"HTTP/1.1 "), status_line
        headers = parse_headers(wire)
        rest = wire.read()
        if method != "HEAD" and headers["Content-Length"] is not None:
            assert len(rest) == int(headers["Content-Length"])
        return Answer(int(status_line.split()[1]), headers, rest)


def head(
    method: str,
    path: str,
    length: int | None,
    *,
    secrets: SecretPairs = (),
    headers: Headers = (),
    authorized: bool = True,
) -> bytes:
    """The head of a request, whose body is chunked when its length is None."""
    lines = [
        f"{method} {path} HTTP/1.1",
        "Host: node",
        "Transfer-Encoding: chunked" if length is None else f"Content-Length: {length}",
        *([f"Authorization: {authorization(SWISSNUM)}"] if authorized else []),
        *(f"X-Tahoe-Authorization: {secret_header(kind, secret)}" for kind, secret in secrets),
        *(f"{name}: {value}" for name, value in headers),
    ]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()
