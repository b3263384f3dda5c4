"""How many segments are read at a time."""

from __future__ import annotations

from tahoeish.grid.stretches import LONGEST, Stretches

MIB = 1024 * 1024


def lengths(stretches: Stretches, count: int, readers: int = 1) -> list[int]:
    return [len(stretch) for _ in range(count) if (stretch := stretches.next(readers)) is not None]


def test_they_are_all_of_the_segments_in_order() -> None:
    stretches = Stretches(range(3, 40), MIB)
    segments: list[int] = []
    while (stretch := stretches.next()) is not None:
        segments += stretch
    assert segments == list(range(3, 40))


def test_they_grow_from_one_segment() -> None:
    assert lengths(Stretches(range(1000), MIB // 2), 6) == [1, 2, 4, *[2 * LONGEST // MIB] * 3]


def test_a_segment_that_is_a_little_longer_counts_as_one() -> None:
    assert lengths(Stretches(range(1000), MIB + 2), 4) == lengths(Stretches(range(1000), MIB), 4) == [1, 2, 4, 4]


def test_several_readers_have_less_at_a_time() -> None:
    stretches = Stretches(range(1000), MIB)
    assert lengths(stretches, 3, readers=2) == [1, 2, 2]
    assert lengths(stretches, 2, readers=50) == [1, 1]
    assert lengths(stretches, 3, readers=0) == [2, 4, 4]


def test_a_segment_is_the_least() -> None:
    assert lengths(Stretches(range(3), 100 * MIB), 5) == [1, 1, 1]
