"""A set of bytes agrees with a set of numbers."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tahoeish.storage.ranges import Range, RangeSet

SIZE = 40
bounds = st.tuples(st.integers(0, SIZE), st.integers(0, SIZE))


def numbers(ranges: list[Range] | tuple[Range, ...]) -> set[int]:
    return {number for begin, end in ranges for number in range(begin, end)}


@given(st.lists(bounds, max_size=12), bounds)
def test_it_agrees_with_a_set_of_numbers(added: list[tuple[int, int]], asked: tuple[int, int]) -> None:
    known, expected = RangeSet(), set[int]()
    for begin, end in added:
        known = known.with_range(begin, end)
        expected |= set(range(begin, end))
    wanted = set(range(*asked))
    assert numbers(known.ranges) == expected
    assert numbers(known.present(*asked)) == expected & wanted
    assert numbers(known.missing(*asked)) == wanted - expected
    assert numbers(known.up_to(asked[0]).ranges) == {number for number in expected if number < asked[0]}
    assert known.covers(*asked) == (wanted <= expected)
    assert known.end == max(expected, default=-1) + 1
    assert all(first.end < second.begin for first, second in zip(known.ranges, known.ranges[1:], strict=False))


def test_ranges_that_touch_become_one() -> None:
    assert RangeSet().with_range(0, 3).with_range(6, 9).with_range(3, 6).ranges == ((0, 9),)


def test_a_set_never_changes() -> None:
    small = RangeSet().with_range(0, 3)
    small.with_range(3, 6)
    assert small.ranges == ((0, 3),)
