"""Collecting expired shares while the node serves: a little every second, all around the clock."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from itertools import islice

from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from tahoeish.storage.errors import StoreError
from tahoeish.storage.expiry import Collector, Fate, Finding, Tally
from tahoeish.streams.recurring import Recurring
from tahoeish.streams.threads import ThreadRunner

log = Logger()

STEP_SECONDS = 1.0
SHARES_PER_SECOND = 50
"""Each may cost the disk a few seeks, of which readers and writers are to notice nothing."""

REST_SECONDS = 12 * 60 * 60
"""What passes between the end of one round and the beginning of the next."""


class ExpiryCycle:
    """
    Takes a collector through its directory again and again.

    How far it got is noted in the directory, in `expiry-progress`. A node that is restarted more often than a round
    takes goes on from there.
    """

    def __init__(
        self,
        collector: Collector,
        *,
        run_in_thread: ThreadRunner,
        clock: IReactorTime,
        shares_per_second: int = SHARES_PER_SECOND,
        rest_seconds: float = REST_SECONDS,
    ) -> None:
        self._collector = collector
        self._run_in_thread = run_in_thread
        self._shares_per_second = shares_per_second
        self._rest_seconds = rest_seconds
        self._progress_path = collector.directory / "expiry-progress"
        self._findings: Iterator[Finding] | None = None
        self._tally = Tally()
        self._recurring = Recurring(self._step, STEP_SECONDS, clock, doing="collecting expired shares")

    def start(self) -> None:
        self._recurring.start()

    async def stop(self) -> None:
        """Ends when no thread is at it any more."""
        await self._recurring.stop()

    async def _step(self) -> float:
        batch: list[Finding] = []
        try:
            goes_on = await self._run_in_thread(self._look_at_some, batch)
        except StoreError as error:
            log.error("can't look for expired shares now: {problem}", problem=error)
            goes_on = False
        for finding in batch:
            self._tally.count(finding)
            if finding.fate is Fate.EXPIRED:
                log.info("removed an expired share of {size} bytes: {path}", path=finding.path, size=finding.size)
        if goes_on:
            return 0
        log.info("looked for expired shares: {tally}", tally=self._tally)
        self._findings, self._tally = None, Tally()
        return self._rest_seconds

    def _look_at_some(self, batch: list[Finding]) -> bool:
        """Blocks. What was found until an error came is in the batch, too."""
        if self._findings is None:
            self._findings = self._collector.findings(first_prefix=self._progress())
        # Grows finding by finding, so that those before an error are in it.
        batch.extend(islice(self._findings, self._shares_per_second))
        goes_on = len(batch) == self._shares_per_second
        # A full disk may not let it be noted, but is the last reason to let expired shares be.
        with suppress(OSError):
            if goes_on:
                self._progress_path.write_text(batch[-1].prefix)
            else:
                self._progress_path.unlink(missing_ok=True)
        return goes_on

    def _progress(self) -> str:
        with suppress(OSError, ValueError):
            return self._progress_path.read_text()
        return ""
