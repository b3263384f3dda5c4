"""One file on its way to its peers: encoder, road and shares together, and what happens when one of them fails."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar
from weakref import WeakSet

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime

from tahoeish.chk.buffers import Buffer
from tahoeish.chk.encoder import Encoder, FinishedFile
from tahoeish.chk.segment import SealedSegment, Segment
from tahoeish.grid.errors import OtherEncoding
from tahoeish.grid.milestones import Milestones
from tahoeish.grid.peer import IStoragePeer
from tahoeish.grid.road import LONG_ROAD_BYTES, ROAD_BYTES, Road
from tahoeish.grid.shareset import EncodingChoice, IncompleteFile, ShareSet
from tahoeish.streams.budget import ByteBudget
from tahoeish.streams.tasks import to_the_end
from tahoeish.streams.threads import ThreadRunner

T = TypeVar("T")


@dataclass(frozen=True)
class Means:
    """
    What a file needs to get on. `peer_timeout`: how long a peer may take over one thing, in seconds; `under_way`: where
    its shares can be watched.
    """

    peers: Callable[[], Sequence[IStoragePeer]]
    encoding: EncodingChoice
    budget: ByteBudget
    run_in_thread: ThreadRunner
    clock: IReactorTime
    peer_timeout: float
    under_way: WeakSet[ShareSet]


class Transit:
    """
    First room is found, then the file is carried, then it is finished; all of it within `attempt`, which ends when too
    few shares are left. `undo` leaves nothing of it on any peer, `forget` leaves lasting shares for later.

    `allocated`: what each share is given room for, None while nobody knows. `keep_committed`: somebody else may have
    stored the same content at the same time, and rely on what is there by now. `whole`: it has one segment only, which
    is sent when all of it has come.
    """

    def __init__(
        self,
        means: Means,
        encoder: Encoder,
        allocated: int | None,
        *,
        keep_committed: bool = False,
        incomplete: IncompleteFile | None = None,
        whole: bool = False,
        lasting: bool = False,
        milestones: Milestones | None = None,
    ) -> None:
        self.encoder = encoder
        self._means = means
        self._keep_committed = keep_committed
        self._incomplete = incomplete
        self._whole = whole
        self._milestones = milestones
        self._fatal: Exception | None = None
        self._attempts: set[Deferred[Any]] = set()
        self._road_made: Road | None = None
        self.shares = ShareSet(
            encoder.storage_index,
            means.encoding,
            allocated,
            incomplete,
            peer_timeout=means.peer_timeout,
            clock=means.clock,
            spoiled=self._fail,
            whole=whole,
            lasting=lasting,
        )
        means.under_way.add(self.shares)

    async def attempt(self, work: Coroutine[Any, Any, T]) -> T:
        """Waits for it. Raises what has spoiled the file, if something has, and cancels the work for that."""
        if self._fatal is not None:
            work.close()
            raise self._fatal
        attempt = Deferred.fromCoroutine(work)
        self._attempts.add(attempt)
        try:
            return await attempt
        except BaseException:
            if self._fatal is not None:
                raise self._fatal from None
            raise
        finally:
            self._attempts.discard(attempt)

    def check(self) -> None:
        """Raises what has spoiled the file, if something has."""
        if self._fatal is not None:
            raise self._fatal

    async def store(self, pieces: AsyncIterator[Buffer]) -> FinishedFile:
        """All at once, from finding room to the end. When it fails, or is cancelled, nothing stays on any peer."""
        try:
            return await self.attempt(self._store(pieces))
        except BaseException:
            await to_the_end(self.undo())
            raise

    async def find_room(self) -> None:
        await self.shares.find_room(self._means.peers())
        self.shares.check_happiness()

    @property
    def road(self) -> Road:
        """To be used when there is room."""
        if self._road_made is None:
            means = self._means
            self._road_made = Road(
                self.encoder,
                means.encoding.total / means.encoding.needed,
                room=LONG_ROAD_BYTES if self.shares.elsewhere else ROAD_BYTES,
                budget=means.budget,
                run_in_thread=means.run_in_thread,
                send=self.shares.send,
                broken=self._fail,
                narrows=self.shares.hurry,
                milestones=self._milestones,
            )
        return self._road_made

    async def finish(self) -> FinishedFile:
        """When all segments have been sent."""
        finished = await self._means.run_in_thread(self.encoder.finish)
        if self._incomplete is not None and finished.cap != self._incomplete.cap:
            raise OtherEncoding
        await self.shares.finish(finished.shares)
        # It has this one; a circle of the two would keep both until the collector comes.
        self._road_made = None
        return finished

    async def undo(self) -> None:
        self._stop_all()
        await self.shares.abort(keep_committed=self._keep_committed)

    async def forget(self) -> None:
        self._stop_all()
        await self.shares.forget()

    async def _store(self, pieces: AsyncIterator[Buffer]) -> FinishedFile:
        await self.find_room()
        if self._whole:
            return await self._send_whole(pieces)
        await self.road.carry(self._to_the_last(pieces))
        return await self.finish()

    async def _to_the_last(self, pieces: AsyncIterator[Buffer]) -> AsyncIterator[Buffer]:
        async for piece in pieces:
            yield piece
        # What is gathered from now on would wait for nothing.
        self.shares.hurry()

    async def _send_whole(self, pieces: AsyncIterator[Buffer]) -> FinishedFile:
        segment = await self._only_segment(pieces)
        encoding = self._means.encoding
        size = segment.size + segment.size * encoding.total // encoding.needed
        with await self._means.budget.lease(size, self):
            sealed, finished = await self._means.run_in_thread(self._seal_and_finish, segment)
            await self.shares.finish_whole(sealed, finished.shares)
        return finished

    async def _only_segment(self, pieces: AsyncIterator[Buffer]) -> Segment:
        segments: list[Segment] = []
        async for piece in pieces:
            segments += self.encoder.write(piece)
        (segment,) = segments + self.encoder.end()
        return segment

    def _seal_and_finish(self, segment: Segment) -> tuple[SealedSegment, FinishedFile]:
        """In a thread."""
        sealed = segment.seal()
        self.encoder.absorb(sealed)
        return sealed, self.encoder.finish()

    def _stop_all(self) -> None:
        self._stop_attempts()
        if self._road_made is not None:
            self._road_made.abandon()
            self._road_made = None

    def _fail(self, error: Exception) -> None:
        if self._fatal is None:
            self._fatal = error
            if self._milestones is not None:
                self._milestones.stop()
            # Not at once: whoever calls this may be what an attempt has to cancel.
            self._means.clock.callLater(0, self._stop_attempts)

    def _stop_attempts(self) -> None:
        for attempt in list(self._attempts):
            attempt.cancel()
