"""
A directory of shares, in the layout of Tahoe-LAFS's storage nodes.

A finished share lies at `shares/<xx>/<storage index>/<number>`, where `xx` is how the storage index begins; a
share that is still being written lies in the same way below `shares/incoming`, where nobody looks for shares.
Finishing a share means moving it.

The shares are those of immutable files. Those of mutable ones lie among them; here they only get their leases.

All of this blocks. It may be called from many threads, though one `IncomingShare` only from one at a time.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, datetime
from enum import Enum, auto
from io import FileIO
from pathlib import Path
from threading import Lock

from tahoeish.chk import base32
from tahoeish.chk.buffers import Buffer
from tahoeish.storage.container import (
    DATA_OFFSET,
    LEASE_SIZE,
    VERSION_WRITTEN,
    Header,
    read_header,
    write_all,
)
from tahoeish.storage.errors import (
    NoSuchShare,
    ShareExists,
    ShareInProgress,
    StoreError,
    StoreFull,
    WrongKind,
    errors_about,
)
from tahoeish.storage.kinds import add_or_renew_lease, is_mutable, is_mutable_at
from tahoeish.storage.layout import (
    held,
    move_into_place,
    numbers_in,
    open_existing,
    remove_empty_folders,
    remove_share,
    share_folder,
    sync_folders,
)
from tahoeish.storage.leases import OWNER_OF_NEW_SHARE, Lease, LeaseSecrets, expiry_from
from tahoeish.storage.ownership import Ownership, begin_file, remove_abandoned
from tahoeish.storage.share_file import ShareFile
from tahoeish.storage.steps import Step, take

ROOM_AHEAD = 4 * 1024 * 1024
"""What a share of unknown length is promised at a time."""

MAX_ADVISORIES = 1000
"""Notes about corruption that a store keeps; whoever can read shares can write these, so there must be an end."""


class ShareStore:
    """
    The shares in `directory`, of which this store is the only owner from `start` to `stop`, or its crew is.

    In a `durable` store, neither a killed process nor a power cut takes back what a method has returned from.
    """

    def __init__(
        self,
        directory: Path,
        *,
        durable: bool,
        now: Callable[[], float],
        reserved_space: int = 0,
        crew: str | None = None,
    ) -> None:
        """`crew` is the same in all processes that use the directory together, and only there."""
        self.directory = directory
        self.durable = durable
        self.now = now
        self._reserved_space = reserved_space
        self._finished = directory / "shares"
        self._incoming = self._finished / "incoming"
        # Guards what follows, and the making and removing of folders, which would otherwise race each other.
        self._lock = Lock()
        self._unfinished: dict[Path, IncomingShare] = {}
        self._crew = crew
        self._ownership: Ownership | None = None

    def start(self) -> None:
        """Take possession of the directory, and clear away what a crash left. Raises `StoreInUse`."""
        with errors_about(self.directory):
            self.directory.mkdir(parents=True, exist_ok=True)
            self._ownership = Ownership.take(self.directory / "owner.lock", self._crew)
            try:
                if self._ownership.alone:
                    with suppress(FileNotFoundError):
                        shutil.rmtree(self._incoming)
                    self._incoming.mkdir(parents=True)
                    self._sync_folders(self.directory, self.directory.parent)
                    self._ownership.share()
                else:
                    remove_abandoned(self._incoming)
            except (OSError, StoreError):
                self.stop()
                raise

    def stop(self) -> None:
        """Let go of the directory. A share that isn't finished by now never will be."""
        with self._lock:
            if self._ownership is not None:
                self._ownership.release()
            self._ownership = None

    def share_numbers(self, storage_index: bytes) -> set[int]:
        folder = share_folder(self._finished, storage_index)
        return {number for number in numbers_in(folder) if not is_mutable_at(folder / str(number))}

    def create(self, storage_index: bytes, number: int, size: int | None, lease: LeaseSecrets) -> IncomingShare:
        """
        Begin a share of exactly `size` bytes, for which room is set aside, or, with None, of any length.

        Raises `ShareExists`, `ShareInProgress`, `StoreFull`.
        """
        path = share_folder(self._incoming, storage_index) / str(number)
        final_path = share_folder(self._finished, storage_index) / str(number)
        with self._lock, errors_about(path):
            self._expect_ownership()
            if final_path.exists():
                raise ShareExists(f"{final_path}: this share is there already")
            if path in self._unfinished:
                raise ShareInProgress(f"{path}: this share is being written by somebody else just now")
            self._expect_room(path, DATA_OFFSET + (size or 0) + LEASE_SIZE)
            share = IncomingShare(self, begin_file(path), path, final_path, size, lease)
            self._unfinished[path] = share
            return share

    def storing(
        self, storage_index: bytes, number: int, size: int, buffers: Sequence[Buffer], lease: LeaseSecrets
    ) -> Step[IncomingShare]:
        """A whole share of `size` bytes from its beginning to the end of `preparing`; nothing stays when it fails."""
        share = self.create(storage_index, number, size, lease)
        try:
            share.write(0, buffers)
            yield from share.preparing()
        except BaseException:
            share.abort()
            raise
        return share

    def open(self, storage_index: bytes, number: int) -> ShareFile:
        """Raises `NoSuchShare`, `BadShareFile`."""
        path = share_folder(self._finished, storage_index) / str(number)
        with ExitStack() as undo:
            file = undo.enter_context(open_existing(path, "rb"))
            with errors_about(path):
                if is_mutable(file.fileno()):
                    raise WrongKind(f"{path}: holds a share of a mutable file")
                length = read_header(file.fileno(), path).data_length
            undo.pop_all()
        return ShareFile(path, file, DATA_OFFSET, length)

    def remove(self, storage_index: bytes, number: int) -> None:
        self._remove(share_folder(self._finished, storage_index) / str(number))

    def add_lease(self, storage_index: bytes, lease: LeaseSecrets) -> set[int]:
        """Add the lease to all shares of `storage_index`, of either kind, or renew it there. Gives their numbers."""
        folder = share_folder(self._finished, storage_index)
        leased = set()
        for number in numbers_in(folder):
            path = folder / str(number)
            # Removed since it was listed: then there is nothing to lease.
            with suppress(NoSuchShare), held(path) as file:
                with errors_about(path):
                    add_or_renew_lease(file.fileno(), path, lease, now=self.now(), durable=self.durable)
                leased.add(number)
        return leased

    def available_space(self) -> int:
        """Bytes for new shares: what is free, less the reserve, less what unfinished shares still need."""
        with self._lock, errors_about(self.directory):
            return self._available_space()

    def report_corruption(self, storage_index: bytes, number: int, reason: str) -> None:
        """
        Leave a note for the operator below `corruption-advisories`. Raises `NoSuchShare`, or `StoreFull` when the
        operator hasn't looked for very long.
        """
        folder = share_folder(self._finished, storage_index)
        if number not in numbers_in(folder):
            raise NoSuchShare(f"{folder / str(number)}: there is no such share")
        name = base32.encode(storage_index)
        when = datetime.fromtimestamp(self.now(), UTC)
        note = self.directory / "corruption-advisories" / f"{when:%Y-%m-%dT%H%M%SZ}--{name}-{number}"
        with errors_about(note):
            note.parent.mkdir(exist_ok=True)
            if len(os.listdir(note.parent)) >= MAX_ADVISORIES:
                raise StoreFull(f"{note.parent}: holds {MAX_ADVISORIES} notes already; look at them and delete them")
            with note.open("a", encoding="utf-8") as file:
                file.write(f"storage index: {name}\nshare number: {number}\ntime: {when:%c} UTC\n\n{reason}\n")

    def _available_space(self) -> int:
        disk = os.statvfs(self.directory)
        promised = sum(share.still_to_write for share in self._unfinished.values())
        return max(0, disk.f_bavail * disk.f_frsize - self._reserved_space - promised)

    def _expect_room(self, path: Path, size: int) -> None:
        available = self._available_space()
        if size > available:
            raise StoreFull(
                f"{path}: no room for {size} bytes; {available} bytes are left besides the reserve of"
                f" {self._reserved_space} bytes and what other unfinished shares need"
            )

    def _expect_ownership(self) -> None:
        if self._ownership is None:
            raise StoreError(f"{self.directory}: the store isn't running")

    def _publish(self, share: IncomingShare) -> None:
        """Make a prepared share visible, all at once."""
        path, final_path = share.path, share.final_path
        with self._lock, errors_about(final_path):
            self._expect_ownership()
            if final_path.exists():
                raise ShareExists(f"{final_path}: this share is there already")
            move_into_place(path, final_path)
            del self._unfinished[path]
            remove_empty_folders(path)

    def _forget(self, share: IncomingShare) -> None:
        with self._lock:
            if self._unfinished.pop(share.path, None):
                remove_empty_folders(share.path)

    def _remove(self, path: Path) -> None:
        with errors_about(path):
            try:
                remove_share(path, durable=self.durable)
            except FileNotFoundError:
                raise NoSuchShare(f"{path}: there is no such share") from None

    def _sync_folders(self, *folders: Path) -> None:
        if self.durable:
            sync_folders(*folders)


class _Stage(Enum):
    WRITING = auto()
    FAILED = auto()
    PREPARED = auto()
    COMMITTED = auto()
    ABORTED = auto()


class IncomingShare:
    """
    A share that is being written, invisible until `commit`.

    `write` and `sync` as often as needed, then `prepare`, then `commit`; `abort` at any time. After a
    `StoreError` from one of the first three nothing but `abort` makes sense any more.
    """

    def __init__(
        self, store: ShareStore, file: FileIO, path: Path, final_path: Path, size: int | None, lease: LeaseSecrets
    ) -> None:
        self.path = path
        self.final_path = final_path
        self.size = size
        self._store = store
        self._lease = lease
        self._stage = _Stage.WRITING
        self._length = 0
        self._written = 0
        self._room = 0
        self._file = file

    @property
    def durable(self) -> bool:
        """Whether completing it has to wait for the disk."""
        return self._store.durable

    @property
    def still_to_write(self) -> int:
        """Bytes of the disk that are promised to this share."""
        if self.size is None:
            return self._room
        return max(0, DATA_OFFSET + self.size + LEASE_SIZE - self._written)

    def write(self, offset: int, buffers: Sequence[Buffer]) -> int:
        """Put the buffers one after the other at `offset`. Any order of offsets will do. Gives their size."""
        count = sum(memoryview(buffer).nbytes for buffer in buffers)
        end = offset + count
        if self.size is not None and end > self.size:
            raise ValueError(f"{self.path}: bytes {offset} to {end} lie outside of a share of {self.size} bytes")
        with self._working():
            if self.size is None:
                self._take_room(count)
            write_all(self._file.fileno(), DATA_OFFSET + offset, buffers)
        self._length = max(self._length, end)
        self._written += count
        return count

    def read(self, offset: int, length: int) -> bytes:
        """What has been written there; zeros, or nothing, where nothing has been."""
        with self._working():
            return os.pread(self._file.fileno(), length, DATA_OFFSET + offset)

    def shorten(self, size: int) -> None:
        """Make it a share of `size` bytes, and drop what has been written beyond."""
        if self.size is not None and size > self.size:
            raise ValueError(f"{self.path}: {size} bytes are more than the {self.size} that were asked for")
        with self._working():
            if self._length > size:
                self._file.truncate(DATA_OFFSET + size)
        self._length = min(self._length, size)
        self.size = size

    def _take_room(self, count: int) -> None:
        # A piece ahead, because asking the disk for every write of every share would cost more than the writes.
        if count > self._room:
            available = self._store.available_space() + self._room
            if count > available:
                raise StoreFull(f"{self.path}: no room for the next {count} bytes; {available} bytes are left")
            self._room = min(max(count, ROOM_AHEAD), available)
        self._room -= count

    def sync(self) -> None:
        """Bring to the disk what has been written, so that little is left for `prepare`."""
        with self._working():
            if self._store.durable:
                os.fdatasync(self._file.fileno())

    def prepare(self) -> None:
        """Complete the file, header and lease and all. It is durable then, but still invisible."""
        take(self.preparing())

    def preparing(self) -> Step[None]:
        """The same, as a step that may be taken together with others."""
        if self.size is not None and self._length < self.size:
            raise ValueError(f"{self.path}: only {self._length} of {self.size} bytes have been written")
        header = Header(VERSION_WRITTEN, self._length, lease_count=1)
        lease = Lease(OWNER_OF_NEW_SHARE, self._lease.as_stored(VERSION_WRITTEN), expiry_from(self._store.now()))
        with self._working():
            fd = self._file.fileno()
            write_all(fd, 0, [header.pack()])
            write_all(fd, header.leases_offset, [lease.pack()])
            if self._store.durable:
                yield [fd]
        self._stage = _Stage.PREPARED

    def commit(self) -> None:
        """Make the share visible. Raises `ShareExists` if somebody else was faster."""
        take(self.committing())

    def committing(self) -> Step[None]:
        """The same, as a step that may be taken together with others."""
        self._expect(_Stage.PREPARED)
        self._store._publish(self)
        self._stage = _Stage.COMMITTED
        with errors_about(self.final_path):
            self._file.close()
            # All three, even if this commit made none of them: another one may have made them a moment ago,
            # and not have got as far as this line.
            if self._store.durable:
                yield self.final_path.parents[:3]

    def abort(self) -> None:
        """Remove the share, whatever became of it, even after `commit`. May be called again."""
        if self._stage is _Stage.ABORTED:
            return
        was_committed = self._stage is _Stage.COMMITTED
        self._stage = _Stage.ABORTED
        if was_committed:
            with suppress(NoSuchShare):
                self._store._remove(self.final_path)
            return
        try:
            with errors_about(self.path), self._file:
                self.path.unlink(missing_ok=True)
        finally:
            self._store._forget(self)

    def _expect(self, stage: _Stage) -> None:
        if self._stage is not stage:
            raise StoreError(f"{self.path}: the share is {self._stage.name.lower()}, not {stage.name.lower()}")

    @contextmanager
    def _working(self) -> Iterator[None]:
        self._expect(_Stage.WRITING)
        try:
            with errors_about(self.path):
                yield
        except StoreError:
            # The kernel reports a block that it couldn't write to one fsync only; the next one would succeed.
            self._stage = _Stage.FAILED
            raise
