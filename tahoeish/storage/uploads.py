"""
Shares on their way in, piece by piece, over any number of requests and connections.

An upload begins when it is allocated, and ends when its last byte has been written, when its client or the disk gives
it up, or when nothing has been written for a while. Losing a connection doesn't end it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from contextlib import AbstractContextManager, suppress
from functools import partial
from hmac import compare_digest

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger

from tahoeish.chk.buffers import Buffer
from tahoeish.storage.arrivals import Arrival, Arrivals
from tahoeish.storage.errors import NoSuchShare, ShareExists, ShareInProgress, StoreError, StoreFull
from tahoeish.storage.incoming import IncomingShare
from tahoeish.storage.leases import LeaseSecrets
from tahoeish.storage.ranges import Range, RangeSet
from tahoeish.storage.shares import ShareStore
from tahoeish.storage.steps import Step, Steps, take
from tahoeish.storage.undoing import NoSuchUpload, ShareKey, Undoing, WrongUploadSecret
from tahoeish.storage.wire import Allocation
from tahoeish.streams.tasks import to_the_end, together
from tahoeish.streams.threads import ThreadRunner, Turns

log = Logger()

SYNC_EVERY = 32 * 1024 * 1024
"""Bytes that an upload may be ahead of a durable disk; what the disk still has to do when the upload ends."""


class DifferentContent(Exception):
    """Bytes that have been written already would become others."""


class StillMissing(Exception):
    """The share can't be finished without these ranges."""

    def __init__(self, required: Sequence[Range]) -> None:
        super().__init__(f"{len(required)} ranges have not been written yet")
        self.required = required


class Upload:
    """One unfinished share. Writes may come from several requests at once; they are done one after the other."""

    def __init__(
        self,
        share: IncomingShare,
        size: int,
        secret: bytes,
        *,
        run_in_thread: ThreadRunner,
        clock: IReactorTime,
        steps: Steps,
        idle_limit: float,
        ended: Callable[[], None],
    ) -> None:
        self.size = size
        self.written = RangeSet()
        self.complete = False
        self._share = share
        self._secret = secret
        self._ended = ended
        self._given_up = False
        self._unsynced = 0
        self._in_turn = Turns(run_in_thread)
        self._steps = steps
        self._idle_limit = idle_limit
        self._idle_call: IDelayedCall = clock.callLater(idle_limit, self._idle)

    def admits(self, secret: bytes) -> bool:
        return compare_digest(self._secret, secret)

    @property
    def required(self) -> list[Range]:
        """What is still missing."""
        return self.written.missing(0, self.size)

    async def write(self, offset: int, pieces: Sequence[Buffer]) -> None:
        """
        Put the pieces one after the other at `offset`. With the last missing byte the share becomes `complete`: it is
        visible then, and survives a power cut.

        Raises `DifferentContent`, which changes nothing; `NoSuchUpload`; or a `StoreError`, which ends the upload.
        """
        await to_the_end(self._do(self._write, offset, pieces))

    async def finish(self, size: int) -> None:
        """
        Make it complete with `size` bytes, no more than it was allocated with.

        Raises `StillMissing`, which changes nothing, and otherwise what `write` raises.
        """
        await to_the_end(self._do(self._finish, size))

    async def give_up(self) -> None:
        """Remove what has been written. An upload that has ended is left as it is."""
        if not self._given_up and not self.complete:
            await to_the_end(self._give_up())

    # In the reactor's thread.

    async def _do(self, work: Callable[..., bool], *args: object) -> None:
        try:
            # What has been written may need the disk, then for all who need it at the moment.
            if await self._in_turn(work, *args):
                await self._in_turn.of(lambda: self._steps(self._publishing()))
        except StoreError:
            await self._give_up()
            raise
        if self.complete:
            self._end()
        elif not self._given_up:
            self._idle_call.reset(self._idle_limit)

    async def _give_up(self) -> None:
        self._given_up = True
        self._end()
        await self._in_turn(self._abort)

    def _end(self) -> None:
        if self._idle_call.active():
            self._idle_call.cancel()
        self._ended()

    def _idle(self) -> None:
        log.info("{path}: given up, nothing was written for {limit:g} s", path=self._share.path, limit=self._idle_limit)
        Deferred.fromCoroutine(self.give_up()).addErrback(
            lambda failure: log.failure("an idle upload could not be removed", failure)
        )

    # In other threads, one at a time.

    def _write(self, offset: int, pieces: Sequence[Buffer]) -> bool:
        """Whether it is yet to be published."""
        self._expect_unfinished()
        end = offset + sum(memoryview(piece).nbytes for piece in pieces)
        if known := self.written.present(offset, end):
            self._write_between(known, offset, b"".join(pieces))
        else:
            self._share.write(offset, pieces)
        self.written = self.written.with_range(offset, end)
        self._unsynced += end - offset
        if not self.required:
            return self._publish()
        if self._unsynced >= SYNC_EVERY:
            self._unsynced = 0
            self._share.sync()
        return False

    def _write_between(self, known: Sequence[Range], offset: int, content: bytes) -> None:
        """Compare with what is known, and write the rest."""
        view = memoryview(content)
        for begin, end in known:
            if self._share.read(begin, end - begin) != view[begin - offset : end - offset]:
                raise DifferentContent(f"bytes {begin} to {end - 1} have been written before, and were not the same")
        for begin, end in self.written.missing(offset, offset + len(content)):
            self._share.write(begin, [view[begin - offset : end - offset]])

    def _finish(self, size: int) -> bool:
        """Whether it is yet to be published."""
        self._expect_unfinished()
        if missing := self.written.missing(0, size):
            raise StillMissing(missing)
        self._share.shorten(size)
        self.size = size
        return self._publish()

    def _publish(self) -> bool:
        """At once where that needs no waiting; otherwise it is to be done with others'."""
        if self._share.durable:
            return True
        take(self._publishing())
        return False

    def _publishing(self) -> Step[None]:
        self._expect_unfinished()
        yield from self._share.preparing()
        yield from self._share.committing()
        self.complete = True

    def _abort(self) -> None:
        # Somebody's last piece may have been quicker.
        if not self.complete:
            self._share.abort()

    def _expect_unfinished(self) -> None:
        if self.complete or self._given_up:
            raise NoSuchUpload("the upload has ended")


class Uploads:
    """All unfinished shares of a storage node. Nothing of them outlives `stop`, nor the node's process."""

    def __init__(
        self,
        store: ShareStore,
        *,
        run_in_thread: ThreadRunner,
        clock: IReactorTime,
        idle_limit: float,
        max_share_size: int | None = None,
        read_only: bool = False,
    ) -> None:
        self._store = store
        self._run_in_thread = run_in_thread
        self._clock = clock
        self._idle_limit = idle_limit
        self._max_share_size = max_share_size
        self._read_only = read_only
        self._uploads: dict[ShareKey, Upload] = {}
        self._steps = Steps(run_in_thread)
        self._arrivals = Arrivals()
        self._undoing = Undoing(clock)

    def __len__(self) -> int:
        return len(self._uploads)

    async def allocate(
        self, storage_index: bytes, numbers: Collection[int], size: int, secret: bytes, lease: LeaseSecrets
    ) -> Allocation:
        """
        Begin uploads of `size` bytes for those of `numbers` that are neither there nor on their way, as far as there
        is room. What is there gets the lease at once, the others when they are complete.
        """
        return await to_the_end(self._allocate(storage_index, numbers, size, secret, lease))

    def arriving(self, storage_index: bytes, number: int, secret: bytes) -> AbstractContextManager[Arrival]:
        """A whole share is on its way in as long as the block lasts, for `store` to be called in it."""
        return self._arrivals.begun((storage_index, number), secret)

    async def store(self, arrival: Arrival, content: bytes, lease: LeaseSecrets) -> None:
        """
        All of a share at once, which can be seen in the end, and survives a power cut. Doing it again does no harm.

        Raises `ShareExists` for somebody else's, `ShareInProgress`, `StoreFull`.
        """
        await self._arrivals.received(arrival)
        if self._undoing.allows(arrival.share, arrival.secret):
            # It came through, only the answer didn't.
            return
        self._expect_taken(len(content))
        await self._steps(self._storing(*arrival.share, len(content), [content], lease))
        self._undoing.allow(arrival.share, arrival.secret)

    async def undo(self, storage_index: bytes, number: int, secret: bytes) -> None:
        """
        Remove a share that has been completed with this secret a moment ago, or is just about to be.

        Raises `WrongUploadSecret`, or `NoSuchUpload` when it is too late for that.
        """
        await to_the_end(self._undo((storage_index, number), secret))

    async def _undo(self, key: ShareKey, secret: bytes) -> None:
        await self._arrivals.all_over(key, secret)
        self._undoing.expect(key, secret)
        self._undoing.forget(key)
        with suppress(NoSuchShare):
            await self._run_in_thread(self._store.remove, *key)

    def find(self, storage_index: bytes, number: int, secret: bytes) -> Upload:
        """Raises `NoSuchUpload` or `WrongUploadSecret`."""
        upload = self._uploads.get((storage_index, number))
        if upload is None:
            raise NoSuchUpload("this share is not being uploaded")
        if not upload.admits(secret):
            raise WrongUploadSecret("somebody else uploads this share")
        return upload

    async def stop(self) -> None:
        """Remove all unfinished shares."""
        await together([upload.give_up() for upload in self._uploads.values()])

    async def _allocate(
        self, storage_index: bytes, numbers: Collection[int], size: int, secret: bytes, lease: LeaseSecrets
    ) -> Allocation:
        refused = self._read_only or (self._max_share_size is not None and size > self._max_share_size)
        wanted = () if refused else sorted(numbers)
        existing, created = await self._run_in_thread(_allocate, self._store, storage_index, wanted, size, lease)
        for number, share in created.items():
            key = (storage_index, number)
            self._uploads[key] = Upload(
                share,
                size,
                secret,
                run_in_thread=self._run_in_thread,
                clock=self._clock,
                steps=self._steps,
                idle_limit=self._idle_limit,
                ended=partial(self._ended, key, secret),
            )
        return Allocation(frozenset(existing), frozenset(created))

    def _ended(self, key: ShareKey, secret: bytes) -> None:
        upload = self._uploads.pop(key, None)
        if upload is not None and upload.complete:
            self._undoing.allow(key, secret)

    def _expect_taken(self, size: int) -> None:
        if self._read_only or (self._max_share_size is not None and size > self._max_share_size):
            raise StoreFull("this storage node is read-only, or takes only smaller shares")

    def _storing(
        self, storage_index: bytes, number: int, size: int, pieces: Sequence[Buffer], lease: LeaseSecrets
    ) -> Step[None]:
        share = yield from self._store.storing(storage_index, number, size, pieces, lease)
        try:
            yield from share.committing()
        except BaseException:
            share.abort()
            raise


def _allocate(
    store: ShareStore, storage_index: bytes, numbers: Sequence[int], size: int, lease: LeaseSecrets
) -> tuple[set[int], dict[int, IncomingShare]]:
    """Blocks. What is there, and what may be written now."""
    store.add_lease(storage_index, lease)
    existing = store.share_numbers(storage_index)
    created: dict[int, IncomingShare] = {}
    try:
        for number in numbers:
            if number in existing:
                continue
            try:
                created[number] = store.create(storage_index, number, size, lease)
            except ShareExists:
                existing.add(number)
            except ShareInProgress:
                pass
            except StoreFull:
                break
    except StoreError:
        for share in created.values():
            share.abort()
        raise
    return existing, created
