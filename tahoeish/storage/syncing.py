"""
Bringing to the disk what has been written: one thing after the other, or all that a file system has to write.

Each file and each folder that is synced by itself makes the disk empty its own cache, too. For many small shares that
is most of the work, so then the whole file system is synced instead, if that is known to do the same, and if little
else waits for the disk that one would have to wait for as well.
"""

from __future__ import annotations

import ctypes
import os
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any, TypeAlias

Unsafe: TypeAlias = int | Path
"""An open file, or a folder."""

FEW = 3
"""So many things are synced by themselves."""

LITTLE = 64 * 1024 * 1024
"""Bytes that may wait for the disks of this machine when a whole file system is synced."""

_TRUSTED_KIND = "ext4"
"""
The file system of which is known that syncing all of it, and then any part, leaves nothing in the memory of the machine
or of the disk. Others write less, as FUSE, or leave the disk's cache alone.
"""

_TRUSTED_SINCE = (5, 17)
"""Before this version, Linux kept errors to itself when a whole file system was synced."""

_WAIT, _WRITE = 1, 2
"""SYNC_FILE_RANGE_WAIT_BEFORE and SYNC_FILE_RANGE_WRITE."""


def sync_all(things: Iterable[Unsafe]) -> dict[Unsafe, OSError]:
    """What isn't safe afterwards, and why. Blocks."""
    faults: dict[Unsafe, OSError] = {}
    disks: defaultdict[int, list[Unsafe]] = defaultdict(list)
    for thing in things:
        try:
            disks[os.stat(thing).st_dev].append(thing)
        except OSError as error:
            faults[thing] = error
    for disk, group in disks.items():
        at_once = len(group) > FEW and can_sync_whole(disk) and waiting_for_disks() <= LITTLE
        faults |= _sync_whole(group) if at_once else _sync_each(group)
    return faults


def _sync_each(things: Sequence[Unsafe]) -> dict[Unsafe, OSError]:
    files = [thing for thing in things if isinstance(thing, int)]
    if len(files) > 1:
        # Otherwise each file gets its place on the disk when it is its turn, and needs a commit of the file system's
        # journal for itself.
        for file in files:
            begin_writing(file)
    faults: dict[Unsafe, OSError] = {}
    for thing in things:
        try:
            with _opened(thing) as fd:
                os.fsync(fd)
        except OSError as error:
            faults[thing] = error
    return faults


def _sync_whole(things: Sequence[Unsafe]) -> dict[Unsafe, OSError]:
    """For things of one file system."""
    try:
        with _opened(things[0]) as fd:
            _call(_syncfs, fd)
            # It may have left something in the cache of the disk, which this empties.
            os.fsync(fd)
    except OSError as error:
        # It doesn't say what of all this isn't safe, and would not say so a second time.
        return dict.fromkeys(things, error)
    faults: dict[Unsafe, OSError] = {}
    for file in things:
        if isinstance(file, int):
            try:
                # The data may have been written, in vain, before all this: that only the file itself tells.
                _call(_sync_file_range, file, 0, 0, _WAIT)
            except OSError as error:
                faults[file] = error
    return faults


@contextmanager
def _opened(thing: Unsafe) -> Iterator[int]:
    if isinstance(thing, int):
        yield thing
        return
    fd = os.open(thing, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield fd
    finally:
        os.close(fd)


@cache
def can_sync_whole(disk: int) -> bool:
    """Whether syncing all of the file system with this device number does as much as syncing what is in it."""
    if _syncfs is None or _sync_file_range is None:
        return False
    try:
        mounts = Path("/proc/self/mountinfo").read_text("utf-8", "replace")
    except OSError:
        return False
    version = re.match(r"(\d+)\.(\d+)", os.uname().release)
    return (
        version is not None
        and (int(version[1]), int(version[2])) >= _TRUSTED_SINCE
        and kind_of(disk, mounts) == _TRUSTED_KIND
    )


def kind_of(disk: int, mounts: str) -> str | None:
    """The kind of file system with this device number, by what Linux has in `/proc/self/mountinfo`."""
    number = f"{os.major(disk)}:{os.minor(disk)}"
    for line in mounts.splitlines():
        place, _, source = line.partition(" - ")
        if place.split()[2:3] == [number]:
            return source.partition(" ")[0]
    return None


def waiting_for_disks() -> float:
    """Bytes that the system has still to write, for whomever; infinite where it doesn't say."""
    try:
        text = Path("/proc/meminfo").read_text("ascii")
    except OSError:
        return float("inf")
    amounts = dict(re.findall(r"^(Dirty|Writeback): +(\d+) kB$", text, re.MULTILINE))
    return sum(int(amount) * 1024 for amount in amounts.values()) if len(amounts) == 2 else float("inf")


def begin_writing(file: int) -> None:
    """
    Send what this open file has to the disk, without waiting for it. It is a hint: where the system knows none of this,
    nothing happens, and whether it worked, only a sync tells.
    """
    if _sync_file_range is not None:
        _sync_file_range(file, 0, 0, _WRITE)


def _call(function: Callable[..., int] | None, *arguments: int) -> None:
    assert function is not None
    if function(*arguments):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def _find(name: str, *types: Any) -> Callable[..., int] | None:
    try:
        function: Any = getattr(ctypes.CDLL(None, use_errno=True), name)
    except (OSError, AttributeError):
        return None
    function.argtypes = types
    return function  # type: ignore[no-any-return]


_syncfs = _find("syncfs", ctypes.c_int)
_sync_file_range = _find("sync_file_range", ctypes.c_int, ctypes.c_int64, ctypes.c_int64, ctypes.c_uint)
