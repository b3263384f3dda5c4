"""
A directory of shares, in the layout of Tahoe-LAFS's storage nodes.

A finished share lies at `shares/<xx>/<storage index>/<number>`, where `xx` is how the storage index begins; a
share that is still being written is `shares/incoming/<storage index>.<number>`, where nobody looks for shares.
Finishing a share means moving it. What becomes of unfinished ones when their process ends: see `lasting`.

The shares are those of immutable files. Those of mutable ones lie among them; here they only get their leases.

All of this blocks. It may be called from many threads, though one `IncomingShare` only from one at a time.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from datetime import UTC, datetime
from pathlib import Path
from threading import Lock

from tahoeish.chk import base32
from tahoeish.chk.buffers import Buffer
from tahoeish.storage.container import (
    DATA_OFFSET,
    LEASE_SIZE,
    read_header,
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
from tahoeish.storage.incoming import IncomingShare
from tahoeish.storage.kinds import add_or_renew_lease, is_mutable, is_mutable_at
from tahoeish.storage.lasting import (
    begin_lasting,
    lasting_path,
    logbook_path,
    remove_lasting,
    remove_lone_logbooks,
    touch,
    untouched_since,
)
from tahoeish.storage.layout import (
    held,
    move_into_place,
    numbers_in,
    open_existing,
    remove_share,
    share_folder,
    sync_folders,
    unfinished_path,
)
from tahoeish.storage.leases import LeaseSecrets
from tahoeish.storage.ownership import Ownership, begin_alone, begin_file, remove_abandoned, remove_unfinished
from tahoeish.storage.share_file import ShareFile
from tahoeish.storage.steps import Step

LASTING_LIMIT = 14 * 24 * 3600.0
"""Seconds for which an unfinished share that lasts is kept, though nobody writes to it."""

CLEAR_SECONDS = 3600.0
"""What may pass between two times that abandoned ones are cleared away."""

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
                    self._incoming.mkdir(parents=True, exist_ok=True)
                    remove_unfinished(self._incoming)
                    self.clear_lasting()
                    self._sync_folders(self._finished, self.directory, self.directory.parent)
                    self._ownership.share()
                else:
                    remove_abandoned(self._incoming)
            except (OSError, StoreError):
                self.stop()
                raise

    def stop(self) -> None:
        """Let go of the directory. A share that isn't finished by now never will be, unless it is lasting."""
        with self._lock:
            if self._ownership is not None:
                self._ownership.release()
            self._ownership = None

    def share_numbers(self, storage_index: bytes) -> set[int]:
        folder = share_folder(self._finished, storage_index)
        return {number for number in numbers_in(folder) if not is_mutable_at(folder / str(number))}

    def create(
        self, storage_index: bytes, number: int, size: int | None, lease: LeaseSecrets, *, lasting: bool = False
    ) -> IncomingShare:
        """
        Begin a share of exactly `size` bytes, for which room is set aside, or, with None, of any length. A `lasting`
        one can be gone on with after this process has ended; it takes the place of one that another process has begun.

        Raises `ShareExists`, `ShareInProgress`, `StoreFull`.
        """
        name_it = lasting_path if lasting else unfinished_path
        path = name_it(self._incoming, storage_index, number)
        final_path = share_folder(self._finished, storage_index) / str(number)
        with self._lock, errors_about(path):
            self._expect_ownership()
            if final_path.exists():
                raise ShareExists(f"{final_path}: this share is there already")
            if path in self._unfinished:
                raise ShareInProgress(f"{path}: this share is being written by somebody else just now")
            self._expect_room(path, DATA_OFFSET + (size or 0) + LEASE_SIZE)
            begin = begin_lasting if lasting else begin_alone if self._crew is None else begin_file
            share = IncomingShare(self, begin(path), path, final_path, size, lease, lasting=lasting)
            self._unfinished[path] = share
            return share

    def reopen(self, storage_index: bytes, number: int, size: int | None, lease: LeaseSecrets) -> IncomingShare:
        """
        Go on with a lasting share, of the size that it was begun with. Whoever has been writing it in this process
        can't do so any more; that nobody else does is up to the caller. The end of one of any length has to be written
        now, even if it was before: the share is as long as what is written from here on reaches.

        Raises `NoSuchShare`.
        """
        path = lasting_path(self._incoming, storage_index, number)
        final_path = share_folder(self._finished, storage_index) / str(number)
        with self._lock, ExitStack() as undo:
            self._expect_ownership()
            file = undo.enter_context(open_existing(path, "r+b"))
            with errors_about(path):
                share = IncomingShare(self, file, path, final_path, size, lease, lasting=True)
                share.resume()
            self._unfinished[path] = share
            undo.pop_all()
            return share

    def keep_alive(self, storage_index: bytes, number: int) -> None:
        """Of a lasting share: it isn't given up, though nobody writes to it. Raises `NoSuchShare`."""
        path = lasting_path(self._incoming, storage_index, number)
        with errors_about(path):
            touch(path, self.now())

    def clear_lasting(self) -> None:
        """Remove the lasting shares that nobody has open here or has written to for `LASTING_LIMIT`."""
        with self._lock, errors_about(self._incoming):
            for path in untouched_since(self._incoming, self.now() - LASTING_LIMIT):
                if path not in self._unfinished:
                    remove_lasting(path)
            remove_lone_logbooks(self._incoming)

    def logbook_path(self, storage_index: bytes, number: int) -> Path:
        """Where whoever begins a lasting share may keep a logbook of it."""
        return logbook_path(lasting_path(self._incoming, storage_index, number))

    def remove_lasting(self, storage_index: bytes, number: int) -> None:
        """Of one that isn't open. There need not be one."""
        path = lasting_path(self._incoming, storage_index, number)
        with self._lock, errors_about(path):
            remove_lasting(path)

    def storing(
        self, storage_index: bytes, number: int, size: int, buffers: Sequence[Buffer], lease: LeaseSecrets
    ) -> Step[IncomingShare]:
        """A whole share of `size` bytes from its beginning to the end of `preparing`; nothing stays when it fails."""
        share = self.create(storage_index, number, size, lease)
        try:
            yield from share.filling(buffers)
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
        self.remove_at(share_folder(self._finished, storage_index) / str(number))

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

    # What unfinished shares ask of their store.

    def publish(self, share: IncomingShare) -> None:
        """Make a prepared share visible, all at once."""
        path, final_path = share.path, share.final_path
        with self._lock, errors_about(final_path):
            self._expect_ownership()
            share.expect_ours()
            if final_path.exists():
                raise ShareExists(f"{final_path}: this share is there already")
            move_into_place(path, final_path)
            del self._unfinished[path]

    def forget(self, share: IncomingShare) -> None:
        """It isn't written to any more."""
        with self._lock:
            if self.is_writing(share):
                del self._unfinished[share.path]

    def is_writing(self, share: IncomingShare) -> bool:
        """Nobody else goes on with it."""
        return self._unfinished.get(share.path) is share

    def remove_at(self, path: Path) -> None:
        """Raises `NoSuchShare`."""
        with errors_about(path):
            try:
                remove_share(path, durable=self.durable)
            except FileNotFoundError:
                raise NoSuchShare(f"{path}: there is no such share") from None

    # Within.

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

    def _sync_folders(self, *folders: Path) -> None:
        if self.durable:
            sync_folders(*folders)
