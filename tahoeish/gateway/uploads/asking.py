"""One HTTP request as the dialects see it: its header fields, and its content on the way to a session."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator
from dataclasses import dataclass

from twisted.web.http_headers import Headers

from tahoeish.chk.buffers import Buffer
from tahoeish.gateway.uploads.asked import Fields
from tahoeish.streams.digests import Claim, Covers, announced_algorithms, claims_of, covering
from tahoeish.streams.request import StreamingRequest
from tahoeish.streams.threads import ThreadRunner
from tahoeish.streams.verifier import Verifier


def fields_of(request: StreamingRequest) -> dict[str, str]:
    """Names in lower case, the values of a repeated one joined by commas."""
    return _joined(request.requestHeaders)


def trailing_fields_of(request: StreamingRequest) -> dict[str, str]:
    """The same for what came after the body, once all of that has been read."""
    return _joined(request.trailers)


def _joined(headers: Headers) -> dict[str, str]:
    return {
        name.decode("latin-1").lower(): ", ".join(value.decode("utf-8", "replace") for value in values)
        for name, values in headers.getAllRawHeaders()
    }


@dataclass(frozen=True)
class ContentCheck:
    """Compares one request's content with what its headers claim of it, and its trailer. Is a `Passing`."""

    request: StreamingRequest
    fields: Fields
    run_in_thread: ThreadRunner

    @classmethod
    def of(cls, request: StreamingRequest, fields: Fields, run_in_thread: ThreadRunner) -> ContentCheck | None:
        """None if nothing is claimed. Raises `BadDigest`."""
        check = cls(request, fields, run_in_thread)
        claims = covering(claims_of(fields), Covers.CONTENT)
        return check if claims or announced_algorithms(fields) else None

    def __call__(self, source: AsyncIterable[Buffer], /) -> AsyncIterator[Buffer]:
        claims = covering(claims_of(self.fields), Covers.CONTENT)
        verifier = Verifier(claims, self.run_in_thread, also=announced_algorithms(self.fields))
        return verifier.passing(source, self._trailing)

    def _trailing(self) -> tuple[Claim, ...]:
        return covering(claims_of(trailing_fields_of(self.request)), Covers.CONTENT)
