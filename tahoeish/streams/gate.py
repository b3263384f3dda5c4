"""
Letting newcomers in.

Five hundred clients that are all served at once are all served slowly: segments get small, queues long, and whoever
wants a small thing waits behind everybody. Served a few at a time they are all done sooner. But slow clients, who keep
nothing busy, must not be made to wait for each other.

So what counts is not how many are in, but whether there is much to do. While there is little, newcomers are let in at
once, though not more at a time than there is room for. While there is much they wait, in order of arrival; and if that
takes too long, they are let in one by one all the same.
"""

from __future__ import annotations

from collections import deque

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IDelayedCall, IReactorTime

from tahoeish.streams.budget import ByteBudget

TICK_SECONDS = 0.02
PATIENCE_SECONDS = 120.0


class Gate:
    """
    The way in to a budget. "Much to do" is when more than a third of what a crowd may have is on lease, unless one
    transfer has all of it, which shall not keep the next one waiting.
    """

    def __init__(self, budget: ByteBudget, clock: IReactorTime) -> None:
        self._budget = budget
        self._clock = clock
        self._waiting: deque[tuple[Deferred[None], int, float]] = deque()
        self._let_in = 0
        self._tick_call: IDelayedCall | None = None

    @property
    def waiting(self) -> int:
        """How many stand before it."""
        return len(self._waiting)

    def enter(self, size: int) -> Deferred[None]:
        """Fires when somebody may begin who will soon want to lease about `size` bytes."""
        if size <= self._budget.capacity // 256:
            # Sooner done than waited for.
            return succeed(None)
        self._watch()
        if not self._waiting and self._has_room(size):
            self._let_in += size
            return succeed(None)
        waiter: Deferred[None] = Deferred(self._leave)
        self._waiting.append((waiter, size, self._clock.seconds() + PATIENCE_SECONDS))
        return waiter

    def _has_room(self, size: int) -> bool:
        budget = self._budget
        if budget.holders != 1 and (budget.waiting or budget.used > budget.crowd // 3):
            return False
        # Those who have just come in lease nothing yet.
        return self._let_in == 0 or self._let_in + size <= budget.crowd // 16

    def _watch(self) -> None:
        if self._tick_call is None:
            self._tick_call = self._clock.callLater(TICK_SECONDS, self._tick)

    def _tick(self) -> None:
        self._tick_call = None
        self._let_in = 0
        if self._waiting and self._waiting[0][2] <= self._clock.seconds():
            self._let_first_in()
        while self._waiting and self._has_room(self._waiting[0][1]):
            self._let_first_in()
        if self._waiting or self._let_in:
            self._watch()

    def _let_first_in(self) -> None:
        waiter, size, _ = self._waiting.popleft()
        self._let_in += size
        waiter.callback(None)

    def _leave(self, waiter: Deferred[None]) -> None:
        self._waiting = deque(entry for entry in self._waiting if entry[0] is not waiter)
