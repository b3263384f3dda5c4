"""A share of a mutable file, written anew with changes."""

from __future__ import annotations

import os
from collections.abc import Sequence
from errno import EINVAL, EIO, ENOSYS, EOPNOTSUPP, EPERM, EXDEV

from tahoeish.storage.container import write_all
from tahoeish.storage.mutable_container import (
    DATA_OFFSET,
    LeaseRecords,
    MutableHeader,
    read_lease_records,
    write_around_share,
)
from tahoeish.storage.ranges import RangeSet
from tahoeish.storage.vectors import Write

_COPY_SIZE = 1024 * 1024
_KERNEL_WONT_COPY = (EINVAL, ENOSYS, EOPNOTSUPP, EPERM, EXDEV)


def write_changed(
    fd: int, header: MutableHeader, writes: Sequence[Write], old_header: MutableHeader, old_fd: int | None
) -> None:
    """
    Fill the empty file with what `header` begins, what the old one, if any, holds, and what is written over that.

    Where nothing was and nothing is written there are zeros. Leases come along.
    """
    length = header.data_length
    leases = read_lease_records(old_fd, old_header) if old_fd is not None else LeaseRecords()
    write_around_share(fd, header, leases)
    if old_fd is not None:
        for begin, end in _overwritten(writes).missing(0, min(length, old_header.data_length)):
            _copy(old_fd, fd, DATA_OFFSET + begin, end - begin)
    for write in writes:
        if write.offset < length:
            write_all(fd, DATA_OFFSET + write.offset, [memoryview(write.data)[: length - write.offset]])


def _overwritten(writes: Sequence[Write]) -> RangeSet:
    overwritten = RangeSet()
    for write in writes:
        overwritten = overwritten.with_range(write.offset, write.end)
    return overwritten


def _copy(source: int, target: int, offset: int, count: int) -> None:
    """To the same place in the other file."""
    end = offset + count
    while offset < end:
        copied = _copy_some(source, target, offset, end - offset)
        if not copied:
            raise OSError(EIO, f"the file has no {end} bytes any more")
        offset += copied


def _copy_some(source: int, target: int, offset: int, count: int) -> int:
    try:
        return os.copy_file_range(source, target, count, offset, offset)
    except OSError as error:
        if error.errno not in _KERNEL_WONT_COPY:
            raise
    return write_all(target, offset, [os.pread(source, min(count, _COPY_SIZE), offset)])
