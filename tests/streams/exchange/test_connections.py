"""Requests over connections that are kept, over real sockets and TLS."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import TYPE_CHECKING, Any

import pytest
import pytest_twisted
from twisted.internet import reactor
from twisted.internet.defer import CancelledError, Deferred, maybeDeferred
from twisted.internet.error import ConnectError
from twisted.internet.interfaces import IAddress, IProtocolNegotiationFactory
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.python.failure import Failure
from zope.interface import implementer

from tahoeish.storage.certificate import ServerCertificate, tls_options
from tahoeish.streams.exchange.connection import Broken, Limits, Overdue
from tahoeish.streams.exchange.connections import SEALED, SMALLEST_BATCH, Connections
from tahoeish.streams.exchange.message import Answer, Request, size
from tahoeish.streams.exchange.parser import AnswerTooLong, BadAnswer
from tahoeish.streams.openssl import RECORD
from tahoeish.streams.records import AT_ONCE, BatchingTLSTransport
from tahoeish.streams.tls import spki_hash
from tests.grid.storage_node import until

if TYPE_CHECKING:
    from typing_extensions import Buffer

CLOCK: Any = reactor
CERTIFICATE = ServerCertificate.generate()
PATIENT, IMPATIENT = Limits(10.0, 10.0), Limits(0.1, 0.1)
DONE = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
MORE_THAN_SOCKETS_HOLD = 16_000_000


class Talk(Protocol):
    """One connection, seen from the server."""

    transport: Any

    def __init__(self, server: Server) -> None:
        self.server = server
        self.heard = bytearray()
        self.answered = 0

    def connectionMade(self) -> None:
        self.server.open.append(self)
        self.server.count += 1

    def dataReceived(self, data: bytes) -> None:
        self.heard += data
        if self.heard.endswith(self.server.answers_after) and self.server.answers:
            self.transport.write(self.server.answers.pop(0))
            if self.server.hangs_up:
                self.transport.loseConnection()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.server.open.remove(self)


@implementer(IProtocolNegotiationFactory)
class _Talks(Factory):
    noisy = False

    def __init__(self, server: Server) -> None:
        self._server = server

    def acceptableProtocols(self) -> list[bytes]:
        return [b"http/1.1"]

    def buildProtocol(self, addr: IAddress | None) -> Talk:
        return Talk(self._server)


class Server:
    """Answers a request that ends with `answers_after` with the next of its `answers`, whatever that is."""

    def __init__(self) -> None:
        self.answers: list[bytes] = []
        self.answers_after = b"\r\n\r\n"
        self.hangs_up = False
        self.open: list[Talk] = []
        self.count = 0
        tls: Any = TLSMemoryBIOFactory(tls_options(CERTIFICATE), False, _Talks(self))
        tls.noisy = False
        self._port = CLOCK.listenTCP(0, tls, interface="127.0.0.1")

    @property
    def number(self) -> int:
        return int(self._port.getHost().port)

    async def is_quiet(self) -> None:
        await until(lambda: not self.open, "all connections are closed")

    async def stop(self) -> None:
        await maybeDeferred(self._port.stopListening)


class Wire:
    def __init__(self) -> None:
        self.server = Server()
        self._made: list[Connections] = []
        self.connections = self.new()

    def new(self, **settings: Any) -> Connections:
        key = spki_hash(CERTIFICATE.certificate)
        made = Connections(CLOCK, key, "127.0.0.1", self.server.number, [("Who", "me")], **settings)
        self._made.append(made)
        return made

    def ask(self, *answers: bytes, limits: Limits = PATIENT, **what: Any) -> Deferred[Answer]:
        self.server.answers += answers
        return Deferred.fromCoroutine(self.connections.ask(request(**what), limits))

    async def close(self) -> None:
        for made in self._made:
            await made.close()
        await self.server.is_quiet()
        await self.server.stop()


def request(method: str = "GET", body: Sequence[bytes] | None = None, longest: int = 1000) -> Request:
    return Request(method, "/path", [("A", "b")], body, longest)


@pytest_twisted.async_yield_fixture
async def wire() -> AsyncIterator[Wire]:
    wire = Wire()
    yield wire
    await wire.close()


@pytest_twisted.ensureDeferred
async def test_a_request_has_its_own_headers_and_those_of_all(wire: Wire) -> None:
    assert (await wire.ask(DONE)).body == b"ok"
    (talk,) = wire.server.open
    head = f"GET /path HTTP/1.1\r\nHost: 127.0.0.1:{wire.server.number}\r\nWho: me\r\nA: b\r\n\r\n"
    assert talk.heard == head.encode()


@pytest.mark.parametrize("sizes", [[], [0], [3, 0, 4], [300_000, 5, 700_000], [262_144] * 3])
@pytest_twisted.ensureDeferred
async def test_a_body_arrives_as_it_was_given(wire: Wire, sizes: list[int]) -> None:
    wire.server.answers_after = b"END"
    body = [bytes([number]) * size for number, size in enumerate(sizes)] + [b"END"]
    await wire.ask(DONE, method="PATCH", body=body)
    head, _, rest = bytes(wire.server.open[0].heard).partition(b"\r\n\r\n")
    assert head.endswith(b"\r\nContent-Length: %d" % (sum(sizes) + 3))
    assert rest == b"".join(body)


@pytest_twisted.ensureDeferred
async def test_a_connection_is_kept_for_the_next_request(wire: Wire) -> None:
    for _ in range(3):
        await wire.ask(DONE)
    assert wire.server.count == 1


@pytest.mark.parametrize("answer", [DONE.replace(b"OK", b"OK\r\nConnection: close"), DONE + b"more"])
@pytest_twisted.ensureDeferred
async def test_a_connection_that_may_not_be_kept_is_closed(wire: Wire, answer: bytes) -> None:
    assert (await wire.ask(answer)).body == b"ok"
    await wire.server.is_quiet()
    assert (await wire.ask(DONE)).body == b"ok"
    assert wire.server.count == 2


@pytest_twisted.ensureDeferred
async def test_requests_at_the_same_time_have_connections_of_their_own(wire: Wire) -> None:
    connections = wire.new(keep=1)
    asking = [Deferred.fromCoroutine(connections.ask(request(), PATIENT)) for _ in range(3)]
    await until(lambda: sum(bool(talk.heard) for talk in wire.server.open) == 3, "all three are asked")
    for talk in list(wire.server.open):
        talk.transport.write(DONE)
    for asked in asking:
        await asked
    await until(lambda: len(wire.server.open) == 1, "one is kept")


@pytest_twisted.ensureDeferred
async def test_the_more_requests_there_are_the_less_each_seals_at_once(
    wire: Wire, monkeypatch: pytest.MonkeyPatch
) -> None:
    sealed: list[int] = []
    write_together = BatchingTLSTransport.write_together

    def noting(transport: BatchingTLSTransport, buffers: Sequence[Buffer]) -> None:
        sealed.append(size(buffers))
        write_together(transport, buffers)

    monkeypatch.setattr(BatchingTLSTransport, "write_together", noting)
    wire.server.answers_after = b"END"
    body = [bytes(2 * AT_ONCE), b"END"]
    await wire.ask(DONE, method="PATCH", body=body)
    assert AT_ONCE <= max(sealed) <= AT_ONCE + RECORD
    others = [wire.ask(limits=Limits(30.0, 30.0)) for _ in range(SEALED // SMALLEST_BATCH)]
    sealed.clear()
    await wire.ask(DONE, method="PATCH", body=body)
    assert SMALLEST_BATCH <= max(sealed) <= SMALLEST_BATCH + RECORD
    for other in others:
        other.cancel()
        with pytest.raises(CancelledError):
            await other


@pytest_twisted.ensureDeferred
async def test_an_idle_connection_is_closed_in_time(wire: Wire) -> None:
    wire.server.answers.append(DONE)
    await wire.new(idle_timeout=0.05).ask(request(), PATIENT)
    await wire.server.is_quiet()


@pytest_twisted.ensureDeferred
async def test_who_speaks_without_being_asked_is_not_asked_again(wire: Wire) -> None:
    await wire.ask(DONE)
    wire.server.open[0].transport.write(DONE)
    await wire.server.is_quiet()
    assert (await wire.ask(DONE)).body == b"ok"


@pytest_twisted.ensureDeferred
async def test_an_early_answer_is_heard_and_ends_the_connection(wire: Wire) -> None:
    asking = wire.ask(method="PUT", body=[bytes(MORE_THAN_SOCKETS_HOLD)])
    await until(lambda: wire.server.open and wire.server.open[0].heard, "some of it is there")
    (talk,) = wire.server.open
    talk.transport.pauseProducing()
    talk.transport.write(DONE.replace(b"200", b"413"))
    assert (await asking).status == 413
    talk.transport.resumeProducing()
    await wire.server.is_quiet()


@pytest.mark.parametrize("answer", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\no"])
@pytest_twisted.ensureDeferred
async def test_silence_is_overdue(wire: Wire, answer: bytes) -> None:
    with pytest.raises(Overdue):
        await wire.ask(answer, limits=IMPATIENT)
    await wire.server.is_quiet()


@pytest_twisted.ensureDeferred
async def test_who_takes_nothing_is_overdue(wire: Wire) -> None:
    asking = wire.ask(method="PUT", body=[bytes(MORE_THAN_SOCKETS_HOLD)], limits=Limits(0.3, 10.0))
    await until(lambda: wire.server.open, "somebody is connected")
    (talk,) = wire.server.open
    talk.transport.pauseProducing()
    with pytest.raises(Overdue):
        await asking
    talk.transport.resumeProducing()
    await wire.server.is_quiet()


@pytest_twisted.ensureDeferred
async def test_cancelling_drops_the_connection(wire: Wire) -> None:
    asking = wire.ask()
    await until(lambda: wire.server.open and wire.server.open[0].heard, "it is asked")
    asking.cancel()
    with pytest.raises(CancelledError):
        await asking
    await wire.server.is_quiet()


@pytest_twisted.ensureDeferred
async def test_cancelling_while_connecting_leaves_nothing(wire: Wire) -> None:
    asking = wire.ask(DONE)
    asking.cancel()
    with pytest.raises(CancelledError):
        await asking
    await wire.server.is_quiet()


@pytest.mark.parametrize("answer", [b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhell", b"HTTP/1.1 200"])
@pytest_twisted.ensureDeferred
async def test_an_answer_that_breaks_off_is_none(wire: Wire, answer: bytes) -> None:
    wire.server.hangs_up = True
    with pytest.raises(Broken):
        await wire.ask(answer)


@pytest_twisted.ensureDeferred
async def test_an_answer_may_end_with_its_connection(wire: Wire) -> None:
    wire.server.hangs_up = True
    assert (await wire.ask(b"HTTP/1.1 200 OK\r\n\r\nall of it")).body == b"all of it"


@pytest.mark.parametrize(
    ("answer", "error"), [(b"SMTP\r\n\r\n", BadAnswer), (DONE.replace(b": 2", b": 2000"), AnswerTooLong)]
)
@pytest_twisted.ensureDeferred
async def test_what_is_no_answer_ends_the_connection(wire: Wire, answer: bytes, error: type[Exception]) -> None:
    with pytest.raises(error):
        await wire.ask(answer)
    await wire.server.is_quiet()


@pytest_twisted.ensureDeferred
async def test_nobody_there_is_what_connecting_says(wire: Wire) -> None:
    await wire.server.stop()
    with pytest.raises(ConnectError):
        await wire.ask()


@pytest.mark.parametrize("value", ["a\r\nb: c", "a\nb", "a\rb"])
@pytest_twisted.ensureDeferred
async def test_a_header_stays_one_line(wire: Wire, value: str) -> None:
    with pytest.raises(ValueError, match="one line"):
        await wire.connections.ask(Request("GET", "/", [("A", value)], None, 10), PATIENT)
