from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import TypeVar

import pytest
import pytest_twisted
from twisted.internet import reactor
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IReactorFromThreads

from tahoeish.streams.threads import Turns, WorkerPool, claimed, direct
from tests.held_work import HeldWork

T = TypeVar("T")


def halve(number: int) -> int:
    if number % 2:
        raise ValueError(f"{number} is odd")
    return number // 2


def outcome(waiting: Deferred[T]) -> list[object]:
    """What the Deferred has come to so far: nothing, or its one result, an exception included."""
    found: list[object] = []
    waiting.addCallbacks(found.append, lambda reason: found.append(reason.type))
    return found


@pytest.fixture
def pool() -> Iterator[WorkerPool]:
    pool = WorkerPool(IReactorFromThreads(reactor), 2, "test")
    yield pool
    pool.stop()


@pytest_twisted.ensureDeferred
async def test_pool_works_in_another_thread_and_answers_in_the_reactors(pool: WorkerPool) -> None:
    thread = await pool(threading.current_thread)

    assert thread is not threading.current_thread()
    assert await pool(halve, 10) == 5
    with pytest.raises(ValueError, match="11 is odd"):
        await pool(halve, 11)


@pytest_twisted.ensureDeferred
async def test_pool_works_on_several_things_at_once(pool: WorkerPool) -> None:
    both_there = threading.Barrier(2, timeout=10)

    first, second = pool(both_there.wait), pool(both_there.wait)

    assert {await first, await second} == {0, 1}


@pytest_twisted.ensureDeferred
async def test_stopping_a_pool_waits_for_the_work_that_it_was_given() -> None:
    pool = WorkerPool(IReactorFromThreads(reactor), 1, "test")
    done: list[int] = []
    answers = [pool(done.append, number) for number in range(10)]

    pool.stop()

    assert done == list(range(10))
    for answer in answers:
        await answer


def test_direct_work_is_done_at_once() -> None:
    assert outcome(direct(halve, 10)) == [5]
    assert outcome(direct(halve, 11)) == [ValueError]


# claimed


def test_claimed_thing_goes_to_whoever_waits() -> None:
    threads, returned = HeldWork(), list[object]()
    claim = outcome(claimed(threads(halve, 10), returned.append))

    threads.do_next()

    assert claim == [5]
    assert returned == []


def test_failure_goes_to_whoever_waits() -> None:
    threads = HeldWork()
    claim = outcome(claimed(threads(halve, 11), lambda thing: None))

    threads.do_next()

    assert claim == [ValueError]


def test_thing_that_nobody_waits_for_any_more_is_given_back() -> None:
    threads, returned = HeldWork(), list[object]()
    claim = claimed(threads(halve, 10), returned.append)
    gone = outcome(claim)

    claim.cancel()
    assert gone == [CancelledError]
    assert returned == []
    threads.do_next()

    assert returned == [5]


def test_failure_that_nobody_waits_for_any_more_disturbs_nobody() -> None:
    threads, returned = HeldWork(), list[object]()
    claim = claimed(threads(halve, 11), returned.append)
    gone = outcome(claim)

    claim.cancel()
    threads.do_next()

    assert gone == [CancelledError]
    assert returned == []


# Turns


def test_work_on_one_thing_is_done_one_after_the_other() -> None:
    threads = HeldWork()
    in_turn = Turns(threads)
    first, second = outcome(in_turn(halve, 2)), outcome(in_turn(halve, 4))

    assert len(threads) == 1
    threads.do_next()
    assert (first, second) == ([1], [])
    threads.do_next()
    assert (first, second) == ([1], [2])


def test_turn_is_over_when_the_work_is_not_when_its_waiter_is_cancelled() -> None:
    threads = HeldWork()
    in_turn = Turns(threads)
    cancelled = in_turn(halve, 2)
    gone, next_one = outcome(cancelled), outcome(in_turn(halve, 4))

    cancelled.cancel()
    assert gone == [CancelledError]
    assert len(threads) == 1
    threads.do_next()
    assert next_one == []
    threads.do_next()
    assert next_one == [2]


def test_failed_work_ends_its_turn() -> None:
    threads = HeldWork()
    in_turn = Turns(threads)
    first, second = outcome(in_turn(halve, 1)), outcome(in_turn(halve, 4))

    threads.do_all()

    assert (first, second) == ([ValueError], [2])
