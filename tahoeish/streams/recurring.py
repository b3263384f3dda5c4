"""Work that is done a little at a time, beside all else, for as long as the node runs."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall
from twisted.logger import Logger

log = Logger()


class Recurring:
    """
    Takes a `step` every so many `seconds`, one at a time.

    The step brings the seconds to rest before the next one, or 0. `doing` is what the log says is given up when a step
    fails, which ends it all.
    """

    def __init__(
        self, step: Callable[[], Coroutine[Any, Any, float]], seconds: float, clock: IReactorTime, doing: str
    ) -> None:
        self._step = step
        self._seconds = seconds
        self._clock = clock
        self._doing = doing
        self._resting_until = 0.0
        self._stepping = LoopingCall(lambda: Deferred.fromCoroutine(self._step_unless_resting()))
        self._stepping.clock = clock
        self._ended: Deferred[Any] | None = None

    def start(self, *, now: bool = True) -> None:
        self._ended = ended = self._stepping.start(self._seconds, now=now)
        ended.addErrback(lambda failure: log.failure("no longer {doing}", failure, doing=self._doing))

    async def stop(self) -> None:
        """Ends when a step that is under way has ended."""
        if self._ended is not None and self._stepping.running:
            self._stepping.stop()
            await self._ended

    async def _step_unless_resting(self) -> None:
        if self._clock.seconds() >= self._resting_until:
            rest = await self._step()
            self._resting_until = self._clock.seconds() + rest
