"""A response is written as fast as the client drinks, and no faster."""

from __future__ import annotations

import pytest
from twisted.internet.defer import CancelledError, Deferred
from twisted.web.resource import Resource
from zope.interface import implementer

from tahoeish.streams.body import BodyStream, ClientGone
from tahoeish.streams.request import IStreamingResource, StreamingRequest
from tahoeish.streams.response import LARGEST_PIECE, PIECE, streaming
from tests.streams.wire import Connection

GET = b"GET /f HTTP/1.1\r\nHost: h\r\n\r\n"
IDLE_TIMEOUT = 60


@implementer(IStreamingResource)
class Source(Resource):
    """Writes pieces, after `go` if there is one."""

    isLeaf = True

    def __init__(self, *pieces: bytes, go: Deferred[None] | None = None, error: Exception | None = None) -> None:
        super().__init__()
        self.pieces = pieces
        self.go = go
        self.error_at_the_end = error
        self.written = 0
        self.error: BaseException | None = None

    async def respond(self, request: StreamingRequest, body: BodyStream) -> None:
        try:
            if self.go is not None:
                await self.go
            async with streaming(request, request.site.reactor, IDLE_TIMEOUT) as writer:
                for piece in self.pieces:
                    await writer.write(piece)
                    self.written += 1
                if self.error_at_the_end is not None:
                    raise self.error_at_the_end
        except BaseException as error:
            self.error = error
            raise


class SlowClient(Connection):
    """Whatever is written to it fills its transport up, until it has `drunk`."""

    def __init__(self, source: Source) -> None:
        super().__init__(source)
        self.sizes: list[int] = []
        write = self.transport.write

        def write_and_fill_up(data: bytes) -> None:
            write(data)
            self.sizes.append(len(data))
            self.channel.pauseProducing()

        self.transport.write = write_and_fill_up  # type: ignore[method-assign]
        self.transport.writeSequence = lambda data: write_and_fill_up(b"".join(data))  # type: ignore[method-assign]

    def drunk(self) -> None:
        self.channel.resumeProducing()


def test_a_thirsty_client_gets_all_at_once() -> None:
    connection = Connection(Source(b"abc", b"def"))
    connection.send(GET)
    assert connection.received().endswith(b"\r\n\r\n3\r\nabc\r\n3\r\ndef\r\n0\r\n\r\n")


def test_the_connection_goes_on() -> None:
    connection = Connection(Source(b"abc"))
    connection.send(GET * 3)
    assert connection.received().count(b"3\r\nabc\r\n0\r\n\r\n") == 3
    assert not connection.transport.disconnecting


def test_a_slow_client_is_waited_for() -> None:
    source = Source(*[b"piece"] * 10)
    client = SlowClient(source)
    client.send(GET)
    for written in range(1, 10):
        assert source.written == written
        client.clock.advance(IDLE_TIMEOUT - 1)
        client.drunk()
    assert source.written == 10 and source.error is None
    assert client.received().endswith(b"0\r\n\r\n")


def test_a_large_piece_goes_in_small_ones() -> None:
    source = Source(bytes(4 * PIECE))
    client = SlowClient(source)
    client.send(GET)
    for _ in range(3):
        assert source.written == 0
        client.clock.advance(1)
        client.drunk()
    assert source.written == 1
    # Its length and line breaks in the chunked coding are written with it.
    assert max(client.sizes) < PIECE + 20


def test_a_few_bytes_more_are_no_piece_of_their_own() -> None:
    source = Source(bytes(2 * PIECE + 2))
    client = SlowClient(source)
    client.send(GET)
    client.clock.advance(1)
    client.drunk()
    assert source.written == 1
    assert client.sizes[-2] == PIECE + 2 + len(f"{PIECE + 2:x}\r\n\r\n")


def test_pieces_grow_as_long_as_nothing_fills_up() -> None:
    connection = Connection(Source(bytes(16 * LARGEST_PIECE)))
    sizes: list[int] = []
    connection.transport.writeSequence = lambda data: sizes.append(sum(map(len, data)))  # type: ignore[method-assign]
    connection.send(GET)
    content = [size for size in sizes if size >= PIECE]
    assert content == sorted(content)
    assert PIECE < content[0] < PIECE + 20 and LARGEST_PIECE < max(content) < LARGEST_PIECE * 9 // 8 + 20


def test_who_drinks_at_once_gets_larger_ones_until_it_doesnt() -> None:
    source = Source(bytes(20 * LARGEST_PIECE))
    client = SlowClient(source)
    client.send(GET)
    for _ in range(4):
        client.drunk()
    assert max(client.sizes) < LARGEST_PIECE + 20
    largest = [size for size in client.sizes if size > LARGEST_PIECE]
    assert largest
    before = len(client.sizes)
    client.clock.advance(1)
    client.drunk()
    assert max(client.sizes[before:]) < PIECE + 20


def test_an_idle_client_is_given_up() -> None:
    source = Source(b"abc", b"def")
    client = SlowClient(source)
    client.send(GET)
    client.clock.advance(IDLE_TIMEOUT - 0.1)
    assert not client.transport.aborted
    client.clock.advance(0.2)
    assert client.transport.aborted
    assert isinstance(source.error, ClientGone) and "60 seconds" in str(source.error)


def test_a_client_that_leaves_while_it_is_waited_for() -> None:
    source = Source(b"abc", b"def")
    client = SlowClient(source)
    client.send(GET)
    client.cut()
    assert isinstance(source.error, (ClientGone, CancelledError))
    assert source.written == 1 and not client.site.transfers
    assert client.clock.getDelayedCalls() == []


@pytest.mark.parametrize("pieces", [(), (b"abc",)])
def test_a_client_that_has_left_before(pieces: tuple[bytes, ...]) -> None:
    # The resource doesn't notice that it is cancelled.
    source = Source(*pieces, go=Deferred(lambda go: go.callback(None)))
    connection = Connection(source)
    connection.send(GET)
    connection.cut()
    assert isinstance(source.error, ClientGone) and source.written == 0
    assert not connection.site.transfers


def test_what_breaks_off_is_not_taken_for_the_whole() -> None:
    connection = Connection(Source(b"abc", error=ClientGone("for some reason")))
    connection.send(GET)
    assert connection.received().endswith(b"3\r\nabc\r\n")
    assert connection.transport.aborted
