"""
The way of one file's segments: full, sealed in a thread, absorbed in order, sent.

Several are on it at the same time, as many as the budget and the road have room for. Before the known end of a file the
road narrows: what is on it when the client's last byte comes is what the client still has to wait for.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from threading import Lock

from twisted.internet.defer import CancelledError, Deferred, succeed
from twisted.python.failure import Failure

from tahoeish.chk.buffers import Buffer
from tahoeish.chk.encoder import Encoder
from tahoeish.chk.segment import SealedSegment, Segment
from tahoeish.grid.milestones import Milestones
from tahoeish.streams.budget import ByteBudget, Lease
from tahoeish.streams.threads import ThreadRunner

ROAD_BYTES = 24 * 1024 * 1024
"""What one upload may have between full and acknowledged: enough to keep processors and disks busy."""

LONG_ROAD_BYTES = 36 * 1024 * 1024
"""The same where peers are elsewhere: one large request on its way to each, and the next one being gathered."""

FEWEST_SEGMENTS, MOST_SEGMENTS = 2, 48
"""The same in segments."""

NARROWEST_BYTES = 3 * 1024 * 1024
"""How much of a file there may be beside its last segment; before that, half as much more as is still to come."""


class Road:
    """
    Takes the pieces of one file to where they are sent, at most `room` bytes at a time.

    `expansion` is how many bytes of shares come from a byte of the file. `send` says when a segment isn't needed any
    more. `broken` is called with the error when a segment can't get through by a fault of ours. `narrows` is called
    when so few may be on the way from now on that none should wait for company.
    """

    def __init__(
        self,
        encoder: Encoder,
        expansion: float,
        *,
        room: int,
        budget: ByteBudget,
        run_in_thread: ThreadRunner,
        send: Callable[[SealedSegment], Deferred[None]],
        broken: Callable[[Exception], None],
        narrows: Callable[[], None],
        milestones: Milestones | None = None,
    ) -> None:
        self._encoder = encoder
        self._expansion = expansion
        self._budget = budget
        self._run_in_thread = run_in_thread
        self._send = send
        self._broken = broken
        self._narrows = narrows
        places = room // int(encoder.segment_size * (1 + expansion))
        self._places = max(FEWEST_SEGMENTS, min(places, MOST_SEGMENTS))
        self._travelling: set[Deferred[None]] = set()
        self._place_free: Deferred[None] | None = None
        self._clear: Deferred[None] | None = None
        self._before: Deferred[None] = succeed(None)
        self._absorbing = Lock()
        self._sealed: dict[int, SealedSegment] = {}
        self._milestones = milestones
        self._absorbed = encoder.segments_absorbed

    async def carry(self, pieces: AsyncIterator[Buffer]) -> None:
        """Returns when all has been sent, and absorbed by the encoder."""
        async for piece in pieces:
            for segment in self._encoder.write(piece):
                await self.set_off(segment)
        for segment in self._encoder.end():
            await self.set_off(segment)
        await self.clear()

    async def clear(self) -> None:
        """Returns when all that has set off has been sent, and absorbed by the encoder."""
        if self._travelling:
            self._clear = Deferred()
            await self._clear

    def abandon(self) -> None:
        """Nothing that is on the way needs to arrive."""
        for travelling in list(self._travelling):
            travelling.cancel()

    async def set_off(self, segment: Segment) -> None:
        """Returns when the segment is on its way, so that the next may be filled."""
        await self._place(segment.number)
        lease = await self._budget.lease(segment.size + int(segment.size * self._expansion), self)
        before, self._before = self._before, Deferred()
        travelling = Deferred.fromCoroutine(self._travel(segment, lease, before, self._before))
        self._travelling.add(travelling)
        travelling.addBoth(self._arrived, travelling, lease, segment.number)

    async def _place(self, number: int) -> None:
        """Returns when the road has room for this segment."""
        places = self._places_beside(number)
        if places < self._places:
            self._narrows()
        while len(self._travelling) >= places:
            self._place_free = Deferred()
            await self._place_free

    def _places_beside(self, number: int) -> int:
        count = self._encoder.segment_count
        if count is None:
            return self._places
        narrowest = max(FEWEST_SEGMENTS, NARROWEST_BYTES // self._encoder.segment_size)
        return min(self._places, narrowest + (count - number - 1) // 2)

    async def _travel(self, segment: Segment, lease: Lease, before: Deferred[None], on_its_way: Deferred[None]) -> None:
        plaintext_size = segment.size
        sealed = await self._run_in_thread(self._seal, segment)
        lease.shrink(lease.size - plaintext_size)
        await before
        sent = self._send(sealed)
        del sealed
        on_its_way.callback(None)
        await sent

    def _seal(self, segment: Segment) -> SealedSegment:
        """In a thread. Segments may be sealed in any order, but are absorbed in their own, by whoever can."""
        sealed = segment.seal()
        with self._absorbing:
            self._sealed[sealed.number] = sealed
            while (following := self._sealed.pop(self._absorbed, None)) is not None:
                self._encoder.absorb(following)
                self._absorbed += 1
                if self._milestones is not None:
                    self._milestones.absorbed()
        return sealed

    def _arrived(self, result: object, travelling: Deferred[None], lease: Lease, number: int) -> None:
        self._travelling.discard(travelling)
        lease.release()
        if self._milestones is not None and not isinstance(result, Failure):
            self._milestones.arrived(number)
        if isinstance(result, Failure) and not result.check(CancelledError):
            assert isinstance(result.value, Exception)
            self._broken(result.value)
        elif not self._travelling and self._clear is not None and not self._clear.called:
            self._clear.callback(None)
        place_free, self._place_free = self._place_free, None
        if place_free is not None and not place_free.called:
            place_free.callback(None)
