"""Requests in memory: every situation that a connection can bring, in the order in which it brings it."""

from __future__ import annotations

import weakref

import pytest
from twisted.internet.defer import Deferred
from twisted.python.failure import Failure
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Request
from zope.interface import implementer

from tahoeish.streams.body import (
    HIGH_WATER,
    BodyError,
    BodyMalformed,
    BodyOverdue,
    BodyStream,
    BodyTooLong,
    BodyTruncated,
    ClientGone,
    ClientIdle,
    NodeStopping,
    Piece,
)
from tahoeish.streams.request import IBoundedResource, IStreamingResource, StreamingRequest
from tahoeish.streams.site import BodyLimits
from tests.cycles import without_collector
from tests.streams.wire import Connection, Recorder, Refuser, answer

PUT = b"PUT /f HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n"
CHUNKED = b"PUT /f HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"


@implementer(IStreamingResource)
class Waiter(Resource):
    """Does as its test says."""

    isLeaf = True

    def __init__(self) -> None:
        super().__init__()
        self.go: Deferred[None] = Deferred()
        self.cancelled = False

    async def respond(self, request: StreamingRequest, body: BodyStream) -> None:
        self.body = body
        try:
            await self.go
        finally:
            self.cancelled = request.disconnected
        async for _ in body:
            pass
        answer(request, 200, b"done")


@implementer(IStreamingResource)
class Teller(Resource):
    """Answers with whatever status it is asked for."""

    isLeaf = True

    async def respond(self, request: StreamingRequest, body: BodyStream) -> None:
        answer(request, int(request.path[1:]), b"")


@implementer(IStreamingResource)
class Forgetter(Resource):
    """Keeps nothing of a request. Refuses what comes to `/refused` before it has read it."""

    isLeaf = True

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[weakref.ref[StreamingRequest]] = []

    async def respond(self, request: StreamingRequest, body: BodyStream) -> None:
        self.asked.append(weakref.ref(request))
        if request.path == b"/refused":
            answer(request, 413, b"no")
            return
        async for _ in body:
            pass
        answer(request, 200, b"done")


@implementer(IStreamingResource)
class Grumbler(Resource):
    """Finds fault with what the client asked, after it has gone."""

    isLeaf = True

    async def respond(self, request: StreamingRequest, body: BodyStream) -> None:
        try:
            await body.read_all(10)
        except ClientGone:
            raise ValueError("a mistake of the client's") from None


class Page(Resource):
    """An ordinary resource of twisted.web."""

    isLeaf = True

    def render_GET(self, request: Request) -> bytes:
        return b"page " + b"/".join(request.postpath or [])

    def render_POST(self, request: Request) -> bytes:
        assert request.content is not None
        return b"%d %r" % (len(request.content.read()), sorted(request.args.items()))


@implementer(IBoundedResource)
class LargerPage(Page):
    max_body = 3 * 1024 * 1024


def test_a_resource_is_asked_when_the_head_is_in() -> None:
    resource = Recorder()
    connection = Connection(resource)
    connection.send(PUT % 6)
    assert resource.asked == [(b"PUT", b"/f")]
    connection.send(b"abc")
    assert resource.pieces == [b"abc"]
    assert connection.received() == b""
    connection.send(b"def")
    assert connection.received().endswith(b"\r\n\r\n6 bytes")


def test_head_body_and_end_in_one_piece() -> None:
    connection = Connection(Recorder())
    connection.send(PUT % 3 + b"abc")
    assert connection.received().endswith(b"\r\n\r\n3 bytes")


@pytest.mark.parametrize("cut", [1, 2, 3, 7, 50])
def test_a_chunked_body_arrives_however_it_is_cut(cut: int) -> None:
    resource = Recorder()
    connection = Connection(resource)
    wire = CHUNKED + b"3\r\nabc\r\n5;ext=1\r\ndefgh\r\n0\r\nTrailer: x\r\n\r\n"
    for start in range(0, len(wire), cut):
        connection.send(wire[start : start + cut])
    assert b"".join(resource.pieces) == b"abcdefgh"
    assert connection.received().endswith(b"\r\n\r\n8 bytes")


def test_tiny_chunks_of_one_packet_reach_the_reader_together() -> None:
    resource = Recorder()
    connection = Connection(resource)
    connection.send(CHUNKED)
    connection.send(b"1\r\nx\r\n" * 1000)
    assert resource.pieces == [b"x" * 1000]


def test_keep_alive_and_pipelining_work_after_an_upload() -> None:
    connection = Connection(Recorder())
    connection.send((PUT % 3 + b"abc") * 2 + b"GET /g HTTP/1.1\r\nHost: h\r\n\r\n")
    assert connection.received().count(b"HTTP/1.1 200") == 3
    connection.send(PUT % 2 + b"ab")
    assert connection.received().count(b"HTTP/1.1 200") == 1
    assert not connection.transport.disconnecting


@pytest.mark.parametrize(
    "pieces",
    [
        [PUT % 6, memoryview(b"abcdef")],
        [PUT % 6 + b"ab", memoryview(b"cd"), memoryview(b"ef")],
        [memoryview(PUT % 6 + b"abcdef")],
        [PUT % 6, b"abc", memoryview(b"def" + PUT % 6 + b"abcdef")],
        [memoryview(PUT[:9]), memoryview(PUT[9:] % 6), memoryview(b"abcdef")],
        [CHUNKED, memoryview(b"2\r\nab\r\n3\r\nc"), memoryview(b"de\r\n1\r\nf\r\n0\r\n\r\n")],
    ],
)
def test_a_body_may_come_in_views_of_what_tls_has_opened(pieces: list[bytes | memoryview]) -> None:
    recorder = Recorder()
    connection = Connection(recorder)
    for piece in pieces:
        connection.send(piece)
    count = len(recorder.asked)
    connection.send(memoryview(PUT % 2 + b"gh"))
    assert b"".join(recorder.pieces) == b"abcdef" * count + b"gh"
    assert connection.received().count(b"HTTP/1.1 200") == count + 1


def test_a_long_pipeline_does_not_recurse() -> None:
    connection = Connection(Recorder())
    connection.send(b"GET /g HTTP/1.1\r\nHost: h\r\n\r\n" * 2000)
    assert connection.received().count(b"HTTP/1.1 200") == 2000


def test_a_client_that_wants_to_speak_tls_is_turned_away_at_once() -> None:
    connection = Connection(Recorder())
    connection.send(b"\x16")
    assert connection.received().startswith(b"HTTP/1.1 400 ")
    assert connection.transport.disconnecting
    connection.send(b"\x03\x01\x02\x00\x01")
    assert connection.received() == b""


class TestBackPressure:
    def test_not_reading_pauses_the_connection(self) -> None:
        resource = Waiter()
        connection = Connection(resource)
        connection.send(PUT % (1 << 30))
        sent = 0
        while not connection.paused:
            connection.send(bytes(65536))
            sent += 65536
        assert sent <= 2 * HIGH_WATER
        resource.go.callback(None)
        assert not connection.paused
        assert resource.body.received == sent

    def test_a_paused_client_is_not_idle(self) -> None:
        resource = Waiter()
        connection = Connection(resource)
        connection.send(PUT % (1 << 20) + bytes(HIGH_WATER))
        assert connection.paused
        connection.clock.pump([30] * 100)
        assert not connection.transport.disconnecting
        resource.go.callback(None)
        connection.send(bytes((1 << 20) - HIGH_WATER))
        assert connection.received().endswith(b"done")

    def test_what_the_transport_resumes_stays_paused(self) -> None:
        resource = Waiter()
        connection = Connection(resource)
        connection.send(PUT % (1 << 20) + bytes(HIGH_WATER))
        connection.channel.resumeProducing()
        assert connection.paused

    def test_the_connection_is_heard_again_for_the_next_request(self) -> None:
        resource = Waiter()
        connection = Connection(resource)
        connection.send(PUT % HIGH_WATER)
        connection.send(bytes(HIGH_WATER))
        resource.go.callback(None)
        assert not connection.paused
        assert connection.received().endswith(b"done")


class TestExpect:
    HEAD = b"PUT /f HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n"

    def test_the_client_is_invited_when_the_body_is_read(self) -> None:
        resource = Waiter()
        connection = Connection(resource)
        connection.send(self.HEAD)
        assert connection.received() == b""
        resource.go.callback(None)
        assert connection.received() == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.send(b"abc")
        assert connection.received().startswith(b"HTTP/1.1 200")

    def test_a_refusal_comes_instead_of_the_invitation(self) -> None:
        connection = Connection(Refuser())
        connection.send(self.HEAD)
        wire = connection.received()
        assert wire.startswith(b"HTTP/1.1 413") and b"100 Continue" not in wire
        assert b"Connection: close" in wire

    def test_a_client_that_does_not_wait_is_not_invited(self) -> None:
        connection = Connection(Recorder())
        connection.send(self.HEAD + b"abc")
        assert b"100 Continue" not in connection.received()

    def test_http_1_0_is_not_invited(self) -> None:
        connection = Connection(Recorder())
        connection.send(self.HEAD.replace(b"1.1", b"1.0"))
        assert connection.received() == b""


class TestEarlyAnswer:
    def test_it_is_whole_while_the_client_still_sends(self) -> None:
        connection = Connection(Refuser())
        connection.send(PUT % (1 << 20) + b"abc")
        assert connection.received().endswith(b"\r\n\r\nno")
        assert connection.transport.half_closed and not connection.transport.disconnecting

    def test_the_rest_is_taken_and_then_the_connection_closed(self) -> None:
        connection = Connection(Refuser())
        connection.send(PUT % (1 << 20))
        connection.send(bytes(1 << 20))
        assert connection.transport.disconnecting and not connection.transport.aborted
        assert connection.received().count(b"HTTP/1.1") == 1

    def test_a_short_rest_keeps_the_connection(self) -> None:
        connection = Connection(Refuser())
        connection.send(PUT % 1000 + bytes(10))
        assert b"Connection: close" not in connection.received()
        connection.send(bytes(990) + PUT % 0)
        assert connection.received().startswith(b"HTTP/1.1 413")
        assert not connection.transport.half_closed

    def test_the_linger_is_bounded_in_bytes(self) -> None:
        connection = Connection(Refuser(), BodyLimits(linger_bytes=1 << 20))
        connection.send(PUT % (1 << 30))
        for _ in range(16):
            connection.send(bytes(65536))
        assert not connection.transport.aborted
        connection.send(b"x")
        assert connection.transport.aborted

    def test_the_linger_is_bounded_in_time(self) -> None:
        connection = Connection(Refuser(), BodyLimits(linger_seconds=7))
        connection.send(PUT % (1 << 30))
        connection.clock.advance(6.9)
        assert not connection.transport.aborted
        connection.clock.advance(0.2)
        assert connection.transport.aborted

    def test_a_client_that_leaves_during_the_linger_is_forgotten(self) -> None:
        connection = Connection(Refuser())
        connection.send(PUT % (1 << 30))
        connection.close()
        assert connection.clock.getDelayedCalls() == []
        assert not connection.site.transfers

    def test_a_resource_that_reads_on_after_writing_gets_the_rest(self) -> None:
        @implementer(IStreamingResource)
        class Talker(Resource):
            isLeaf = True

            async def respond(self, request: StreamingRequest, body: BodyStream) -> None:
                request.write(b"hello ")
                size = 0
                async for piece in body:
                    size += len(piece)
                request.write(b"%d" % size)

        connection = Connection(Talker())
        connection.send(PUT % 4 + b"ab")
        assert b"hello " in connection.received()
        connection.send(b"cd")
        assert connection.received() == b"1\r\n4\r\n0\r\n\r\n"


class TestEndings:
    def ending_of(self, connection: Connection, resource: Recorder) -> BaseException:
        (error,) = resource.errors
        assert not connection.site.transfers
        return error

    def test_client_gone(self) -> None:
        resource = Recorder()
        connection = Connection(resource)
        connection.send(PUT % 6 + b"abc")
        connection.cut()
        error = self.ending_of(connection, resource)
        assert type(error) is ClientGone and error.received == 3

    def test_no_mishap_once_the_client_has_gone(self) -> None:
        # If it were one, it would be logged, which every test minds.
        connection = Connection(Grumbler())
        connection.site.is_mishap = lambda error: not isinstance(error, ValueError)
        connection.send(PUT % 6 + b"abc")
        connection.cut()
        assert not connection.site.transfers

    def test_shorter_than_announced(self) -> None:
        resource = Recorder()
        connection = Connection(resource)
        connection.send(PUT % 6 + b"abc")
        connection.close()
        error = self.ending_of(connection, resource)
        assert type(error) is BodyTruncated and "3 of the 6 bytes" in str(error)

    def test_last_chunk_missing(self) -> None:
        resource = Recorder()
        connection = Connection(resource)
        connection.send(CHUNKED + b"3\r\nabc\r\n")
        connection.close()
        assert type(self.ending_of(connection, resource)) is BodyTruncated

    def test_broken_chunk(self) -> None:
        resource = Recorder()
        connection = Connection(resource)
        connection.send(CHUNKED + b"3\r\nabc\r\nzz\r\n")
        assert type(resource.errors[0]) is BodyMalformed
        wire = connection.received()
        assert wire.startswith(b"HTTP/1.1 400") and b"chunked" in wire
        connection.send(b"more of it" * 1000)
        assert connection.received() == b""
        connection.close()
        self.ending_of(connection, resource)

    def test_silence(self) -> None:
        resource = Recorder()
        connection = Connection(resource, BodyLimits(idle_timeout=60))
        connection.send(PUT % 6)
        connection.clock.advance(59)
        connection.send(b"a")
        connection.clock.advance(59)
        assert not resource.errors
        connection.clock.advance(1.5)
        assert type(resource.errors[0]) is ClientIdle
        assert connection.received().startswith(b"HTTP/1.1 408")

    def test_time_over(self) -> None:
        resource = Recorder()
        connection = Connection(resource, BodyLimits(deadline=100))
        connection.send(PUT % 6)
        for _ in range(4):
            connection.clock.advance(24)
            connection.send(b"a")
        assert not resource.errors
        connection.clock.advance(5)
        assert type(resource.errors[0]) is BodyOverdue

    def test_too_long_by_announcement(self) -> None:
        @implementer(IStreamingResource)
        class Bounded(Recorder):
            async def respond(self, request: StreamingRequest, body: BodyStream) -> None:
                try:
                    body.limit_to(5)
                except BodyTooLong as error:
                    self.errors.append(error)
                    raise
                await super().respond(request, body)

        resource = Bounded()
        connection = Connection(resource)
        connection.send(PUT % 6)
        assert "6 bytes long" in str(resource.errors[0])
        resource = Bounded()
        connection = Connection(resource)
        connection.send(CHUNKED + b"4\r\nabcd\r\n")
        assert not resource.errors
        connection.send(b"4\r\nabcd\r\n")
        assert type(resource.errors[0]) is BodyTooLong

    def test_node_stopping(self) -> None:
        resource = Recorder()
        connection = Connection(resource)
        connection.send(PUT % 6 + b"abc")
        (request,) = connection.site.transfers
        request.stop()
        assert type(resource.errors[0]) is NodeStopping
        assert connection.received().startswith(b"HTTP/1.1 503")

    def test_the_first_ending_counts(self) -> None:
        resource = Recorder()
        connection = Connection(resource)
        connection.send(PUT % 6 + b"abc")
        (request,) = connection.site.transfers
        request.stop()
        connection.cut()
        (error,) = resource.errors
        assert type(error) is NodeStopping

    def test_later_reads_fail_alike(self) -> None:
        resource = Waiter()
        connection = Connection(resource)
        connection.send(PUT % 6 + b"abc")
        connection.cut()
        received, failures = list[Piece](), []
        resource.body.read().addCallback(received.append)
        assert received == [b"abc"]
        for _ in range(2):
            resource.body.read().addErrback(lambda failure: failures.append(failure.value))
        resource.go.callback(None)
        assert failures[0] is failures[1] is resource.body.error

    def test_after_the_body_the_work_is_cancelled(self) -> None:
        resource = Waiter()
        connection = Connection(resource)
        connection.send(PUT % 3 + b"abc")
        connection.cut()
        assert resource.cancelled
        assert not connection.site.transfers


class TestOrdinaryResources:
    def test_they_work_as_always(self) -> None:
        root = Resource()
        root.putChild(b"page", Page())
        connection = Connection(root)
        connection.send(b"GET /page/a/b HTTP/1.1\r\nHost: h\r\n\r\n")
        assert connection.received().endswith(b"page a/b")
        body = b"x=1&y=2"
        connection.send(
            b"POST /page?z=3 HTTP/1.1\r\nHost: h\r\nContent-Type: application/x-www-form-urlencoded\r\n"
            b"Content-Length: %d\r\n\r\n" % len(body)
        )
        connection.send(body)
        assert connection.received().endswith(b"7 [(b'x', [b'1']), (b'y', [b'2']), (b'z', [b'3'])]")

    def test_their_body_is_bounded_by_announcement(self) -> None:
        connection = Connection(Page())
        connection.send(b"POST /p HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n" % (1024 * 1024 + 1))
        assert connection.received().startswith(b"HTTP/1.1 413")

    def test_their_body_is_bounded_as_it_comes(self) -> None:
        connection = Connection(Page())
        connection.send(b"POST /p HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n")
        for _ in range(16):
            connection.send(b"10000\r\n" + bytes(65536) + b"\r\n")
        assert connection.received() == b""
        connection.send(b"1\r\nx\r\n")
        assert connection.received().startswith(b"HTTP/1.1 413")

    def test_they_may_say_more(self) -> None:
        connection = Connection(LargerPage())
        connection.send(b"POST /p HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n" % (2 * 1024 * 1024))
        connection.send(bytes(2 * 1024 * 1024))
        assert connection.received().endswith(b"2097152 []")

    def test_they_may_answer_later(self) -> None:
        class Later(Resource):
            isLeaf = True

            def render_GET(self, request: Request) -> int:
                self.request = request
                return NOT_DONE_YET

        resource = Later()
        connection = Connection(resource)
        connection.send(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
        resource.request.write(b"at last")
        resource.request.finish()
        assert b"at last" in connection.received()


def test_a_resource_that_fails_is_answered_by_the_site() -> None:
    @implementer(IStreamingResource)
    class Broken(Resource):
        isLeaf = True

        async def respond(self, request: StreamingRequest, body: BodyStream) -> None:
            raise ZeroDivisionError

    seen = []

    def failed(request: StreamingRequest, failure: Failure) -> None:
        seen.append(failure.type)
        answer(request, 500, b"sorry")

    connection = Connection(Broken())
    connection.site.failed = failed
    connection.send(PUT % 0)
    assert seen == [ZeroDivisionError]
    assert connection.received().endswith(b"sorry")


def test_http_2_is_offered_by_sites_that_speak_it() -> None:
    site = Connection(Recorder()).site
    assert site.acceptableProtocols() == [b"h2", b"http/1.1"]
    site.speaks_http2 = False
    assert site.acceptableProtocols() == [b"http/1.1"]


def test_http_1_1_without_host_is_refused() -> None:
    connection = Connection(Recorder())
    connection.send(b"GET / HTTP/1.1\r\n\r\n")
    assert connection.received().startswith(b"HTTP/1.1 400")


class TestLettingGo:
    @pytest.mark.parametrize("path", [b"/f", b"/refused"])
    def test_an_answered_request_is_let_go_while_its_connection_lasts(self, path: bytes) -> None:
        resource = Forgetter()
        connection = Connection(resource)
        with without_collector():
            for _ in range(3):
                connection.send(PUT.replace(b"/f", path) % 6 + b"abcdef")
            assert [asked() for asked in resource.asked[:2]] == [None, None]
        assert connection.received().count(b"HTTP/1.1 ") == 3

    def test_what_was_at_hand_when_a_body_broke_off_is_let_go(self) -> None:
        @implementer(IStreamingResource)
        class Holder(Resource):
            isLeaf = True
            held: weakref.ref[Forgetter]

            async def respond(self, request: StreamingRequest, body: BodyStream) -> None:
                something = Forgetter()
                self.held = weakref.ref(something)
                try:
                    async for _ in body:
                        pass
                except BodyError as error:
                    raise ClientGone("it told another one") from error

        resource = Holder()
        connection = Connection(resource)
        connection.send(PUT % 6 + b"abc")
        assert resource.held() is not None
        with without_collector():
            connection.close()
            assert resource.held() is None


@pytest.mark.parametrize(
    "line",
    [
        b"200 OK",
        b"207 Multi-Status",
        b"422 Unprocessable",
        b"423 Locked",
        b"424 Failed Dependency",
        b"429 Too Many Requests",
        b"507 Insufficient Storage",
        b"499 Unknown Status",
    ],
)
def test_a_status_is_called_as_it_is_called(line: bytes) -> None:
    connection = Connection(Teller())
    connection.send(b"GET /%s HTTP/1.1\r\nHost: h\r\n\r\n" % line[:3])
    assert connection.received().startswith(b"HTTP/1.1 %s" % line)
