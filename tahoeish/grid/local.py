"""
A peer that is a folder: a share store without a wire.

The folder may be moved to another disk or another machine, for it brings its place in the ring with it, in
the file `permutation-seed`. A folder without that file is taken for an empty mount point and left alone.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import TypeVar

from zope.interface import implementer

from tahoeish.chk import base32
from tahoeish.chk.buffers import Buffer
from tahoeish.grid.local_shares import LocalShareSource, LocalShareWriter, errors_of
from tahoeish.grid.peer import (
    Allocation,
    IShareSource,
    IShareWriter,
    IStoragePeer,
    PeerError,
    PeerUnavailable,
)
from tahoeish.grid.tickets import BadTicket, FolderTicket
from tahoeish.storage.errors import (
    ShareExists,
    ShareInProgress,
    StoreError,
    StoreFull,
)
from tahoeish.storage.incoming import IncomingShare
from tahoeish.storage.leases import LeaseSecrets
from tahoeish.storage.shares import ShareStore
from tahoeish.storage.steps import Step, Steps
from tahoeish.streams.threads import ThreadRunner, Turns, claimed

WELL_SECONDS = 1.0
"""How long a disk that has just taken something needn't be looked at before it is given a small share."""

SEED_FILE = "permutation-seed"
_SEED_SIZE = 32

T = TypeVar("T")


@dataclass(slots=True)
class _Room:
    existing: set[int]
    shares: dict[int, IncomingShare] = field(default_factory=dict)
    refusal: str | None = None


@implementer(IStoragePeer)
class LocalPeer:
    """
    The shares in `directory`, which has been through `initialise`.

    `start` before, `stop` after everything else.
    """

    def __init__(
        self,
        name: str,
        directory: Path,
        *,
        run_in_thread: ThreadRunner,
        read_in_thread: ThreadRunner | None = None,
        lease_secret: bytes,
        now: Callable[[], float],
        durable: bool,
        reserved_space: int = 0,
        crew: str | None = None,
        steps_of: Callable[[int], Steps] | None = None,
    ) -> None:
        """`crew`: see `ShareStore`. `steps_of`: what all folders on a disk share, by its device number."""
        self.name = name
        # Nobody knows where a peer stands that has never been there.
        self.permutation_seed = b""
        self.disk: object = None
        self._directory = directory
        self._run_in_thread = run_in_thread
        self._read_in_thread = read_in_thread or run_in_thread
        self._lease_secret = lease_secret
        self._store = ShareStore(directory, durable=durable, now=now, reserved_space=reserved_space, crew=crew)
        self._steps = Steps(run_in_thread)
        self._steps_of = steps_of
        self._now = now
        self._well_until = 0.0
        self._seed_file = os.fspath(directory / SEED_FILE)
        self._seed_seen: object = None

    @staticmethod
    def initialise(directory: Path, random_bytes: Callable[[int], bytes]) -> None:
        """Make `directory` a peer's folder. If it is one already, it stays the same peer. Blocks."""
        directory.mkdir(parents=True, exist_ok=True)
        seed_file = directory / SEED_FILE
        if seed_file.exists():
            return
        # Never half a seed, not even after a crash: it would be another peer.
        draft = directory / f"{SEED_FILE}.new"
        with draft.open("w", encoding="ascii") as file:
            file.write(base32.encode(random_bytes(_SEED_SIZE)) + "\n")
            file.flush()
            os.fsync(file.fileno())
        draft.rename(seed_file)

    async def start(self) -> None:
        """Raises `PeerUnavailable` for a folder that isn't there. It may be tried again later."""
        with errors_of(self.name):
            disk = await self._run_in_thread(self._start)
        self.disk = disk
        if self._steps_of is not None:
            self._steps = self._steps_of(disk)

    async def stop(self) -> None:
        await self._run_in_thread(self._store.stop)

    async def share_numbers(self, storage_index: bytes) -> set[int]:
        return await self._on_the_disk(self._store.share_numbers, storage_index)

    async def allocate(
        self, storage_index: bytes, numbers: Collection[int], size: int | None, *, lasting: bool = False
    ) -> Allocation:
        with errors_of(self.name):
            room = await claimed(
                self._run_in_thread(self._allocate, storage_index, frozenset(numbers), size, lasting),
                unclaimed=lambda room: self._run_in_thread(_abort_all, room),
            )
        writers = {
            number: LocalShareWriter(self.name, number, share, self._run_in_thread, self._steps)
            for number, share in room.shares.items()
        }
        return Allocation(frozenset(room.existing), writers, room.refusal)

    async def reopen(self, storage_index: bytes, number: int, ticket: str) -> IShareWriter:
        try:
            size = FolderTicket.load(ticket).size
        except BadTicket as error:
            raise PeerError(self.name, str(error)) from error
        with errors_of(self.name):
            share = await claimed(
                self._run_in_thread(self._checked, self._reopen, storage_index, number, size),
                unclaimed=lambda share: self._run_in_thread(share.forget),
            )
        return LocalShareWriter(self.name, number, share, self._run_in_thread, self._steps)

    async def keep_alive(self, storage_index: bytes, number: int, ticket: str) -> None:
        await self._on_the_disk(self._store.keep_alive, storage_index, number)

    async def allocate_whole(self, storage_index: bytes, numbers: Collection[int], size: int) -> Allocation:
        if not 0 <= self._well_until - self._now() <= WELL_SECONDS:
            # Shares that are lost in the end are missing from the file; others can still take those that are refused.
            await self._on_the_disk(self._expect_room, size * len(numbers))
            self._is_well()
        writers = {number: LocalWholeShareWriter(self, storage_index, number, size) for number in numbers}
        return Allocation(frozenset(), writers)

    async def open_share(self, storage_index: bytes, number: int) -> IShareSource:
        with errors_of(self.name):
            file = await claimed(
                self._read_in_thread(self._checked, self._store.open, storage_index, number),
                unclaimed=lambda file: self._read_in_thread(file.close),
            )
        return LocalShareSource(self.name, number, file, self._read_in_thread)

    async def report_corruption(self, storage_index: bytes, number: int, reason: str) -> None:
        await self._on_the_disk(self._store.report_corruption, storage_index, number, reason)

    async def available_space(self) -> int | None:
        return await self._on_the_disk(self._store.available_space)

    async def clear_abandoned(self) -> None:
        """Remove lasting shares that nobody has gone on with for very long."""
        await self._on_the_disk(self._store.clear_lasting)

    async def _on_the_disk(self, work: Callable[..., T], *args: object) -> T:
        with errors_of(self.name):
            return await self._read_in_thread(self._checked, work, *args)

    def _start(self) -> int:
        seen, seed = self._look_at_seed(), self._read_seed()
        self._store.start()
        self.permutation_seed, self._seed_seen = seed, seen
        return self._directory.stat().st_dev

    def _checked(self, work: Callable[..., T], *args: object) -> T:
        """A disk may come and go at any time, and another one may be mounted in its place."""
        seen = self._look_at_seed()
        if seen is None or seen != self._seed_seen:
            if self._read_seed() != self.permutation_seed:
                raise PeerUnavailable(self.name, f"{self._directory} is the folder of a peer that hasn't been started")
            self._seed_seen = seen
        return work(*args)

    def _allocate(self, storage_index: bytes, numbers: Collection[int], size: int | None, lasting: bool) -> _Room:
        return self._checked(self._make_room, storage_index, numbers, size, lasting)

    def _make_room(self, storage_index: bytes, numbers: Collection[int], size: int | None, lasting: bool) -> _Room:
        secrets = self._secrets(storage_index)
        room = _Room(self._store.add_lease(storage_index, secrets))
        with ExitStack() as undo:
            for number in sorted(set(numbers) - room.existing):
                try:
                    share = self._store.create(storage_index, number, size, secrets, lasting=lasting)
                except ShareExists:
                    room.existing.add(number)
                except (StoreFull, ShareInProgress) as refusal:
                    room.refusal = str(refusal)
                else:
                    room.shares[number] = share
                    undo.callback(share.abort)
            undo.pop_all()
        return room

    def _reopen(self, storage_index: bytes, number: int, size: int | None) -> IncomingShare:
        return self._store.reopen(storage_index, number, size, self._secrets(storage_index))

    def _is_well(self) -> None:
        """The disk is there and has room, which will still be so for a while."""
        self._well_until = self._now() + WELL_SECONDS

    def _expect_room(self, size: int) -> None:
        if (available := self._store.available_space()) < size:
            raise StoreFull(f"no room for {size} bytes; {available} bytes are left")

    def _secrets(self, storage_index: bytes) -> LeaseSecrets:
        tub_id = sha256(self.permutation_seed).digest()[:20]
        return LeaseSecrets.derived(self._lease_secret, storage_index, tub_id)

    def _storing(self, storage_index: bytes, number: int, size: int, buffers: Sequence[Buffer]) -> Step[IncomingShare]:
        secrets = self._secrets(storage_index)
        return (yield from self._checked(self._store.storing, storage_index, number, size, buffers, secrets))

    def _look_at_seed(self) -> object:
        """What tells its file from any other; None without one."""
        try:
            found = os.stat(self._seed_file)
        except OSError:
            return None
        return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns

    def _read_seed(self) -> bytes:
        try:
            seed = base32.decode((self._directory / SEED_FILE).read_text("ascii").strip())
            if not seed:
                raise ValueError("it is empty")
            return seed
        except (OSError, ValueError) as error:
            raise PeerUnavailable(
                self.name,
                f"{self._directory} isn't a peer folder (disk not mounted?): its {SEED_FILE} can't be read ({error})",
            ) from error


@implementer(IShareWriter)
class LocalWholeShareWriter:
    """A share that goes into a folder all at once."""

    def __init__(self, peer: LocalPeer, storage_index: bytes, number: int, size: int) -> None:
        self.number = number
        self.parallel_writes = 1
        self.ticket: str | None = None
        self._peer = peer
        self._storage_index = storage_index
        self._size = size
        self._in_turn = Turns(peer._run_in_thread)
        self._share: IncomingShare | None = None

    async def write(self, offset: int, buffers: Sequence[Buffer]) -> None:
        assert offset == 0
        await self._take(self._writing(buffers))

    async def secure(self) -> None:
        """Such a share goes whole or not at all."""

    async def forget(self) -> None:
        """Nothing is left to go on with."""
        await self.abort()

    async def prepare(self) -> None:
        """It is already."""

    async def commit(self) -> None:
        assert self._share is not None
        await self._take(self._share.committing())

    async def abort(self) -> None:
        with errors_of(self._peer.name):
            await self._in_turn(self._abort)

    async def _take(self, step: Step[None]) -> None:
        try:
            with errors_of(self._peer.name):
                await self._in_turn.of(lambda: self._peer._steps(step))
        except PeerError:
            self._peer._well_until = 0.0
            raise
        self._peer._is_well()

    def _writing(self, buffers: Sequence[Buffer]) -> Step[None]:
        # The writer has it even if nobody waits for it any more.
        self._share = yield from self._peer._storing(self._storage_index, self.number, self._size, buffers)

    def _abort(self) -> None:
        if self._share is not None:
            self._share.abort()


def _abort_all(room: _Room) -> None:
    for share in room.shares.values():
        # A file that can't be removed now is invisible, and goes when the store starts next.
        with suppress(StoreError):
            share.abort()
