"""The shares of one file on their way: which peers take them, which have been lost, whether enough are left."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

from twisted.internet.defer import Deferred
from twisted.internet.defer import TimeoutError as StalledError
from twisted.internet.interfaces import IReactorTime

from tahoeish.chk.caps import ReadCap
from tahoeish.chk.encoder import ShareEnd
from tahoeish.chk.segment import SealedSegment
from tahoeish.grid.errors import GridError, GridFull, LengthNeeded, NothingStored, UploadUnhappy
from tahoeish.grid.peer import Allocation, IStoragePeer, NeedsLength, PeerError, PeerFull
from tahoeish.grid.placement import happiness, permuted, place
from tahoeish.grid.sharestream import ShareStream
from tahoeish.streams.tasks import together


@dataclass(frozen=True)
class EncodingChoice:
    """How new files are encoded: any `needed` of `total` shares, lying on at least `happy` different peers."""

    needed: int
    total: int
    happy: int
    max_segment_size: int


@dataclass(frozen=True)
class IncompleteFile:
    """A file in the grid that lacks shares. Peers go by their names."""

    cap: ReadCap
    segment_size: int
    shares: Mapping[int, Collection[str]]
    """The peers that hold each share."""
    useless: Mapping[str, Collection[int]]
    """Shares that are no good, though their peers hold them."""


class ShareSet:
    """
    One file's shares.

    `allocated` is the size of each, None while nobody knows. `incomplete` is the file whose missing shares these are;
    without it they are those of a new one. `spoiled` is called with the error when a share is lost without which the
    file isn't worth going on with. The shares of a new file with one segment may be sent `whole`, with `finish_whole`.
    """

    def __init__(
        self,
        storage_index: bytes,
        encoding: EncodingChoice,
        allocated: int | None,
        incomplete: IncompleteFile | None,
        *,
        peer_timeout: float,
        clock: IReactorTime,
        spoiled: Callable[[GridError], None],
        whole: bool = False,
    ) -> None:
        self._storage_index = storage_index
        self._encoding = encoding
        self._allocated = allocated
        self._incomplete = incomplete
        self._peer_timeout = peer_timeout
        self._clock = clock
        self._spoiled = spoiled
        self._whole = whole
        self._streams: dict[int, ShareStream] = {}
        shares = incomplete.shares if incomplete is not None else {}
        self._existing = {number: set(peers) for number, peers in shares.items()}
        self._reasons: dict[str, str] = {}
        self._some_full = False
        self._length_needed = False

    @property
    def elsewhere(self) -> bool:
        """Some of the peers are across a network, which is worth larger writes, and several at a time."""
        return any(stream.writer.parallel_writes > 1 for stream in self._streams.values())

    def holders(self) -> dict[int, set[str]]:
        """The peers that hold each share, or will."""
        holders = {number: set(names) for number, names in self._existing.items()}
        for number, stream in self._streams.items():
            if stream.problem is None:
                holders.setdefault(number, set()).add(stream.peer)
        return holders

    def check_happiness(self) -> None:
        """Raises what is wrong when there are too few of them."""
        if self._incomplete is not None:
            if all(stream.problem is not None for stream in self._streams.values()):
                raise NothingStored(self._reasons)
            return
        holders = self.holders()
        happy = happiness(holders)
        if happy < self._encoding.happy or len(holders) < self._encoding.needed:
            kind = LengthNeeded if self._length_needed else GridFull if self._some_full else UploadUnhappy
            raise kind(happy, self._encoding.happy, self._encoding.total, self._reasons)

    # Finding room.

    async def find_room(self, peers: Sequence[IStoragePeer]) -> None:
        """Ask the peers of the ring for room, and others in place of those that refuse."""
        ring = permuted(self._storage_index, peers, lambda peer: peer.permutation_seed)
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
        held = self.holders()
        missing = {peer: [number for number in numbers if number not in held] for peer, numbers in asked.items()}
        return {peer: numbers for peer, numbers in missing.items() if numbers}

    async def _ask_for_room(self, peer: IStoragePeer, numbers: Collection[int]) -> Allocation:
        if self._whole:
            assert self._allocated is not None
            request = peer.allocate_whole(self._storage_index, numbers, self._allocated)
        else:
            request = peer.allocate(self._storage_index, numbers, self._allocated)
        asking = Deferred.fromCoroutine(request)
        try:
            allocation = await asking.addTimeout(self._peer_timeout, self._clock)
        except PeerError as error:
            self._some_full |= isinstance(error, PeerFull)
            self._length_needed |= isinstance(error, NeedsLength)
            self._reasons[peer.name] = error.reason
            return Allocation()
        except StalledError:
            self._reasons[peer.name] = f"no answer for {self._peer_timeout:g} seconds"
            return Allocation()
        for number, writer in allocation.writers.items():
            self._streams[number] = ShareStream(
                writer, peer.name, clock=self._clock, timeout=self._peer_timeout, lost=self._share_lost
            )
        if allocation.refusal is not None:
            self._some_full = True
            self._reasons[peer.name] = allocation.refusal
        return allocation

    # Sending.

    def send(self, sealed: SealedSegment) -> Deferred[None]:
        """Fires when nobody needs the blocks any more."""
        taken = _Countdown(len(self._streams))
        for number, stream in self._streams.items():
            stream.send(sealed.share_offset, sealed.blocks[number], taken)
        return taken.by_all

    async def finish(self, ends: Sequence[ShareEnd]) -> None:
        """What the shares still lack; then make all of them safe, and only then all of them visible."""
        await together(
            stream.finish(end.trailer_offset, end.trailer, end.header, self._allocated)
            for number, stream in self._streams.items()
            for end in (ends[number],)
        )
        await self._commit()

    async def finish_whole(self, sealed: SealedSegment, ends: Sequence[ShareEnd]) -> None:
        """The same for shares that are sent whole. The blocks are needed until it returns."""
        await together(
            stream.finish_whole([ends[number].header, sealed.blocks[number], *ends[number].trailer])
            for number, stream in self._streams.items()
        )
        await self._commit()

    async def _commit(self) -> None:
        self.check_happiness()
        await together(stream.commit() for stream in self._streams.values())
        self.check_happiness()
        # A share that was lost at the very end may be whole, or half there; it isn't counted, so it must go.
        await together(stream.abort() for stream in self._streams.values() if stream.problem is not None)

    async def abort(self, *, keep_committed: bool) -> None:
        """Leave nothing on any peer, as far as they let us."""
        await together(stream.abort() for stream in self._streams.values() if not (stream.committed and keep_committed))

    def _share_lost(self, stream: ShareStream) -> None:
        assert stream.problem is not None
        self._reasons[f"{stream.peer} (share {stream.number})"] = stream.problem
        self._some_full |= stream.peer_full
        try:
            self.check_happiness()
        except GridError as error:
            self._spoiled(error)


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
