"""Clients that read slowly get all of it, those that read nothing are given up; over a real pair of sockets."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from twisted.internet.address import IPv4Address
from twisted.internet.interfaces import IAddress
from twisted.web.resource import Resource
from zope.interface import implementer

from tahoeish.streams.body import BodyStream
from tahoeish.streams.request import IStreamingResource, StreamingRequest
from tahoeish.streams.response import streaming
from tahoeish.streams.site import BodyLimits, StreamingSite
from tests.streams.socket_pair import Pair, SocketReactor
from tests.streams.wire import answer

IDLE_TIMEOUT = 60
CONTENT = bytes(range(256)) * 8192
PEER: IAddress = IPv4Address("TCP", "127.0.0.1", 1)


@implementer(IStreamingResource)
class Teller(Resource):
    """The same content at one go, or as fast as the client takes it."""

    isLeaf = True

    async def respond(self, request: StreamingRequest, body: BodyStream) -> None:
        if request.path == b"/at-once":
            answer(request, 200, CONTENT)
            return
        if request.path == b"/little":
            answer(request, 200, CONTENT[:100_000])
            return
        request.setHeader(b"Content-Length", b"%d" % len(CONTENT))
        async with streaming(request, request.site.reactor, IDLE_TIMEOUT, piece=len(CONTENT)) as writer:
            await writer.write(CONTENT[:1000])
            await writer.write(CONTENT[1000:])


def site_at(reactor: SocketReactor) -> StreamingSite:
    return StreamingSite(Teller(), reactor=reactor, limits=BodyLimits(idle_timeout=IDLE_TIMEOUT))


@pytest.fixture
def pair() -> Iterator[Pair]:
    reactor = SocketReactor()
    channel = site_at(reactor).buildProtocol(PEER)
    assert channel is not None
    with Pair(channel, reactor) as made:
        channel.makeConnection(made.transport)
        yield made


def ask(pair: Pair, path: bytes) -> None:
    pair.transport.protocol.dataReceived(b"GET %b HTTP/1.1\r\nHost: h\r\n\r\n" % path)


@pytest.mark.parametrize("path", [b"/at-once", b"/as-taken"])
def test_who_takes_a_little_all_the_time_gets_all(pair: Pair, path: bytes) -> None:
    ask(pair, path)
    received = b""
    while piece := pair.drink(100_000):
        received += piece
        pair.reactor.pump([10] * 5)
    assert received.partition(b"\r\n\r\n")[2] == CONTENT
    assert pair.reactor.seconds() > 10 * IDLE_TIMEOUT


@pytest.mark.parametrize("path", [b"/at-once", b"/as-taken"])
def test_who_takes_nothing_any_more_is_given_up(pair: Pair, path: bytes) -> None:
    ask(pair, path)
    assert pair.drink(500_000)
    pair.reactor.pump([10] * 20)
    assert pair.transport.disconnected
    assert not pair.reactor.getDelayedCalls()


def test_who_has_taken_all_may_ask_again_as_long_as_after_any_answer(pair: Pair) -> None:
    ask(pair, b"/at-once")
    while pair.drink(1 << 20):
        pass
    pair.reactor.advance(IDLE_TIMEOUT - 1)
    assert not pair.transport.disconnecting
    ask(pair, b"/at-once")
    while pair.drink(1 << 20):
        pass
    pair.reactor.advance(IDLE_TIMEOUT - 1)
    assert not pair.transport.disconnecting
    pair.reactor.advance(2)
    assert pair.transport.disconnecting


def test_what_lies_in_the_socket_is_waited_for_as_well(pair: Pair) -> None:
    ask(pair, b"/little")
    received = pair.drink(1000)
    assert not pair.transport.dataBuffer and not pair.transport._tempDataBuffer
    for _ in range(2):
        pair.reactor.advance(IDLE_TIMEOUT + 1)
        assert not pair.transport.disconnecting
        # A socket lets go of what was written in pieces of up to 36 KiB.
        received += pair.drink(45_000)
    while piece := pair.drink(100_000):
        received += piece
    assert received.endswith(CONTENT[:100_000])
    pair.reactor.advance(IDLE_TIMEOUT + 1)
    assert pair.transport.disconnecting


@pytest.mark.parametrize("reads", [True, False])
def test_a_connection_of_http2_is_idle_when_its_client_has_everything(reads: bool) -> None:
    reactor = SocketReactor()
    connection = site_at(reactor).build_http2()
    with Pair(connection, reactor) as pair:
        connection.makeConnection(pair.transport)
        pair.drink(100_000 if reads else 1)
        reactor.advance(IDLE_TIMEOUT + 1)
        assert bool(pair.transport.disconnecting) is reads
        reactor.advance(IDLE_TIMEOUT + 1)
        assert pair.transport.disconnecting
        connection.connectionLost()
