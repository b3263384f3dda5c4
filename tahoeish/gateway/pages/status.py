"""`/status`: what a node is doing at this moment, as a page and as JSON."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import asdict, dataclass

from twisted.internet.interfaces import IReactorTime

from tahoeish.gateway.access import viewer_of
from tahoeish.gateway.errors import prefers_json, write_text
from tahoeish.gateway.page import WorkerLine
from tahoeish.gateway.pages import policy, report
from tahoeish.gateway.pages.report import Elsewhere, Reporter, Standing
from tahoeish.gateway.pages.status_page import Facts, PeerState, Unfinished, status_page
from tahoeish.gateway.pages.trouble import Trouble
from tahoeish.gateway.resource import AsyncResource, argument
from tahoeish.gateway.uploads.dialects import tus
from tahoeish.grid.peer import IStoragePeer, PeerError
from tahoeish.namespace.uploads import UploadRow
from tahoeish.streams.body import BodyStream
from tahoeish.streams.request import StreamingRequest
from tahoeish.streams.tasks import together


@dataclass(frozen=True)
class Sources:
    """
    Where the facts come from: `reporter` tells of this process, `elsewhere` asks those that serve the same node.
    `is_operator` says of a user whether they may see everything.
    """

    peers: Callable[[], Sequence[IStoragePeer]]
    workers: Callable[[], Sequence[WorkerLine]]
    reporter: Reporter
    elsewhere: Callable[[], Awaitable[Elsewhere]]
    is_operator: Callable[[str], Awaitable[bool]]
    trouble: Trouble
    clock: IReactorTime


class Status(AsyncResource):
    """
    An operator sees everything. Everybody else sees the peers, the memory, and what is theirs; of what others do, only
    how much it is.
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
        operator = await sources.is_operator(viewer.user)
        elsewhere = await sources.elsewhere()
        whole = report.together([sources.reporter.report(without=request), *elsewhere.reports])
        shown = [each for each in whole.requests if operator or each.user == viewer.user]
        keeper, workers = sources.reporter.keeper, sources.workers()
        rows = await (keeper.unfinished_of_all() if operator else keeper.unfinished(viewer))
        trouble = list(sources.trouble) if elsewhere.trouble is None else elsewhere.trouble
        return Facts(
            viewer=viewer.user,
            operator=operator,
            workers=workers,
            silent_workers=len(workers) - 1 - len(elsewhere.reports),
            requests=shown,
            requests_of_others=len(whole.requests) - len(shown),
            unfinished=[_unfinished(row, whole.uploads.get(row.id, Standing(row.offset, 0))) for row, _ in rows],
            peers=await together(self._peer(peer, whole.holds_up) for peer in sources.peers()),
            memory=whole.memory,
            # They may be about anybody.
            trouble=trouble if operator else [],
            trouble_count=len(trouble),
        )

    async def _peer(self, peer: IStoragePeer, holds_up: Mapping[str, int]) -> PeerState:
        clock = self._sources.clock
        asked = clock.seconds()
        try:
            space = await peer.available_space()
        except PeerError as error:
            return PeerState(peer.name, error.reason, None, None, 0)
        return PeerState(peer.name, "", space, clock.seconds() - asked, holds_up.get(peer.name, 0))


def _unfinished(row: UploadRow, standing: Standing) -> Unfinished:
    return Unfinished(row.owner, _name_of(row), row.phase, standing.confirmed, row.length, standing.peers, row.created)


def _name_of(row: UploadRow) -> str:
    """What its client has called it, as far as it has."""
    target = json.loads(row.target)
    if target.get("path"):
        return "/files/" + "/".join(target["path"])
    metadata = json.loads(row.notes).get("metadata", "")
    return tus.parse_metadata(metadata).name() or target.get("name") or "a file without a name"
