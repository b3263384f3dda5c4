"""`/status`: what a node is doing at this moment, as a page and as JSON."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass

from twisted.internet.interfaces import IReactorTime

from tahoeish.gateway.access import known_viewer, viewer_of
from tahoeish.gateway.errors import prefers_json, write_text
from tahoeish.gateway.page import WorkerLine
from tahoeish.gateway.pages import policy
from tahoeish.gateway.pages.status_page import (
    SLOW_SECONDS,
    Facts,
    Memory,
    PeerState,
    Request,
    Unfinished,
    status_page,
)
from tahoeish.gateway.pages.trouble import Trouble
from tahoeish.gateway.resource import AsyncResource, argument
from tahoeish.gateway.uploads.dialects import tus
from tahoeish.gateway.uploads.keeper import Keeper
from tahoeish.grid.peer import IStoragePeer, PeerError
from tahoeish.grid.resumable import Progress
from tahoeish.namespace.uploads import UploadRow
from tahoeish.namespace.viewer import LOCAL
from tahoeish.streams.body import BodyStream
from tahoeish.streams.request import StreamingRequest
from tahoeish.streams.tasks import together

_BY_CAP = {b"uri", b"cap", b"file", b"named"}
_BY_SECRET = {
    b"drop": "files that come by a link",
    b"v1": "a file by a signed address",
    b"uploads": "a piece of an upload",
}


@dataclass(frozen=True)
class Sources:
    """
    Where the facts come from. `memory` tells what is used of each budget, `kept_waiting` for how many uploads each peer
    has been busy for longer than so many seconds.
    """

    peers: Callable[[], Sequence[IStoragePeer]]
    workers: Callable[[], Sequence[WorkerLine]]
    keeper: Keeper
    kept_waiting: Callable[[float], Mapping[str, int]]
    memory: Callable[[], Sequence[Memory]]
    trouble: Trouble
    clock: IReactorTime


class Status(AsyncResource):
    """
    Everybody sees the peers, the memory, and what is theirs; of what others do, only how much it is.

    Without users, whoever is on the node's machine is the operator, and sees all of it.
    """

    def __init__(self, sources: Sources) -> None:
        super().__init__()
        self._sources = sources

    async def on_GET(self, request: StreamingRequest, body: BodyStream) -> None:
        facts = await self._facts(request)
        request.setHeader(b"Cache-Control", b"no-store")
        if argument(request, "t") == "json" or prefers_json(request):
            write_text(request, 200, json.dumps(asdict(facts), indent=1) + "\n", "application/json")
            return
        request.setHeader(b"Content-Security-Policy", policy.SCRIPTED)
        write_text(request, 200, status_page(facts), "text/html; charset=utf-8")

    async def _facts(self, request: StreamingRequest) -> Facts:
        sources, viewer = self._sources, viewer_of(request)
        under_way = [other for other in request.site.transfers if other is not request and not _is_watching(other)]
        own = [other for other in under_way if (asker := known_viewer(other)) and asker.user == viewer.user]
        incidents = list(sources.trouble)
        return Facts(
            viewer=viewer.user,
            process=os.getpid(),
            workers=sources.workers(),
            requests=[_described(other) for other in own],
            requests_of_others=len(under_way) - len(own),
            unfinished=[_unfinished(row, progress) for row, progress in await sources.keeper.unfinished(viewer)],
            peers=await together(self._peer(peer) for peer in sources.peers()),
            memory=sources.memory(),
            # They may be about anybody.
            trouble=incidents if viewer.user == LOCAL else [],
            trouble_count=len(incidents),
        )

    async def _peer(self, peer: IStoragePeer) -> PeerState:
        clock = self._sources.clock
        asked = clock.seconds()
        try:
            space = await peer.available_space()
        except PeerError as error:
            return PeerState(peer.name, error.reason, None, None, 0)
        holds_up = self._sources.kept_waiting(SLOW_SECONDS).get(peer.name, 0)
        return PeerState(peer.name, "", space, clock.seconds() - asked, holds_up)


def _is_watching(request: StreamingRequest) -> bool:
    return bool(
        request.method == b"GET" and request.path.startswith(b"/uploads/") and request.path.endswith(b"/events")
    )


def _described(request: StreamingRequest) -> Request:
    body, told = request.body, request.responseHeaders.getRawHeaders(b"Content-Length") or [b""]
    is_upload = body.length != 0
    return Request(
        method=request.method.decode("ascii", "replace"),
        what=_what(request),
        done=body.received if is_upload else request.sentLength,
        size=body.length if is_upload else int(told[-1] or 0) or None,
    )


def _what(request: StreamingRequest) -> str:
    """The address without what is secret in it."""
    parts = request.path.split(b"/")
    place = parts[1] if len(parts) > 1 else b""
    if place in _BY_CAP and len(parts) > 2:
        name = parts[-1].decode("utf-8", "replace") if len(parts) > 3 else ""
        return f"a file by its cap{f', {name}' if name else ''}"
    if place in _BY_SECRET and any(parts[2:]):
        return _BY_SECRET[place]
    return bytes(request.path).decode("utf-8", "replace")


def _unfinished(row: UploadRow, progress: Progress) -> Unfinished:
    return Unfinished(_name_of(row), row.phase, progress.confirmed, row.length, progress.peers, row.created)


def _name_of(row: UploadRow) -> str:
    """What its client has called it, as far as it has."""
    path = json.loads(row.target).get("path")
    if path:
        return "/files/" + "/".join(path)
    metadata = json.loads(row.notes).get("metadata", "")
    return tus.parse_metadata(metadata).name() or "a file without a name"
