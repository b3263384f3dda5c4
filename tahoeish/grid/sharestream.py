"""One share on its way to its peer."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from tahoeish.chk.buffers import Buffer
from tahoeish.grid.peer import IShareWriter, PeerError, PeerFull

log = Logger()

BATCH = 2 * 1024 * 1024
"""What has piled up while the peer was busy goes in one write, of about this size at the most."""

WORTH_A_REQUEST = BATCH - 1024
"""
Each request to a peer elsewhere costs both sides as much as many blocks: these are worth a little patience. A block is
a few bytes shorter than a round number.
"""

A_BIT_SECONDS = 0.15

_PADDING = 1024 * 1024


class ShareStream:
    """
    Hands the blocks of one share to its writer, in order, and as many writes at a time as the writer likes.

    When the peer fails, or takes longer than `timeout` seconds over something, the share is lost: `lost` is called
    once, and from then on everything here succeeds without doing anything. What that means for the upload is the
    upload's business.

    Callbacks and one timer, where coroutines and a timer each would read better: this is what a node does most often.
    """

    def __init__(
        self,
        writer: IShareWriter,
        peer: str,
        *,
        clock: IReactorTime,
        timeout: float,
        lost: Callable[[ShareStream], None],
        identity: str = "",
        lasting: bool = False,
    ) -> None:
        """
        `peer` is what the peer is called, `identity` what it is known by. A `lasting` share isn't removed when it is
        lost, because another attempt may find it again, unless `give_back` says that none will look for it.
        """
        self.writer = writer
        self.peer = peer
        self.identity = identity
        self._lasting = lasting
        self.problem: str | None = None
        self.peer_full = False
        self.committed = False
        self._clock = clock
        self._timeout = timeout
        self._lost = lost
        self._queue: deque[tuple[int, Buffer, Callable[[], None]]] = deque()
        self._queued = 0
        self._writes = 0
        # What the peer is busy with, and until when it may be.
        self._working: dict[Deferred[None], float] = {}
        self._watch_call: IDelayedCall | None = None
        self._gather_call: IDelayedCall | None = None
        self._hurries = False

    @property
    def number(self) -> int:
        return self.writer.number

    @property
    def waited(self) -> float:
        """How long the peer has been busy with the oldest thing that it was asked for, in seconds."""
        if not self._working:
            return 0.0
        return self._clock.seconds() - (min(self._working.values()) - self._timeout)

    def send(self, offset: int, block: Buffer, taken: Callable[[], None]) -> None:
        """Calls `taken` when the peer has the block, or the share is lost; then the block is no longer needed."""
        if self.problem is not None:
            taken()
            return
        self._queue.append((offset, block, taken))
        self._queued += len(block)
        self._pump()

    async def finish(
        self, trailer_offset: int, trailer: Sequence[Buffer], header: Buffer, allocated: int | None
    ) -> None:
        """
        The last bytes, the header after all others; then everything is safe, but not visible.

        A share that was given more room than it needs (`allocated`) is filled up with zeros, which readers ignore.
        """
        await self._attempt(self.writer.write(trailer_offset, trailer))
        end = trailer_offset + sum(map(len, trailer))
        while allocated is not None and end < allocated:
            padding = bytes(min(_PADDING, allocated - end))
            await self._attempt(self.writer.write(end, [padding]))
            end += len(padding)
        await self._attempt(self.writer.write(0, [header]))
        await self._attempt(self.writer.prepare())

    async def finish_whole(self, share: Sequence[Buffer]) -> None:
        """The same for a share that is written at once."""
        await self._attempt(self.writer.write(0, share))
        await self._attempt(self.writer.prepare())

    async def commit(self) -> None:
        await self._attempt(self.writer.commit())
        self.committed = self.problem is None
        self._rest()

    async def abort(self) -> None:
        """Leave nothing on the peer, as far as it lets us."""
        self._give_up()
        await self._remove()

    async def secure(self) -> None:
        """What the peer has outlives this process."""
        await self._attempt(self.writer.secure())

    async def give_back(self) -> None:
        """A disk that is full wants its space back now, not at the end of the upload."""
        if self.problem is not None and self.peer_full:
            self.peer_full = False
            await self._remove()

    async def forget(self) -> None:
        """Leave a lasting share as it is."""
        self._give_up()
        try:
            await self.writer.forget()
        except PeerError as error:
            log.info("letting go of share {number}: {error}", number=self.number, error=str(error))

    def hurry(self) -> None:
        """From now on, don't wait for more before a write."""
        self._hurries = True
        self._pump()

    def _give_up(self) -> None:
        self.problem = self.problem or "given up"
        for working in list(self._working):
            working.cancel()
        self._forget_queue()
        self._rest()

    # The queue.

    def _pump(self) -> None:
        while self._queue and self.problem is None and self._may_write():
            offset, blocks, waiting = self._next_batch()
            self._writes += 1
            self._attempt(self.writer.write(offset, blocks)).addBoth(self._written, waiting)
            del blocks

    def _may_write(self) -> bool:
        if self._writes:
            # A second write at the same time is worth a request of its own only when it is a large one.
            return self._writes < self.writer.parallel_writes and self._queued >= WORTH_A_REQUEST
        if self.writer.parallel_writes == 1 or self._queued >= WORTH_A_REQUEST or self._gathered_long_enough():
            return True
        if self._gather_call is None:
            self._gather_call = self._clock.callLater(A_BIT_SECONDS, self._pump)
        return False

    def _gathered_long_enough(self) -> bool:
        if self._hurries:
            return True
        if self._gather_call is None or self._gather_call.active():
            return False
        self._gather_call = None
        return True

    def _written(self, result: object, waiting: list[Callable[[], None]]) -> None:
        self._writes -= 1
        for taken in waiting:
            taken()
        if isinstance(result, Failure) and not result.check(CancelledError):
            log.failure("sending share {number} to {peer}", result, number=self.number, peer=self.peer)
            self._lose("the node failed to send it; its log says more")
        if self.problem is None:
            self._pump()
        else:
            self._forget_queue()
            if not self._lasting:
                Deferred.fromCoroutine(self._remove())

    def _next_batch(self) -> tuple[int, list[Buffer], list[Callable[[], None]]]:
        first, block, taken = self._queue.popleft()
        blocks, waiting, end = [block], [taken], first + len(block)
        while self._queue and self._queue[0][0] == end and end - first < BATCH:
            _, block, taken = self._queue.popleft()
            blocks.append(block)
            waiting.append(taken)
            end += len(block)
        self._queued -= end - first
        return first, blocks, waiting

    def _forget_queue(self) -> None:
        queue, self._queue, self._queued = self._queue, deque(), 0
        for _, _, taken in queue:
            taken()

    async def _remove(self) -> None:
        try:
            await self.writer.abort()
        except PeerError as error:
            log.warn("share {number} may be left on its peer: {error}", number=self.number, error=str(error))

    # What the peer does.

    def _attempt(self, work: Coroutine[Any, Any, None]) -> Deferred[None]:
        """Fires when it is done, or the share is lost by it. Fails only when it is cancelled, or by a fault of ours."""
        if self.problem is not None:
            work.close()
            done: Deferred[None] = Deferred()
            done.callback(None)
            return done
        working = Deferred.fromCoroutine(work)
        if not working.called:
            self._working[working] = self._clock.seconds() + self._timeout
            if self._watch_call is None:
                self._watch_call = self._clock.callLater(self._timeout, self._look_at_the_clock)
        return working.addBoth(self._ended, working)

    def _ended(self, result: object, working: Deferred[None]) -> object:
        self._working.pop(working, None)
        if not isinstance(result, Failure):
            return None
        if isinstance(result.value, PeerError):
            self.peer_full = isinstance(result.value, PeerFull)
            self._lose(result.value.reason)
            return None
        # Cancelled by `abort`, which does the rest, or because it took too long; else by somebody who cancels us.
        return None if self.problem is not None and result.check(CancelledError) else result

    def _look_at_the_clock(self) -> None:
        self._watch_call = None
        now = self._clock.seconds()
        for working, until in list(self._working.items()):
            if until <= now:
                self._lose(f"no answer for {self._timeout:g} seconds")
                working.cancel()
        if self._working:
            self._watch_call = self._clock.callLater(min(self._working.values()) - now, self._look_at_the_clock)

    def _rest(self) -> None:
        """Nothing more is done, nor told."""
        # Whoever was to be told has this stream; a circle of the two would keep both until the collector comes.
        self._lost = _tell_nobody
        for call in (self._watch_call, self._gather_call):
            if call is not None and call.active():
                call.cancel()
        self._watch_call = self._gather_call = None

    def _lose(self, problem: str) -> None:
        if self.problem is None:
            self.problem = problem
            log.warn("share {number} on {peer} is lost: {problem}", number=self.number, peer=self.peer, problem=problem)
            self._lost(self)


def _tell_nobody(_: ShareStream) -> None:
    pass
