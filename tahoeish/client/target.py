"""Where a download goes: into a file object as it comes, or under a path once it is whole."""

from __future__ import annotations

import errno
import os
import secrets
import stat
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from typing import BinaryIO, TypeAlias

from twisted.internet.defer import Deferred

from tahoeish.streams.threads import ThreadRunner, Turns, claimed

Write: TypeAlias = Callable[[Sequence[bytes]], Deferred[None]]


@asynccontextmanager
async def written(target: Path | BinaryIO, run_in_thread: ThreadRunner) -> AsyncIterator[Write]:
    """
    A function that writes pieces to `target`.

    Under a path there is nothing new before the `async with` has been left in good order, and then all of it,
    made durable.
    """
    turns = Turns(run_in_thread)
    if not isinstance(target, Path):
        yield partial(turns, target.writelines)
        await turns(target.flush)
        return
    part = await claimed(run_in_thread(_PartFile, target), _PartFile.discard)
    try:
        yield partial(turns, part.file.writelines)
        await turns(part.sync)
        await turns(part.rename)
    finally:
        await turns(part.discard)


class _PartFile:
    """Lies under another name beside the file that it is to become."""

    def __init__(self, path: Path) -> None:
        # Through a symbolic link: it stays, and what it points to is replaced.
        self._path = path.resolve()
        mode = _mode_if_exists(self._path)
        self._part = self._path.with_name(f".tahoeish-{secrets.token_hex(8)}.part")
        fd = os.open(self._part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
        self.file: BinaryIO = os.fdopen(fd, "wb")
        if mode is not None:
            os.fchmod(fd, mode)

    def sync(self) -> None:
        self.file.flush()
        os.fsync(self.file.fileno())

    def rename(self) -> None:
        self._part.replace(self._path)
        directory = os.open(self._path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)

    def discard(self) -> None:
        """Leave nothing open and nothing half-done. Harmless after `rename`."""
        self._part.unlink(missing_ok=True)
        # Bytes that didn't fit on the disk may be left in the buffer, and would be tried again.
        with suppress(OSError):
            self.file.close()


def _mode_if_exists(path: Path) -> int | None:
    """The permissions that the file has now and shall keep."""
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        return None
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    return stat.S_IMODE(mode)
