"""One HTTP request as the dialects see it: its header fields, and its content on the way to a session."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable
from dataclasses import dataclass

from twisted.web.http_headers import Headers

from tahoeish.chk.buffers import Buffer
from tahoeish.gateway.uploads.asked import Fields
from tahoeish.streams.digests import (
    WHOLE,
    BadDigest,
    Claim,
    Covers,
    announced_algorithms,
    announced_fields,
    claims_of,
    covering,
)
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
    """
    Compares one request's content with what its headers and its trailer claim of it, and passes on what they claim of
    all of the upload. Is a `Passing`.
    """

    request: StreamingRequest
    fields: Fields
    run_in_thread: ThreadRunner
    of_whole: Callable[[tuple[Claim, ...]], Awaitable[None]]
    """Is told of what the headers claim when the content is let in, and of the rest at its end."""

    def __call__(self, source: AsyncIterable[Buffer], /) -> AsyncIterator[Buffer]:
        return self._passing(source)

    async def _passing(self, source: AsyncIterable[Buffer]) -> AsyncIterator[Buffer]:
        claims = claims_of(self.fields)
        await self.of_whole(covering(claims, *WHOLE))
        announced = announced_algorithms(self.fields, Covers.CONTENT)
        verifier = Verifier(covering(claims, Covers.CONTENT), self.run_in_thread, also=announced)
        async for piece in verifier.passing(source, lambda: covering(self._trailing(), Covers.CONTENT)):
            yield piece
        await self.of_whole(covering(self._trailing(), *WHOLE))

    def _trailing(self) -> tuple[Claim, ...]:
        claims, announced = claims_of(trailing_fields_of(self.request)), announced_fields(self.fields)
        for claim in claims:
            if claim.field.lower() not in announced:
                raise BadDigest(f"{claim.field} came in the trailer, but the header Trailer hasn't announced it")
        return claims
