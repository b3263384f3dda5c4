"""Pieces of work that come while others are under way are done together."""

from __future__ import annotations

from collections.abc import Sequence

from tahoeish.streams.together import Together
from tests.held_work import HeldWork


class Doubling:
    """Doubles numbers in batches; a negative one fails."""

    def __init__(self, *, most: int = 10, at_once: int = 1) -> None:
        self.held = HeldWork()
        self.batches: list[list[int]] = []
        self.told: list[object] = []
        self._together: Together[int] = Together(self.held, self._double, most=most, at_once=at_once)

    def ask(self, *numbers: int) -> None:
        for number in numbers:
            self._together(number).addCallbacks(self.told.append, lambda failure: self.told.append(failure.value))

    def _double(self, numbers: Sequence[int]) -> list[object]:
        self.batches.append(list(numbers))
        if 13 in numbers:
            raise RuntimeError("no luck today")
        return [ValueError(f"{number} is negative") if number < 0 else 2 * number for number in numbers]


def test_all_that_waits_when_a_thread_is_free_is_one_batch() -> None:
    doubling = Doubling()
    doubling.ask(1, 2)
    doubling.held.do_next()
    doubling.ask(3)
    doubling.held.do_all()
    assert doubling.batches == [[1, 2], [3]]
    assert doubling.told == [2, 4, 6]


def test_a_batch_has_its_bounds_and_so_has_their_number() -> None:
    doubling = Doubling(most=2, at_once=2)
    doubling.ask(1, 2, 3, 4, 5)
    assert len(doubling.held) == 2
    doubling.held.do_all()
    assert doubling.batches == [[1, 2], [3, 4], [5]]


def test_everybody_is_told_of_his_own() -> None:
    doubling = Doubling()
    doubling.ask(1, -2, 3)
    doubling.held.do_all()
    assert [str(told) for told in doubling.told] == ["2", "-2 is negative", "6"]


def test_when_a_batch_fails_all_that_are_in_it_are_told() -> None:
    doubling = Doubling(most=2)
    doubling.ask(1, 13, 4)
    doubling.held.do_all()
    assert [str(told) for told in doubling.told] == ["no luck today", "no luck today", "8"]
