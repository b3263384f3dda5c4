"""Newcomers at a gate."""

from __future__ import annotations

import pytest
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock

from tahoeish.streams.budget import ByteBudget
from tahoeish.streams.gate import PATIENCE_SECONDS, TICK_SECONDS, Gate

KIB = 1024


class Crowd:
    def __init__(self, budget: ByteBudget | None = None) -> None:
        self.clock = Clock()
        self.budget = budget or ByteBudget(1024 * KIB)
        self.gate = Gate(self.budget, self.clock)

    def come(self, count: int, size: int = 64 * KIB) -> list[Deferred[None]]:
        return [self.gate.enter(size) for _ in range(count)]

    def tick(self, times: int = 1) -> None:
        self.clock.pump([TICK_SECONDS] * times)


@pytest.fixture
def crowd() -> Crowd:
    return Crowd()


def let_in(waiters: list[Deferred[None]]) -> int:
    return sum(waiter.called for waiter in waiters)


def test_the_first_one_need_not_wait(crowd: Crowd) -> None:
    assert let_in(crowd.come(1, 10_000 * KIB)) == 1


def test_of_many_a_few_come_in_at_a_time(crowd: Crowd) -> None:
    waiters = crowd.come(10, 16 * KIB)
    assert let_in(waiters) == 4
    crowd.tick()
    assert let_in(waiters) == 8
    crowd.tick()
    assert let_in(waiters) == 10


def test_small_things_pass_by_the_others(crowd: Crowd) -> None:
    crowd.budget.lease(600 * KIB)
    assert let_in(crowd.come(10)) == 0
    assert let_in(crowd.come(100, 4 * KIB)) == 100


def test_while_there_is_much_to_do_they_wait_in_order(crowd: Crowd) -> None:
    (lease,) = [crowd.budget.lease(600 * KIB)]
    waiters = crowd.come(3)
    crowd.tick(20)
    assert let_in(waiters) == 0 and crowd.gate.waiting == 3
    lease.addCallback(lambda lease: lease.shrink(300 * KIB))
    crowd.tick(3)
    assert let_in(waiters) == 3


def test_one_transfer_that_has_it_all_keeps_nobody_waiting(crowd: Crowd) -> None:
    for _ in range(2):
        crowd.budget.lease(600 * KIB, "alone")
    assert crowd.budget.waiting
    assert let_in(crowd.come(1)) == 1
    crowd.budget.lease(10 * KIB, "another")
    crowd.tick()
    assert let_in(crowd.come(1)) == 0


def test_there_is_much_to_do_as_soon_as_a_third_of_what_a_crowd_may_have_is_on_lease() -> None:
    crowd = Crowd(ByteBudget(1024 * KIB, crowd=384 * KIB))
    leases = [crowd.budget.lease(65 * KIB, holder) for holder in ("one", "another")]
    waiters = crowd.come(4, 8 * KIB)
    assert let_in(waiters) == 0
    leases[0].addCallback(lambda lease: lease.release())
    crowd.tick()
    assert let_in(waiters) == 3, "a sixteenth of it at a time"


def test_nobody_waits_for_ever(crowd: Crowd) -> None:
    crowd.budget.lease(600 * KIB)
    waiters = crowd.come(3)
    crowd.clock.advance(PATIENCE_SECONDS - 1)
    assert let_in(waiters) == 0
    crowd.clock.advance(1)
    crowd.tick()
    assert 0 < let_in(waiters) < 3
    crowd.tick(5)
    assert let_in(waiters) == 3


def test_who_leaves_is_not_counted(crowd: Crowd) -> None:
    crowd.budget.lease(600 * KIB)
    (waiter,) = crowd.come(1)
    waiter.addErrback(lambda failure: failure.trap(CancelledError))
    waiter.cancel()
    assert crowd.gate.waiting == 0


def test_the_clock_is_left_alone_when_nobody_comes(crowd: Crowd) -> None:
    crowd.come(1)
    crowd.tick(3)
    assert crowd.clock.getDelayedCalls() == []
