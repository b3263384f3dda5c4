"""How many segments of a file are read at a time. Pure."""

from __future__ import annotations

USUAL = 2 * 1024 * 1024
"""Bytes: a request costs as much as many blocks do."""

LONGEST = 3 * 1024 * 1024
"""For a client that drinks faster than we fetch. For another one it would only lie there."""


class Stretches:
    """
    Cuts `segments` into stretches, each a `range`.

    The first is short, because somebody waits for it. They grow from there to the usual length, and beyond that only as
    long as `reader_waits`.
    """

    def __init__(self, segments: range, segment_size: int) -> None:
        self.reader_waits = True
        self._start, self._stop = segments.start, segments.stop
        self._length = 1
        self._usual = max(1, USUAL // segment_size)
        self._longest = max(1, LONGEST // segment_size)

    def next(self) -> range | None:
        """None when there are no more."""
        if self._start >= self._stop:
            return None
        start, length = self._start, self._length
        self._start = min(start + length, self._stop)
        self._length = min(2 * length, self._longest if self.reader_waits else self._usual)
        return range(start, self._start)
