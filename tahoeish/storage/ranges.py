"""Which bytes of something are there already."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from dataclasses import dataclass
from typing import NamedTuple


class Range(NamedTuple):
    """The bytes from `begin` up to, but without, `end`."""

    begin: int
    end: int


@dataclass(frozen=True, slots=True)
class RangeSet:
    """
    A set of bytes, as ranges in order that neither overlap nor touch. It never changes: whoever holds one may go on
    reading it while somebody makes the next.
    """

    ranges: tuple[Range, ...] = ()

    @property
    def end(self) -> int:
        """Behind the last byte."""
        return self.ranges[-1].end if self.ranges else 0

    def with_range(self, begin: int, end: int) -> RangeSet:
        """The same and the bytes from `begin` to `end`."""
        if begin >= end:
            return self
        first = bisect_left(self.ranges, begin, key=lambda known: known.end)
        behind = bisect_right(self.ranges, end, key=lambda known: known.begin)
        merged = self.ranges[first:behind]
        if merged:
            begin, end = min(begin, merged[0].begin), max(end, merged[-1].end)
        return RangeSet((*self.ranges[:first], Range(begin, end), *self.ranges[behind:]))

    def up_to(self, end: int) -> RangeSet:
        """The same without what is at `end` and behind it."""
        return RangeSet(tuple(self.present(0, end)))

    def present(self, begin: int, end: int) -> list[Range]:
        """What of `begin` to `end` is in it."""
        first = bisect_right(self.ranges, begin, key=lambda known: known.end)
        behind = bisect_left(self.ranges, end, key=lambda known: known.begin)
        return [Range(max(begin, known.begin), min(end, known.end)) for known in self.ranges[first:behind]]

    def missing(self, begin: int, end: int) -> list[Range]:
        """What of `begin` to `end` is not in it."""
        gaps = []
        for known in self.present(begin, end):
            if begin < known.begin:
                gaps.append(Range(begin, known.begin))
            begin = known.end
        if begin < end:
            gaps.append(Range(begin, end))
        return gaps

    def covers(self, begin: int, end: int) -> bool:
        return not self.missing(begin, end)
