"""
`StreamingSite` for twisted.web: a server whose resources may answer while the body arrives.

A resource that offers `IStreamingResource` is found and called when the head of a request is in, with the body as a
stream. Every other resource works as it always did in twisted.web, but its body is bounded.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from twisted.internet.defer import CancelledError, Deferred, succeed
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web import server
from twisted.web.http import H2_ENABLED
from twisted.web.resource import IResource

from tahoeish.streams.body import BodyError
from tahoeish.streams.http1 import Http1Channel
from tahoeish.streams.request import BadHead, ClientsFault, StreamingRequest

if TYPE_CHECKING:
    from tahoeish.streams.http2.connection import Http2Connection

log = Logger()

_PLACE = re.compile(rb"[a-z]{0,20}")
"""What the first part of an address looks like where it names a place of the site; nothing made up."""


SMALLEST_GULP = 64 * 1024
LARGEST_WINDOW = 1024 * 1024
GULPS = 16 * 1024 * 1024
"""What all bodies of a site may hold together, as long as that is possible, of what their sockets have brought."""


@dataclass(frozen=True)
class BodyLimits:
    """What a site puts up with. Times in seconds; a deadline of 0 is none."""

    idle_timeout: float = 60
    deadline: float = 0
    linger_bytes: int = 256 * 1024 * 1024
    linger_seconds: float = 30
    max_buffered: int = 1024 * 1024


class StreamingSite(server.Site):
    """
    A web site whose resources may answer while the body arrives.

    `failed` writes the answer to a request whose resource raised; it doesn't finish it. `is_mishap` says whether what
    was raised is the node's own trouble, which its log has to tell when nobody is there to be answered. `headers` go
    with every response. `transfers` are the requests that are being answered, `connections` says how many clients
    there are; `changed` is called when there are more or fewer of one of them.
    """

    # The node says itself where it listens.
    noisy = False
    largest_gulp = 128 * 1024
    speaks_http2 = True
    lets_gather = False
    """Let a body gather in the socket until it is worth waking up for. It saves much, and takes the system's memory."""

    requestFactory = StreamingRequest
    # The attribute's own type is that of Twisted's switch between HTTP/1.1 and HTTP/2.
    protocol = Http1Channel  # type: ignore[assignment]

    def __init__(
        self,
        resource: IResource,
        *,
        reactor: IReactorTime,
        limits: BodyLimits | None = None,
        failed: Callable[[StreamingRequest, Failure], None] | None = None,
        is_mishap: Callable[[BaseException | None], bool] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self.headers = headers or {}
        self.limits = limits or BodyLimits()
        super().__init__(resource, reactor=reactor, timeout=self.limits.idle_timeout)
        self.transfers: set[StreamingRequest] = set()
        self.connections = 0
        self.farewells: set[Callable[[], None]] = set()
        self.changed: Callable[[], None] = _nobody_minds
        self.failed = failed or answer_plainly
        self.is_mishap = is_mishap or _is_mishap
        self._quiet: list[Deferred[None]] = []

    def gulp(self, length: int | None) -> int:
        """
        How many bytes of a body are taken from its socket at once: the more, the less work it is, but each of the
        bodies that nobody reads at the moment may hold as many.
        """
        return self._portion(self.largest_gulp, length)

    def window(self, length: int | None) -> int:
        """How many bytes of a body may be under way in a stream of HTTP/2, which no socket of its own holds back."""
        return self._portion(LARGEST_WINDOW, length)

    def connected(self, number: int) -> None:
        """So many clients have come; if it is negative, gone."""
        self.connections += number
        self.changed()

    def when_quiet(self) -> Deferred[None]:
        """Fires when no request is being answered."""
        if not self.transfers:
            return succeed(None)
        quiet: Deferred[None] = Deferred(self._quiet.remove)
        self._quiet.append(quiet)
        return quiet

    def _portion(self, largest: int, length: int | None) -> int:
        wanted = largest if length is None else length
        return max(SMALLEST_GULP, min(largest, wanted, GULPS // (len(self.transfers) + 1)))

    def _transfer_ended(self, request: StreamingRequest) -> None:
        self.transfers.discard(request)
        self.changed()
        if not self.transfers:
            waiting, self._quiet = self._quiet, []
            for quiet in waiting:
                quiet.callback(None)

    def getResourceFor(self, request: StreamingRequest) -> IResource:
        # A buffered request asks a second time, when its body is in.
        if request.resource is None:
            request.resource = super().getResourceFor(request)
            request._routed_paths = (request.prepath or [], request.postpath or [])
        else:
            request.prepath, request.postpath = request._routed_paths
        return request.resource

    def log(self, request: StreamingRequest) -> None:  # type: ignore[override]
        """One line for an answered request. Only where it went, not what it named: an address may hold a secret."""
        place = (request.path or b"").removeprefix(b"/").partition(b"/")[0]
        if not _PLACE.fullmatch(place):
            place = b"..."
        log.info(
            "{method} /{place} {code} from {client}: {received} bytes in, {sent} out",
            method=request.method.decode("ascii", "replace"),
            place=place.decode("ascii", "replace"),
            code=request.code,
            client=getattr(request.client, "host", "-"),
            received=request.body.received,
            sent=request.sentLength,
        )

    def acceptableProtocols(self) -> list[bytes]:
        return [b"h2", b"http/1.1"] if self.speaks_http2 and H2_ENABLED else [b"http/1.1"]

    def build_http2(self) -> Http2Connection:
        """The protocol of a client that has chosen HTTP/2."""
        # Here, because the packages that it needs may be missing where nobody speaks it.
        from tahoeish.streams.http2.connection import Http2Connection

        return Http2Connection(self)

    def retire(self) -> None:
        """Ask the clients that can be asked to send no more requests. What they have sent is still answered."""
        for ask in list(self.farewells):
            ask()


def _nobody_minds() -> None:
    pass


def _is_mishap(error: BaseException | None) -> bool:
    return not isinstance(error, (BodyError, ClientsFault, CancelledError))


def answer_plainly(request: StreamingRequest, failure: Failure) -> None:
    """The answer of a site that has no better words."""
    if isinstance(failure.value, (BodyError, BadHead)):
        request.setResponseCode(failure.value.http_status)
        text = failure.getErrorMessage() + "\n"
    else:
        log.failure("a resource failed", failure)
        request.setResponseCode(500)
        text = "the node failed to answer this request; its log says more\n"
    body = text.encode()
    request.setHeader(b"Content-Type", b"text/plain; charset=utf-8")
    request.setHeader(b"Content-Length", b"%d" % len(body))
    request.write(body)
