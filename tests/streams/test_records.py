"""TLS in batches of records, with both ends in memory, so that a test says when which bytes arrive."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from OpenSSL import SSL
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IOpenSSLClientConnectionCreator, IOpenSSLServerConnectionCreator
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from zope.interface import implementer

from tahoeish.streams import openssl
from tahoeish.streams.openssl import IN_OPENSSL, MOST_IN_OPENSSL, RECORD
from tahoeish.streams.records import AT_ONCE, WORTH_A_VIEW, BatchingTLSFactory, BatchingTLSTransport

LIB: Any = vars(openssl)["lib"]
CONTENT = bytes(range(251)) * (3 * AT_ONCE // 251)


@implementer(IOpenSSLServerConnectionCreator, IOpenSSLClientConnectionCreator)
class Tls:
    def __init__(self) -> None:
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([])
        now = datetime.now(UTC)
        until = now + timedelta(days=1)
        shown = x509.CertificateBuilder(name, name, key.public_key(), 1, now, until).sign(key, SHA256())
        self._context = SSL.Context(SSL.TLS_METHOD)
        self._context.use_privatekey(key)
        self._context.use_certificate(shown)

    def serverConnectionForTLS(self, tlsProtocol: Any) -> SSL.Connection:
        return SSL.Connection(self._context, None)

    def clientConnectionForTLS(self, tlsProtocol: Any) -> SSL.Connection:
        return SSL.Connection(SSL.Context(SSL.TLS_METHOD), None)


class Listener(Protocol):
    """Keeps what it hears, piece by piece."""

    def __init__(self) -> None:
        self.pieces: list[bytes] = []
        self.lost: Failure | None = None
        self.on_data: Callable[[], object] = lambda: None

    def dataReceived(self, data: bytes) -> None:
        self.pieces.append(data)
        self.on_data()

    def connectionLost(self, reason: Any = None) -> None:
        self.lost = reason

    @property
    def heard(self) -> bytes:
        return b"".join(self.pieces)


class Socket(StringTransport):
    """What of a TCP connection this is about."""

    SEND_LIMIT = 128 * 1024
    bufferSize = 64 * 1024


class Side:
    def __init__(self, tls: Tls, clock: Clock, *, client: bool) -> None:
        self.listener = Listener()
        self.socket = Socket()
        factory = BatchingTLSFactory(tls, client, Factory.forProtocol(lambda: self.listener), clock)
        factory.noisy = False
        protocol = factory.buildProtocol(None)
        assert isinstance(protocol, BatchingTLSTransport)
        self.tls = protocol

    def take(self) -> bytes:
        """What it has given to its socket."""
        sent: bytes = self.socket.value()
        self.socket.clear()
        return sent


class Pair:
    def __init__(self) -> None:
        tls = Tls()
        self.clock = Clock()
        self.server, self.client = Side(tls, self.clock, client=False), Side(tls, self.clock, client=True)

    def connect(self) -> None:
        for side in (self.server, self.client):
            side.tls.makeConnection(side.socket)
        self.exchange()

    def exchange(self) -> None:
        """Let both have what the other has sent, until neither has anything more to say."""
        self.clock.advance(0)
        while True:
            from_client, from_server = self.client.take(), self.server.take()
            if not from_client and not from_server:
                return
            for side, data in ((self.server, from_client), (self.client, from_server)):
                if data:
                    side.tls.dataReceived(data)
            self.clock.advance(0)


@pytest.fixture
def pair() -> Pair:
    connected = Pair()
    connected.connect()
    return connected


def test_what_comes_in_with_one_read_is_handed_on_together(pair: Pair) -> None:
    pair.client.tls.write(CONTENT)
    pair.exchange()
    assert pair.server.listener.pieces == [CONTENT]


def test_a_read_may_end_in_the_middle_of_a_record(pair: Pair) -> None:
    pair.client.tls.write(CONTENT[: 3 * RECORD])
    sent = pair.client.take()
    pair.server.tls.dataReceived(sent[: RECORD + RECORD // 2])
    assert pair.server.listener.heard == CONTENT[:RECORD]
    pair.server.tls.dataReceived(sent[RECORD + RECORD // 2 :])
    assert pair.server.listener.heard == CONTENT[: 3 * RECORD]


def test_openssl_is_given_little_of_a_large_read_at_a_time(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[int] = []
    monkeypatch.setattr(openssl, "lib", Noting("BIO_write", given))
    pair.client.tls.write(CONTENT)
    sent = pair.client.take()
    pair.server.tls.dataReceived(sent)
    assert pair.server.listener.pieces == [CONTENT]
    assert sum(given) == len(sent) and max(given) == IN_OPENSSL


@pytest.mark.parametrize(
    ("size", "most"), [(100, 100), (4 * IN_OPENSSL, IN_OPENSSL), (AT_ONCE, MOST_IN_OPENSSL), (1 << 22, MOST_IN_OPENSSL)]
)
def test_openssl_is_given_more_of_a_large_write_as_it_keeps_the_memory_of_the_largest(
    pair: Pair, monkeypatch: pytest.MonkeyPatch, size: int, most: int
) -> None:
    given: list[int] = []
    monkeypatch.setattr(openssl, "lib", Noting("SSL_write", given))
    content = os.urandom(size)
    pair.client.tls.write_together([content])
    assert sum(given) == size and max(given) == most
    pair.exchange()
    assert pair.server.listener.heard == content


class Noting:
    """OpenSSL, and what one of its functions was given: how many bytes each time."""

    def __init__(self, name: str, given: list[int]) -> None:
        function = getattr(LIB, name)

        def noting(subject: object, data: object, size: int) -> int:
            given.append(size)
            return int(function(subject, data, size))

        self._noting = {name: noting}

    def __getattr__(self, name: str) -> Any:
        return self._noting.get(name) or getattr(LIB, name)


class ViewListener(Listener):
    takes_views = True

    def dataReceived(self, data: bytes | memoryview) -> None:
        self.views = [*getattr(self, "views", ()), isinstance(data, memoryview)]
        super().dataReceived(bytes(data))


@pytest.mark.parametrize(("size", "is_view"), [(WORTH_A_VIEW - 1, False), (WORTH_A_VIEW, True), (AT_ONCE, True)])
def test_large_content_isn_t_copied_for_who_takes_views(pair: Pair, size: int, is_view: bool) -> None:
    listener = ViewListener()
    pair.server.tls.wrappedProtocol = listener
    content = os.urandom(size)
    pair.client.tls.write(content)
    pair.exchange()
    assert listener.heard == content and listener.views == [is_view]


def test_a_small_write_goes_with_the_large_one_behind_it(pair: Pair) -> None:
    written: list[bytes] = []
    pair.client.socket.write = written.append  # type: ignore[method-assign]
    pair.client.tls.write(b"head")
    pair.client.tls.write(bytes(AT_ONCE))
    pair.clock.advance(0)
    (together,) = written
    pair.server.tls.dataReceived(together)
    assert pair.server.listener.heard == b"head" + bytes(AT_ONCE)


def test_content_may_come_with_the_end_of_the_handshake() -> None:
    pair = Pair()
    for side in (pair.server, pair.client):
        side.tls.makeConnection(side.socket)
    pair.client.tls.write(CONTENT)
    pair.server.tls.dataReceived(pair.client.take())
    pair.client.tls.dataReceived(pair.server.take())
    pair.server.tls.dataReceived(pair.client.take())
    assert pair.server.listener.heard == CONTENT


@pytest.mark.parametrize("kind", [bytes, memoryview])
def test_small_and_large_writes_keep_their_order(pair: Pair, kind: Callable[[bytes], Any]) -> None:
    pair.client.tls.write(b"head")
    pair.client.tls.write(kind(CONTENT))
    pair.client.tls.write(kind(b"tail"))
    pair.client.tls.writeSequence([b"very ", b"end"])
    pair.exchange()
    assert pair.server.listener.heard == b"head" + CONTENT + b"tailvery end"


def test_a_memoryview_may_change_as_soon_as_it_was_written(pair: Pair) -> None:
    buffer = bytearray(CONTENT)
    pair.client.tls.write(memoryview(buffer))
    buffer[:] = bytes(len(buffer))
    pair.exchange()
    assert pair.server.listener.heard == CONTENT


def test_what_is_written_before_the_handshake_waits_for_it() -> None:
    pair = Pair()
    pair.client.tls.makeConnection(pair.client.socket)
    buffer = bytearray(CONTENT)
    pair.client.tls.write(b"early")
    pair.client.tls.write(memoryview(buffer))
    buffer[:] = bytes(len(buffer))
    pair.server.tls.makeConnection(pair.server.socket)
    pair.exchange()
    assert pair.server.listener.heard == b"early" + CONTENT


def test_the_last_bytes_are_heard_before_the_goodbye(pair: Pair) -> None:
    pair.client.tls.write(CONTENT)
    pair.client.tls.loseConnection()
    pair.exchange()
    assert pair.server.listener.heard == CONTENT
    assert pair.server.socket.disconnecting and pair.client.socket.disconnecting


def test_a_forged_record_ends_the_connection_and_nothing_of_it_is_heard(pair: Pair) -> None:
    pair.client.tls.write(CONTENT[: 2 * RECORD])
    sent = bytearray(pair.client.take())
    sent[-1] ^= 1
    pair.server.tls.dataReceived(bytes(sent))
    assert pair.server.listener.heard == CONTENT[:RECORD]
    assert pair.server.socket.disconnecting
    pair.server.tls.connectionLost(Failure(ConnectionDone()))
    assert pair.server.listener.lost is not None and pair.server.listener.lost.check(SSL.Error)


def test_a_protocol_may_drop_the_connection_while_it_listens(pair: Pair) -> None:
    pair.server.listener.on_data = pair.server.tls.abortConnection
    pair.client.tls.write(CONTENT)
    pair.server.tls.dataReceived(pair.client.take())
    assert pair.server.socket.disconnected
    pair.server.tls.connectionLost(Failure(ConnectionDone()))
    pair.server.tls.write(CONTENT)
    assert pair.server.listener.pieces == [CONTENT]


def test_how_much_is_taken_at_once_is_the_socket_s_to_know(pair: Pair) -> None:
    pair.server.tls.bufferSize = 12345
    assert pair.server.socket.bufferSize == pair.server.tls.bufferSize == 12345


def test_what_is_sealed_together_goes_out_at_once(pair: Pair) -> None:
    pair.client.take()
    pair.client.tls.write_together([bytes(AT_ONCE)])
    assert AT_ONCE < len(pair.client.take()) <= pair.client.socket.SEND_LIMIT


@pytest.mark.parametrize("sizes", [[5], [300, 0, 4000], [300, AT_ONCE - 300], [RECORD] * 9])
def test_buffers_that_are_written_together_come_in_order(pair: Pair, sizes: list[int]) -> None:
    buffers = [os.urandom(size) for size in sizes]
    pair.client.tls.write(b"before ")
    pair.client.tls.write_together([memoryview(buffer) for buffer in buffers])
    pair.server.tls.dataReceived(pair.client.take())
    assert b"".join(pair.server.listener.pieces) == b"before " + b"".join(buffers)
