"""Short answers."""

from __future__ import annotations

from tahoeish.gateway.dav.multistatus import CONTENT_TYPE
from tahoeish.gateway.errors import write_nothing, write_text
from tahoeish.streams.request import StreamingRequest


def write_xml(request: StreamingRequest, status: int, text: str) -> None:
    write_text(request, status, text, CONTENT_TYPE)


def write_change(request: StreamingRequest, *, created: bool) -> None:
    """Something was made, or something else takes the place of what was there."""
    write_nothing(request, 201 if created else 204)
