"""How much room there is, known without waiting for a disk."""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from tahoeish.storage.errors import StoreError
from tahoeish.streams.threads import ThreadRunner

log = Logger()

FRESH_SECONDS = 1.0


class SpaceGauge:
    """
    Remembers what `measure`, which blocks, has found last. Whoever asks gets that at once; if it isn't fresh any more,
    the next one gets something newer.
    """

    def __init__(self, measure: Callable[[], int], *, run_in_thread: ThreadRunner, clock: IReactorTime) -> None:
        self._measure = measure
        self._run_in_thread = run_in_thread
        self._clock = clock
        self._space = 0
        self._measured_at = 0.0
        self._measuring = False

    async def start(self) -> None:
        """Measure for the first time."""
        self._found(await self._run_in_thread(self._measure))

    @property
    def space(self) -> int:
        if not self._measuring and self._clock.seconds() - self._measured_at >= FRESH_SECONDS:
            self._measuring = True
            self._run_in_thread(self._measure).addCallbacks(self._found, self._failed)
        return self._space

    def _found(self, space: int) -> None:
        self._space = space
        self._measured_at = self._clock.seconds()
        self._measuring = False

    def _failed(self, failure: Failure) -> None:
        # A disk that can't tell has no room.
        self._found(0)
        if failure.check(StoreError):
            log.error("the free space is not known: {reason}", reason=failure.getErrorMessage())
        else:
            log.failure("the free space is not known", failure)
