"""What a client asks of the shares of one mutable file, all in one step: what to test, what to write, what to read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

ReadVector = Sequence[tuple[int, int]]
"""Offsets and sizes of what to read of every share."""


@dataclass(frozen=True, slots=True)
class Test:
    """The `size` bytes at `offset` must be `specimen`. Where there is no share there are no bytes."""

    # The name is the protocol's; without this, pytest takes the class for a room full of tests.
    __test__ = False

    offset: int
    size: int
    specimen: bytes

    def passes(self, found: bytes) -> bool:
        return found == self.specimen


@dataclass(frozen=True, slots=True)
class Write:
    offset: int
    data: bytes

    @property
    def end(self) -> int:
        return self.offset + len(self.data)


@dataclass(frozen=True, slots=True)
class ShareChange:
    """
    What becomes of one share once all tests, those of all other shares too, have passed.

    After the writes it is cut to `new_length` if it is longer. A `new_length` of 0 deletes it, whatever is written.
    """

    tests: list[Test] = field(default_factory=list)
    writes: list[Write] = field(default_factory=list)
    new_length: int | None = None

    @property
    def deletes(self) -> bool:
        return self.new_length == 0

    @property
    def is_none(self) -> bool:
        """Whether it leaves every share as it is."""
        return not self.writes and self.new_length is None

    def length_after(self, length: int) -> int:
        """How long a share of this length becomes."""
        # A write of nothing doesn't reach anywhere.
        longest = max([length, *(write.end for write in self.writes if write.data)])
        return longest if self.new_length is None else min(longest, self.new_length)

    def leaves(self, length: int | None) -> bool:
        """Whether a share of this length, or, for None, one that isn't there, stays as it is."""
        if length is None:
            return self.deletes or not self.writes
        return not self.deletes and not self.writes and self.length_after(length) == length
