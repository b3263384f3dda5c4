"""What to do when a node can't be reached, or is too busy, for a while: try again, less and less often."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from typing import Any, TypeVar

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater

from tahoeish.client.defaults import RETRIES
from tahoeish.client.errors import ClientError, GivenUp, NodeUnreachable, Refused, TransferBroken

T = TypeVar("T")

SHORTEST_PAUSE = 0.5
LONGEST_PAUSE = 60.0
LONGEST_ASKED_FOR = 600.0
"""A node may ask for longer pauses than ours, but not for ever."""

SILENCE_SECONDS = 120.0
"""When nothing has moved for so long, the connection is taken for lost: of some that are, nobody is told."""

RETRIES_AFTER_FAULT = 4
"""A node that says that there is a fault in it may have another one the next time, but not for half an hour."""

_FAULT = 500
_PASSING_STATUSES = {408, 423, 425, 429, 500, 502, 503, 504}


def may_pass(error: ClientError) -> bool:
    """Whether it is worth another try."""
    if isinstance(error, Refused):
        # The second: it has more of the upload than we thought, or less.
        return error.status in _PASSING_STATUSES or (error.status == 409 and error.stands_at is not None)
    return isinstance(error, NodeUnreachable | TransferBroken)


@dataclass(frozen=True)
class Patience:
    """`retries`: so many in a row that bring nothing."""

    clock: IReactorTime
    retries: int = RETRIES
    random: Callable[[], float] = random.random
    silence: float = SILENCE_SECONDS

    def begin(self, waits: Callable[[float, ClientError], object], there: Callable[[], bool]) -> Retries:
        """
        `waits` is told how long each pause is, and what for. `there` says whether a node is known to be at this URL:
        where there may never have been one, it's no use to wait for it.
        """
        return Retries(self, waits, there)

    async def unless_silent(self, work: Coroutine[Deferred[Any], Any, T], moved: Callable[[], object]) -> T:
        """Wait for it as long as what `moved` says goes on changing. Raises `TransferBroken` otherwise."""
        working = Deferred.fromCoroutine(work)
        silence = _Silence(self.clock, self.silence, moved, working.cancel)
        try:
            return await working
        except CancelledError:
            if silence.noticed:
                raise TransferBroken(f"nothing has moved for {self.silence:.0f} seconds") from None
            raise
        finally:
            silence.stop()


class _Silence:
    """Looks every now and then whether something has moved. When it hasn't, `noticed` is true, and `act` was called."""

    def __init__(
        self, clock: IReactorTime, seconds: float, moved: Callable[[], object], act: Callable[[], object]
    ) -> None:
        self.noticed = False
        self._clock = clock
        self._seconds = seconds
        self._moved = moved
        self._act = act
        self._before = moved()
        self._next = clock.callLater(seconds, self._look)

    def stop(self) -> None:
        if self._next.active():
            self._next.cancel()

    def _look(self) -> None:
        now = self._moved()
        if now == self._before:
            self.noticed = True
            self._act()
        else:
            self._before = now
            self._next = self._clock.callLater(self._seconds, self._look)


class Retries:
    """One piece of work, tried again until it is done."""

    def __init__(
        self, patience: Patience, waits: Callable[[float, ClientError], object], there: Callable[[], bool]
    ) -> None:
        self._patience = patience
        self._waits = waits
        self._there = there
        self._in_vain = 0

    def got_on(self) -> None:
        """Something has come of the last try: count anew."""
        self._in_vain = 0

    async def pause(self, error: ClientError) -> None:
        """Before the next try. Raises `GivenUp`, or what doesn't pass, when there shall be none."""
        nobody_there = isinstance(error, NodeUnreachable | TransferBroken) and not self._there()
        if nobody_there or not may_pass(error):
            raise error
        self._in_vain += 1
        at_fault = isinstance(error, Refused) and error.status == _FAULT
        most = min(self._patience.retries, RETRIES_AFTER_FAULT) if at_fault else self._patience.retries
        if self._in_vain > most:
            raise GivenUp(error, self._in_vain) from error
        seconds = min(LONGEST_PAUSE, SHORTEST_PAUSE * 2 ** min(self._in_vain - 1, 16))
        # Not all who have lost the node at the same moment shall come back at the same one.
        seconds *= 0.75 + 0.5 * self._patience.random()
        if isinstance(error, Refused) and error.retry_after is not None:
            seconds = max(seconds, min(error.retry_after, LONGEST_ASKED_FOR))
        self._waits(seconds, error)
        await deferLater(self._patience.clock, seconds)

    async def until_done(self, work: Callable[[], Awaitable[T]]) -> T:
        """Try it as often as may be."""
        while True:
            try:
                return await work()
            except ClientError as error:
                await self.pause(error)
