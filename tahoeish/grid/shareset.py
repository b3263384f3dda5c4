"""The shares of one file on their way: which peers take them, which have been lost, whether enough are left."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from functools import lru_cache

from twisted.internet.defer import Deferred
from twisted.internet.defer import TimeoutError as StalledError
from twisted.internet.interfaces import IReactorTime

from tahoeish.chk import base32
from tahoeish.chk.caps import ReadCap
from tahoeish.chk.encoder import ShareEnd
from tahoeish.chk.segment import SealedSegment
from tahoeish.grid.errors import GridError, GridFull, LengthNeeded, NothingStored, SharesForgotten, UploadUnhappy
from tahoeish.grid.peer import (
    Allocation,
    IShareWriter,
    IStoragePeer,
    NeedsLength,
    PeerError,
    PeerFull,
    ShareMissing,
)
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


def identity_of(peer: IStoragePeer) -> str:
    """What a peer is known by, whatever it is called."""
    return _spelled(peer.permutation_seed)


@lru_cache(1024)
def _spelled(seed: bytes) -> str:
    return base32.encode(seed)


class Found(Enum):
    """What became of an unfinished share."""

    HERE = auto()
    AWAY = auto()
    """Its peer doesn't answer, or not with a yes or a no."""
    GONE = auto()


@dataclass(frozen=True, slots=True)
class Ticket:
    """An unfinished share: what its peer is known by, whatever it is called, and what the peer needs to go on."""

    number: int
    identity: str
    text: str


class ShareSet:
    """
    One file's shares.

    `allocated` is the size of each, None while nobody knows. `incomplete` is the file whose missing shares these are;
    without it they are those of a new one. `spoiled` is called with the error when a share is lost without which the
    file isn't worth going on with. The shares of a new file with one segment may be sent `whole`, with `finish_whole`;
    `lasting` ones can be gone on with by another process.
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
        lasting: bool = False,
    ) -> None:
        self._storage_index = storage_index
        self._encoding = encoding
        self._allocated = allocated
        self._incomplete = incomplete
        self._peer_timeout = peer_timeout
        self._clock = clock
        # Let go of at the end, because whoever is told has this set.
        self._spoiled = spoiled
        self._whole = whole
        self._lasting = lasting
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

    @property
    def peers_used(self) -> int:
        return len({stream.peer for stream in self._streams.values() if stream.problem is None})

    def slow_peers(self, seconds: float) -> set[str]:
        """Those that have been busy with one thing for longer than that."""
        return {stream.peer for stream in self._streams.values() if stream.waited > seconds}

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
            request = peer.allocate(self._storage_index, numbers, self._allocated, lasting=self._lasting)
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
        for writer in allocation.writers.values():
            self._add(writer, peer)
        if allocation.refusal is not None:
            self._some_full = True
            self._reasons[peer.name] = allocation.refusal
        return allocation

    def _add(self, writer: IShareWriter, peer: IStoragePeer) -> None:
        self._streams[writer.number] = ShareStream(
            writer,
            peer.name,
            clock=self._clock,
            timeout=self._peer_timeout,
            lost=self._share_lost,
            identity=identity_of(peer),
            lasting=self._lasting,
        )

    # Going on with it another time.

    def tickets(self) -> list[Ticket]:
        """What `reopen` needs of the shares that are as they should be."""
        return [
            Ticket(number, stream.identity, stream.writer.ticket)
            for number, stream in sorted(self._streams.items())
            if stream.problem is None and stream.writer.ticket is not None
        ]

    async def reopen(self, tickets: Sequence[Ticket], peers: Sequence[IStoragePeer]) -> None:
        """
        Instead of finding room: go on with shares that were begun as lasting. Raises `SharesForgotten` when too many
        are gone for good, and what `check_happiness` raises when too many aren't there at the moment.
        """
        by_identity = {identity_of(peer): peer for peer in peers}
        found = await together(self._reopen(ticket, by_identity.get(ticket.identity)) for ticket in tickets)
        try:
            self.check_happiness()
        except UploadUnhappy:
            if Found.AWAY not in found or len(tickets) - found.count(Found.GONE) < self._encoding.happy:
                raise SharesForgotten(self._reasons) from None
            raise

    async def _reopen(self, ticket: Ticket, peer: IStoragePeer | None) -> Found:
        if peer is None:
            self._reasons[f"share {ticket.number}"] = "its peer isn't among those that this node has"
            return Found.AWAY
        work = Deferred.fromCoroutine(self._ask_for_share(ticket, peer))
        try:
            return await work.addTimeout(self._peer_timeout, self._clock)
        except ShareMissing as error:
            self._reasons[peer.name] = error.reason
            return Found.GONE
        except PeerError as error:
            self._reasons[peer.name] = error.reason
        except StalledError:
            self._reasons[peer.name] = f"no answer for {self._peer_timeout:g} seconds"
        return Found.AWAY

    async def _ask_for_share(self, ticket: Ticket, peer: IStoragePeer) -> Found:
        try:
            writer = await peer.reopen(self._storage_index, ticket.number, ticket.text)
        except ShareMissing:
            # The upload may have been interrupted in the middle of its end. Nobody else uses its storage index.
            if ticket.number not in await peer.share_numbers(self._storage_index):
                raise
            self._existing.setdefault(ticket.number, set()).add(peer.name)
        else:
            self._add(writer, peer)
        return Found.HERE

    def hurry(self) -> None:
        """No more comes for now: what is being gathered may go."""
        for stream in self._streams.values():
            stream.hurry()

    async def secure(self) -> None:
        """What has been taken outlives this process."""
        await together(stream.secure() for stream in self._streams.values())

    async def give_back(self, kept: Collection[Ticket]) -> None:
        """The room of what was lost because a disk is full, and what isn't among the `kept` any more."""
        numbers = {ticket.number for ticket in kept}
        await together(stream.give_back() for number, stream in self._streams.items() if number not in numbers)

    async def forget(self) -> None:
        """Leave everything as it is, for `reopen`."""
        await together(stream.forget() for stream in self._streams.values())
        self._spoiled = _tell_nobody

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
        self._spoiled = _tell_nobody

    async def abort(self, *, keep_committed: bool) -> None:
        """Leave nothing on any peer, as far as they let us."""
        await together(stream.abort() for stream in self._streams.values() if not (stream.committed and keep_committed))
        self._spoiled = _tell_nobody

    def _share_lost(self, stream: ShareStream) -> None:
        assert stream.problem is not None
        self._reasons[f"{stream.peer} (share {stream.number})"] = stream.problem
        self._some_full |= stream.peer_full
        try:
            self.check_happiness()
        except GridError as error:
            self._spoiled(error)


def _tell_nobody(_: GridError) -> None:
    pass


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
