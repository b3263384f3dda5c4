"""Purging the catalogue, while the node serves, of what was replaced too long ago."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall
from twisted.logger import Logger

from tahoeish.namespace.catalogue import Catalogue
from tahoeish.namespace.errors import CatalogueUnavailable
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
        self._clock = clock
        self._now = now
        self._resting_until = 0.0
        self._stepping = LoopingCall(lambda: Deferred.fromCoroutine(self._step()))
        self._stepping.clock = clock
        self._ended: Deferred[Any] | None = None

    def start(self) -> None:
        self._ended = ended = self._stepping.start(STEP_SECONDS, now=False)
        ended.addErrback(lambda failure: log.failure("old versions are no longer purged", failure))

    async def stop(self) -> None:
        """Ends when no thread is at it any more."""
        if self._ended is not None and self._stepping.running:
            self._stepping.stop()
            await self._ended

    async def _step(self) -> None:
        if self._clock.seconds() < self._resting_until:
            return
        try:
            purged = await self._run_in_thread(self._catalogue.purge, self._now() - self._versions_kept)
        except CatalogueUnavailable as error:
            log.error("can't purge the catalogue now: {problem}", problem=error)
            purged = 0
        if not purged:
            self._resting_until = self._clock.seconds() + REST_SECONDS
