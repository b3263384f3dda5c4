"""The upload sessions of a gateway, and what has to be done for them now and then."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from tahoeish.gateway.uploads.asked import Limits
from tahoeish.gateway.uploads.keeper import Keeper
from tahoeish.gateway.uploads.live import SessionMeans
from tahoeish.gateway.uploads.rereading import Rereading
from tahoeish.gateway.uploads.services import Services
from tahoeish.gateway.uploads.targets import MakeTarget, Targets
from tahoeish.grid.download import Downloader
from tahoeish.grid.upload import Uploader
from tahoeish.namespace.errors import CatalogueUnavailable
from tahoeish.namespace.uploads import UploadTable
from tahoeish.namespace.viewer import Viewer
from tahoeish.streams.budget import ByteBudget
from tahoeish.streams.recurring import Recurring
from tahoeish.streams.request import StreamingRequest
from tahoeish.streams.threads import ThreadRunner

log = Logger()

TIDY_SECONDS = 60.0
KEEP_ALIVE_SECONDS = 10 * 60.0
"""Tahoe-LAFS's storage nodes give up what nobody has written to for half an hour."""

HELD_BYTES = 32 * 1024 * 1024
"""What all requests together may hold back until it has been verified."""


class UploadService:
    """`leads`: of several processes that share the catalogue, this one tidies up."""

    def __init__(
        self,
        *,
        table: UploadTable,
        ask: ThreadRunner,
        uploader: Uploader,
        downloader: Downloader,
        makers: Mapping[str, MakeTarget],
        limits: Limits,
        viewer_of: Callable[[StreamingRequest], Viewer],
        clock: IReactorTime,
        now: Callable[[], float],
        random_bytes: Callable[[int], bytes],
        leads: bool,
    ) -> None:
        rereading = Rereading(downloader, uploader.run_in_thread)
        targets = Targets(makers, rereading)
        means = SessionMeans(table, ask, uploader, targets.of, limits, clock, now, ByteBudget(HELD_BYTES))
        self.keeper = Keeper(means, random_bytes)
        self.services = Services(self.keeper, limits, viewer_of, rereading, uploader.run_in_thread, clock)
        self._leads = leads
        self._until_keep_alive = 0.0
        self._recurring = Recurring(self._tidy, TIDY_SECONDS, clock, doing="tidying up uploads")

    async def start(self) -> None:
        if self._leads:
            await self.keeper.revive()
            self._recurring.start(now=True)

    async def stop(self) -> None:
        """When no request is being answered any more."""
        await self._recurring.stop()
        await self.keeper.stop()

    async def _tidy(self) -> float:
        try:
            await self.keeper.tidy()
            self._until_keep_alive -= TIDY_SECONDS
            if self._until_keep_alive <= 0:
                self._until_keep_alive = KEEP_ALIVE_SECONDS
                await self.keeper.keep_alive()
        except CatalogueUnavailable as error:
            log.error("can't look after uploads now: {problem}", problem=error)
        return 0
