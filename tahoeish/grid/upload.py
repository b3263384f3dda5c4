"""
Writing a file to the grid while it arrives.

    source -> Road: full segments, sealed in threads, absorbed in order -> ShareSet: a ShareStream per share -> peers
              (Transit has them together)

At the end every share gets its trailer and its header and is made safe; only when enough of them are, all of them
become visible.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterable, AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from weakref import WeakSet

from twisted.internet.interfaces import IReactorTime

from tahoeish.chk.buffers import Buffer
from tahoeish.chk.caps import LITERAL_MAX, LiteralCap, ReadCap
from tahoeish.chk.cipher import KEY_SIZE
from tahoeish.chk.encoder import Encoder, FinishedFile
from tahoeish.chk.erasure import ErasureCodec
from tahoeish.chk.errors import WrongLength
from tahoeish.chk.hashes import convergence_hasher
from tahoeish.chk.layout import MAX_SEGMENTS, Segmentation
from tahoeish.grid.errors import FileTooLarge, LengthNeeded
from tahoeish.grid.peer import IStoragePeer
from tahoeish.grid.placement import happiness
from tahoeish.grid.road import FEWEST_SEGMENTS
from tahoeish.grid.shareset import EncodingChoice, IncompleteFile, ShareSet
from tahoeish.grid.spool import SpoolRoom
from tahoeish.grid.transit import Means, Transit
from tahoeish.streams.budget import ByteBudget, Promise, SegmentAllowance
from tahoeish.streams.gate import Gate
from tahoeish.streams.threads import ThreadRunner

FEW_SEGMENTS = 256
"""What a long file would like to be cut into at the most, when there is a crowd and segments are small."""


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


@dataclass
class Uploader:
    """
    What all uploads of a node share.

    `peer_timeout` is how long a peer may take over one thing, in seconds. Another `encoding` may be set at any time; it
    is for uploads that begin later.
    """

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
    under_way: WeakSet[ShareSet] = field(default_factory=WeakSet, repr=False)

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
            encoder = uploader.new_encoder(cap.key, cap.size, file.segment_size)
            transit = Transit(uploader.means(), encoder, encoder.share_size, keep_committed=True, incomplete=file)
            return uploader.uploaded(await transit.store(aiter(content)), transit)
        finally:
            promise.release()

    async def _store(
        self, pieces: AsyncIterator[Buffer], length: int | None, *, key: bytes | None = None, bound: int | None = None
    ) -> Uploaded:
        if key is None:
            promise = await self.admit(length)
        else:
            # The key was made for this size, so that everybody who has the content gets the same one.
            await self.gate.enter(min(length or self.encoding.max_segment_size, self.encoding.max_segment_size))
            promise = await self.allowance.admit_exactly(self.encoding.max_segment_size)
        try:
            encoder = self.new_encoder(key or self.random_bytes(KEY_SIZE), length, promise.segment_size)
            allocated = encoder.share_size if bound is None else encoder.share_size_up_to(bound)
            # Whoever made the key just now is the first to use the storage index that comes from it.
            whole = key is None and length is not None and length <= promise.segment_size
            transit = Transit(self.means(), encoder, allocated, keep_committed=key is not None, whole=whole)
            return self.uploaded(await transit.store(pieces), transit)
        finally:
            promise.release()

    async def admit(self, length: int | None) -> Promise:
        """Fires when there is room for another upload, and says how large its segments may be."""
        largest = self._largest_segment()
        await self.gate.enter(min(length or largest, largest))
        return await self.allowance.admit(
            largest,
            preferred=(length or 0) // FEW_SEGMENTS,
            # The format counts a limited number of segments.
            at_least=-(-(length or 0) // MAX_SEGMENTS),
        )

    def means(self) -> Means:
        # The encoding of an upload stays what it was when it began.
        encoding, timeout = self.encoding, self.peer_timeout
        return Means(self.peers, encoding, self.budget, self.run_in_thread, self.clock, timeout, self.under_way)

    def kept_waiting(self, seconds: float) -> Mapping[str, int]:
        """The peers that have been busy with one thing for longer than that, and for how many uploads."""
        return Counter(name for shares in self.under_way for name in shares.slow_peers(seconds))

    def uploaded(self, file: FinishedFile, transit: Transit) -> Uploaded:
        holders = transit.shares.holders()
        return Uploaded(
            file.cap,
            self.encoding.total,
            happiness(holders),
            {number: sorted(names) for number, names in sorted(holders.items())},
        )

    def new_encoder(self, key: bytes, length: int | None, segment_size: int) -> Encoder:
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
        affordable = self.budget.capacity * encoding.needed // (encoding.total * FEWEST_SEGMENTS)
        return max(min(encoding.max_segment_size, affordable), 4096)


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
