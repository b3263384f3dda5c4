"""Connections to servers that are known by their keys, over real sockets."""

from __future__ import annotations

import json
from base64 import urlsafe_b64encode
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.x509.oid import NameOID
from OpenSSL import SSL
from twisted.internet import reactor
from twisted.internet.defer import maybeDeferred
from twisted.internet.interfaces import IAddress, IOpenSSLServerConnectionCreator
from twisted.internet.task import deferLater
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.web.resource import Resource
from twisted.web.server import Request, Site
from zope.interface import implementer

from tahoeish.streams.exchange.connection import Broken, Limits
from tahoeish.streams.exchange.connections import Connections
from tahoeish.streams.exchange.message import Request as Asked
from tahoeish.streams.tls import WrongKey, spki_hash

VECTORS: Any = json.loads((Path(__file__).parent.parent / "vectors" / "hash_vectors.json").read_text())


def new_key() -> Any:
    return ec.generate_private_key(ec.SECP256R1())


KINDS: Mapping[str, Callable[[], Any]] = {
    "ECDSA": new_key,
    "Ed25519": ed25519.Ed25519PrivateKey.generate,
    "RSA": lambda: rsa.generate_private_key(65537, 2048),
}


def certificate(key: Any, *, name: str = "somebody", ca: Any = None, days: int = 1) -> x509.Certificate:
    """Self-signed, or signed with the key of another."""
    signer = ca or key
    now = datetime.now(UTC)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1000))
        .not_valid_after(now + timedelta(days=days))
        .sign(signer, None if isinstance(signer, ed25519.Ed25519PrivateKey) else SHA256())
    )


@implementer(IOpenSSLServerConnectionCreator)
class Tls:
    """A server's side: a key, what it shows for it, and what it has learnt of its clients."""

    def __init__(self, key: Any, shown: Sequence[x509.Certificate], *, newest: int | None = None) -> None:
        self.names: list[bytes | None] = []
        self.offered: list[list[bytes]] = []
        self._context = SSL.Context(SSL.TLS_SERVER_METHOD)
        self._context.use_privatekey(key)
        self._context.use_certificate(shown[0])
        for extra in shown[1:]:
            self._context.add_extra_chain_cert(extra)
        if newest is not None:
            self._context.set_cipher_list(b"ALL:@SECLEVEL=0")
            self._context.set_min_proto_version(SSL.TLS1_VERSION)
            self._context.set_max_proto_version(newest)
        self._context.set_tlsext_servername_callback(lambda connection: self.names.append(connection.get_servername()))
        self._context.set_alpn_select_callback(self._select)

    def serverConnectionForTLS(self, tlsProtocol: Any) -> SSL.Connection:
        return SSL.Connection(self._context, None)

    def _select(self, connection: SSL.Connection, offered: list[bytes]) -> bytes:
        self.offered.append(offered)
        return offered[0]


class Hello(Resource):
    isLeaf = True

    def render_GET(self, request: Request) -> bytes:
        return b"hello"


class Server(Site):
    """Says hello over TLS. `received` is what came through it."""

    noisy = False

    def __init__(self, tls: Tls) -> None:
        super().__init__(Hello())
        self.received = bytearray()
        self.connected = 0
        self._tls: Any = TLSMemoryBIOFactory(tls, False, self)
        self._tls.noisy = False
        listener: Any = reactor
        self._port = listener.listenTCP(0, self._tls, interface="127.0.0.1")

    @property
    def port(self) -> int:
        return int(self._port.getHost().port)

    def buildProtocol(self, addr: IAddress | None) -> Any:
        self.connected += 1
        protocol: Any = super().buildProtocol(addr)
        passed_on = protocol.dataReceived

        def heard(data: bytes) -> None:
            self.received += data
            passed_on(data)

        protocol.dataReceived = heard
        return protocol

    async def is_quiet(self) -> None:
        while self._tls.protocols:
            await deferLater(reactor, 0.005)

    async def stop(self) -> None:
        await maybeDeferred(self._port.stopListening)
        await self.is_quiet()


class Wires:
    """Makes servers and connections to them, and sees to it that nothing of them stays open."""

    def __init__(self) -> None:
        self._servers: list[Server] = []
        self._connections: list[Connections] = []

    def server(self, tls: Tls) -> Server:
        self._servers.append(Server(tls))
        return self._servers[-1]

    def connections(self, key_hash: bytes, server: Server, **settings: Any) -> Connections:
        clock: Any = reactor
        self._connections.append(Connections(clock, key_hash, "127.0.0.1", server.port, **settings))
        return self._connections[-1]

    async def close(self) -> None:
        for connections in self._connections:
            await connections.close()
        for server in self._servers:
            await server.stop()


@pytest_twisted.async_yield_fixture
async def wires() -> AsyncIterator[Wires]:
    wires = Wires()
    yield wires
    await wires.close()


async def hello(connections: Connections) -> bytes:
    return (await connections.ask(Asked("GET", "/", [], None, 1000), Limits(10.0, 10.0))).body


async def failure(connections: Connections) -> BaseException:
    with pytest.raises(Broken) as failed:
        await hello(connections)
    return failed.value.cause


@pytest.mark.parametrize("vector", VECTORS["spki"])
def test_the_hash_of_a_key_is_the_published_one(vector: Any) -> None:
    loaded = x509.load_pem_x509_certificate(vector["cert_pem"].encode())
    assert urlsafe_b64encode(spki_hash(loaded)).decode().rstrip("=") == vector["spki_hash"]


@pytest.mark.parametrize("kind", KINDS)
@pytest_twisted.ensureDeferred
async def test_the_key_is_all_that_counts(wires: Wires, kind: str) -> None:
    key = KINDS[kind]()
    expired = certificate(key, name="another.example", days=-1)
    server = wires.server(Tls(key, [expired]))
    assert await hello(wires.connections(spki_hash(expired), server)) == b"hello"


@pytest_twisted.ensureDeferred
async def test_another_key_is_refused_before_anything_is_sent(wires: Wires) -> None:
    wanted = certificate(new_key())
    key = new_key()
    server = wires.server(Tls(key, [certificate(key)]))
    error = await failure(wires.connections(spki_hash(wanted), server))
    assert isinstance(error, WrongKey)
    assert "another key" in str(error)
    await server.is_quiet()
    assert server.connected == 1
    assert not server.received


@pytest_twisted.ensureDeferred
async def test_a_chain_is_refused_even_if_it_begins_with_the_right_key(wires: Wires) -> None:
    key, authority = new_key(), new_key()
    leaf = certificate(key, ca=authority)
    server = wires.server(Tls(key, [leaf, certificate(authority)]))
    error = await failure(wires.connections(spki_hash(leaf), server))
    assert isinstance(error, WrongKey)
    assert "2 certificates" in str(error)
    await server.is_quiet()
    assert not server.received


@pytest_twisted.ensureDeferred
async def test_the_right_key_somewhere_behind_in_a_chain_is_of_no_use(wires: Wires) -> None:
    key = new_key()
    wanted = certificate(new_key())
    server = wires.server(Tls(key, [certificate(key), wanted]))
    assert isinstance(await failure(wires.connections(spki_hash(wanted), server)), WrongKey)


@pytest.mark.parametrize("newest", [SSL.TLS1_VERSION, SSL.TLS1_1_VERSION])
@pytest_twisted.ensureDeferred
async def test_old_versions_of_tls_are_refused(wires: Wires, newest: int) -> None:
    key = new_key()
    shown = certificate(key)
    server = wires.server(Tls(key, [shown], newest=newest))
    assert isinstance(await failure(wires.connections(spki_hash(shown), server)), SSL.Error)


@pytest.mark.parametrize("newest", [SSL.TLS1_2_VERSION, SSL.TLS1_3_VERSION])
@pytest_twisted.ensureDeferred
async def test_no_name_is_told_and_http_1_is_offered(wires: Wires, newest: int) -> None:
    key = new_key()
    shown = certificate(key)
    tls = Tls(key, [shown], newest=newest)
    await hello(wires.connections(spki_hash(shown), wires.server(tls)))
    assert tls.names == [None]
    assert tls.offered == [[b"http/1.1"]]
