"""The `Range` header, for one range of bytes."""

from __future__ import annotations

import re
from dataclasses import dataclass

_RANGE = re.compile(r"(\d{1,20})-(\d{0,20})|-(\d{1,20})", re.ASCII)


class Unsatisfiable(Exception):
    """A well-formed range that begins after the end."""


@dataclass(frozen=True, slots=True)
class ByteRange:
    """From `first` to `last`, both included."""

    first: int
    last: int

    @property
    def length(self) -> int:
        return self.last - self.first + 1


def parse_range(header: str, size: int) -> ByteRange | None:
    """
    What is asked for of a file of `size` bytes, cut off at its end.

    None for what can't be understood, or isn't in bytes: the whole file is the right answer then. Of several ranges
    the first one counts. Raises `Unsatisfiable`.
    """
    unit, _, ranges = header.partition("=")
    if unit.strip().lower() != "bytes":
        return None
    match = _RANGE.fullmatch(ranges.split(",")[0].strip())
    if match is None:
        return None
    if match[3] is not None:
        length = min(int(match[3]), size)
        if length == 0:
            raise Unsatisfiable
        return ByteRange(size - length, size - 1)
    first = int(match[1])
    last = int(match[2]) if match[2] else size - 1
    if match[2] and last < first:
        return None
    if first >= size:
        raise Unsatisfiable
    return ByteRange(first, min(last, size - 1))
