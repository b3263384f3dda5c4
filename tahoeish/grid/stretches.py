"""How many segments of a file are read at a time. Pure."""

from __future__ import annotations

LONGEST = 2 * 1024 * 1024
"""
Bytes: a request costs as much as many blocks do. At 3 of 10 a segment has two bytes more than 1 MiB, so one is all that
goes into a stretch. With two of them a file comes a tenth faster, and takes twice the memory.
"""


class Stretches:
    """
    Cuts `segments` into stretches, each a `range`.

    The first is short, because somebody waits for it, and they grow from there.
    """

    def __init__(self, segments: range, segment_size: int) -> None:
        self._start, self._stop = segments.start, segments.stop
        self._length = 1
        self._longest = max(1, LONGEST // segment_size)

    def next(self) -> range | None:
        """None when there are no more."""
        if self._start >= self._stop:
            return None
        start, length = self._start, self._length
        self._start = min(start + length, self._stop)
        self._length = min(2 * length, self._longest)
        return range(start, self._start)
