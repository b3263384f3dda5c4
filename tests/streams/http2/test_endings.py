"""HTTP/2 in memory: how a stream, or its connection, ends, second by second."""

from __future__ import annotations

import pytest
from h2.errors import ErrorCodes
from h2.settings import SettingCodes
from hyperframe.frame import (
    DataFrame,
    Frame,
    GoAwayFrame,
    RstStreamFrame,
)
from twisted.internet.defer import CancelledError
from twisted.web.resource import Resource

from tahoeish.streams.body import BodyMalformed, BodyTruncated, ClientGone
from tahoeish.streams.http2.connection import CONNECTION_WINDOW
from tahoeish.streams.http2.stream import INITIAL_WINDOW, LINGER_SECONDS
from tests.streams.http2.client import MemoryClient
from tests.streams.resources import MIB, Breaker, Holder, Page
from tests.streams.wire import Recorder, Refuser


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
        number = client.put("/read-and-wait", b"abc", ended=True)
        client.h2.reset_stream(number, ErrorCodes.CANCEL)
        client.swap()
        assert isinstance(resource.errors[b"/read-and-wait"], CancelledError)
        assert not client.site.transfers

    def test_a_reset_of_a_paused_body_calls_nobody_back(self) -> None:
        resource = Holder()
        client = MemoryClient(resource)
        number = client.put("/f", bytes(MIB))
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


class TestTime:
    def test_processing_may_take_as_long_as_it_likes(self) -> None:
        resource = Holder()
        client = MemoryClient(resource)
        number = client.put("/read-and-wait", b"abc", ended=True)
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
        client = MemoryClient(Page(), drinks=False)
        client.h2.update_settings({SettingCodes.INITIAL_WINDOW_SIZE: 2})
        client.swap()
        number = client.begin("GET", "/", ended=True)
        client.swap()
        assert client.answers[number].body == b"pa" and not client.answers[number].over
        client.pass_time(61)
        assert client.answers[number].reset == ErrorCodes.INTERNAL_ERROR and not client.site.transfers


class TestRetiring:
    def test_what_has_been_asked_is_answered_and_no_more(self) -> None:
        resource = Holder()
        client = MemoryClient(resource)
        number = client.put("/read", b"abc")
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


def parsed(data: bytes) -> list[Frame]:
    frames = []
    while data:
        frame, length = Frame.parse_frame_header(memoryview(data[:9]))
        frame.parse_body(memoryview(data[9 : 9 + length]))
        frames.append(frame)
        data = data[9 + length :]
    return frames
