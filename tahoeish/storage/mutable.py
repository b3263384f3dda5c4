"""
The shares of mutable files, in the same directory as those of immutable ones.

A change never touches what is stored of a share. It writes the share anew below `shares/incoming`, leases and all, and
renames that over the old file. So whatever kills the process, or, in a durable store, the machine, each share is
afterwards as it was or as it was to become. There is nothing to recover, not even for a Tahoe-LAFS node that takes the
directory over, and whoever reads an open share isn't disturbed by those who change it. A journal would save copying
what a change leaves of a large share; but a directory whose journal is still to be replayed would be whole for us only.

What is copied is only what a change doesn't overwrite, for most changes nothing at all; the kernel does it, and some
file systems needn't copy for it. Until the old file is gone, the disk needs room for both.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from hmac import compare_digest
from pathlib import Path
from threading import Lock

from tahoeish.storage import mutable_container
from tahoeish.storage.errors import BadWriteEnabler, NoSuchShare, StoreFull, WrongKind, errors_about
from tahoeish.storage.kinds import is_mutable, is_mutable_at
from tahoeish.storage.layout import (
    held,
    move_into_place,
    numbers_in,
    open_existing,
    remove_share,
    share_folder,
    sync_folders,
)
from tahoeish.storage.leases import LeaseSecrets
from tahoeish.storage.mutable_container import DATA_OFFSET, NODE_ID_SIZE, WRITE_ENABLER_SIZE, MutableHeader
from tahoeish.storage.mutable_draft import write_changed
from tahoeish.storage.share_file import ShareFile
from tahoeish.storage.vectors import ReadVector, ShareChange

_TURNS = 64


class MutableStore:
    """
    The mutable files' shares in `directory`, which a `ShareStore` owns as long as this one is used.

    `node_id`, 20 bytes, is noted in new shares as the node that was told the write enabler. `reserved_space` is left
    free by what makes shares longer. All of this blocks, and may be called from many threads.
    """

    def __init__(
        self,
        directory: Path,
        *,
        durable: bool,
        now: Callable[[], float],
        node_id: bytes,
        reserved_space: int = 0,
    ) -> None:
        if len(node_id) != NODE_ID_SIZE:
            raise ValueError(f"a node id has {NODE_ID_SIZE} bytes, not {len(node_id)}")
        self.directory = directory
        self.durable = durable
        self.now = now
        self._node_id = node_id
        self._reserved_space = reserved_space
        self._finished = directory / "shares"
        self._incoming = self._finished / "incoming"
        # A file's shares are changed by one caller at a time. Two files rarely share a lock.
        self._turns = [Lock() for _ in range(_TURNS)]

    def share_numbers(self, storage_index: bytes) -> set[int]:
        folder = share_folder(self._finished, storage_index)
        return {number for number in numbers_in(folder) if is_mutable_at(folder / str(number))}

    def open(self, storage_index: bytes, number: int) -> ShareFile:
        """The share as it is now, whatever becomes of it. Raises `NoSuchShare`, `BadShareFile`."""
        path = share_folder(self._finished, storage_index) / str(number)
        with ExitStack() as undo:
            file = undo.enter_context(open_existing(path, "rb"))
            with errors_about(path):
                if not is_mutable(file.fileno()):
                    raise WrongKind(f"{path}: holds no share of a mutable file")
                length = mutable_container.read_header(file.fileno(), path).data_length
            undo.pop_all()
        return ShareFile(path, file, DATA_OFFSET, length)

    def read(self, storage_index: bytes, number: int, offset: int, length: int) -> bytes:
        """Fewer bytes than `length` where the share ends before. Raises `NoSuchShare`, `BadShareFile`."""
        with closing(self.open(storage_index, number)) as share:
            return share.read(offset, length)

    def read_test_write(
        self,
        storage_index: bytes,
        write_enabler: bytes,
        lease: LeaseSecrets,
        changes: Mapping[int, ShareChange],
        read_vector: ReadVector,
    ) -> tuple[bool, dict[int, list[bytes]]]:
        """
        Make the changes if all of their tests pass. Gives whether they did, and what was read of each share before.

        Then the lease is added to all shares that are there in the end, or renewed. Raises `BadWriteEnabler`,
        `StoreFull`, `WrongKind`, `BadShareFile`; when it does, nothing but leases has changed.
        """
        if len(write_enabler) != WRITE_ENABLER_SIZE:
            raise BadWriteEnabler(f"a write enabler has {WRITE_ENABLER_SIZE} bytes, not {len(write_enabler)}")
        folder = share_folder(self._finished, storage_index)
        with self._turn(storage_index), ExitStack() as until_done, errors_about(folder):
            shares = _held_shares(folder, changes, until_done)
            for share in shares.values():
                share.expect_write_enabler(write_enabler)
            found = {number: [share.read(*where) for where in read_vector] for number, share in shares.items()}
            if not all(_passes(change, shares.get(number)) for number, change in changes.items()):
                return False, found
            self._apply(changes, shares, folder, write_enabler, lease, until_done)
            return True, found

    @contextmanager
    def _turn(self, storage_index: bytes) -> Iterator[None]:
        with self._turns[hash(storage_index) % _TURNS]:
            yield

    def _apply(
        self,
        changes: Mapping[int, ShareChange],
        shares: Mapping[int, _HeldShare],
        folder: Path,
        write_enabler: bytes,
        lease: LeaseSecrets,
        until_done: ExitStack,
    ) -> None:
        lengths = {number: share.header.data_length for number, share in shares.items()}
        changing = {number: change for number, change in changes.items() if not change.leaves(lengths.get(number))}
        # First whatever may fail for want of room.
        drafts = {}
        for number, change in changing.items():
            if change.deletes:
                continue
            draft = self._incoming / f"{folder.name}.{number}.mutable"
            until_done.callback(draft.unlink, missing_ok=True)
            self._write_draft(draft, shares.get(number), change, write_enabler, lease)
            drafts[draft] = folder / str(number)
        for number in shares.keys() - changing.keys():
            share = shares[number]
            mutable_container.add_or_renew(share.fd, share.path, lease, now=self.now(), durable=self.durable)

        for draft, path in drafts.items():
            move_into_place(draft, path)
        if self.durable and drafts:
            sync_folders(folder, *folder.parents[:2])
        for number, change in changing.items():
            if change.deletes:
                remove_share(shares[number].path, durable=self.durable)

    def _write_draft(
        self, draft: Path, share: _HeldShare | None, change: ShareChange, write_enabler: bytes, lease: LeaseSecrets
    ) -> None:
        before = share.header if share else MutableHeader.of_new_share(self._node_id, write_enabler)
        after = before.of_length(change.length_after(before.data_length))
        self._expect_room(draft, before.file_size if share else 0, after.file_size)
        with errors_about(draft), draft.open("w+b", buffering=0) as file:
            write_changed(file.fileno(), after, change.writes, before, share.fd if share else None)
            mutable_container.add_or_renew(file.fileno(), draft, lease, now=self.now(), durable=False)
            if self.durable:
                os.fsync(file.fileno())

    def _expect_room(self, draft: Path, size_before: int, size: int) -> None:
        # Zeros that nobody has written need no room now, but may when they are copied some day.
        disk = os.statvfs(self.directory)
        free = disk.f_bavail * disk.f_frsize
        if size > free or 0 < size - size_before > free - self._reserved_space:
            raise StoreFull(
                f"{draft}: no room for {size} bytes instead of {size_before}; {free} bytes are free, of which"
                f" {self._reserved_space} are the reserve"
            )


@dataclass(frozen=True, slots=True)
class _HeldShare:
    path: Path
    fd: int
    header: MutableHeader

    def expect_write_enabler(self, write_enabler: bytes) -> None:
        if not compare_digest(self.header.write_enabler, write_enabler):
            raise BadWriteEnabler(f"{self.path}: was made with another write enabler")

    def read(self, offset: int, size: int) -> bytes:
        wanted = min(size, self.header.data_length - offset)
        return os.pread(self.fd, wanted, DATA_OFFSET + offset) if wanted > 0 else b""


def _held_shares(folder: Path, changes: Mapping[int, ShareChange], until_done: ExitStack) -> dict[int, _HeldShare]:
    shares = {}
    # In order, so that two processes don't wait for each other.
    for number in sorted(numbers_in(folder)):
        path = folder / str(number)
        try:
            fd = until_done.enter_context(held(path)).fileno()
        except NoSuchShare:
            # Removed since it was listed, by whoever collects expired shares.
            continue
        if is_mutable(fd):
            shares[number] = _HeldShare(path, fd, mutable_container.read_header(fd, path))
        elif number in changes:
            raise WrongKind(f"{path}: holds a share of an immutable file, which never changes")
    return shares


def _passes(change: ShareChange, share: _HeldShare | None) -> bool:
    return all(test.passes(share.read(test.offset, test.size) if share else b"") for test in change.tests)
