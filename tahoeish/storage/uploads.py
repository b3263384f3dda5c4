"""
Shares on their way in, piece by piece, over any number of requests and connections.

An upload begins when it is allocated, and ends when its last byte has been written, when its client or the disk gives
it up, or when nothing has been written for a while. Losing a connection doesn't end it. Where the client has asked for
a lasting one, it rests instead when nothing has been written for a while, or when the process ends.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from functools import partial
from typing import TypeAlias

from twisted.internet.defer import DeferredLock
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from tahoeish.chk.buffers import Buffer
from tahoeish.storage.arrivals import UNKNOWN, Arrival, Arrivals
from tahoeish.storage.errors import NoSuchShare, ShareExists, ShareInProgress, StoreError, StoreFull
from tahoeish.storage.incoming import IncomingShare
from tahoeish.storage.lasting_upload import LastingUpload, NotedShare, begin_lasting, take_up
from tahoeish.storage.leases import LeaseSecrets
from tahoeish.storage.shares import CLEAR_SECONDS, ShareStore
from tahoeish.storage.steps import Step, Steps
from tahoeish.storage.undoing import NoSuchUpload, ShareKey, Undoing, WrongUploadSecret
from tahoeish.storage.upload import Means, Upload
from tahoeish.storage.wire import Allocation
from tahoeish.streams.recurring import Recurring
from tahoeish.streams.tasks import to_the_end, together
from tahoeish.streams.threads import ThreadRunner

log = Logger()

Begun: TypeAlias = IncomingShare | NotedShare


class Uploads:
    """All unfinished shares of a storage node. Only lasting ones outlive `stop`, or the node's process."""

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
        self._max_share_size = max_share_size
        self._read_only = read_only
        self._uploads: dict[ShareKey, Upload] = {}
        # What threads are at, and will be an upload.
        self._beginning: set[ShareKey] = set()
        self._taking_up = DeferredLock()
        self._steps = Steps(run_in_thread)
        self._means = Means(run_in_thread, clock, self._steps, idle_limit)
        self._clearing = Recurring(self._clear, CLEAR_SECONDS, clock, doing="clearing away abandoned uploads")
        self._arrivals = Arrivals()
        self._undoing = Undoing(clock)

    def __len__(self) -> int:
        return len(self._uploads)

    async def allocate(
        self,
        storage_index: bytes,
        numbers: Collection[int],
        size: int,
        secret: bytes,
        lease: LeaseSecrets,
        *,
        lasting: bool = False,
    ) -> Allocation:
        """
        Begin uploads of `size` bytes for those of `numbers` that are neither there nor on their way, as far as there
        is room. What is there gets the lease at once, the others when they are complete.
        """
        return await to_the_end(self._allocate(storage_index, numbers, size, secret, lease, lasting))

    def arriving(self, storage_index: bytes, number: int, secret: bytes) -> AbstractContextManager[Arrival]:
        """A whole share is on its way in as long as the block lasts, for `store` to be called in it."""
        return self._arrivals.begun((storage_index, number), secret)

    def arriving_together(self, secret: bytes) -> AbstractContextManager[Arrival]:
        """Whole shares are on their way in, and it isn't known yet which. As soon as it is, each is `arriving`, too."""
        return self._arrivals.begun(UNKNOWN, secret)

    async def store(self, arrival: Arrival, content: Buffer, lease: LeaseSecrets) -> None:
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

    async def find(self, storage_index: bytes, number: int, secret: bytes) -> Upload:
        """One that rests is taken up again. Raises `NoSuchUpload` or `WrongUploadSecret`; also `StoreError`."""
        key = (storage_index, number)
        if key not in self._uploads:
            await to_the_end(self._take_up(key, secret))
        upload = self._uploads.get(key)
        if upload is None:
            raise NoSuchUpload("this share is not being uploaded")
        if not upload.admits(secret):
            raise WrongUploadSecret("somebody else uploads this share")
        return upload

    def start(self) -> None:
        """The store has cleared away abandoned lasting shares; from now on, do so now and then."""
        self._clearing.start(now=False)

    async def stop(self) -> None:
        """Remove all unfinished shares but lasting ones, and let go of these."""
        await self._clearing.stop()
        await together([upload.rest() for upload in self._uploads.values()])

    async def _allocate(
        self,
        storage_index: bytes,
        numbers: Collection[int],
        size: int,
        secret: bytes,
        lease: LeaseSecrets,
        lasting: bool,
    ) -> Allocation:
        refused = self._read_only or (self._max_share_size is not None and size > self._max_share_size)
        free = [number for number in numbers if not self._is_known((storage_index, number))]
        wanted = () if refused else sorted(free)

        def begun(number: int) -> Begun:
            if lasting:
                return begin_lasting(self._store, (storage_index, number), size, secret, lease)
            return self._store.create(storage_index, number, size, lease)

        with self._at_work_on({(storage_index, number) for number in wanted}):
            existing, created = await self._run_in_thread(_allocate, self._store, storage_index, wanted, lease, begun)
            for number, share in created.items():
                self._add((storage_index, number), share, size, secret)
        return Allocation(frozenset(existing), frozenset(created))

    async def _take_up(self, key: ShareKey, secret: bytes) -> None:
        await self._taking_up.acquire()
        try:
            # Several requests may go on with the same upload at once.
            if not self._is_known(key):
                with self._at_work_on({key}):
                    share = await self._run_in_thread(take_up, self._store, key, secret)
                    self._add(key, share, share.size, secret)
        finally:
            self._taking_up.release()

    @contextmanager
    def _at_work_on(self, keys: Collection[ShareKey]) -> Iterator[None]:
        """A thread is, so nobody else begins these."""
        self._beginning.update(keys)
        try:
            yield
        finally:
            self._beginning.difference_update(keys)

    def _is_known(self, key: ShareKey) -> bool:
        return key in self._uploads or key in self._beginning

    def _add(self, key: ShareKey, share: Begun, size: int, secret: bytes) -> None:
        ended = partial(self._ended, key, secret)
        if isinstance(share, NotedShare):
            self._uploads[key] = LastingUpload(share, secret, self._means, ended=ended)
        else:
            self._uploads[key] = Upload(share, size, secret, self._means, ended=ended)

    def _ended(self, key: ShareKey, secret: bytes) -> None:
        upload = self._uploads.pop(key, None)
        if upload is not None and upload.complete:
            self._undoing.allow(key, secret)

    async def _clear(self) -> float:
        try:
            await self._run_in_thread(self._store.clear_lasting)
        except StoreError as error:
            log.error("can't clear away abandoned uploads now: {problem}", problem=error)
        return 0

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
    store: ShareStore,
    storage_index: bytes,
    numbers: Sequence[int],
    lease: LeaseSecrets,
    begin: Callable[[int], Begun],
) -> tuple[set[int], dict[int, Begun]]:
    """Blocks. What is there, and what may be written now."""
    store.add_lease(storage_index, lease)
    existing = store.share_numbers(storage_index)
    created: dict[int, Begun] = {}
    try:
        for number in numbers:
            # Where there is a logbook, an upload rests, which belongs to whoever has begun it.
            if number in existing or store.logbook_path(storage_index, number).exists():
                continue
            try:
                created[number] = begin(number)
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
