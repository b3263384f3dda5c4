"""Bodies of any length that take no room."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from struct import pack

from bench.sizes import MIB

Buffer = bytes | bytearray | memoryview

STAMP_SIZE = 16


@dataclass(frozen=True)
class Body:
    """
    `size` random bytes: one random block over and over, each copy with a stamp of its own at its beginning.

    The stamps keep bodies of different serial numbers apart, and make misplaced pieces change the digest.
    """

    block: bytes
    serial: int
    size: int

    def __iter__(self) -> Iterator[Buffer]:
        block = memoryview(self.block)
        for number, start in enumerate(range(0, self.size, len(block))):
            end = min(len(block), self.size - start)
            yield pack(">QQ", self.serial, number)[:end]
            if end > STAMP_SIZE:
                yield block[STAMP_SIZE:end]

    @property
    def name(self) -> str:
        """No other body's."""
        return f"body-{self.serial}"

    def digest(self) -> str:
        digest = sha256()
        for piece in self:
            digest.update(piece)
        return digest.hexdigest()


class Bodies:
    """Makes bodies, no two of them alike."""

    def __init__(self) -> None:
        self._block = os.urandom(MIB)
        self._made = 0

    def __call__(self, size: int) -> Body:
        self._made += 1
        return Body(self._block, self._made, size)
