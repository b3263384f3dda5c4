"""A share on its way in whose upload goes on in the storage node's next process, if this one ends before it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tahoeish.chk.buffers import Buffer
from tahoeish.storage.errors import NoSuchShare
from tahoeish.storage.incoming import IncomingShare
from tahoeish.storage.leases import LeaseSecrets
from tahoeish.storage.logbook import Logbook, NothingSure, Terms, read
from tahoeish.storage.ranges import RangeSet
from tahoeish.storage.shares import ShareStore
from tahoeish.storage.steps import Step
from tahoeish.storage.undoing import NoSuchUpload, ShareKey, WrongUploadSecret
from tahoeish.storage.upload import Means, Upload
from tahoeish.streams.tasks import to_the_end


@dataclass(frozen=True, slots=True)
class NotedShare:
    """A lasting share that is open, its logbook, and what that has told."""

    share: IncomingShare
    size: int
    logbook: Logbook
    written: RangeSet

    def abort(self) -> None:
        self.logbook.remove()
        self.share.abort()


class LastingUpload(Upload):
    """
    What is written is noted before it is confirmed. When nobody writes to it, it *rests*: it takes neither memory nor
    an open file, no room is kept for it, and it is taken up again when somebody goes on with it.
    """

    def __init__(self, noted: NotedShare, secret: bytes, means: Means, *, ended: Callable[[], None]) -> None:
        super().__init__(noted.share, noted.size, secret, means, ended=ended)
        self.written = noted.written
        self._logbook = noted.logbook

    async def secure(self) -> None:
        await to_the_end(self._soundly(self._secure()))

    async def rest(self) -> None:
        if not self._over:
            await to_the_end(self._end_by(self._let_go))

    async def _secure(self) -> None:
        await self._in_turn.of(lambda: self._steps(self._securing()))

    # In other threads, one at a time.

    def _put(self, offset: int, end: int, pieces: Sequence[Buffer]) -> None:
        super()._put(offset, end, pieces)
        if self.written.covers(offset, end):
            self._share.touch()
        else:
            self._logbook.written(offset, end)

    def _securing(self) -> Step[None]:
        self._expect_unfinished()
        yield from self._share.securing()
        if self._share.durable:
            yield from self._logbook.securing()

    def _shorten(self, size: int) -> None:
        if self.written.end > size:
            self._logbook.shortened(size, durable=self._share.durable)
        super()._shorten(size)

    def _publishing(self) -> Step[None]:
        yield from super()._publishing()
        self._logbook.remove()

    def _abort(self) -> None:
        if not self.complete:
            self._logbook.remove()
        super()._abort()

    def _let_go(self) -> None:
        self._logbook.close()
        self._share.forget()


def begin_lasting(store: ShareStore, key: ShareKey, size: int, secret: bytes, lease: LeaseSecrets) -> NotedShare:
    """Blocks. Raises what `ShareStore.create` does."""
    share = store.create(*key, size, lease, lasting=True)
    try:
        logbook = Logbook.begin(store.logbook_path(*key), Terms.of(size, secret, lease))
    except BaseException:
        share.abort()
        raise
    return NotedShare(share, size, logbook, RangeSet())


def take_up(store: ShareStore, key: ShareKey, secret: bytes) -> NotedShare:
    """One that rests. Blocks. Raises `NoSuchUpload` or `WrongUploadSecret`, besides `StoreError`."""
    path = store.logbook_path(*key)
    try:
        account = read(path)
        if not account.terms.admit(secret):
            raise WrongUploadSecret("somebody else uploads this share")
        share = store.reopen(*key, account.terms.size, account.terms.lease)
    except NothingSure as error:
        store.remove_lasting(*key)
        raise NoSuchUpload(str(error)) from error
    except NoSuchShare as error:
        raise NoSuchUpload("this share is not being uploaded") from error
    try:
        # The file may have been cut by something that the logbook knows nothing of.
        written = account.written.up_to(share.length)
        return NotedShare(share, account.terms.size, Logbook.go_on(path, account), written)
    except BaseException:
        share.forget()
        raise
