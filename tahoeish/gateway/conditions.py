"""The headers by which a client makes a request depend on the file that is there."""

from __future__ import annotations

import re

_ENTITY_TAG = re.compile(r'\s*(W/)?("[^"]*"|\*)\s*(?:,|$)')


def listed(header: str, etag: str) -> bool:
    """Whether `etag` is in the list, compared weakly, as `If-None-Match` wants it; `*` is any."""
    position = 0
    while position < len(header):
        match = _ENTITY_TAG.match(header, position)
        if match is None:
            return False
        if match[2] in (etag, "*"):
            return True
        position = match.end()
    return False


def unchanged(if_range: str, etag: str) -> bool:
    """Whether a range may be served: the strong tag that the client has is the file's. A date never is."""
    return if_range.strip() == etag
