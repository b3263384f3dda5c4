"""One share on its way to its peer."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from twisted.internet.defer import CancelledError, Deferred, succeed
from twisted.internet.defer import TimeoutError as StalledError
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from tahoeish.chk.buffers import Buffer
from tahoeish.grid.peer import IShareWriter, PeerError, PeerFull

log = Logger()

BATCH = 1024 * 1024
"""What has piled up while the peer was busy goes in one write, of about this size at the most."""

_PADDING = 1024 * 1024


class ShareStream:
    """
    Hands the blocks of one share to its writer, in order, and as many writes at a time as the writer likes.

    When the peer fails, or takes longer than `timeout` seconds over something, the share is lost: `lost` is called
    once, and from then on everything here succeeds without doing anything. What that means for the upload is the
    upload's business.
    """

    def __init__(
        self,
        writer: IShareWriter,
        peer: str,
        *,
        clock: IReactorTime,
        timeout: float,
        lost: Callable[[ShareStream], None],
    ) -> None:
        self.writer = writer
        self.peer = peer
        self.problem: str | None = None
        self.peer_full = False
        self.committed = False
        self._clock = clock
        self._timeout = timeout
        self._lost = lost
        self._queue: deque[tuple[int, Buffer, Deferred[None]]] = deque()
        self._queued = 0
        self._in_flight = 0
        self._working: set[Deferred[None]] = set()

    @property
    def number(self) -> int:
        return self.writer.number

    def send(self, offset: int, block: Buffer) -> Deferred[None]:
        """Fires when the peer has the block, or the share is lost; in either case the block is no longer needed."""
        if self.problem is not None:
            return succeed(None)
        done: Deferred[None] = Deferred()
        self._queue.append((offset, block, done))
        self._queued += len(block)
        self._pump()
        return done

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

    async def commit(self) -> None:
        await self._attempt(self.writer.commit())
        self.committed = self.problem is None

    async def abort(self) -> None:
        """Leave nothing on the peer, as far as it lets us."""
        self.problem = self.problem or "given up"
        for working in list(self._working):
            working.cancel()
        self._forget_queue()
        await self._remove()

    def _pump(self) -> None:
        # A second write at the same time is worth a request of its own only when it is a large one.
        while (
            self._queue
            and self.problem is None
            and (self._in_flight == 0 or (self._in_flight < self.writer.parallel_writes and self._queued >= BATCH))
        ):
            self._in_flight += 1
            Deferred.fromCoroutine(self._send_batch()).addErrback(self._failed)

    async def _send_batch(self) -> None:
        offset, blocks, waiting = self._next_batch()
        try:
            await self._attempt(self.writer.write(offset, blocks))
        finally:
            self._in_flight -= 1
            del blocks
            for done in waiting:
                done.callback(None)
        if self.problem is None:
            self._pump()
        else:
            self._forget_queue()
            # A disk that is full wants its space back now, not at the end of the upload.
            await self._remove()

    def _failed(self, failure: Failure) -> None:
        log.failure("sending share {number} to {peer}", failure, number=self.number, peer=self.peer)
        self._lose("the node failed to send it; its log says more")
        self._forget_queue()

    def _next_batch(self) -> tuple[int, list[Buffer], list[Deferred[None]]]:
        first, block, done = self._queue.popleft()
        blocks, waiting, end = [block], [done], first + len(block)
        while self._queue and self._queue[0][0] == end and end - first < BATCH:
            _, block, done = self._queue.popleft()
            blocks.append(block)
            waiting.append(done)
            end += len(block)
        self._queued -= end - first
        return first, blocks, waiting

    async def _remove(self) -> None:
        try:
            await self.writer.abort()
        except PeerError as error:
            log.warn("share {number} may be left on its peer: {error}", number=self.number, error=str(error))

    def _forget_queue(self) -> None:
        queue, self._queue, self._queued = self._queue, deque(), 0
        for _, _, done in queue:
            done.callback(None)

    async def _attempt(self, work: Coroutine[Any, Any, None]) -> None:
        if self.problem is not None:
            work.close()
            return
        working = Deferred.fromCoroutine(work).addTimeout(self._timeout, self._clock)
        self._working.add(working)
        try:
            await working
        except PeerError as error:
            self.peer_full = isinstance(error, PeerFull)
            self._lose(error.reason)
        except StalledError:
            self._lose(f"no answer for {self._timeout:g} seconds")
        except CancelledError:
            # By `abort`, which does the rest, or by somebody who cancels us.
            if self.problem is None:
                raise
        finally:
            self._working.discard(working)

    def _lose(self, problem: str) -> None:
        if self.problem is None:
            self.problem = problem
            log.warn(
                "share {number} on {peer} is lost: {problem}",
                number=self.number,
                peer=self.peer,
                problem=problem,
            )
            self._lost(self)
