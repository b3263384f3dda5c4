"""
Reading a file back from any k good shares.

Shares are found by asking the peers in the order in which they were written to. Nothing is given out before it has
been verified; a share whose peer stalls, lies or is gone is replaced in the middle of the stream, and reported.
"""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncGenerator, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from tahoeish.chk.buffers import Buffer
from tahoeish.chk.caps import ReadCap
from tahoeish.chk.decoder import Decoder
from tahoeish.chk.erasure import ErasureCodec
from tahoeish.chk.errors import CorruptShare
from tahoeish.grid.errors import NotEnoughShares
from tahoeish.grid.good_shares import GoodShares, Share
from tahoeish.grid.peer import IStoragePeer
from tahoeish.grid.stretch import Pace, StretchReader
from tahoeish.grid.stretches import Stretches
from tahoeish.streams.budget import ByteBudget, Lease
from tahoeish.streams.gate import Gate
from tahoeish.streams.tasks import together
from tahoeish.streams.threads import ThreadRunner

log = Logger()

READ_AHEAD = 2
"""Stretches of one download that are fetched while the client still drinks the one before."""

A_SEGMENT = 1024 * 1024
"""The most that the first piece of a file usually takes, whose segment size isn't known yet."""


@dataclass(frozen=True)
class Downloader:
    """What all downloads of a node share. `stall_timeout` is how long a peer may keep one of them waiting."""

    peers: Callable[[], Sequence[IStoragePeer]]
    gate: Gate
    budget: ByteBudget
    run_in_thread: ThreadRunner
    codec: ErasureCodec
    clock: IReactorTime
    stall_timeout: float

    async def open(self, cap: ReadCap, *, avoid: Mapping[str, Collection[int]] | None = None) -> OpenFile:
        """
        Find k shares that fit the cap, other than those to `avoid`, by the names of their peers.

        Raises `NotEnoughShares`. Close what you get.
        """
        file = OpenFile(cap, self, avoid or {})
        await self.gate.enter(min(cap.size, A_SEGMENT))
        try:
            await file._shares.find()
        except BaseException:
            await file.close()
            raise
        return file


class OpenFile:
    """A file whose shares have been found."""

    def __init__(self, cap: ReadCap, downloader: Downloader, avoid: Mapping[str, Collection[int]]) -> None:
        self.cap = cap
        self._downloader = downloader
        self._decoder = Decoder(cap, downloader.codec)
        self._shares = GoodShares(
            self._decoder,
            downloader.peers(),
            avoid,
            run_in_thread=downloader.run_in_thread,
            clock=downloader.clock,
            stall_timeout=downloader.stall_timeout,
        )
        self._pace = Pace()

    @property
    def segment_size(self) -> int:
        """How large a piece of the file has to be read for any of it."""
        size = self._decoder.segment_size
        assert size is not None
        return size

    async def read(self, first: int, last: int) -> AsyncGenerator[memoryview, None]:
        """
        The bytes from `first` to `last`, both included, in pieces; use `contextlib.aclosing`.

        Raises `NotEnoughShares` when too few good ones are left in the middle, and `CorruptFile` when the file was
        broken before it was stored.
        """
        stretches = Stretches(self._decoder.segments_for(first, last), self.segment_size)
        coming: deque[Deferred[tuple[list[memoryview], Lease]]] = deque()
        start = first // self.segment_size * self.segment_size
        # Nothing else shall keep the peers busy while somebody waits for the first one.
        ahead = 0
        try:
            while True:
                while len(coming) <= ahead and (stretch := stretches.next(self._downloader.budget.holders)) is not None:
                    coming.append(Deferred.fromCoroutine(self._read(stretch)))
                if not coming:
                    return
                arriving = coming.popleft()
                segments, lease = await arriving
                ahead = READ_AHEAD
                with lease:
                    while segments:
                        plaintext = segments.pop(0)
                        yield plaintext[max(first - start, 0) : last + 1 - start]
                        start += len(plaintext)
                        lease.shrink(lease.size - len(plaintext))
        finally:
            for arriving in coming:
                arriving.addCallbacks(_release, _ignore_cancellation)
                arriving.cancel()

    async def close(self) -> None:
        """Let go of all shares."""
        await self._shares.close()

    async def _read(self, stretch: range) -> tuple[list[memoryview], Lease]:
        """The plaintext of some segments, with the lease on the memory that it takes."""
        downloader = self._downloader
        # The blocks and what becomes of them.
        lease = await downloader.budget.lease(2 * min(len(stretch) * self.segment_size, self.cap.size), self)
        reader = StretchReader(
            self._shares,
            self.cap.needed,
            stretch,
            self._pace,
            clock=downloader.clock,
            stall_timeout=downloader.stall_timeout,
        )
        try:
            while True:
                blocks = await reader.read()
                try:
                    opened = await together(self._open_segment(index, stretch, blocks) for index in stretch)
                except CorruptShare as error:
                    for share in blocks:
                        if share.number == error.share_number:
                            self._shares.drop(share, error)
                            reader.forget(share)
                else:
                    lease.shrink(sum(map(len, opened)))
                    return opened, lease
        except BaseException:
            lease.release()
            raise

    async def _open_segment(self, index: int, stretch: range, data: Mapping[Share, Buffer]) -> memoryview:
        blocks = {}
        for share, bytes_of_stretch in data.items():
            span = share.reader.block_span(index)
            start = span.offset - share.reader.block_span(stretch[0]).offset
            blocks[share.number] = memoryview(bytes_of_stretch)[start : start + span.length]
        readers = {share.number: share.reader for share in data}
        return await self._downloader.run_in_thread(self._decoder.open_segment, index, blocks, readers)


def _release(result: tuple[list[memoryview], Lease]) -> None:
    result[1].release()


def _ignore_cancellation(failure: Any) -> None:
    # Whatever else went wrong ahead of a reader that has stopped reading doesn't matter any more, either.
    if not failure.check(CancelledError, NotEnoughShares):
        log.failure("reading ahead", failure)
