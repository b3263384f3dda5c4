"""Purging the catalogue, while the node serves, of what was replaced too long ago."""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from tahoeish.namespace.catalogue import Catalogue
from tahoeish.namespace.errors import CatalogueUnavailable
from tahoeish.streams.recurring import Recurring
from tahoeish.streams.threads import ThreadRunner

log = Logger()

STEP_SECONDS = 1.0
"""What others get the catalogue for between two batches."""

REST_SECONDS = 10 * 60.0
"""What passes after everything that could be purged has been."""


class Purging:
    """Deletes versions that are older than `versions_kept` seconds, and locks that have run out, a batch at a time."""

    def __init__(
        self,
        catalogue: Catalogue,
        versions_kept: float,
        *,
        run_in_thread: ThreadRunner,
        clock: IReactorTime,
        now: Callable[[], float],
    ) -> None:
        """`now` is the time as it is stored, in seconds since 1970; `clock` is only for durations."""
        self._catalogue = catalogue
        self._versions_kept = versions_kept
        self._run_in_thread = run_in_thread
        self._now = now
        self._recurring = Recurring(self._step, STEP_SECONDS, clock, doing="purging old versions")

    def start(self) -> None:
        self._recurring.start(now=False)

    async def stop(self) -> None:
        """Ends when no thread is at it any more."""
        await self._recurring.stop()

    async def _step(self) -> float:
        try:
            purged = await self._run_in_thread(self._catalogue.purge, self._now() - self._versions_kept)
        except CatalogueUnavailable as error:
            log.error("can't purge the catalogue now: {problem}", problem=error)
            purged = 0
        return 0 if purged else REST_SECONDS
