"""
Writing a file to the grid while it arrives.

    source -> Encoder: a segment is full -> sealed in a thread -> absorbed, in order -> a ShareStream per share -> peers

Several segments are on this road at once, as many as the budget has room for. At the end every share gets its
trailer and its header and is made safe; only when enough of them are, all of them become visible.
"""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from threading import Lock

from twisted.internet.defer import CancelledError, Deferred, DeferredSemaphore, succeed
from twisted.internet.defer import TimeoutError as StalledError
from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure

from tahoeish.chk.buffers import Buffer
from tahoeish.chk.caps import LITERAL_MAX, LiteralCap, ReadCap
from tahoeish.chk.cipher import KEY_SIZE
from tahoeish.chk.encoder import Encoder, FinishedFile
from tahoeish.chk.erasure import ErasureCodec
from tahoeish.chk.errors import WrongLength
from tahoeish.chk.hashes import convergence_hasher
from tahoeish.chk.layout import MAX_SEGMENTS, Segmentation
from tahoeish.chk.segment import SealedSegment, Segment
from tahoeish.grid.errors import (
    FileTooLarge,
    GridError,
    GridFull,
    LengthNeeded,
    NothingStored,
    OtherEncoding,
    UploadUnhappy,
)
from tahoeish.grid.peer import Allocation, IStoragePeer, NeedsLength, PeerError, PeerFull
from tahoeish.grid.placement import happiness, permuted, place
from tahoeish.grid.sharestream import ShareStream
from tahoeish.grid.spool import SpoolRoom
from tahoeish.streams.budget import ByteBudget, Lease, SegmentAllowance
from tahoeish.streams.gate import Gate
from tahoeish.streams.tasks import to_the_end, together
from tahoeish.streams.threads import ThreadRunner

FEW_SEGMENTS = 256
"""What a long file would like to be cut into at the most, when there is a crowd and segments are small."""

ROAD_BYTES = 24 * 1024 * 1024
"""What one upload may have between full and acknowledged: enough to keep processors and peers busy."""

FEWEST_ON_THE_ROAD, MOST_ON_THE_ROAD = 2, 48
"""The same in segments."""


@dataclass(frozen=True)
class EncodingChoice:
    """How new files are encoded: any `needed` of `total` shares, lying on at least `happy` different peers."""

    needed: int
    total: int
    happy: int
    max_segment_size: int


@dataclass(frozen=True)
class Uploaded:
    """A file that is in the grid."""

    cap: ReadCap | LiteralCap
    total: int = 0
    happiness: int = 0
    shares: Mapping[int, Sequence[str]] | None = None
    """Which peers hold each share."""
    spooled: bool = False
    """It had to be kept on this node's disk before it could be sent on."""

    @property
    def missing(self) -> list[int]:
        """The shares that were lost on the way, which a repair would make again."""
        return [number for number in range(self.total) if number not in (self.shares or {})]


@dataclass(frozen=True)
class IncompleteFile:
    """A file in the grid that lacks shares. Peers go by their names."""

    cap: ReadCap
    segment_size: int
    shares: Mapping[int, Collection[str]]
    """The peers that hold each share."""
    useless: Mapping[str, Collection[int]]
    """Shares that are no good, though their peers hold them."""


@dataclass(frozen=True)
class Uploader:
    """What all uploads of a node share. `peer_timeout` is how long a peer may take over one thing, in seconds."""

    peers: Callable[[], Sequence[IStoragePeer]]
    encoding: EncodingChoice
    gate: Gate
    allowance: SegmentAllowance
    budget: ByteBudget
    run_in_thread: ThreadRunner
    codec: ErasureCodec
    clock: IReactorTime
    random_bytes: Callable[[int], bytes]
    peer_timeout: float
    spool_room: SpoolRoom

    async def upload(
        self, source: AsyncIterable[Buffer], length: int | None, *, size_hint: int | None = None
    ) -> Uploaded:
        """
        Encrypt, encode and store what `source` brings, `length` bytes or an unknown number of them.

        With a known length the peers are asked for room before anything is read. Where too few peers take a share of
        unknown length, they are asked for as much as a file of `size_hint` bytes needs; without a hint the file is
        spooled. Raises `UploadUnhappy` or `GridFull` as soon as too few peers are left, `FileTooLarge`, `WrongLength`,
        and whatever `source` raises. When it raises, or is cancelled, nothing stays on any peer.
        """
        pieces, literal = await _peek(source, length)
        if literal is not None:
            return Uploaded(literal)
        if length is not None:
            return await self._store(pieces, length)
        try:
            return await self._store(pieces, None)
        except LengthNeeded:
            # Nothing has been read for it yet.
            if size_hint is not None:
                return await self._store(_no_more_than(size_hint, pieces), None, bound=size_hint)
        async with self.spool_room.spooled(pieces) as spool:
            return replace(await self._store(aiter(spool), spool.size), spooled=True)

    async def upload_convergently(self, source: AsyncIterable[Buffer], length: int | None, secret: bytes) -> Uploaded:
        """
        The same content with the same secret and encoding gives the same cap, and the same shares.

        The key is made from all of the content, so all of it is spooled first.
        """
        pieces, literal = await _peek(source, length)
        if literal is not None:
            return Uploaded(literal)
        async with self.spool_room.spooled(pieces) as spool:
            if length is not None and spool.size != length:
                raise WrongLength(f"the file should have {length} bytes, but {spool.size} have come")
            encoding = self.encoding
            segment_size = Segmentation(
                spool.size, encoding.needed, encoding.total, encoding.max_segment_size
            ).segment_size
            hasher = convergence_hasher(secret, encoding.needed, encoding.total, segment_size)
            async for piece in spool:
                await self.run_in_thread(hasher.update, piece)
            return replace(await self._store(aiter(spool), spool.size, key=hasher.digest()), spooled=True)

    async def complete(self, file: IncompleteFile, content: AsyncIterable[Buffer]) -> Uploaded:
        """
        Encode what is the content of a stored file as it was encoded then, and store the shares that it lacks.

        Raises `NothingStored` as soon as no peer takes any of them, `OtherEncoding`, `WrongLength`, and whatever
        `content` raises. When it raises, or is cancelled, nothing new stays on any peer.
        """
        cap = file.cap
        encoding = EncodingChoice(cap.needed, cap.total, happy=1, max_segment_size=file.segment_size)
        uploader = replace(self, encoding=encoding)
        promise = await self.allowance.admit_exactly(file.segment_size)
        try:
            encoder = uploader._encoder(cap.key, cap.size, file.segment_size)
            upload = _Upload(uploader, encoder, encoder.share_size, keep_committed=True, incomplete=file)
            return await upload.run(aiter(content))
        finally:
            promise.release()

    async def _store(
        self, pieces: AsyncIterator[Buffer], length: int | None, *, key: bytes | None = None, bound: int | None = None
    ) -> Uploaded:
        largest = self._largest_segment() if key is None else self.encoding.max_segment_size
        await self.gate.enter(min(length or largest, largest))
        if key is None:
            promise = await self.allowance.admit(
                largest,
                preferred=(length or 0) // FEW_SEGMENTS,
                # The format counts a limited number of segments.
                at_least=-(-(length or 0) // MAX_SEGMENTS),
            )
        else:
            # The key was made for this size, so that everybody who has the content gets the same one.
            promise = await self.allowance.admit_exactly(largest)
        try:
            encoder = self._encoder(key or self.random_bytes(KEY_SIZE), length, promise.segment_size)
            allocated = encoder.share_size if bound is None else encoder.share_size_up_to(bound)
            return await _Upload(self, encoder, allocated, keep_committed=key is not None).run(pieces)
        finally:
            promise.release()

    def _encoder(self, key: bytes, length: int | None, segment_size: int) -> Encoder:
        try:
            return Encoder(
                key=key,
                needed=self.encoding.needed,
                total=self.encoding.total,
                max_segment_size=segment_size,
                size=length,
                codec=self.codec,
            )
        except ValueError as error:
            # The rest of what it is told can't be wrong.
            raise FileTooLarge(f"the file is too large to be stored: {error}") from error

    def _largest_segment(self) -> int:
        # A code that multiplies a segment by a hundred would make the budget a queue of one.
        encoding = self.encoding
        affordable = self.budget.capacity * encoding.needed // (encoding.total * FEWEST_ON_THE_ROAD)
        return max(min(encoding.max_segment_size, affordable), 4096)


class _Upload:
    """One file on its way."""

    def __init__(
        self,
        uploader: Uploader,
        encoder: Encoder,
        allocated: int | None,
        *,
        keep_committed: bool,
        incomplete: IncompleteFile | None = None,
    ) -> None:
        self._uploader = uploader
        self._encoding = uploader.encoding
        self._encoder = encoder
        self._allocated = allocated
        # Somebody else may have stored the same content at the same time, and rely on what is there by now.
        self._keep_committed = keep_committed
        self._incomplete = incomplete
        self._streams: dict[int, ShareStream] = {}
        shares = incomplete.shares if incomplete is not None else {}
        self._existing = {number: set(peers) for number, peers in shares.items()}
        self._reasons: dict[str, str] = {}
        self._some_full = False
        self._length_needed = False
        self._fatal: Exception | None = None
        self._feeding: Deferred[None] | None = None
        self._on_the_road: set[Deferred[None]] = set()
        self._road_clear: Deferred[None] | None = None
        self._places = DeferredSemaphore(self._road_places())
        self._before: Deferred[None] = succeed(None)
        self._absorbing = Lock()
        self._sealed: dict[int, SealedSegment] = {}
        self._absorbed = 0

    async def run(self, pieces: AsyncIterator[Buffer]) -> Uploaded:
        try:
            await self._find_room()
            self._check_happiness()
            self._feeding = Deferred.fromCoroutine(self._feed(pieces))
            await self._feeding
            finished: FinishedFile = await self._uploader.run_in_thread(self._encoder.finish)
            if self._incomplete is not None and finished.cap != self._incomplete.cap:
                raise OtherEncoding
            await together(
                stream.finish(end.trailer_offset, end.trailer, end.header, self._allocated)
                for number, stream in self._streams.items()
                for end in (finished.shares[number],)
            )
            self._check_happiness()
            await together(stream.commit() for stream in self._streams.values())
            self._check_happiness()
            # A share that was lost at the very end may be whole, or half there; it isn't counted, so it must go.
            await together(stream.abort() for stream in self._streams.values() if stream.problem is not None)
        except BaseException:
            await to_the_end(self._undo())
            if self._fatal is not None:
                raise self._fatal from None
            raise
        holders = self._holders()
        return Uploaded(
            finished.cap,
            self._encoding.total,
            happiness(holders),
            {number: sorted(names) for number, names in sorted(holders.items())},
        )

    # Finding room.

    async def _find_room(self) -> None:
        """Ask the peers of the ring for room, and others in place of those that refuse."""
        storage_index = self._encoder.storage_index
        ring = permuted(storage_index, self._uploader.peers(), lambda peer: peer.permutation_seed)
        held = {peer: {number for number, names in self._existing.items() if peer.name in names} for peer in ring}
        useless = {peer: self._useless(peer) for peer in ring}
        writable = list(ring)
        while True:
            placement = place(self._encoding.total, ring, held, writable, useless)
            asked = self._needed(placement.asked)
            if not asked:
                return
            answers = await together(self._ask_for_room(peer, numbers) for peer, numbers in asked.items())
            for (peer, numbers), allocation in zip(asked.items(), answers, strict=True):
                existing = allocation.existing - useless[peer]
                held[peer] |= existing | allocation.writers.keys()
                for number in existing:
                    self._existing.setdefault(number, set()).add(peer.name)
                if not held[peer].issuperset(numbers):
                    writable.remove(peer)

    def _useless(self, peer: IStoragePeer) -> frozenset[int]:
        return frozenset(self._incomplete.useless.get(peer.name, ()) if self._incomplete is not None else ())

    def _needed(self, asked: dict[IStoragePeer, list[int]]) -> dict[IStoragePeer, list[int]]:
        if self._incomplete is None:
            return asked
        # Copies of what somebody holds already wouldn't make the file more complete.
        held = self._holders()
        missing = {peer: [number for number in numbers if number not in held] for peer, numbers in asked.items()}
        return {peer: numbers for peer, numbers in missing.items() if numbers}

    async def _ask_for_room(self, peer: IStoragePeer, numbers: Collection[int]) -> Allocation:
        asking = Deferred.fromCoroutine(peer.allocate(self._encoder.storage_index, numbers, self._allocated))
        asking.addTimeout(self._uploader.peer_timeout, self._uploader.clock)
        try:
            allocation = await asking
        except (PeerError, StalledError) as error:
            self._some_full |= isinstance(error, PeerFull)
            self._length_needed |= isinstance(error, NeedsLength)
            self._reasons[peer.name] = (
                error.reason
                if isinstance(error, PeerError)
                else f"no answer for {self._uploader.peer_timeout:g} seconds"
            )
            return Allocation()
        for number, writer in allocation.writers.items():
            self._streams[number] = ShareStream(
                writer,
                peer.name,
                clock=self._uploader.clock,
                timeout=self._uploader.peer_timeout,
                lost=self._share_lost,
            )
        if allocation.refusal is not None:
            self._some_full = True
            self._reasons[peer.name] = allocation.refusal
        return allocation

    # The road.

    async def _feed(self, pieces: AsyncIterator[Buffer]) -> None:
        async for piece in pieces:
            for segment in self._encoder.write(piece):
                await self._set_off(segment)
        for segment in self._encoder.end():
            await self._set_off(segment)
        if self._on_the_road:
            self._road_clear = Deferred()
            await self._road_clear

    async def _set_off(self, segment: Segment) -> None:
        """Returns when the segment is on its way, so that the next may be filled."""
        await self._places.acquire()
        try:
            sealed_size = segment.size * self._encoding.total // self._encoding.needed
            lease = await self._uploader.budget.lease(segment.size + sealed_size)
        except BaseException:
            self._places.release()
            raise
        before, self._before = self._before, Deferred()
        travelling = Deferred.fromCoroutine(self._travel(segment, lease, before, self._before))
        self._on_the_road.add(travelling)
        travelling.addBoth(self._arrived, travelling, lease)

    async def _travel(self, segment: Segment, lease: Lease, before: Deferred[None], on_its_way: Deferred[None]) -> None:
        plaintext_size = segment.size
        sealed = await self._uploader.run_in_thread(self._seal, segment)
        lease.shrink(lease.size - plaintext_size)
        await before
        taken = _Countdown(len(self._streams))
        for number, stream in self._streams.items():
            stream.send(sealed.share_offset, sealed.blocks[number], taken)
        del sealed
        on_its_way.callback(None)
        await taken.by_all

    def _seal(self, segment: Segment) -> SealedSegment:
        """In a thread. Segments may be sealed in any order, but are absorbed in their own, by whoever can."""
        sealed = segment.seal()
        with self._absorbing:
            self._sealed[sealed.number] = sealed
            while (following := self._sealed.pop(self._absorbed, None)) is not None:
                self._encoder.absorb(following)
                self._absorbed += 1
        return sealed

    def _arrived(self, result: object, travelling: Deferred[None], lease: Lease) -> None:
        self._on_the_road.discard(travelling)
        lease.release()
        self._places.release()
        if isinstance(result, Failure) and not result.check(CancelledError):
            assert isinstance(result.value, Exception)
            self._fail(result.value)
        elif not self._on_the_road and self._road_clear is not None and not self._road_clear.called:
            self._road_clear.callback(None)

    # Losing shares.

    def _share_lost(self, stream: ShareStream) -> None:
        assert stream.problem is not None
        self._reasons[f"{stream.peer} (share {stream.number})"] = stream.problem
        self._some_full |= stream.peer_full
        try:
            self._check_happiness()
        except GridError as error:
            self._fail(error)

    def _fail(self, error: Exception) -> None:
        if self._fatal is None:
            self._fatal = error
            # Not at once: whoever calls this may be what the feeding has to cancel.
            self._uploader.clock.callLater(0, self._stop_feeding)

    def _stop_feeding(self) -> None:
        if self._feeding is not None and not self._feeding.called:
            self._feeding.cancel()

    def _holders(self) -> dict[int, set[str]]:
        holders = {number: set(names) for number, names in self._existing.items()}
        for number, stream in self._streams.items():
            if stream.problem is None:
                holders.setdefault(number, set()).add(stream.peer)
        return holders

    def _check_happiness(self) -> None:
        if self._incomplete is not None:
            if all(stream.problem is not None for stream in self._streams.values()):
                raise NothingStored(self._reasons)
            return
        holders = self._holders()
        happy = happiness(holders)
        if happy < self._encoding.happy or len(holders) < self._encoding.needed:
            kind = LengthNeeded if self._length_needed else GridFull if self._some_full else UploadUnhappy
            raise kind(happy, self._encoding.happy, self._encoding.total, self._reasons)

    async def _undo(self) -> None:
        for travelling in list(self._on_the_road):
            travelling.cancel()
        await together(
            stream.abort() for stream in self._streams.values() if not (stream.committed and self._keep_committed)
        )

    def _road_places(self) -> int:
        segment = self._encoder.segment_size
        cost = segment + segment * self._encoding.total // self._encoding.needed
        return max(FEWEST_ON_THE_ROAD, min(ROAD_BYTES // cost, MOST_ON_THE_ROAD))


class _Countdown:
    """To be called so many times."""

    def __init__(self, times: int) -> None:
        self.by_all: Deferred[None] = Deferred()
        self._left = times
        if times == 0:
            self.by_all.callback(None)

    def __call__(self) -> None:
        self._left -= 1
        if self._left == 0 and not self.by_all.called:
            self.by_all.callback(None)


async def _peek(source: AsyncIterable[Buffer], length: int | None) -> tuple[AsyncIterator[Buffer], LiteralCap | None]:
    """The pieces, and the file's cap if it is so small that it fits in there."""
    pieces = aiter(source)
    if length is not None and length > LITERAL_MAX:
        return pieces, None
    seen = bytearray()
    async for piece in pieces:
        seen += piece
        if len(seen) > LITERAL_MAX:
            if length is not None:
                raise WrongLength(f"the file should have {length} bytes, but more have come already")
            return _resumed(bytes(seen), pieces), None
    if length is not None and len(seen) != length:
        raise WrongLength(f"the file should have {length} bytes, but ended after {len(seen)}")
    return pieces, LiteralCap(bytes(seen))


async def _resumed(seen: bytes, rest: AsyncIterator[Buffer]) -> AsyncIterator[Buffer]:
    yield seen
    async for piece in rest:
        yield piece


async def _no_more_than(size: int, pieces: AsyncIterator[Buffer]) -> AsyncIterator[Buffer]:
    passed = 0
    async for piece in pieces:
        passed += len(piece)
        if passed > size:
            raise WrongLength(f"the file was hinted to have {size} bytes, but more have come")
        yield piece
