"""HTTP/2 in memory: clients that mean harm."""

from __future__ import annotations

import pytest
from h2.errors import ErrorCodes
from h2.settings import SettingCodes
from hyperframe.frame import (
    DataFrame,
    Frame,
    HeadersFrame,
    PingFrame,
    PriorityFrame,
    RstStreamFrame,
    SettingsFrame,
)
from twisted.internet.defer import Deferred

from tahoeish.streams.body import BodyStream
from tahoeish.streams.http2.connection import MAX_HEADERS, MAX_STREAMS
from tahoeish.streams.http2.talk import TalkAllowance
from tahoeish.streams.request import StreamingRequest
from tests.streams.http2.client import MemoryClient
from tests.streams.resources import MIB, Fountain, Holder
from tests.streams.wire import Recorder


def raw(*frames: Frame) -> bytes:
    return b"".join(frame.serialize() for frame in frames)


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
        client = MemoryClient(Fountain(), drinks=False)
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
