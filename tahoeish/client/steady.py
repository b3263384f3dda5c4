"""A file that is sent in several goes, and has to be the same one all the time."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from tahoeish.client.errors import FileChanged
from tahoeish.streams.producer import PIECE
from tahoeish.streams.threads import ThreadRunner, Turns, claimed


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """What tells a file from another one, or from what it becomes when somebody writes to it."""

    size: int
    mtime_ns: int
    inode: int

    @classmethod
    def of(cls, status: os.stat_result) -> Fingerprint:
        return cls(status.st_size, status.st_mtime_ns, status.st_ino)


def modified_of(mtime_ns: int) -> float:
    """A time as the node gives it back: in seconds, and whole microseconds, which is what its catalogue can hold."""
    return (mtime_ns // 1000) / 1_000_000


class SteadyFile:
    """An open file, as it was when it was opened."""

    def __init__(self, fd: int, turns: Turns) -> None:
        self.fingerprint = Fingerprint.of(os.fstat(fd))
        self._fd = fd
        self._turns = turns

    @property
    def size(self) -> int:
        return self.fingerprint.size

    @property
    def modified(self) -> float:
        return modified_of(self.fingerprint.mtime_ns)

    async def contents(self, start: int = 0) -> AsyncIterator[bytes]:
        """From there to the end. Raises `FileChanged` before the last piece, so that nobody takes it for whole."""
        while start < self.size:
            piece = await self._turns(os.pread, self._fd, min(PIECE, self.size - start), start)
            start += len(piece)
            if (start >= self.size or not piece) and not await self.is_steady():
                raise FileChanged("the file was changed while it was being sent; send it again when it is at rest")
            if not piece:
                raise FileChanged(f"the file ends after {start} of {self.size} bytes")
            yield piece

    async def is_steady(self) -> bool:
        return Fingerprint.of(await self._turns(os.fstat, self._fd)) == self.fingerprint


@asynccontextmanager
async def opened_steadily(path: Path, run_in_thread: ThreadRunner) -> AsyncIterator[SteadyFile]:
    """Raises `OSError`, also for all but regular files."""
    turns = Turns(run_in_thread)
    fd = await claimed(run_in_thread(_open, path), os.close)
    try:
        yield SteadyFile(fd, turns)
    finally:
        await turns(os.close, fd)


def _open(path: Path) -> int:
    # Without O_NONBLOCK, a pipe that has taken the file's place would make us wait for somebody to write to it.
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        status = os.fstat(fd)
        if not stat.S_ISREG(status.st_mode):
            raise OSError(errno.EINVAL, "Not a regular file", str(path))
        # As those in /proc are.
        if not status.st_size and os.pread(fd, 1, 0):
            raise OSError(errno.EINVAL, "It says that it is empty, but isn't; send it through a pipe", str(path))
    except OSError:
        os.close(fd)
        raise
    return fd
