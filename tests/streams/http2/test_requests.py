"""HTTP/2 in memory: a request from its head to its answer, frame by frame."""

from __future__ import annotations

import pytest

from tahoeish.streams.body import HIGH_WATER, ClientIdle
from tahoeish.streams.http2.connection import MAX_STREAMS
from tahoeish.streams.http2.stream import INITIAL_WINDOW
from tahoeish.streams.site import LARGEST_WINDOW
from tests.streams.http2.client import MemoryClient
from tests.streams.resources import MIB, Holder, Page, Talker
from tests.streams.wire import Connection, Recorder, Refuser


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
        number = client.put("/f", bytes(MIB), [("content-length", str(100 * MIB))])
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
        number = client.put("/f", bytes(30000), [("content-length", "60000")])
        assert client.room(number) == INITIAL_WINDOW - 30000

    def test_the_window_never_opens_beyond_the_end(self) -> None:
        client = MemoryClient(Recorder())
        number = client.put("/f", bytes(INITIAL_WINDOW), [("content-length", "100000")])
        assert client.room(number) == 100000 - INITIAL_WINDOW

    def test_a_paused_client_is_not_idle(self) -> None:
        resource = Holder()
        client = MemoryClient(resource)
        number = client.put("/f", bytes(MIB))
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
