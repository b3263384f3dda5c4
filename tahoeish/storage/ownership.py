"""
Whose a storage directory is, and whose the unfinished shares in it.

Both are told by the kernel's locks on files, so they count between processes, and a crash leaves none behind: an
unfinished share that nobody holds is one that a killed process left.
"""

from __future__ import annotations

import fcntl
import os
import shutil
from io import FileIO
from pathlib import Path

from tahoeish.storage.errors import ShareInProgress, StoreInUse
from tahoeish.storage.lasting import is_lasting
from tahoeish.storage.layout import is_at


class Ownership:
    """
    A directory in the hands of one store; or of all stores that give the same `crew`, one in each of several processes.

    Whoever is `alone` may do with the directory what it likes, until it lets others of the crew in with `share`.
    """

    def __init__(self, lock_file: FileIO, crew: str | None, *, alone: bool) -> None:
        self.alone = alone
        self._lock_file = lock_file
        self._crew = crew

    @classmethod
    def take(cls, path: Path, crew: str | None) -> Ownership:
        """By the lock on the file `path`. Raises `StoreInUse`."""
        file = FileIO(path, "a+")
        try:
            if locked(file, fcntl.LOCK_EX):
                # Others of the crew see by it that they needn't go, only wait.
                file.truncate(0)
                file.write((crew or "").encode())
                return cls(file, crew, alone=True)
            if crew is None or not _joined(file, crew):
                raise StoreInUse(f"{path.parent}: somebody else uses this storage directory")
            return cls(file, crew, alone=False)
        except BaseException:
            file.close()
            raise

    def share(self) -> None:
        """Let the rest of the crew in, if there is a crew. Raises `StoreInUse`."""
        if self._crew is None:
            return
        # The kernel lets go of one lock before it takes the other, so somebody may have come between.
        if not _joined(self._lock_file, self._crew):
            raise StoreInUse("somebody else has just taken this storage directory")
        self.alone = False

    def release(self) -> None:
        self._lock_file.close()


def begin_file(path: Path) -> FileIO:
    """A new file for an unfinished share, held by whoever has it open. Raises `ShareInProgress`."""
    while True:
        try:
            file = FileIO(path, "x+")
        except FileExistsError:
            if not remove_if_abandoned(path):
                raise ShareInProgress(f"{path}: this share is being written by somebody else just now") from None
            continue
        # Until it was locked, it looked abandoned to whoever clears away.
        fcntl.flock(file, fcntl.LOCK_EX)
        if is_at(path, file):
            return file
        file.close()


def remove_unfinished(incoming: Path) -> None:
    """Clear away all that was left there, but for lasting shares. Not everybody has only files there."""
    with os.scandir(incoming) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                shutil.rmtree(entry.path)
            elif not is_lasting(entry.name):
                os.unlink(entry.path)


def begin_alone(path: Path) -> FileIO:
    """The same for whoever knows that nobody else writes here, so that what is left in its place is abandoned."""
    return FileIO(path, "w+")


def remove_abandoned(incoming: Path) -> None:
    """Clear away what killed processes left, and nothing that another one is writing, or that is lasting."""
    for name in os.listdir(incoming):
        if not is_lasting(name):
            remove_if_abandoned(incoming / name)


def remove_if_abandoned(path: Path) -> bool:
    """Whether nothing is there any more."""
    try:
        file = FileIO(path, "r+")
    except FileNotFoundError:
        return True
    with file:
        if not locked(file, fcntl.LOCK_EX):
            return False
        if is_at(path, file):
            path.unlink(missing_ok=True)
    return True


def locked(file: FileIO, operation: int) -> bool:
    """Whether the lock could be had without waiting."""
    try:
        fcntl.flock(file.fileno(), operation | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _joined(file: FileIO, crew: str) -> bool:
    if locked(file, fcntl.LOCK_SH) or _says(file, crew):
        # It waits only for one of the same crew, who clears away what was left and then lets others in.
        fcntl.flock(file, fcntl.LOCK_SH)
    return _says(file, crew)


def _says(file: FileIO, crew: str) -> bool:
    return os.pread(file.fileno(), 100, 0) == crew.encode()
