"""A storage node lets pieces of shares gather in its sockets. What comes too slowly for that isn't waited for."""

from __future__ import annotations

import socket
import ssl
import struct
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPResponse
from pathlib import Path

import pytest

from tahoeish.storage.container import DATA_OFFSET
from tahoeish.storage.nurl import Nurl
from tahoeish.storage.wire import (
    AllocationRequest,
    Secret,
    authorization,
    content_range,
    dump_allocation_request,
    immutable_path,
    load_required,
    secret_header,
    share_path,
)
from tests.nodes import PATIENCE, NodeProcess, Settings, content_of, head, wait_until

IDLE_SECONDS = 2
NODE: Settings = {
    "gateway": {"enabled": False},
    "storage": {"enabled": True, "listen": "tcp:0:interface=127.0.0.1", "idle_timeout": IDLE_SECONDS},
}
SI = bytes(range(16))
SECRETS = {Secret.LEASE_RENEW: b"r" * 32, Secret.LEASE_CANCEL: b"c" * 32, Secret.UPLOAD: b"u" * 32}
SIZE = 2 * 1024 * 1024
CONTENT = content_of(SIZE)
LITTLE = 100_000
"""Much less than a storage node waits for, and more than it takes from the socket before it waits."""
SOON = 3.0
"""Seconds. It is to take one, and the machine may be busy."""


class Client:
    """One connection, and a share that is sent on it."""

    def __init__(self, nurl: Nurl) -> None:
        self._nurl = nurl
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        self.socket = context.wrap_socket(socket.create_connection((nurl.host, nurl.port), timeout=PATIENCE))

    def allocate(self) -> None:
        message = dump_allocation_request(AllocationRequest(frozenset({0}), SIZE))
        headers = {"Content-Type": "application/cbor"}
        self.socket.sendall(self._head("POST", immutable_path(SI), len(message), headers, *SECRETS) + message)
        assert self.answer()[0] == 200

    def begin(self, begin: int = 0, end: int = SIZE) -> None:
        headers = {"Content-Range": content_range(begin, end - 1)}
        self.socket.sendall(self._head("PATCH", share_path(SI, 0), end - begin, headers, Secret.UPLOAD))

    def answer(self) -> tuple[int, bytes]:
        response = HTTPResponse(self.socket)
        response.begin()
        return response.status, response.read()

    def has_arrived(self) -> bool:
        """All that has been sent is at the storage node's side of the connection, whether taken or not."""
        return not queues(*self._ends)[0]

    def held_back(self) -> bool:
        """Some of it nobody has taken."""
        return queues(*reversed(self._ends))[1] > 0

    @property
    def _ends(self) -> tuple[int, int]:
        return self.socket.getsockname()[1], self._nurl.port

    def reset(self) -> None:
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    def _head(self, method: str, path: str, length: int, headers: dict[str, str], *secrets: Secret) -> bytes:
        secret_lines = [secret_header(kind, SECRETS[kind]) for kind in secrets]
        lines = "".join(f"X-Tahoe-Authorization: {line}\r\n" for line in secret_lines)
        common = {"Authorization": authorization(self._nurl.swissnum), "Content-Length": str(length)}
        return head(method, path, {**common, **headers})[:-2] + lines.encode() + b"\r\n"


@pytest.fixture
def node(tmp_path: Path) -> Iterator[NodeProcess]:
    with NodeProcess(tmp_path / "node", NODE, peers=0) as node:
        node.launch()
        wait_until((node.directory / "private" / "storage.nurl").exists, "the storage node listens")
        yield node
        assert node.stop() == 0, node.said
        assert "Traceback" not in node.said, node.said


@pytest.fixture
def client(node: NodeProcess) -> Iterator[Client]:
    with connected(node) as client:
        client.allocate()
        yield client


@contextmanager
def connected(node: NodeProcess) -> Iterator[Client]:
    client = Client(Nurl.parse((node.directory / "private" / "storage.nurl").read_text().strip()))
    with client.socket:
        yield client


def queues(port: int, peer: int) -> tuple[int, int]:
    """Of one end of a connection: bytes that the other end hasn't got, and that nobody has taken from this one."""
    for line in Path("/proc/net/tcp").read_text().splitlines():
        _, here, there, _, waiting, *_ = line.split()
        if (here[-5:], there[-5:]) == (f":{port:04X}", f":{peer:04X}"):
            to_send, received = waiting.split(":")
            return int(to_send, 16), int(received, 16)
    return 0, 0


def written(node: NodeProcess) -> bytes:
    """What has reached the share's file; zeros follow where room has been set aside."""
    incoming = node.directory / "storage" / "shares" / "incoming"
    found = [path for path in incoming.rglob("*") if path.is_file()]
    return found[0].read_bytes()[DATA_OFFSET:] if found else b""


def wait_until_written(node: NodeProcess, size: int) -> None:
    began = time.monotonic()
    wait_until(lambda: written(node)[:size] == CONTENT[:size], f"{size} bytes are written")
    assert time.monotonic() - began < SOON


def test_what_comes_slowly_is_written_all_the_same(node: NodeProcess, client: Client) -> None:
    client.begin()
    client.socket.sendall(CONTENT[:LITTLE])
    wait_until(lambda: client.held_back() or written(node), "it gathers in the socket, unless that is over already")
    wait_until_written(node, LITTLE)

    sent, began = LITTLE, time.monotonic()
    while time.monotonic() - began < 1.5 * IDLE_SECONDS:
        client.socket.sendall(CONTENT[sent : sent + 1000])
        sent += 1000
        wait_until_written(node, sent)
    client.socket.sendall(CONTENT[sent:])
    assert client.answer()[0] == 201


def test_who_stops_altogether_is_idle(client: Client) -> None:
    client.begin()
    client.socket.sendall(CONTENT[:LITTLE])
    assert client.answer()[0] == 408


def test_what_had_come_when_the_connection_broke_is_kept(node: NodeProcess, client: Client) -> None:
    client.begin()
    client.socket.sendall(CONTENT[:LITTLE])
    wait_until(client.has_arrived, "all of it is there")
    client.reset()
    wait_until_written(node, LITTLE)
    with connected(node) as again:
        again.begin(SIZE - 1)
        again.socket.sendall(CONTENT[-1:])
        status, required = again.answer()
        assert (status, load_required(required)) == (200, [(LITTLE, SIZE - 1)])
