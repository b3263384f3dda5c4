"""
The file that holds one immutable share: a header, the share, and leases to the end.

| offset | size | field |
|---|---|---|
| 0 | 4 | container version: 1 or 2 |
| 4 | 4 | length of the share, or 2**32 - 1 when it is longer |
| 8 | 4 | number of leases |
| 12 | | the share |
| end - 72 * leases | 72 each | leases |
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from struct import Struct

from tahoeish.chk.buffers import Buffer
from tahoeish.storage.errors import BadShareFile

_HEADER = Struct(">LLL")
DATA_OFFSET = _HEADER.size
LEASE_SIZE = 72
VERSION_WRITTEN = 2
MUTABLE_MAGIC_START = b"Tahoe mutable container v"

_LEASE_COUNT = Struct(">L")
_LEASE_COUNT_OFFSET = 8
_SATURATED = 2**32 - 1
_MAX_BUFFERS = os.sysconf("SC_IOV_MAX")


@dataclass(frozen=True, slots=True)
class Header:
    version: int
    data_length: int
    lease_count: int

    @property
    def leases_offset(self) -> int:
        return DATA_OFFSET + self.data_length

    @property
    def file_size(self) -> int:
        return self.leases_offset + LEASE_SIZE * self.lease_count

    def pack(self) -> bytes:
        return _HEADER.pack(self.version, min(self.data_length, _SATURATED), self.lease_count)


def read_header(fd: int, path: Path) -> Header:
    file_size = os.fstat(fd).st_size
    start = os.pread(fd, len(MUTABLE_MAGIC_START), 0)
    if start == MUTABLE_MAGIC_START:
        raise BadShareFile(f"{path}: holds a share of a mutable file")
    if len(start) < _HEADER.size:
        raise BadShareFile(f"{path}: {file_size} bytes are too few for a share container")
    version, written_length, lease_count = _HEADER.unpack_from(start)
    if version not in (1, 2):
        raise BadShareFile(f"{path}: container version {version} is unknown")
    data_length = file_size - DATA_OFFSET - LEASE_SIZE * lease_count
    if data_length < 0:
        raise BadShareFile(f"{path}: {lease_count} leases don't fit into {file_size} bytes")
    if written_length < _SATURATED and written_length < data_length <= written_length + LEASE_SIZE:
        # A crash came between a new lease and the new lease count, which makes (part of) the lease look like
        # share.
        data_length = written_length
    return Header(version, data_length, lease_count)


def write_lease_count(fd: int, lease_count: int) -> None:
    write_all(fd, _LEASE_COUNT_OFFSET, [_LEASE_COUNT.pack(lease_count)])


def write_all(fd: int, offset: int, buffers: Sequence[Buffer]) -> int:
    """Write the buffers one after the other from `offset` on, all of them. Gives the number of bytes."""
    waiting = deque(view for buffer in buffers if (view := memoryview(buffer).cast("B")))
    start = offset
    while waiting:
        written = os.pwritev(fd, list(islice(waiting, _MAX_BUFFERS)), offset)
        offset += written
        while written:
            first = waiting.popleft()
            if written < len(first):
                waiting.appendleft(first[written:])
            written -= min(written, len(first))
    return offset - start
