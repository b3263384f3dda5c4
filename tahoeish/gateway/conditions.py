"""The headers by which a client makes a request depend on the file that is there."""

from __future__ import annotations

import re

from twisted.web.http import datetimeToString, stringToDatetime

from tahoeish.gateway.errors import Refused
from tahoeish.streams.request import StreamingRequest

# An element of a list may be empty.
_ENTITY_TAG = re.compile(r'[ \t]*+((?:W/)?"[^"]*+"|\*)?[ \t]*+(?:,|\Z)')


def entity_tags(header: str) -> tuple[str, ...] | None:
    """The tags in a list, with their quotes and their `W/`; `*` is any. None for what is no such list."""
    tags: list[str] = []
    position = 0
    while position < len(header):
        match = _ENTITY_TAG.match(header, position)
        if match is None:
            return None
        if match[1]:
            tags.append(match[1])
        position = match.end()
    return tuple(tags)


def http_date(header: str | None) -> int | None:
    """Unix seconds. What can't be understood isn't there, as HTTP wants it."""
    try:
        return None if header is None else stringToDatetime(header.strip().encode())
    except (ValueError, IndexError, OverflowError):
        return None


def listed(header: str, etag: str) -> bool:
    """Whether `etag` is in the list, compared weakly, as `If-None-Match` wants it; `*` is any."""
    return any(tag.removeprefix("W/") in (etag, "*") for tag in entity_tags(header) or ())


def unchanged(if_range: str, etag: str) -> bool:
    """Whether a range may be served: the strong tag that the client has is the file's. A date never is."""
    return if_range.strip() == etag


def expect_match(request: StreamingRequest, etag: str, modified: float | None = None) -> None:
    """Raises `Refused` when the client wants the file only as it knows it, and it is another one by now."""
    known = _lines(request, b"If-Match")
    if known:
        matches = any(tag in (etag, "*") for tag in entity_tags(known) or ())
    else:
        seconds = _date(request, b"If-Unmodified-Since")
        matches = seconds is None or modified is None or int(modified) <= seconds
    if not matches:
        raise Refused(412, "the file is another one by now", {"ETag": etag})


def not_modified(request: StreamingRequest, etag: str, modified: float | None = None) -> bool:
    """
    Tell the client the tag of what it asks for, and since when it has been like that; whether it has that already.

    If so, the answer is complete.
    """
    request.setHeader(b"ETag", etag.encode())
    if modified is not None:
        request.setHeader(b"Last-Modified", datetimeToString(modified))
    known = _lines(request, b"If-None-Match")
    if known:
        fresh = listed(known, etag)
    else:
        seconds = _date(request, b"If-Modified-Since")
        fresh = seconds is not None and modified is not None and int(modified) <= seconds
    if fresh:
        request.setResponseCode(304)
        request.responseHeaders.removeHeader(b"Content-Type")
    return fresh


def _lines(request: StreamingRequest, name: bytes) -> str:
    # A list may be spread over several lines.
    return b",".join(request.requestHeaders.getRawHeaders(name) or []).decode("latin-1")


def _date(request: StreamingRequest, name: bytes) -> int | None:
    header = request.getHeader(name)
    return None if header is None else http_date(header.decode("latin-1"))
