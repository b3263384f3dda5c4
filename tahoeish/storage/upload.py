"""One share on its way in, piece by piece, over any number of requests and connections."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from hmac import compare_digest
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger

from tahoeish.chk.buffers import Buffer
from tahoeish.storage.errors import StoreError
from tahoeish.storage.incoming import IncomingShare
from tahoeish.storage.ranges import Range, RangeSet
from tahoeish.storage.steps import Step, Steps, take
from tahoeish.storage.undoing import NoSuchUpload
from tahoeish.streams.tasks import to_the_end
from tahoeish.streams.threads import ThreadRunner, Turns

log = Logger()


class DifferentContent(Exception):
    """Bytes that have been written already would become others."""


class StillMissing(Exception):
    """The share can't be finished without these ranges."""

    def __init__(self, required: Sequence[Range]) -> None:
        super().__init__(f"{len(required)} ranges have not been written yet")
        self.required = required


@dataclass(frozen=True, slots=True)
class Means:
    """What all uploads of a storage node share."""

    run_in_thread: ThreadRunner
    clock: IReactorTime
    steps: Steps
    idle_limit: float


class Upload:
    """One unfinished share. Writes may come from several requests at once; they are done one after the other."""

    def __init__(
        self, share: IncomingShare, size: int, secret: bytes, means: Means, *, ended: Callable[[], None]
    ) -> None:
        self.size = size
        self.written = RangeSet()
        self.complete = False
        self._share = share
        self._secret = secret
        self._ended = ended
        self._given_up = False
        self._in_turn = Turns(means.run_in_thread)
        self._steps = means.steps
        self._idle_limit = means.idle_limit
        self._idle_call: IDelayedCall = means.clock.callLater(means.idle_limit, self._idle)

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
        await to_the_end(self._soundly(self._do(self._write, offset, pieces)))

    async def finish(self, size: int) -> None:
        """
        Make it complete with `size` bytes, no more than it was allocated with.

        Raises `StillMissing`, which changes nothing, and otherwise what `write` raises.
        """
        await to_the_end(self._soundly(self._do(self._finish, size)))

    async def secure(self) -> None:
        """
        What has been written by now is there even after a power cut, if the upload is one that outlives the process.

        Raises `NoSuchUpload`, or a `StoreError`, which ends the upload.
        """
        self._expect_unfinished()

    async def give_up(self) -> None:
        """Remove what has been written. An upload that has ended is left as it is."""
        if not self._over:
            await to_the_end(self._end_by(self._abort))

    async def rest(self) -> None:
        """Nobody writes to it at the moment, and perhaps nobody ever will again."""
        await self.give_up()

    # In the reactor's thread.

    @property
    def _over(self) -> bool:
        return self._given_up or self.complete

    async def _do(self, work: Callable[..., bool], *args: object) -> None:
        # What has been written may need the disk, then for all who need it at the moment.
        if await self._in_turn(work, *args):
            await self._in_turn.of(lambda: self._steps(self._publishing()))

    async def _soundly(self, work: Coroutine[Any, Any, None]) -> None:
        try:
            await work
        except StoreError:
            if not self._given_up:
                await self._end_by(self._abort)
            raise
        if self.complete:
            self._end()
        elif not self._given_up:
            self._idle_call.reset(self._idle_limit)

    async def _end_by(self, work: Callable[[], None]) -> None:
        self._given_up = True
        self._end()
        await self._in_turn(work)

    def _end(self) -> None:
        if self._idle_call.active():
            self._idle_call.cancel()
        self._ended()

    def _idle(self) -> None:
        log.info("{path}: nothing was written for {limit:g} s", path=self._share.path, limit=self._idle_limit)
        Deferred.fromCoroutine(self.rest()).addErrback(
            lambda failure: log.failure("an idle upload could not be ended", failure)
        )

    # In other threads, one at a time.

    def _write(self, offset: int, pieces: Sequence[Buffer]) -> bool:
        """Whether it is yet to be published."""
        self._expect_unfinished()
        end = offset + sum(memoryview(piece).nbytes for piece in pieces)
        self._put(offset, end, pieces)
        self.written = self.written.with_range(offset, end)
        return not self.required and self._publish()

    def _put(self, offset: int, end: int, pieces: Sequence[Buffer]) -> None:
        if known := self.written.present(offset, end):
            self._write_between(known, offset, b"".join(pieces))
        else:
            self._share.write(offset, pieces)

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
        self._shorten(size)
        self.size = size
        return self._publish()

    def _shorten(self, size: int) -> None:
        self._share.shorten(size)

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
        if self._over:
            raise NoSuchUpload("the upload has ended")
