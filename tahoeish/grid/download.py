"""
Reading a file back from any k good shares.

Shares are found by asking the peers in the order in which they were written to. Nothing is given out before it has
been verified; a share whose peer stalls, lies or is gone is replaced in the middle of the stream, and reported.
"""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncGenerator, Callable, Collection, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from twisted.internet.defer import CancelledError, Deferred, DeferredLock
from twisted.internet.defer import TimeoutError as StalledError
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from tahoeish.chk.caps import ReadCap
from tahoeish.chk.decoder import Decoder, ShareReader
from tahoeish.chk.erasure import ErasureCodec
from tahoeish.chk.errors import CorruptShare
from tahoeish.grid.errors import NotEnoughShares
from tahoeish.grid.peer import IShareSource, IStoragePeer, PeerError
from tahoeish.grid.placement import permuted
from tahoeish.streams.budget import ByteBudget, Lease
from tahoeish.streams.gate import Gate
from tahoeish.streams.tasks import together
from tahoeish.streams.threads import ThreadRunner

T = TypeVar("T")

log = Logger()

READ_AHEAD = 3
"""Segments of one download that are fetched while the client still drinks the one before."""

A_SEGMENT = 1024 * 1024
"""The most that the first piece of a file usually takes, whose segment size isn't known yet."""

LITTLE_TO_VERIFY = 32 * 1024
"""Bytes of hashes that are verified sooner than a thread is found for them."""


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
            await file._find_shares()
            await file._good_shares()
        except BaseException:
            await file.close()
            raise
        return file


class _Share:
    """One share that is being read: where its bytes come from, and what vouches for them."""

    def __init__(self, reader: ShareReader, peer: IStoragePeer, source: IShareSource) -> None:
        self.reader = reader
        self.peer = peer
        self.source = source

    @property
    def number(self) -> int:
        return self.reader.number


class OpenFile:
    """A file whose shares have been found."""

    def __init__(self, cap: ReadCap, downloader: Downloader, avoid: Mapping[str, Collection[int]]) -> None:
        self.cap = cap
        self._downloader = downloader
        self._avoid = avoid
        self._decoder = Decoder(cap, downloader.codec)
        self._found: dict[int, list[str]] = {}
        self._untried: list[tuple[int, IStoragePeer]] = []
        self._shares: list[_Share] = []
        self._reasons: dict[str, str] = {}
        self._replacing = DeferredLock()

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
        segments = iter(self._decoder.segments_for(first, last))
        coming: deque[tuple[int, Deferred[tuple[memoryview, Lease]]]] = deque()
        segment_size = self.segment_size
        try:
            while True:
                while len(coming) <= READ_AHEAD and (index := next(segments, None)) is not None:
                    coming.append((index, Deferred.fromCoroutine(self._segment(index))))
                if not coming:
                    return
                index, arriving = coming.popleft()
                plaintext, lease = await arriving
                with lease:
                    start = index * segment_size
                    yield plaintext[max(first - start, 0) : last + 1 - start]
        finally:
            for _, arriving in coming:
                arriving.addCallbacks(_release, _ignore_cancellation)
                arriving.cancel()

    async def close(self) -> None:
        """Let go of all shares."""
        shares, self._shares, self._untried = self._shares, [], []
        for share in shares:
            await share.source.close()

    # Finding shares.

    async def _find_shares(self) -> None:
        ring = permuted(self.cap.storage_index, self._downloader.peers(), lambda peer: peer.permutation_seed)
        answers = await together(self._shares_at(peer) for peer in ring)
        for peer, numbers in zip(ring, answers, strict=True):
            for number in numbers.difference(self._avoid.get(peer.name, ())):
                if number < self.cap.total:
                    self._found.setdefault(number, []).append(peer.name)
                    self._untried.append((number, peer))
        # The first k shares are the file itself, cut in pieces: from these there is nothing to decode.
        self._untried.sort(key=lambda candidate: candidate[0])

    async def _shares_at(self, peer: IStoragePeer) -> set[int]:
        try:
            return await self._timed(peer.share_numbers(self.cap.storage_index))
        except (PeerError, StalledError) as error:
            self._reasons[peer.name] = self._told(error)
            return set()

    async def _good_shares(self) -> list[_Share]:
        """k shares to read from, others in place of those that were dropped."""
        await self._replacing.acquire()
        try:
            while (missing := self.cap.needed - len(self._shares)) > 0:
                candidates = self._next_candidates(missing)
                if len(candidates) < missing:
                    raise NotEnoughShares(self._found, self.cap.needed, self._reasons)
                await together(self._open_share(*candidate) for candidate in candidates)
            return self._shares[: self.cap.needed]
        finally:
            self._replacing.release()

    def _next_candidates(self, count: int) -> list[tuple[int, IStoragePeer]]:
        taken = {share.number for share in self._shares}
        candidates: list[tuple[int, IStoragePeer]] = []
        for candidate in list(self._untried):
            if len(candidates) < count and candidate[0] not in taken:
                taken.add(candidate[0])
                candidates.append(candidate)
                self._untried.remove(candidate)
        return candidates

    async def _open_share(self, number: int, peer: IStoragePeer) -> None:
        """Adds to the shares, or to the reasons."""
        try:
            source = await self._timed(peer.open_share(self.cap.storage_index, number))
        except (PeerError, StalledError) as error:
            self._give_up(number, peer, error)
            return
        try:
            reader = self._decoder.share(number)
            while (span := reader.wanted()) is not None:
                data = await self._timed(source.read(span.offset, span.length))
                if len(data) > LITTLE_TO_VERIFY:
                    await self._downloader.run_in_thread(reader.received, data)
                else:
                    reader.received(data)
        except (PeerError, StalledError, CorruptShare) as error:
            await source.close()
            self._give_up(number, peer, error)
        except BaseException:
            await source.close()
            raise
        else:
            self._shares.append(_Share(reader, peer, source))

    # Reading segments.

    async def _segment(self, index: int) -> tuple[memoryview, Lease]:
        """One segment's plaintext, with the lease on the memory that it takes."""
        # The blocks and what becomes of them.
        lease = await self._downloader.budget.lease(2 * min(self.segment_size, self.cap.size))
        try:
            blocks: dict[_Share, bytes] = {}
            while True:
                shares = await self._good_shares()
                await together(self._read_block(share, index, blocks) for share in shares if share not in blocks)
                if not all(share in blocks for share in shares):
                    continue
                try:
                    plaintext = await self._downloader.run_in_thread(
                        self._decoder.open_segment,
                        index,
                        {share.number: blocks[share] for share in shares},
                        {share.number: share.reader for share in shares},
                    )
                except CorruptShare as error:
                    for share in shares:
                        if share.number == error.share_number:
                            self._drop(share, error)
                            del blocks[share]
                else:
                    lease.shrink(len(plaintext))
                    return plaintext, lease
        except BaseException:
            lease.release()
            raise

    async def _read_block(self, share: _Share, index: int, blocks: dict[_Share, bytes]) -> None:
        """Adds to the blocks, or drops the share."""
        span = share.reader.block_span(index)
        try:
            data = await self._timed(share.source.read(span.offset, span.length))
        except (PeerError, StalledError) as error:
            self._drop(share, error)
        else:
            blocks[share] = data

    # Losing shares.

    def _drop(self, share: _Share, error: Exception) -> None:
        # Several segments may find out at the same time.
        if share in self._shares:
            self._shares.remove(share)
            self._give_up(share.number, share.peer, error)
            _unwatched(share.source.close(), "closing a dropped share")

    def _give_up(self, number: int, peer: IStoragePeer, error: Exception) -> None:
        told = self._told(error)
        self._reasons[f"{peer.name} (share {number})"] = told
        log.warn("share {number} on {peer} given up: {told}", number=number, peer=peer.name, told=told)
        if isinstance(error, CorruptShare):
            _unwatched(
                peer.report_corruption(self.cap.storage_index, number, str(error)),
                "reporting a corrupt share",
            )

    def _told(self, error: Exception) -> str:
        if isinstance(error, StalledError):
            return f"no answer for {self._downloader.stall_timeout:g} seconds"
        return str(error)

    def _timed(self, work: Coroutine[Any, Any, T]) -> Deferred[T]:
        return Deferred.fromCoroutine(work).addTimeout(self._downloader.stall_timeout, self._downloader.clock)


def _release(result: tuple[memoryview, Lease]) -> None:
    result[1].release()


def _ignore_cancellation(failure: Any) -> None:
    # Whatever else went wrong ahead of a reader that has stopped reading doesn't matter any more, either.
    if not failure.check(CancelledError, NotEnoughShares):
        log.failure("reading ahead", failure)


def _unwatched(work: Coroutine[Any, Any, object], doing: str) -> None:
    Deferred.fromCoroutine(work).addErrback(lambda failure: log.failure(doing, failure))
