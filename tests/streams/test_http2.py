"""HTTP/2 in memory: every situation that a stream or its connection can bring, frame by frame and second by second."""

from __future__ import annotations

import pytest
from h2.errors import ErrorCodes
from h2.settings import SettingCodes
from hyperframe.frame import (
    DataFrame,
    Frame,
    GoAwayFrame,
    HeadersFrame,
    PingFrame,
    PriorityFrame,
    RstStreamFrame,
    SettingsFrame,
)
from twisted.internet.defer import CancelledError, Deferred
from twisted.web.resource import Resource

from tahoeish.streams.body import HIGH_WATER, BodyMalformed, BodyStream, BodyTruncated, ClientGone, ClientIdle
from tahoeish.streams.http2 import AT_ONCE, CONNECTION_WINDOW, MAX_HEADERS, MAX_STREAMS, TalkAllowance
from tahoeish.streams.http2_stream import FULL, INITIAL_WINDOW, LINGER_SECONDS
from tahoeish.streams.request import LARGEST_WINDOW, StreamingRequest
from tahoeish.streams.response import PIECE
from tests.streams.http2_client import MemoryClient
from tests.streams.resources import MIB, Breaker, Fountain, Holder, Page, Talker
from tests.streams.wire import Connection, Recorder, Refuser


def raw(*frames: Frame) -> bytes:
    return b"".join(frame.serialize() for frame in frames)


def busy(client: MemoryClient) -> bool:
    """It would do something more at once, without anything having come."""
    return any(call.getTime() <= client.clock.seconds() for call in client.clock.getDelayedCalls())


class TestRequests:
    def test_a_resource_is_asked_when_the_head_is_in(self) -> None:
        resource = Recorder()
        client = MemoryClient(resource)
        number = client.begin("PUT", "/f", [("content-length", "6")])
        client.swap()
        assert resource.asked == [(b"PUT", b"/f")]
        client.send(number, b"abc")
        client.swap()
        assert resource.pieces == [b"abc"] and not client.answers[number].status
        client.send(number, b"def", ended=True)
        client.swap()
        assert client.answers[number].body == b"6 bytes" and client.answers[number].whole

    @pytest.mark.parametrize("fields", [[], [("content-length", "3")]])
    def test_head_body_and_end_in_one_piece(self, fields: list[tuple[str, str]]) -> None:
        assert MemoryClient(Recorder()).ask("PUT", "/f", b"abc", fields).body == b"3 bytes"

    def test_an_ordinary_resource_works_as_ever(self) -> None:
        client = MemoryClient(Page())
        assert client.ask("GET", "/a/b").body == b"page a/b"
        assert client.ask("POST", "/", b"x" * 1000).body == b"1000 b'h'"

    def test_a_response_without_a_body_is_whole(self) -> None:
        client = MemoryClient(Page())
        assert client.ask("DELETE", "/").whole
        head = client.ask("HEAD", "/a")
        assert head.whole and head.status == 200 and head.fields["content-length"] == "6" and not head.body

    def test_nothing_is_left_of_a_request(self) -> None:
        client = MemoryClient(Recorder())
        client.ask("PUT", "/f", b"abc")
        assert not client.connection.streams and not client.site.transfers
        client.pass_time(100)
        assert not client.clock.getDelayedCalls()


class TestFlowOfBodies:
    def test_a_body_that_nobody_reads_fills_its_own_window_only(self) -> None:
        client = MemoryClient(Holder())
        stuck = client.begin("PUT", "/stuck", [("content-length", str(100 * MIB))])
        assert client.send(stuck, bytes(MIB)) == INITIAL_WINDOW
        client.swap()
        assert client.room(stuck) == 0
        read = client.begin("PUT", "/read", [("content-length", str(20 * MIB))])
        left = 20 * MIB
        while left:
            left -= client.send(read, bytes(left), ended=True)
            client.swap()
        assert client.answers[read].body == b"%d" % (20 * MIB)
        assert client.room(stuck) == 0

    def test_what_all_stuck_streams_hold_leaves_room_for_others(self) -> None:
        client = MemoryClient(Holder())
        client.swap()
        for number in range(MAX_STREAMS - 1):
            stuck = client.begin("PUT", f"/{number}")
            assert client.send(stuck, bytes(MIB)) == INITIAL_WINDOW
            client.swap()
        assert client.ask("PUT", "/read", bytes(INITIAL_WINDOW)).body == b"%d" % INITIAL_WINDOW

    def test_reading_opens_the_window_and_makes_it_larger(self) -> None:
        resource = Holder()
        client = MemoryClient(resource)
        number = client.begin("PUT", "/f", [("content-length", str(100 * MIB))])
        client.send(number, bytes(MIB))
        client.swap()
        assert client.room(number) == 0
        resource.go[b"/f"].callback(None)
        client.swap()
        assert client.room(number) == LARGEST_WINDOW

    def test_a_reader_that_stops_closes_the_window_again(self) -> None:
        resource = Holder()
        client = MemoryClient(resource)
        number = client.begin("PUT", "/read-and-wait", [("content-length", "10")])
        stopped = client.begin("PUT", "/f")
        client.swap()
        body = resource.bodies[b"/f"]
        body.read()
        held = 0
        while room := client.send(stopped, bytes(MIB)):
            held += room
            client.swap()
        assert held <= INITIAL_WINDOW + LARGEST_WINDOW + HIGH_WATER
        assert client.room(number) == INITIAL_WINDOW

    def test_the_more_bodies_the_smaller_their_windows(self) -> None:
        client = MemoryClient(Holder())
        numbers = [client.begin("PUT", f"/read{number}") for number in range(90)]
        client.swap()
        assert client.h2.streams[numbers[-1]].outbound_flow_control_window < LARGEST_WINDOW // 4

    def test_a_small_body_costs_no_frame_of_its_own(self) -> None:
        client = MemoryClient(Recorder())
        number = client.begin("PUT", "/f", [("content-length", "60000")])
        client.send(number, bytes(30000))
        client.swap()
        assert client.room(number) == INITIAL_WINDOW - 30000

    def test_the_window_never_opens_beyond_the_end(self) -> None:
        client = MemoryClient(Recorder())
        number = client.begin("PUT", "/f", [("content-length", "100000")])
        client.send(number, bytes(INITIAL_WINDOW))
        client.swap()
        assert client.room(number) == 100000 - INITIAL_WINDOW

    def test_a_paused_client_is_not_idle(self) -> None:
        resource = Holder()
        client = MemoryClient(resource)
        number = client.begin("PUT", "/f")
        client.send(number, bytes(MIB))
        client.swap()
        client.pass_time(1000)
        assert not client.answers[number].over and client.farewell is None
        resource.go[b"/f"].callback(None)
        client.swap()
        client.send(number, b"", ended=True)
        client.swap()
        assert client.answers[number].body == b"%d" % INITIAL_WINDOW

    def test_a_client_that_sends_nothing_is_told_so(self) -> None:
        resource = Recorder()
        client = MemoryClient(resource)
        number = client.begin("PUT", "/f")
        client.swap()
        client.pass_time(61)
        assert isinstance(resource.errors[0], ClientIdle)
        assert client.answers[number].status == 408 and client.answers[number].whole
        assert client.farewell is None


class TestEndings:
    def test_an_early_answer_stops_its_stream_and_no_other(self) -> None:
        root = Resource()
        root.putChild(b"refused", Refuser())
        root.putChild(b"read", Holder())
        client = MemoryClient(root)
        other = client.begin("PUT", "/read")
        client.send(other, b"abc")
        refused = client.begin("PUT", "/refused", [("content-length", str(MIB))])
        client.swap()
        answered = client.answers[refused]
        assert answered.status == 413 and answered.body == b"no" and answered.whole
        assert answered.reset is None, "before the client has had a moment to look at it"
        client.pass_time(LINGER_SECONDS)
        assert answered.reset == ErrorCodes.NO_ERROR
        client.send(other, b"def", ended=True)
        client.swap()
        assert client.answers[other].body == b"6"

    def test_what_comes_late_for_an_answered_stream_is_dropped(self) -> None:
        root = Resource()
        root.putChild(b"refused", Refuser())
        root.putChild(b"read", Holder())
        client = MemoryClient(root)
        client.swap()
        # More than the connection's window altogether, which has to be given back for these bytes, too.
        for _ in range(2 * CONNECTION_WINDOW // INITIAL_WINDOW):
            number = client.begin("PUT", "/refused")
            client.connection.dataReceived(client.h2.data_to_send())
            # The client hasn't heard of it yet: half of the body comes before the reset, half after it.
            client.send(number, bytes(INITIAL_WINDOW // 2))
            client.connection.dataReceived(client.h2.data_to_send())
            client.clock.advance(LINGER_SECONDS)
            client.send(number, bytes(INITIAL_WINDOW // 2))
            client.swap()
            assert client.answers[number].status == 413
        assert client.ask("PUT", "/read", bytes(INITIAL_WINDOW)).body == b"%d" % INITIAL_WINDOW
        assert client.farewell is None

    def test_a_client_that_ends_what_was_answered_has_nothing_reset(self) -> None:
        client = MemoryClient(Refuser())
        number = client.begin("PUT", "/f")
        client.swap()
        client.send(number, b"abc", ended=True)
        client.swap()
        client.pass_time(2 * LINGER_SECONDS)
        assert client.answers[number].whole and client.answers[number].reset is None
        assert not client.connection.streams and not client.site.transfers

    def test_the_client_resets_in_the_middle_of_a_body(self) -> None:
        resource = Holder()
        client = MemoryClient(resource)
        number, other = client.begin("PUT", "/read"), client.begin("PUT", "/read-other")
        client.send(number, bytes(1000))
        client.swap()
        client.h2.reset_stream(number, ErrorCodes.CANCEL)
        client.swap()
        assert isinstance(resource.errors[b"/read"], ClientGone)
        assert len(client.site.transfers) == 1
        client.send(other, b"abc", ended=True)
        client.swap()
        assert client.answers[other].body == b"3"

    def test_a_reset_while_it_is_processed_cancels_the_work(self) -> None:
        resource = Holder()
        client = MemoryClient(resource)
        number = client.begin("PUT", "/read-and-wait")
        client.send(number, b"abc", ended=True)
        client.swap()
        client.h2.reset_stream(number, ErrorCodes.CANCEL)
        client.swap()
        assert isinstance(resource.errors[b"/read-and-wait"], CancelledError)
        assert not client.site.transfers

    def test_a_reset_of_a_paused_body_calls_nobody_back(self) -> None:
        resource = Holder()
        client = MemoryClient(resource)
        number = client.begin("PUT", "/f")
        client.send(number, bytes(MIB))
        client.swap()
        client.h2.reset_stream(number)
        client.swap()
        resource.go[b"/f"].callback(None)
        client.swap()
        assert isinstance(resource.errors[b"/f"], ClientGone)
        assert client.ask("PUT", "/read", b"abc").body == b"3"

    def test_a_request_that_is_reset_at_once_is_never_begun(self) -> None:
        resource = Recorder()
        client = MemoryClient(resource)
        client.swap()
        number = client.begin("PUT", "/f")
        client.h2.reset_stream(number)
        client.swap()
        assert resource.asked == [] and not client.site.transfers and not client.connection.streams

    @pytest.mark.parametrize(("announced", "error"), [(4, BodyTruncated), (2, BodyMalformed), (0, BodyMalformed)])
    def test_another_length_than_announced_is_an_error_of_the_request_alone(
        self, announced: int, error: type[Exception]
    ) -> None:
        resource = Recorder()
        client = MemoryClient(resource)
        number = client.begin("PUT", "/f", [("content-length", str(announced))])
        client.h2.streams[number]._track_content_length = lambda *_: None  # type: ignore[method-assign]
        client.send(number, b"abc", ended=True)
        client.swap()
        assert client.answers[number].status == 400
        assert isinstance(resource.errors[0], error)
        assert client.farewell is None and client.ask("GET", "/f").status == 200

    def test_a_head_that_announces_a_body_and_ends(self) -> None:
        resource = Recorder()
        client = MemoryClient(resource)
        number = client.begin("PUT", "/f", [("content-length", "3")], ended=True)
        client.swap()
        assert client.answers[number].status == 400 and isinstance(resource.errors[0], BodyTruncated)

    def test_a_response_that_breaks_off_is_not_taken_for_whole(self) -> None:
        client = MemoryClient(Breaker())
        broken = client.ask("GET", "/")
        assert broken.status == 200 and not broken.whole and broken.reset == ErrorCodes.INTERNAL_ERROR
        client.swap()
        assert not client.site.transfers
        assert client.ask("GET", "/").status == 200, "the connection lives on"

    def test_a_lost_connection_ends_all_its_requests(self) -> None:
        resource = Holder()
        client = MemoryClient(resource)
        for number in range(3):
            client.send(client.begin("PUT", f"/read{number}"), b"abc")
        client.swap()
        assert client.site.connections == 1
        client.connection.connectionLost()
        assert len(resource.errors) == 3 and not client.site.transfers and client.site.connections == 0

    def test_a_client_that_says_goodbye_is_let_go(self) -> None:
        resource = Holder()
        client = MemoryClient(resource)
        client.begin("PUT", "/read")
        client.swap()
        client.h2.close_connection()
        client.swap()
        assert isinstance(resource.errors[b"/read"], ClientGone)
        assert client.transport.disconnecting and not client.site.transfers


class TestBetweenHeadAndAnswer:
    def test_trailers_are_there_when_the_body_is_read(self) -> None:
        client = MemoryClient(Talker())
        number = client.begin("PUT", "/f")
        client.send(number, b"abc")
        client.h2.send_headers(number, [("content-md5", "x"), ("x-more", "y")], end_stream=True)
        client.swap()
        assert client.answers[number].body == b"[(b'Content-MD5', [b'x']), (b'X-More', [b'y'])]"

    def test_interim_responses_come_before_the_last_one_and_never_after(self) -> None:
        client = MemoryClient(Talker())
        number = client.begin("PUT", "/f")
        client.swap()
        assert [(said[":status"], said["upload-offset"]) for said in client.answers[number].interim] == [("104", "0")]
        client.send(number, b"abc", ended=True)
        client.swap()
        assert [said["upload-offset"] for said in client.answers[number].interim] == ["0", "3"]
        assert client.answers[number].status == 200

    def test_who_waits_for_100_is_told_when_the_body_is_wanted(self) -> None:
        resource = Holder()
        client = MemoryClient(resource)
        number = client.begin("PUT", "/f", [("expect", "100-continue")])
        client.swap()
        assert client.answers[number].interim == []
        resource.go[b"/f"].callback(None)
        client.swap()
        assert [said[":status"] for said in client.answers[number].interim] == ["100"]

    def test_who_waits_for_100_can_be_refused(self) -> None:
        client = MemoryClient(Refuser())
        number = client.begin("PUT", "/f", [("expect", "100-continue")])
        client.swap()
        assert client.answers[number].interim == [] and client.answers[number].status == 413

    def test_the_same_in_http_1_1(self) -> None:
        connection = Connection(Talker())
        head = b"PUT /f HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
        connection.send(head + b"3\r\nabc\r\n0\r\nContent-MD5: x\r\nX-More: y\r\n\r\n")
        received = connection.received()
        assert received.startswith(
            b"HTTP/1.1 104 Upload Resumption Supported\r\nUpload-Offset: 0\r\nLocation: /here\r\n\r\n"
            b"HTTP/1.1 104 Upload Resumption Supported\r\nUpload-Offset: 3\r\n\r\nHTTP/1.1 200 OK\r\n"
        )
        assert received.endswith(b"[(b'Content-MD5', [b'x']), (b'X-More', [b'y'])]") and b"too late" not in received

    def test_http_1_0_is_told_nothing_before_the_response(self) -> None:
        connection = Connection(Talker())
        connection.send(b"PUT /f HTTP/1.0\r\nContent-Length: 3\r\n\r\nabc")
        assert connection.received().startswith(b"HTTP/1.0 200 OK\r\n")


class TestTime:
    def test_processing_may_take_as_long_as_it_likes(self) -> None:
        resource = Holder()
        client = MemoryClient(resource)
        number = client.begin("PUT", "/read-and-wait")
        client.send(number, b"abc", ended=True)
        client.swap()
        client.pass_time(10_000)
        resource.go[b"/read-and-wait"].callback(None)
        client.swap()
        assert client.answers[number].body == b"3" and client.farewell is None

    def test_a_connection_without_streams_ends_when_it_has_been_idle(self) -> None:
        client = MemoryClient(Recorder())
        client.ask("PUT", "/f", b"abc")
        client.pass_time(59)
        assert client.farewell is None
        client.pass_time(2)
        assert client.farewell is not None and client.farewell.error_code == ErrorCodes.NO_ERROR
        assert client.transport.disconnecting
        client.pass_time(16)
        assert client.transport.aborted, "if it doesn't go by itself"

    def test_a_client_that_takes_no_end_of_a_response_is_given_up(self) -> None:
        client = MemoryClient(Page())
        client.drinks = False
        client.h2.update_settings({SettingCodes.INITIAL_WINDOW_SIZE: 2})
        client.swap()
        number = client.begin("GET", "/", ended=True)
        client.swap()
        assert client.answers[number].body == b"pa" and not client.answers[number].over
        client.pass_time(61)
        assert client.answers[number].reset == ErrorCodes.INTERNAL_ERROR and not client.site.transfers


class TestResponses:
    def test_a_large_one_waits_for_the_window_of_its_client(self) -> None:
        resource = Fountain()
        client = MemoryClient(resource)
        client.drinks = False
        number = client.begin("GET", f"/a/{100 * MIB}", ended=True)
        client.swap()
        assert len(client.answers[number].body) == INITIAL_WINDOW
        assert resource.written[b"/a"] <= INITIAL_WINDOW + FULL + PIECE
        assert not busy(client), "it waits without doing anything"
        client.h2.increment_flow_control_window(10 * MIB)
        client.h2.increment_flow_control_window(10 * MIB, number)
        client.swap()
        assert len(client.answers[number].body) == INITIAL_WINDOW + 10 * MIB
        assert resource.written[b"/a"] <= INITIAL_WINDOW + 10 * MIB + FULL + PIECE

    def test_a_huge_window_is_no_huge_buffer(self) -> None:
        resource = Fountain()
        client = MemoryClient(resource)
        client.h2.update_settings({SettingCodes.INITIAL_WINDOW_SIZE: 2**31 - 1})
        client.h2.increment_flow_control_window(2**30)
        client.swap()
        client.connection.pauseProducing()
        client.begin("GET", f"/a/{100 * MIB}", ended=True)
        client.swap()
        assert resource.written[b"/a"] <= FULL + PIECE, "the client's socket takes nothing"
        client.connection.resumeProducing()
        client.swap()
        assert resource.ended == [b"/a"]

    def test_what_one_stream_may_send_more_by_new_settings_is_sent(self) -> None:
        client = MemoryClient(Page())
        client.h2.update_settings({SettingCodes.INITIAL_WINDOW_SIZE: 0})
        client.swap()
        number = client.begin("GET", "/", ended=True)
        client.swap()
        assert client.answers[number].status == 200 and not client.answers[number].body
        client.h2.update_settings({SettingCodes.INITIAL_WINDOW_SIZE: 1000})
        client.swap()
        assert client.answers[number].body == b"page " and client.answers[number].whole

    def test_a_window_that_has_become_negative_only_delays(self) -> None:
        client = MemoryClient(Fountain())
        client.drinks = False
        number = client.begin("GET", f"/a/{MIB}", ended=True)
        client.swap()
        client.h2.update_settings({SettingCodes.INITIAL_WINDOW_SIZE: 10})
        client.swap()
        assert not busy(client)
        client.h2.increment_flow_control_window(2 * MIB)
        client.h2.increment_flow_control_window(2 * MIB, number)
        client.swap()
        assert len(client.answers[number].body) == MIB and client.answers[number].whole

    def test_downloads_share_the_connection_fairly(self) -> None:
        client = MemoryClient(Fountain())
        client.h2.update_settings({SettingCodes.INITIAL_WINDOW_SIZE: 100 * MIB})
        client.swap()
        # The connection is narrower than any of them.
        client.drinks = False
        numbers = [client.begin("GET", f"/{name}/{10 * MIB}", ended=True) for name in "abcd"]
        client.swap()
        before = [len(client.answers[number].body) for number in numbers]
        for _ in range(64):
            client.h2.increment_flow_control_window(AT_ONCE)
            client.swap()
        sizes = [len(client.answers[number].body) - had for number, had in zip(numbers, before, strict=True)]
        assert max(sizes) - min(sizes) <= AT_ONCE and min(sizes) > MIB

    def test_a_stream_whose_client_is_slow_holds_up_no_other(self) -> None:
        resource = Fountain()
        client = MemoryClient(resource)
        client.drinks = False
        client.begin("GET", f"/slow/{10 * MIB}", ended=True)
        client.swap()
        client.h2.increment_flow_control_window(10 * MIB)
        number = client.begin("GET", f"/quick/{MIB}", ended=True)
        client.h2.increment_flow_control_window(10 * MIB, number)
        client.swap()
        assert resource.ended == [b"/quick"] and len(client.answers[number].body) == MIB

    def test_a_reset_stops_a_download(self) -> None:
        resource = Fountain()
        client = MemoryClient(resource)
        client.drinks = False
        number = client.begin("GET", f"/a/{100 * MIB}", ended=True)
        client.swap()
        client.h2.reset_stream(number)
        client.swap()
        assert not client.site.transfers and not client.connection.streams
        client.drinks = True
        client.h2.increment_flow_control_window(MIB)
        assert len(client.ask("GET", f"/b/{MIB}").body) == MIB


class TestRetiring:
    def test_what_has_been_asked_is_answered_and_no_more(self) -> None:
        resource = Holder()
        client = MemoryClient(resource)
        number = client.begin("PUT", "/read")
        client.send(number, b"abc")
        client.swap()
        # h2's own client takes nothing more after a GOAWAY, so this one is read by hand.
        client.site.retire()
        late = client.begin("PUT", "/read-late", ended=True)
        client.send(number, b"def", ended=True)
        client.connection.dataReceived(client.h2.data_to_send())
        client.clock.advance(0)
        frames = list(parsed(client.transport.value()))
        assert isinstance(frames[0], GoAwayFrame)
        assert [(frame.stream_id, frame.error_code) for frame in frames if isinstance(frame, RstStreamFrame)] == [
            (late, ErrorCodes.REFUSED_STREAM)
        ]
        assert b"".join(frame.data for frame in frames if isinstance(frame, DataFrame)) == b"6"
        assert b"/read-late" not in resource.bodies
        assert client.transport.disconnecting

    def test_a_request_that_comes_late_and_is_reset_at_once_harms_nobody(self) -> None:
        resource = Holder()
        client = MemoryClient(resource)
        client.begin("PUT", "/read")
        client.swap()
        client.site.retire()
        client.h2.reset_stream(client.begin("PUT", "/read-late"))
        client.connection.dataReceived(client.h2.data_to_send())
        assert not client.transport.disconnecting and len(client.site.transfers) == 1

    def test_an_idle_connection_ends_at_once(self) -> None:
        client = MemoryClient(Recorder())
        client.site.retire()
        client.swap()
        assert client.farewell is not None and client.transport.disconnecting


class TestFloods:
    """What a client may do for little money, and what it costs."""

    @pytest.mark.parametrize(
        "frame",
        [
            PingFrame(0, b"12345678"),
            SettingsFrame(0, {SettingCodes.HEADER_TABLE_SIZE: 0}),
            PriorityFrame(1, stream_weight=3),
            DataFrame(1, b""),
        ],
        ids=lambda frame: type(frame).__name__,
    )
    def test_too_much_idle_talk_ends_the_connection(self, frame: Frame) -> None:
        client = MemoryClient(Holder())
        client.begin("PUT", "/read")
        client.swap()
        for _ in range(2 * TalkAllowance.MOST // 100):
            if client.farewell is None:
                client.connection.dataReceived(raw(frame) * 100)
                client.swap()
        assert client.farewell is not None and client.farewell.error_code == ErrorCodes.ENHANCE_YOUR_CALM
        assert client.transport.disconnecting and not client.site.transfers

    def test_a_ping_now_and_then_is_answered_for_ever(self) -> None:
        client = MemoryClient(Holder())
        client.begin("PUT", "/f")
        for _ in range(3 * TalkAllowance.MOST):
            client.h2.ping(b"12345678")
            client.swap()
            client.clock.advance(0.1)
        assert client.farewell is None

    def test_who_gets_content_may_open_windows_as_often(self) -> None:
        client = MemoryClient(Fountain())
        client.drinks = False
        number = client.begin("GET", f"/a/{20 * MIB}", ended=True)
        client.swap()
        while not client.answers[number].over:
            client.h2.increment_flow_control_window(8192)
            client.h2.increment_flow_control_window(8192, number)
            client.swap()
        assert client.answers[number].whole

    def test_rapid_resets_end_the_connection(self) -> None:
        resource = Holder()
        client = MemoryClient(resource)
        client.swap()
        for _ in range(1100):
            if client.farewell is None:
                number = client.begin("PUT", "/f")
                client.h2.reset_stream(number)
                client.swap()
        assert client.farewell is not None and client.farewell.error_code == ErrorCodes.ENHANCE_YOUR_CALM
        assert resource.bodies == {}

    def test_requests_that_are_still_being_undone_are_bounded(self) -> None:
        class Slow(Holder):
            """Takes its time to clean up."""

            async def respond(self, request: StreamingRequest, body: BodyStream) -> None:
                try:
                    await super().respond(request, body)
                finally:
                    await Deferred()

        client = MemoryClient(Slow())
        client.swap()
        for _ in range(2 * MAX_STREAMS):
            number = client.begin("PUT", "/read")
            client.swap()
            if not client.answers[number].over:
                client.h2.reset_stream(number)
                client.swap()
        assert client.answers[number].reset == ErrorCodes.REFUSED_STREAM
        assert len(client.site.transfers) == MAX_STREAMS

    def test_a_client_that_reads_nothing_gets_only_so_much_said(self) -> None:
        client = MemoryClient(Holder())
        client.begin("PUT", "/f")
        client.swap()
        client.connection.pauseProducing()
        for _ in range(100):
            client.connection.dataReceived(raw(RstStreamFrame(1, 8)))
            client.clock.advance(1)
        assert sum(map(len, client.connection._bufferedControlFrames)) < 300 * 1024

    def test_a_head_that_is_too_large_is_refused(self) -> None:
        client = MemoryClient(Recorder())
        client.swap()
        client.begin("GET", "/", [(f"x-{number}", "y" * 1000) for number in range(2 * MAX_HEADERS // 1000)], ended=True)
        client.swap()
        assert client.farewell is not None and client.farewell.error_code == ErrorCodes.ENHANCE_YOUR_CALM


class TestSmuggling:
    """What would mean something else to whoever takes the request for one of HTTP/1.1."""

    @pytest.mark.parametrize(
        "field",
        [
            ("transfer-encoding", "chunked"),
            ("connection", "close"),
            ("upgrade", "h2c"),
            ("Upper", "case"),
            ("x-a", "b\r\nx-c: d"),
            ("x a", "b"),
            (":path", "/other"),
            ("content-length", "+3"),
            ("host", "another"),
        ],
        ids=lambda field: field[0],
    )
    def test_a_head_that_is_none_is_refused(self, field: tuple[str, str]) -> None:
        resource = Recorder()
        client = MemoryClient(resource)
        client.swap()
        head = [(":method", "PUT"), (":scheme", "https"), (":authority", "h"), (":path", "/f"), field]
        block = client.h2.encoder.encode(head)
        client.connection.dataReceived(raw(HeadersFrame(1, block, flags=["END_HEADERS", "END_STREAM"])))
        client.swap()
        assert resource.asked == []
        assert client.farewell is not None and client.farewell.error_code == ErrorCodes.PROTOCOL_ERROR

    def test_connect_names_no_address_of_ours(self) -> None:
        resource = Recorder()
        client = MemoryClient(resource)
        client.swap()
        block = client.h2.encoder.encode([(":method", "CONNECT"), (":authority", "elsewhere:80")])
        client.connection.dataReceived(raw(HeadersFrame(1, block, flags=["END_HEADERS", "END_STREAM"])))
        assert resource.asked == [(b"CONNECT", b"elsewhere:80")]


def parsed(data: bytes) -> list[Frame]:
    frames = []
    while data:
        frame, length = Frame.parse_frame_header(memoryview(data[:9]))
        frame.parse_body(memoryview(data[9 : 9 + length]))
        frames.append(frame)
        data = data[9 + length :]
    return frames
