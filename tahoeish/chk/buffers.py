"""Bytes on their way through: kept as they came wherever that is cheaper than copying them."""

from typing import TypeAlias

# collections.abc.Buffer says it better, but only from Python 3.12 on.
Buffer: TypeAlias = bytes | bytearray | memoryview

# Each kept piece costs an object of some 200 bytes, and keeps alive all of the buffer it was cut from. Below
# this size, copying is the lesser evil.
_WORTH_KEEPING = 16 * 1024
_GATHERED_SIZE = 64 * 1024


class Pieces:
    """Consecutive pieces of a byte stream. Big ones are kept as they are, runs of small ones are gathered."""

    __slots__ = ("_gathering", "_kept", "size")

    def __init__(self) -> None:
        self.size = 0
        self._kept: list[Buffer] = []
        self._gathering: bytearray | None = None

    def add(self, piece: memoryview) -> None:
        self.size += len(piece)
        if len(piece) >= _WORTH_KEEPING:
            self._gathering = None
            self._kept.append(piece)
            return
        if self._gathering is None or len(self._gathering) >= _GATHERED_SIZE:
            self._gathering = bytearray()
            self._kept.append(self._gathering)
        self._gathering += piece

    def joined(self) -> bytes:
        """A copy of all that is there, which stays."""
        return b"".join(self._kept)

    def take(self) -> list[Buffer]:
        """All the pieces in order. Afterwards there are none."""
        taken, self._kept, self._gathering, self.size = self._kept, [], None, 0
        return taken
