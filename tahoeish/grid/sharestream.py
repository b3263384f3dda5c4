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
"""What has piled up while the peer was busy goes in one write, up to about this size."""


class ShareStream:
    """
    Hands the blocks of one share to its writer, in order and one write at a time.

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
        self._clock = clock
        self._timeout = timeout
        self._lost = lost
        self._queue: deque[tuple[int, Buffer, Deferred[None]]] = deque()
        self._sending = False
        self._working: Deferred[None] | None = None

    @property
    def number(self) -> int:
        return self.writer.number

    def send(self, offset: int, block: Buffer) -> Deferred[None]:
        """Fires when the peer has the block, or the share is lost; in either case the block is no longer needed."""
        if self.problem is not None:
            return succeed(None)
        done: Deferred[None] = Deferred()
        self._queue.append((offset, block, done))
        if not self._sending:
            self._sending = True
            Deferred.fromCoroutine(self._send_queue()).addErrback(self._failed)
        return done

    async def finish(self, trailer_offset: int, trailer: Sequence[Buffer], header: Buffer) -> None:
        """The last bytes, the header after all others; then everything is safe, but not visible."""
        await self._attempt(self.writer.write(trailer_offset, trailer))
        await self._attempt(self.writer.write(0, [header]))
        await self._attempt(self.writer.prepare())

    async def commit(self) -> None:
        await self._attempt(self.writer.commit())

    async def abort(self) -> None:
        """Leave nothing on the peer, as far as it lets us."""
        self.problem = self.problem or "given up"
        if self._working is not None:
            self._working.cancel()
        self._forget_queue()
        await self._remove()

    async def _send_queue(self) -> None:
        try:
            while self._queue and self.problem is None:
                offset, blocks, waiting = self._next_batch()
                try:
                    await self._attempt(self.writer.write(offset, blocks))
                finally:
                    del blocks
                    for done in waiting:
                        done.callback(None)
        finally:
            self._sending = False
        if self.problem is not None:
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
        return first, blocks, waiting

    async def _remove(self) -> None:
        try:
            await self.writer.abort()
        except PeerError as error:
            log.warn("share {number} may be left on its peer: {error}", number=self.number, error=str(error))

    def _forget_queue(self) -> None:
        queue, self._queue = self._queue, deque()
        for _, _, done in queue:
            done.callback(None)

    async def _attempt(self, work: Coroutine[Any, Any, None]) -> None:
        if self.problem is not None:
            work.close()
            return
        self._working = Deferred.fromCoroutine(work).addTimeout(self._timeout, self._clock)
        try:
            await self._working
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
            self._working = None

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
