"""How many segments of a file are read at a time. Pure."""

from __future__ import annotations

LONGEST = 4 * 1024 * 1024
"""Bytes, or a few more: a request costs as much as many blocks do."""


class Stretches:
    """
    Cuts `segments` into stretches, each a `range`.

    The first is short, because somebody waits for it, and they grow from there.
    """

    def __init__(self, segments: range, segment_size: int) -> None:
        self._start, self._stop = segments.start, segments.stop
        self._segment_size = segment_size
        self._length = 1

    def next(self, readers: int = 1) -> range | None:
        """None when there are no more. The more `readers` there are at the same time, the less each has at once."""
        if self._start >= self._stop:
            return None
        # At 3 of 10 a segment is two bytes longer than a round number.
        longest = max(1, round(LONGEST / self._segment_size / max(readers, 1)))
        start, length = self._start, min(self._length, longest)
        self._start = min(start + length, self._stop)
        self._length = 2 * length
        return range(start, self._start)
