"""Where each worker of a node writes how much it has to do, for all to see: a piece of memory that they share."""

from __future__ import annotations

import mmap
import os
from collections.abc import Iterator
from dataclasses import dataclass
from struct import Struct

_ROW = Struct("=qqqq")


@dataclass(frozen=True, slots=True)
class Row:
    """A worker's: `pid` is 0 where none runs. Only one that is `open` lets clients in."""

    pid: int = 0
    open: bool = False
    connections: int = 0
    transfers: int = 0


class Board:
    """A row for each worker, which only that worker writes; after its death, the crew does."""

    def __init__(self, descriptor: int, rows: int) -> None:
        """`descriptor` is what `make` gave to some process."""
        self.descriptor = descriptor
        self._rows = rows
        self._memory = mmap.mmap(descriptor, rows * _ROW.size)

    @classmethod
    def make(cls, rows: int) -> Board:
        descriptor = os.memfd_create("workers")
        os.ftruncate(descriptor, rows * _ROW.size)
        return cls(descriptor, rows)

    def write(self, number: int, row: Row) -> None:
        _ROW.pack_into(self._memory, number * _ROW.size, row.pid, row.open, row.connections, row.transfers)

    def __iter__(self) -> Iterator[Row]:
        for number in range(self._rows):
            pid, is_open, connections, transfers = _ROW.unpack_from(self._memory, number * _ROW.size)
            yield Row(pid, bool(is_open), connections, transfers)

    def close(self) -> None:
        self._memory.close()
        os.close(self.descriptor)
