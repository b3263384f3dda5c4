"""Header fields that come behind a response's body."""

from __future__ import annotations

import pytest
from h2.events import TrailersReceived
from twisted.web.resource import Resource
from zope.interface import implementer

from tahoeish.streams.body import BodyStream
from tahoeish.streams.request import IStreamingResource, StreamingRequest
from tests.streams.http2.client import MemoryClient
from tests.streams.wire import Connection


@implementer(IStreamingResource)
class Counter(Resource):
    """Tells at the end how much it was."""

    isLeaf = True

    async def respond(self, request: StreamingRequest, body: BodyStream) -> None:
        request.setHeader(b"Content-Length", b"6")
        if request.takes_closing_fields:
            request.announce_closing_fields(["X-Count", "X-More"])
        request.write(b"abcdef")
        request.closing_fields = {"X-Count": "6", "X-More": "none"}


@pytest.mark.parametrize("te", [b"trailers", b"gzip;q=0.5, Trailers"])
def test_in_http1_they_follow_the_last_chunk(te: bytes) -> None:
    connection = Connection(Counter())
    connection.send(b"GET / HTTP/1.1\r\nHost: h\r\nTE: " + te + b"\r\n\r\n")
    head, _, body = connection.received().partition(b"\r\n\r\n")
    assert b"Trailer: X-Count, X-More" in head and b"Content-Length" not in head
    assert body == b"6\r\nabcdef\r\n0\r\nX-Count: 6\r\nX-More: none\r\n\r\n"


@pytest.mark.parametrize(
    "head", [b"GET / HTTP/1.1\r\n", b"GET / HTTP/1.1\r\nTE: gzip\r\n", b"GET / HTTP/1.0\r\nTE: trailers\r\n"]
)
def test_who_does_not_read_on_is_told_the_length(head: bytes) -> None:
    connection = Connection(Counter())
    connection.send(head + b"Host: h\r\n\r\n")
    written = connection.received()
    assert b"Content-Length: 6" in written and written.endswith(b"\r\n\r\nabcdef")


def test_before_the_end_of_the_body_too() -> None:
    connection = Connection(Counter())
    connection.send(b"PUT / HTTP/1.1\r\nHost: h\r\nTE: trailers\r\nContent-Length: 10\r\n\r\n")
    assert connection.received().endswith(b"\r\n0\r\nX-Count: 6\r\nX-More: none\r\n\r\n")


def test_in_http2_they_end_the_stream() -> None:
    client = MemoryClient(Counter())
    closing: list[object] = []
    note = client._note

    def noting(event: object) -> None:
        if isinstance(event, TrailersReceived):
            closing.append(event.headers)
        note(event)  # type: ignore[arg-type]

    client._note = noting  # type: ignore[method-assign]
    number = client.begin("GET", "/", [("te", "trailers")], ended=True)
    client.swap()
    answer = client.answers[number]
    assert (bytes(answer.body), answer.whole, answer.fields["content-length"]) == (b"abcdef", True, "6")
    assert closing == [[("x-count", "6"), ("x-more", "none")]]
