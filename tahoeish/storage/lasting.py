"""
Unfinished shares that outlive the process that writes them, so that another one can go on with them.

Nobody holds such a file by a lock: whoever opens it, or begins it anew, last is right. What nobody has written to for
very long is cleared away; only the time of the last write tells. Beside the file there may be a logbook (see there),
which goes with it.
"""

from __future__ import annotations

import os
from contextlib import suppress
from io import FileIO
from pathlib import Path

from tahoeish.storage.errors import NoSuchShare
from tahoeish.storage.layout import unfinished_path

_SUFFIX = ".lasting"
_LOGBOOK_SUFFIX = ".lasting-log"


def lasting_path(incoming: Path, storage_index: bytes, number: int) -> Path:
    path = unfinished_path(incoming, storage_index, number)
    return path.with_name(path.name + _SUFFIX)


def logbook_path(path: Path) -> Path:
    """Of the lasting share at `path`."""
    return path.with_suffix(_LOGBOOK_SUFFIX)


def is_lasting(name: str) -> bool:
    """Whether a file of this name is a share that lasts, or goes with one."""
    return name.endswith((_SUFFIX, _LOGBOOK_SUFFIX))


def begin_lasting(path: Path) -> FileIO:
    """In place of one that was begun before, by somebody who was killed before he could note that he had begun it."""
    remove_lasting(path)
    return FileIO(path, "x+")


def remove_lasting(path: Path) -> None:
    """And what goes with it, first: it must never tell of another share."""
    logbook_path(path).unlink(missing_ok=True)
    path.unlink(missing_ok=True)


def touch(path: Path, now: float) -> None:
    """As if it had been written to just now. Raises `NoSuchShare`."""
    try:
        os.utime(path, (now, now))
    except FileNotFoundError:
        raise NoSuchShare(f"{path}: there is no such share") from None


def untouched_since(incoming: Path, moment: float) -> list[Path]:
    """Those that nobody has written to since then."""
    idle = []
    with os.scandir(incoming) as entries:
        for entry in entries:
            # It may have been finished since it was listed.
            with suppress(FileNotFoundError):
                if entry.name.endswith(_SUFFIX) and entry.stat().st_mtime < moment:
                    idle.append(Path(entry.path))
    return idle


def remove_lone_logbooks(incoming: Path) -> None:
    """Those of shares that have just been finished or removed when the process was killed."""
    for name in os.listdir(incoming):
        logbook = incoming / name
        if name.endswith(_LOGBOOK_SUFFIX) and not logbook.with_suffix(_SUFFIX).exists():
            logbook.unlink(missing_ok=True)
