"""
Where a storage directory keeps its shares, and how files come to their places and go.

Whoever changes, replaces or deletes the file of a finished share does so while he holds it (`held`). The hold is the
kernel's lock on the file, so it counts between stores and between processes alike, and a crash leaves none behind.
"""

from __future__ import annotations

import fcntl
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import lru_cache
from io import FileIO
from pathlib import Path

from tahoeish.chk import base32
from tahoeish.storage.errors import NoSuchShare, errors_about

_PREFIX_LENGTH = 2
_NAME_LENGTH = 26
_SHARE_NAME = re.compile(r"0|[1-9][0-9]*", re.ASCII)


def share_folder(root: Path, storage_index: bytes) -> Path:
    name = _name(storage_index)
    return root / name[:_PREFIX_LENGTH] / name


def unfinished_path(incoming: Path, storage_index: bytes, number: int) -> Path:
    """Where a share is written. Not in folders like finished ones, which cost more to make and remove than a file."""
    return incoming / f"{_name(storage_index)}.{number}"


@lru_cache(256)
def _name(storage_index: bytes) -> str:
    return base32.encode(storage_index)


def prefixes(root: Path) -> list[str]:
    """The names of the upper folders below `root`, in order."""
    with errors_about(root):
        return sorted(name for name in os.listdir(root) if len(name) == _PREFIX_LENGTH)


def folders_of(root: Path, prefix: str) -> list[Path]:
    """The folders of all storage indexes that begin like this, in order."""
    upper = root / prefix
    with errors_about(upper):
        try:
            names = os.listdir(upper)
        except (FileNotFoundError, NotADirectoryError):
            return []
    return [upper / name for name in sorted(names) if name.startswith(prefix) and len(name) == _NAME_LENGTH]


def numbers_in(folder: Path) -> set[int]:
    """The numbers of the shares in a folder, of either kind. A folder that isn't there has none."""
    with errors_about(folder):
        try:
            names = os.listdir(folder)
        except (FileNotFoundError, NotADirectoryError):
            return set()
    return {int(name) for name in names if _SHARE_NAME.fullmatch(name)}


def open_existing(path: Path, mode: str) -> FileIO:
    with errors_about(path):
        try:
            return FileIO(path, mode)
        except FileNotFoundError:
            raise NoSuchShare(f"{path}: there is no such share") from None


@contextmanager
def held(path: Path) -> Iterator[FileIO]:
    """The share's file, open for change, with all others who want to hold it waiting. Raises `NoSuchShare`."""
    while True:
        with open_existing(path, "r+b") as file:
            with errors_about(path):
                fcntl.flock(file.fileno(), fcntl.LOCK_EX)
            # Who held it until now may have put another file in its place, or removed it.
            if is_at(path, file):
                yield file
                return


def make_folder(folder: Path) -> None:
    """Two levels and no more: without what is above them, the disk isn't there."""
    while True:
        # Not with `exist_ok`, which fails when the folder is removed at just that moment.
        try:
            folder.mkdir()
        except FileExistsError:
            return
        except FileNotFoundError:
            # As a rule the upper one is there, but somebody may find it empty, and remove it, at any time.
            with suppress(FileExistsError):
                folder.parent.mkdir()
        else:
            return


def move_into_place(path: Path, final_path: Path) -> None:
    while True:
        make_folder(final_path.parent)
        try:
            path.rename(final_path)
            return
        except FileNotFoundError:
            if not path.exists():
                raise


def remove_empty_folders(path: Path) -> None:
    """The two that `make_folder` made for the finished share at `path`, unless there is another share in them."""
    with suppress(OSError):
        for folder in path.parents[:2]:
            folder.rmdir()


def remove_share(path: Path, *, durable: bool) -> None:
    path.unlink()
    remove_empty_folders(path)
    if durable:
        for folder in path.parents[:3]:
            with suppress(FileNotFoundError):
                sync_folders(folder)


def sync_folders(*folders: Path) -> None:
    for folder in folders:
        fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)


def is_at(path: Path, file: FileIO) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(file.fileno()))
    except FileNotFoundError:
        return False
