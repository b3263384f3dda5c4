"""A share of an immutable file that is being written."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from enum import Enum, auto
from io import FileIO
from pathlib import Path
from typing import Protocol

from tahoeish.chk.buffers import Buffer
from tahoeish.storage.container import DATA_OFFSET, LEASE_SIZE, VERSION_WRITTEN, Header, write_all
from tahoeish.storage.errors import NoSuchShare, StoreError, StoreFull, errors_about
from tahoeish.storage.lasting import touch
from tahoeish.storage.layout import is_at
from tahoeish.storage.leases import OWNER_OF_NEW_SHARE, Lease, LeaseSecrets, expiry_from
from tahoeish.storage.steps import Step, take
from tahoeish.storage.syncing import begin_writing

ROOM_AHEAD = 4 * 1024 * 1024
"""What a share of unknown length is promised at a time."""

SEND_EVERY = 8 * 1024 * 1024
"""Bytes after which a durable share is sent on its way to the disk, so that the disk always has something to do."""

SYNC_EVERY = 32 * 1024 * 1024
"""Bytes that a share may be ahead of a durable disk; what the disk still has to do when the upload ends."""

_BLOCK = 512
"""In which the system counts what a file takes of the disk."""


class Home(Protocol):
    """What an unfinished share needs of the store that it is in."""

    @property
    def durable(self) -> bool: ...

    @property
    def now(self) -> Callable[[], float]: ...

    def available_space(self) -> int: ...

    def publish(self, share: IncomingShare) -> None: ...

    def is_writing(self, share: IncomingShare) -> bool: ...

    def forget(self, share: IncomingShare) -> None: ...

    def remove_at(self, path: Path) -> None: ...


class _Stage(Enum):
    WRITING = auto()
    FAILED = auto()
    PREPARED = auto()
    COMMITTED = auto()
    FORGOTTEN = auto()
    ABORTED = auto()


class IncomingShare:
    """
    A share that is being written, invisible until `commit`.

    `write` as often as needed, then `prepare`, then `commit`; `abort`, or `forget`, at any time. After a `StoreError`
    from one of the first two nothing but these two makes sense any more.
    """

    def __init__(
        self,
        store: Home,
        file: FileIO,
        path: Path,
        final_path: Path,
        size: int | None,
        lease: LeaseSecrets,
        *,
        lasting: bool,
    ) -> None:
        self.path = path
        self.final_path = final_path
        self.size = size
        self.lasting = lasting
        self._store = store
        self._lease = lease
        self._stage = _Stage.WRITING
        self._length = 0
        self._written = 0
        self._unsent = 0
        self._unsynced = 0
        self._room = 0
        self._named = False
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

    @property
    def length(self) -> int:
        """It has no byte from here on."""
        return self._length

    def resume(self) -> None:
        """Take into account what an earlier process has written."""
        found = os.fstat(self._file.fileno())
        self._written = found.st_blocks * _BLOCK
        if self.size is not None:
            # More than that is a lease, which was added when it was prepared once.
            self._length = min(self.size, max(0, found.st_size - DATA_OFFSET))

    def write(self, offset: int, buffers: Sequence[Buffer]) -> None:
        """Put the buffers one after the other at `offset`. Any order of offsets will do."""
        count = sum(memoryview(buffer).nbytes for buffer in buffers)
        end = offset + count
        self._expect_inside(offset, end)
        with self._working():
            if self.size is None:
                self._take_room(count)
            write_all(self._file.fileno(), DATA_OFFSET + offset, buffers)
            if self._store.durable:
                self._keep_disk_close(count)
        self._length = max(self._length, end)
        self._written += count

    def read(self, offset: int, length: int) -> bytes:
        """What has been written there; zeros, or nothing, where nothing has been."""
        with self._working():
            return os.pread(self._file.fileno(), length, DATA_OFFSET + offset)

    def touch(self) -> None:
        """As if it had been written to just now."""
        with self._working():
            touch(self.path, self._store.now())

    def shorten(self, size: int) -> None:
        """Make it a share of `size` bytes, and drop what has been written beyond."""
        if self.size is not None and size > self.size:
            raise ValueError(f"{self.path}: {size} bytes are more than the {self.size} that were asked for")
        with self._working():
            if self._length > size:
                self._file.truncate(DATA_OFFSET + size)
        self._length = min(self._length, size)
        self.size = size

    def _expect_inside(self, offset: int, end: int) -> None:
        if self.size is not None and end > self.size:
            raise ValueError(f"{self.path}: bytes {offset} to {end} lie outside of a share of {self.size} bytes")

    def _take_room(self, count: int) -> None:
        # A piece ahead, because asking the disk for every write of every share would cost more than the writes.
        if count > self._room:
            available = self._store.available_space() + self._room
            if count > available:
                raise StoreFull(f"{self.path}: no room for the next {count} bytes; {available} bytes are left")
            self._room = min(max(count, ROOM_AHEAD), available)
        self._room -= count

    def _keep_disk_close(self, count: int) -> None:
        """After so many bytes more, so that little is left for `prepare`."""
        self._unsent += count
        self._unsynced += count
        if self._unsynced >= SYNC_EVERY:
            os.fdatasync(self._file.fileno())
            self._unsent = self._unsynced = 0
        elif self._unsent >= SEND_EVERY:
            begin_writing(self._file.fileno())
            self._unsent = 0

    def securing(self) -> Step[None]:
        """The same for a lasting share, whose name has to be there, too. A step that may be taken with others."""
        with self._working():
            if self._store.durable:
                fd = self._file.fileno()
                yield [fd] if self._named else [fd, self.path.parent]
                self._named = True
                self._unsent = self._unsynced = 0

    def prepare(self) -> None:
        """Complete the file, header and lease and all. It is durable then, but still invisible."""
        take(self.preparing())

    def preparing(self) -> Step[None]:
        """The same, as a step that may be taken together with others."""
        header, lease = self._frame()
        with self._working():
            fd = self._file.fileno()
            if self.lasting:
                # It may have been longer before it was reopened.
                self._file.truncate(header.leases_offset)
            write_all(fd, 0, [header.pack()])
            write_all(fd, header.leases_offset, [lease.pack()])
            if self._store.durable:
                yield [fd]
        self._stage = _Stage.PREPARED

    def filling(self, buffers: Sequence[Buffer]) -> Step[None]:
        """All of an empty share in one write, to the end of `preparing`."""
        count = sum(memoryview(buffer).nbytes for buffer in buffers)
        self._expect_inside(0, count)
        self._length = self._written = count
        header, lease = self._frame()
        with self._working():
            fd = self._file.fileno()
            write_all(fd, 0, [header.pack(), *buffers, lease.pack()])
            if self._store.durable:
                yield [fd]
        self._stage = _Stage.PREPARED

    def _frame(self) -> tuple[Header, Lease]:
        """What comes before and after the share, when all of it is there."""
        if self.size is not None and self._length < self.size:
            raise ValueError(f"{self.path}: only {self._length} of {self.size} bytes have been written")
        header = Header(VERSION_WRITTEN, self._length, lease_count=1)
        lease = Lease(OWNER_OF_NEW_SHARE, self._lease.as_stored(VERSION_WRITTEN), expiry_from(self._store.now()))
        return header, lease

    def commit(self) -> None:
        """Make the share visible. Raises `ShareExists` if somebody else was faster."""
        take(self.committing())

    def committing(self) -> Step[None]:
        """The same, as a step that may be taken together with others."""
        self._expect(_Stage.PREPARED)
        self._store.publish(self)
        self._stage = _Stage.COMMITTED
        with errors_about(self.final_path):
            self._file.close()
            # All three, even if this commit made none of them: another one may have made them a moment ago,
            # and not have got as far as this line.
            if self._store.durable:
                yield self.final_path.parents[:3]

    def abort(self) -> None:
        """Remove the share, whatever became of it, even after `commit`. May be called again."""
        if self._stage in (_Stage.ABORTED, _Stage.FORGOTTEN):
            return
        was_committed = self._stage is _Stage.COMMITTED
        self._stage = _Stage.ABORTED
        if was_committed:
            with suppress(NoSuchShare):
                self._store.remove_at(self.final_path)
            return
        try:
            with errors_about(self.path), self._file:
                if self._is_ours():
                    self.path.unlink(missing_ok=True)
        finally:
            self._store.forget(self)

    def forget(self) -> None:
        """Let go of it. A lasting share stays as it is, for `reopen`; another one goes. May be called again."""
        if not self.lasting:
            self.abort()
        elif self._stage not in (_Stage.COMMITTED, _Stage.ABORTED, _Stage.FORGOTTEN):
            self._stage = _Stage.FORGOTTEN
            try:
                with errors_about(self.path):
                    self._file.close()
            finally:
                self._store.forget(self)

    def expect_ours(self) -> None:
        """Raises `StoreError` when somebody else goes on with it, or has begun it anew or cleared it away."""
        if not self._is_ours():
            raise StoreError(f"{self.path}: somebody else has taken over this share")

    def _is_ours(self) -> bool:
        if not self.lasting:
            # It is held by a lock.
            return True
        with errors_about(self.path):
            return self._store.is_writing(self) and is_at(self.path, self._file)

    def _expect(self, stage: _Stage) -> None:
        if self._stage is not stage:
            raise StoreError(f"{self.path}: the share is {self._stage.name.lower()}, not {stage.name.lower()}")
        self.expect_ours()

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
