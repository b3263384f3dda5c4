"""Several pieces of work at the same time."""

from __future__ import annotations

from twisted.internet.defer import CancelledError, Deferred
from twisted.python.failure import Failure

from tahoeish.client.at_once import at_once


class Work:
    """Pieces that are done when a test says so."""

    def __init__(self) -> None:
        self.under_way: dict[int, Deferred[None]] = {}
        self.cancelled: list[int] = []

    async def __call__(self, piece: int) -> None:
        self.under_way[piece] = Deferred()
        try:
            await self.under_way[piece]
        except CancelledError:
            self.cancelled.append(piece)
            raise
        finally:
            del self.under_way[piece]


def begun(work: Work, most: int, count: int) -> Deferred[None]:
    return Deferred.fromCoroutine(at_once(most, range(count), work))


def error_of(deferred: Deferred[None]) -> BaseException | None:
    failures: list[Failure] = []

    def failed(failure: Failure) -> None:
        failures.append(failure)

    deferred.addErrback(failed)
    [failure] = failures
    return failure.value


def test_as_many_as_may_be_are_under_way_until_all_are_done() -> None:
    work = Work()
    working = begun(work, most=2, count=3)
    assert set(work.under_way) == {0, 1}
    work.under_way[1].callback(None)
    assert set(work.under_way) == {0, 2}
    work.under_way[2].callback(None)
    assert not working.called
    work.under_way[0].callback(None)
    assert working.called


def test_nothing_to_do_is_done() -> None:
    assert begun(Work(), most=3, count=0).called


def test_there_may_be_many_more_at_a_time_than_there_are() -> None:
    work = Work()
    working = begun(work, most=10**12, count=2)
    assert set(work.under_way) == {0, 1}
    for piece in (0, 1):
        work.under_way[piece].callback(None)
    assert working.called


def test_the_first_failure_ends_the_others_and_begins_no_more() -> None:
    work = Work()
    working = begun(work, most=2, count=9)
    work.under_way[0].errback(ValueError("wrong"))
    assert isinstance(error_of(working), ValueError)
    assert (work.cancelled, work.under_way) == ([1], {})


def test_cancelling_ends_all() -> None:
    work = Work()
    working = begun(work, most=2, count=9)
    working.cancel()
    assert isinstance(error_of(working), CancelledError)
    assert sorted(work.cancelled) == [0, 1]
