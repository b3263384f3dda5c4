"""Deadlines that are put off again and again."""

from __future__ import annotations

from twisted.internet.task import Clock

from tahoeish.streams.deadline import Deadline


class Watched:
    def __init__(self) -> None:
        self.clock = Clock()
        self.times: list[float] = []
        self.deadline = Deadline(self.clock, lambda: self.times.append(self.clock.seconds()))


def test_it_is_over_once_at_its_time() -> None:
    watched = Watched()
    watched.deadline.put(2.0)
    watched.clock.pump([1.0] * 5)
    assert watched.times == [2.0]


def test_it_may_be_put_off_with_one_timer() -> None:
    watched = Watched()
    for _ in range(5):
        watched.deadline.put(2.0)
        watched.clock.advance(1.0)
        assert len(watched.clock.getDelayedCalls()) == 1
    watched.clock.pump([0.5] * 5)
    assert watched.times == [6.0]


def test_it_may_be_put_forward() -> None:
    watched = Watched()
    watched.deadline.put(10.0)
    watched.deadline.put(1.0)
    watched.clock.pump([1.0] * 12)
    assert watched.times == [1.0]


def test_nothing_is_left_of_it_when_it_is_stopped() -> None:
    watched = Watched()
    watched.deadline.put(1.0)
    watched.deadline.stop()
    assert not watched.clock.getDelayedCalls()
    watched.deadline.put(3.0)
    watched.clock.pump([1.0] * 4)
    assert watched.times == [3.0]
