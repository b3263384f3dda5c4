"""What all dialects need to serve a request."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from twisted.internet.interfaces import IReactorTime

from tahoeish.gateway.errors import write_nothing
from tahoeish.gateway.uploads.asked import Answer, Append, Asked, Fields, Limits
from tahoeish.gateway.uploads.asking import ContentCheck
from tahoeish.gateway.uploads.decisions import Decision
from tahoeish.gateway.uploads.keeper import Keeper
from tahoeish.gateway.uploads.live import LiveSession
from tahoeish.gateway.uploads.room import within_room
from tahoeish.grid.download import Downloader
from tahoeish.namespace.viewer import Viewer
from tahoeish.streams.body import BodyStream
from tahoeish.streams.request import StreamingRequest
from tahoeish.streams.threads import ThreadRunner

UPLOADS = "/uploads/"
"""Where sessions have their addresses."""


@dataclass(frozen=True)
class Services:
    keeper: Keeper
    limits: Limits
    viewer_of: Callable[[StreamingRequest], Viewer]
    downloader: Downloader
    run_in_thread: ThreadRunner
    clock: IReactorTime

    async def ask(
        self, live: LiveSession, asked: Asked, request: StreamingRequest, body: BodyStream, fields: Fields
    ) -> Decision:
        """Let the session decide, with the request's body as content if it is to be appended."""
        if not isinstance(asked, Append):
            return await live.respond(asked)
        check = ContentCheck.of(request, fields, self.run_in_thread) if asked.verified else None
        return await live.respond(asked, within_room(live, body), check)


def write_answer(request: StreamingRequest, answer: Answer) -> None:
    for name, value in answer.headers.items():
        request.setHeader(name, value)
    write_nothing(request, answer.status)


def address_of(live: LiveSession) -> str:
    return UPLOADS + live.row.id


def encoded(headers: Mapping[str, str]) -> dict[bytes, bytes]:
    """As they go over the line."""
    return {name.encode(): value.encode() for name, value in headers.items()}
