"""
What a streaming request needs of the HTTP below it, in the same words for every version.

A *channel* is what one request has come by: a connection of HTTP/1.1, or one stream of an HTTP/2 connection. Its
*flow* is the same thing as the body of that request sees it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Protocol

from twisted.internet.defer import Deferred

from tahoeish.streams.body import Flow

if TYPE_CHECKING:
    from tahoeish.streams.request import StreamingRequest
    from tahoeish.streams.site import StreamingSite


class RequestFlow(Flow, Protocol):
    """
    One request on its way.

    It is told of its request, and doesn't keep it: a circle of the two would keep all that the request has brought
    until the collector comes.
    """

    def noted(self, size: int, remaining: int | None) -> None:
        """So many bytes of the body have come in, and as many are still to come, if that is known."""

    def settled(self) -> None:
        """The request has acted on everything that has come in so far."""

    def close(self) -> None:
        """The body's last byte is in, or nobody waits for it any more."""

    def before_early_answer(self, request: StreamingRequest) -> None:
        """The head of a response is about to be written while the body isn't in."""

    def answer_early(self, request: StreamingRequest) -> None:
        """The response is written but the body isn't in: see to it that the client can read the response."""

    def write_interim(self, code: int, headers: Mapping[bytes, bytes]) -> None:
        """Write the head of a response that isn't the last one."""

    @property
    def unsent(self) -> int:
        """
        How much of what was written waits for the client; 0 where that can't be told.

        While it becomes less, the client is slow and not idle.
        """

    def sent(self) -> Deferred[None] | None:
        """Fires when all that was written of the response has gone to the client. None if nobody waits for that."""


class Channel(Protocol):
    """What a request has come by; most of it is what twisted.web asks of one."""

    site: StreamingSite
    takes_views: bool
    """What is written to it may be a memoryview, which it doesn't keep."""

    def request_line(self) -> tuple[bytes, bytes, bytes]:
        """Method, target and version."""

    def begin(self, request: StreamingRequest, length: int | None) -> RequestFlow:
        """The head of the request is in; its body, of this length if that is known, is to come."""

    def write(self, data: bytes) -> None: ...


def take_expectation(request: StreamingRequest) -> bool:
    """
    Whether the client waits for `100 Continue` before it sends the body.

    twisted.web says so by itself to any request that still has this header when its head has been looked at, before
    a resource could refuse; so the header is taken away.
    """
    expected = request.requestHeaders.getRawHeaders(b"Expect") or []
    request.requestHeaders.removeHeader(b"Expect")
    return [value.lower() for value in expected] == [b"100-continue"] and request.clientproto != b"HTTP/1.0"
