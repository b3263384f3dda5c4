"""Stores and shares for the tests of this room."""

from __future__ import annotations

import os
from contextlib import ExitStack, suppress
from pathlib import Path

from tahoeish.chk import base32
from tahoeish.storage.incoming import IncomingShare
from tahoeish.storage.leases import LeaseSecrets
from tahoeish.storage.share_file import ShareFile
from tahoeish.storage.shares import ShareStore

STORAGE_INDEX = bytes(range(16))
NAME = base32.encode(STORAGE_INDEX)
NOW = 1_700_000_000
SECRETS = LeaseSecrets(b"r" * 32, b"c" * 32)
OTHER_SECRETS = LeaseSecrets(b"R" * 32, b"C" * 32)


class TidyStore(ShareStore):
    """Remembers everything that it has opened, for `left_open` to close."""

    def __init__(
        self, directory: Path, left_open: ExitStack, *, durable: bool, now: float, reserved_space: int
    ) -> None:
        super().__init__(directory, durable=durable, now=lambda: now, reserved_space=reserved_space)
        self._left_open = left_open

    def start(self) -> None:
        super().start()
        self._left_open.callback(self.stop)

    def create(
        self, storage_index: bytes, number: int, size: int | None, lease: LeaseSecrets, *, lasting: bool = False
    ) -> IncomingShare:
        share = super().create(storage_index, number, size, lease, lasting=lasting)
        self._left_open.callback(share.abort)
        return share

    def reopen(self, storage_index: bytes, number: int, size: int | None, lease: LeaseSecrets) -> IncomingShare:
        share = super().reopen(storage_index, number, size, lease)
        self._left_open.callback(share.abort)
        return share

    def open(self, storage_index: bytes, number: int) -> ShareFile:
        share = super().open(storage_index, number)
        self._left_open.callback(share.close)
        return share


class StartStore:
    def __init__(self, left_open: ExitStack) -> None:
        self._left_open = left_open

    def __call__(
        self, directory: Path, *, durable: bool = False, now: float = NOW, reserved_space: int = 0
    ) -> ShareStore:
        store = TidyStore(directory, self._left_open, durable=durable, now=now, reserved_space=reserved_space)
        store.start()
        return store


def finished(store: ShareStore, number: int, data: bytes) -> Path:
    share = store.create(STORAGE_INDEX, number, len(data), SECRETS)
    share.write(0, [data])
    share.prepare()
    share.commit()
    return share.final_path


def shares_found(store: ShareStore) -> list[str]:
    """Every file below `shares`, finished or not."""
    root = store.directory / "shares"
    return sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file())


def full_disk_behind(path: Path) -> None:
    """Let whoever has the file open write to /dev/full, where the kernel refuses every byte with ENOSPC."""
    (fd,) = open_files_below(path)
    full = os.open("/dev/full", os.O_WRONLY)
    os.dup2(full, fd)
    os.close(full)


def open_files_below(path: Path) -> list[int]:
    """This process's file descriptors for `path`, or for what is in it."""
    found = []
    for entry in Path("/proc/self/fd").iterdir():
        # The one that lists the folder is gone by now.
        with suppress(FileNotFoundError):
            if entry.readlink().is_relative_to(path):
                found.append(int(entry.name))
    return found
