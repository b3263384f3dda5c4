"""The files and encodings that everything is shown with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tests.nodes import content_of

MIB = 1024 * 1024
LARGEST = 200 * MIB
SIZES = (0, 1, 55, 56, 57, MIB - 1, MIB, MIB + 1, 10 * MIB + 7, LARGEST)
"""The first three lie within the cap itself. 1 MiB is a segment."""

BY_COMMAND = (57, LARGEST)
"""
Sizes at which files go through the stock command line, and not straight to the gateway that it would use.

It takes a second to start, and for the gateway it makes no difference.
"""


@dataclass(frozen=True)
class Encoding:
    """Any `needed` of `total` shares make the file; an upload counts with shares on `happy` nodes."""

    needed: int
    happy: int
    total: int

    def __str__(self) -> str:
        return f"{self.needed}-of-{self.total}"


WIDE = Encoding(3, 7, 10)
ENCODINGS = (Encoding(1, 1, 1), Encoding(2, 2, 3), WIDE)


def sample(size: int, seed: int) -> bytes:
    """
    The same at every call.

    Stock clients make the same cap of the same content, so tests with different seeds don't meet each other's shares.
    """
    return content_of(size, seed)


def parts_of(size: int) -> Sequence[tuple[int, int]]:
    """First and last positions: both ends, the middle, a large part, and over borders between segments."""
    middle, large = size // 2, max(size // 3, size - 7 * MIB)
    parts = [(0, 0), (size - 1, size - 1), (middle, min(middle + 4999, size - 1)), (large, size - 1)]
    parts += [(border - 7, border + 7) for border in (MIB, 6 * MIB, 101 * MIB)]
    return [(first, last) for first, last in parts if 0 <= first <= last < size]
