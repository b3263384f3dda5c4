"""The headers by which a client makes a request depend on the file that is there."""

from __future__ import annotations

import re

from tahoeish.streams.request import StreamingRequest

# An element of a list may be empty.
_ENTITY_TAG = re.compile(r'[ \t]*(?:(?:W/)?("[^"]*"|\*))?[ \t]*(?:,|\Z)')


def listed(header: str, etag: str) -> bool:
    """Whether `etag` is in the list, compared weakly, as `If-None-Match` wants it; `*` is any."""
    position = 0
    while position < len(header):
        match = _ENTITY_TAG.match(header, position)
        if match is None:
            return False
        if match[1] in (etag, "*"):
            return True
        position = match.end()
    return False


def unchanged(if_range: str, etag: str) -> bool:
    """Whether a range may be served: the strong tag that the client has is the file's. A date never is."""
    return if_range.strip() == etag


def not_modified(request: StreamingRequest, etag: str) -> bool:
    """
    Tell the client the tag of what it asks for; whether it has that already.

    If so, the answer is complete.
    """
    request.setHeader(b"ETag", etag.encode())
    # A list may be spread over several lines.
    known = b",".join(request.requestHeaders.getRawHeaders(b"If-None-Match") or [])
    if not listed(known.decode("latin-1"), etag):
        return False
    request.setResponseCode(304)
    request.responseHeaders.removeHeader(b"Content-Type")
    return True
