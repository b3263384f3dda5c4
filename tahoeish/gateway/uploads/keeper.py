"""
All upload sessions of a gateway: those that are at hand in this process, and those that only the catalogue knows.

A session is at hand from a request for it until nobody has come for a while. Whoever takes it to hand claims it, which
ends it in every other process that had it at hand.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any

from twisted.internet.defer import Deferred, DeferredLock
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger

from tahoeish.chk import base32
from tahoeish.gateway.uploads.asked import Cancel, Query
from tahoeish.gateway.uploads.decisions import Cancelled, Decision, Reason, Refuse
from tahoeish.gateway.uploads.live import LiveSession, SessionMeans
from tahoeish.gateway.uploads.rows import authority_of, progress_of, standing_in
from tahoeish.gateway.uploads.session import Phase
from tahoeish.grid.resumable import Progress, keep_alive
from tahoeish.namespace.errors import NoSuchUpload, Superseded
from tahoeish.namespace.uploads import UploadRow
from tahoeish.namespace.viewer import Viewer
from tahoeish.streams.tasks import together

log = Logger()

ID_SIZE = 20
"""Bytes, as many as nobody can guess."""

WARM_SECONDS = 10.0
"""How long a session stays at hand after its last request: the next piece comes soon, or much later."""

WARM_MOST = 32
"""Sessions that stay at hand without a request. Each of them keeps room for a segment."""

PAGE = 50
"""Unfinished uploads that are seen to at once."""

_UNFINISHED = (Phase.OPEN.value, Phase.FINISHING.value)


class Keeper:
    """Makes sessions, finds them, and clears away those that nobody needs any more."""

    def __init__(self, means: SessionMeans, random_bytes: Callable[[int], bytes]) -> None:
        self._means = means
        self._random_bytes = random_bytes
        self._live: dict[str, LiveSession] = {}
        self._warm: dict[str, IDelayedCall] = {}
        self._claiming = DeferredLock()

    async def create(
        self,
        viewer: Viewer,
        *,
        dialect: str,
        target: Mapping[str, object],
        notes: Mapping[str, object] | None = None,
        key: str | None = None,
    ) -> LiveSession:
        """A new session. Raises `AlreadyExists` when the viewer has one with this key."""
        means = self._means
        age = means.limits.max_age
        row = UploadRow(
            id=base32.encode(self._random_bytes(ID_SIZE)),
            owner=viewer.user,
            key=key,
            dialect=dialect,
            target=json.dumps({**target, **authority_of(viewer)}),
            notes=json.dumps(dict(notes or {})),
            created=means.now(),
            deadline=means.now() + age if age else None,
        )
        await means.ask(means.table.create, row)
        return self._take_to_hand(row)

    async def find(self, viewer: Viewer, id_: str) -> LiveSession:
        """The viewer's session, at hand. Raises `NoSuchUpload`, also for somebody else's."""
        return await self._claiming.run(lambda: Deferred.fromCoroutine(self._find(viewer, id_)))

    async def respond(self, viewer: Viewer, id_: str, asked: Query | Cancel) -> tuple[LiveSession, Decision]:
        """The decision of the viewer's session. Raises `NoSuchUpload`."""
        live: LiveSession | None = None
        superseded = False
        while True:
            try:
                live = await self.find(viewer, id_)
                decision = await live.respond(asked)
            except Superseded:
                # A request that was on its way at the same time has reached another process. This one wants to know
                # what came of that.
                superseded = True
            except NoSuchUpload:
                if live is None or not isinstance(asked, Cancel):
                    raise
                return live, Cancelled(0)
            else:
                if superseded and isinstance(asked, Cancel) and _is_gone(decision):
                    # It was there when this request came. Whether this one ended it before it was superseded, or
                    # somebody else since, can't be told any more; nobody would have, if all were told the latter.
                    return live, Cancelled(0)
                return live, decision

    async def find_by_key(self, viewer: Viewer, key: str) -> LiveSession | None:
        row = await self._means.ask(self._means.table.find_by_key, viewer.user, key)
        return None if row is None else await self.find(viewer, row.id)

    async def look_by_key(self, viewer: Viewer, key: str) -> UploadRow | None:
        """What is known of it, without disturbing whoever brings it on."""
        row = await self._means.ask(self._means.table.find_by_key, viewer.user, key)
        if row is not None:
            _expect_mine(viewer, row)
        return row

    async def look(self, viewer: Viewer, id_: str) -> tuple[UploadRow, Progress]:
        """How far it is, without disturbing whoever brings it there."""
        row = await self._means.ask(self._means.table.find, id_)
        _expect_mine(viewer, row)
        live = self._live.get(id_)
        return row, _progress(row, live if live is not None and live.row.epoch == row.epoch else None)

    async def unfinished(self, viewer: Viewer) -> list[tuple[UploadRow, Progress]]:
        """All of the viewer's that may be gone on with, and how far each is; the oldest first."""
        return [
            (row, _progress(row, self._live.get(row.id)))
            for row in await self._means.ask(self._means.table.of_owner, viewer.user)
            if row.phase in _UNFINISHED and _is_below(viewer, json.loads(row.target))
        ]

    async def unfinished_of_all(self) -> list[tuple[UploadRow, Progress]]:
        """The same of everybody."""
        rows = await self._means.ask(self._means.table.everything_open)
        rows.sort(key=lambda row: row.created)
        return [(row, _progress(row, self._live.get(row.id))) for row in rows]

    def at_hand(self) -> Mapping[str, Progress]:
        """Of all sessions that are at hand in this process, by their ids."""
        return {id_: live.progress for id_, live in self._live.items()}

    async def revive(self) -> None:
        """Once, at the start: go on with what was being finished when the node ended."""
        async for page in self._pages_of_open():
            for row in page:
                if row.phase == Phase.FINISHING.value:
                    with suppress(NoSuchUpload):
                        (await self._claimed(row.id)).revive()

    async def tidy(self) -> None:
        """Now and then: end what nobody comes for any more."""
        for row in await self._means.ask(self._means.table.expired):
            with suppress(NoSuchUpload):
                live = self._live.get(row.id) or await self._claimed(row.id)
                if live.idle:
                    live.expire()

    async def keep_alive(self) -> None:
        """More often than peers give up what nobody writes to."""
        async for page in self._pages_of_open():
            standings = [standing for row in page if (standing := standing_in(row)) is not None]
            # One after the other, those of a peer that doesn't answer would keep all others waiting for too long.
            await together(keep_alive(standing, self._means.uploader.peers()) for standing in standings)

    async def stop(self) -> None:
        """When all requests have ended: let go of everything."""
        for call in self._warm.values():
            call.cancel()
        self._warm.clear()
        await together(live.stop() for live in list(self._live.values()))

    # Within.

    async def _find(self, viewer: Viewer, id_: str) -> LiveSession:
        means = self._means
        row = await means.ask(means.table.find, id_)
        _expect_mine(viewer, row)
        live = self._live.get(id_)
        if live is not None and live.row.epoch == row.epoch and not live.dead:
            if live.idle:
                self._released(live)
            return live
        if live is not None:
            live.superseded()
        live = await self._claimed(id_)
        live.revive()
        return live

    async def _claimed(self, id_: str) -> LiveSession:
        return self._take_to_hand(await self._means.ask(self._means.table.claim, id_))

    def _take_to_hand(self, row: UploadRow) -> LiveSession:
        live = self._live[row.id] = LiveSession(self._means, row, self._released)
        # Whoever wanted it may find that there is nothing to ask of it.
        self._released(live)
        return live

    def _released(self, live: LiveSession) -> None:
        """Nobody is busy with it at the moment."""
        id_ = live.row.id
        if self._live.get(id_) is not live:
            return
        self._cool(id_)
        if live.dead:
            del self._live[id_]
            return
        while len(self._warm) >= WARM_MOST:
            self._let_go(next(iter(self._warm)))
        self._warm[id_] = self._means.clock.callLater(WARM_SECONDS, self._let_go, id_)

    def _cool(self, id_: str) -> None:
        call = self._warm.pop(id_, None)
        if call is not None and call.active():
            call.cancel()

    def _let_go(self, id_: str) -> None:
        self._cool(id_)
        live = self._live.get(id_)
        if live is not None and live.idle:
            del self._live[id_]
            letting_go = Deferred.fromCoroutine(live.stop())
            letting_go.addErrback(lambda failure: log.failure("an upload could not be let go", failure))

    async def _pages_of_open(self) -> AsyncIterator[Sequence[UploadRow]]:
        after = ""
        while page := await self._means.ask(self._means.table.everything_open, after, PAGE):
            yield page
            after = page[-1].id


def _is_gone(decision: Decision) -> bool:
    return isinstance(decision, Refuse) and decision.reason is Reason.GONE


def _progress(row: UploadRow, live: LiveSession | None) -> Progress:
    """Of what isn't at hand, only what is safe is known."""
    return progress_of(row) if live is None else live.progress


def _expect_mine(viewer: Viewer, row: UploadRow) -> None:
    target = json.loads(row.target)
    # Whoever began it by a link has nothing but its address to go on with.
    by_address = target.get("by_link", False)
    if not by_address and (row.owner != viewer.user or not _is_below(viewer, target)):
        raise NoSuchUpload(row.id)


def _is_below(viewer: Viewer, target: Mapping[str, Any]) -> bool:
    """It was begun by somebody who sees no more than the viewer does."""
    below = tuple(target.get("below", ()))
    return below[: len(viewer.below)] == viewer.below
