"""
Uploads that come over many requests, and outlive the node's process.

What such an upload needs to go on is its *standing*: the encoder's checkpoint, the tickets of the unfinished shares,
and the plaintext behind the checkpoint, which is less than a segment. A standing is kept by somebody else, and it only
says what the peers have confirmed. So whoever begins again from the last one loses nothing that was acknowledged, and
sends at worst a few segments twice, whose bytes the peers know already.

Nothing goes to the peers before the first segment is full. What is smaller than that is stored at the end as any other
small file is.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, TypeVar

from twisted.internet.defer import Deferred, DeferredLock
from twisted.logger import Logger
from twisted.python.failure import Failure

from tahoeish.chk.buffers import Buffer
from tahoeish.chk.checkpoint import Checkpoint, EncoderState
from tahoeish.chk.cipher import KEY_SIZE
from tahoeish.chk.encoder import Encoder
from tahoeish.chk.errors import BadCheckpoint
from tahoeish.chk.hashes import storage_index_hash
from tahoeish.chk.segment import Segment
from tahoeish.grid.milestones import Milestones
from tahoeish.grid.peer import IStoragePeer, PeerError
from tahoeish.grid.shareset import EncodingChoice, Ticket, identity_of
from tahoeish.grid.transit import Transit
from tahoeish.grid.upload import Uploaded, Uploader
from tahoeish.streams.budget import Promise
from tahoeish.streams.tasks import to_the_end, together
from tahoeish.streams.threads import claimed

T = TypeVar("T")

log = Logger()

CHECKPOINT_BYTES = 4 * 1024 * 1024
"""How much may come between two standings while bytes are coming: at worst, a little more than that is sent again."""


@dataclass(frozen=True, slots=True)
class Standing:
    """Where an upload can be gone on with. The records are those that come after those of the standing before it."""

    offset: int
    """The bytes of the file up to here needn't be sent again."""
    encoder: bytes = field(repr=False)
    segments: int
    shares: tuple[Ticket, ...] = ()
    tail: bytes = field(default=b"", repr=False)
    first_segment: int = 0
    records: bytes = field(default=b"", repr=False)


Keep = Callable[[Standing], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Progress:
    """Bytes of the file. `peers` is how many have confirmed what is confirmed."""

    received: int
    sealed: int
    confirmed: int
    peers: int


class ResumableUpload:
    """
    Takes the bytes of one file, in order. `keep` makes a standing durable; it is called on the way, for one at a time.

    After an error nothing but `let_go` or `discard` makes sense; the last standing that was kept is as good as ever.
    """

    def __init__(
        self, uploader: Uploader, encoder: Encoder, promise: Promise, keep: Keep, tickets: Sequence[Ticket] = ()
    ) -> None:
        self._uploader = uploader
        self._encoder = encoder
        self._promise = promise
        self._keep = keep
        self._tickets = tuple(tickets)
        self._transit: Transit | None = None
        self._milestones = Milestones(encoder, CHECKPOINT_BYTES // encoder.segment_size, self._passed)
        self._reached: list[Checkpoint] = []
        self._keeping: Deferred[None] | None = None
        self._broken: BaseException | None = None
        self.quiet = False
        """Keep nothing before `settle`."""
        self._settling = False
        self._in_turn = DeferredLock()

    @property
    def broken(self) -> bool:
        return self._broken is not None

    @property
    def position(self) -> int:
        """How many bytes of the file have been taken."""
        return self._encoder.position

    @property
    def progress(self) -> Progress:
        segment_size = self._encoder.segment_size
        received = self._encoder.position
        return Progress(
            received,
            min(received, self._encoder.segments_absorbed * segment_size),
            min(received, self._milestones.arrived_segments * segment_size),
            0 if self._transit is None else self._transit.shares.peers_used,
        )

    def could_use(self, length: int | None) -> bool:
        """The file's length has become known, and it isn't too late yet to begin anew with it, from what is settled."""
        unused = self._encoder.share_size is None and self._encoder.segments_cut == 0
        return unused and _useful(length, self._encoder.segment_size) is not None

    async def write(self, piece: Buffer) -> None:
        """
        Returns when more may come. Whoever waits for it may be cancelled; the piece has been taken all the same.

        Raises what `Uploader.upload` does, apart from faults of the source.
        """
        await self._soundly(self._take(piece))

    async def settle(self) -> Standing:
        """Returns when all that has been written is with the peers. This standing is for the caller to keep."""
        return await self._soundly(self._settle())

    async def finish(self) -> Uploaded:
        """
        The file is complete. If this fails, or the process ends meanwhile, it may be tried again from the last
        standing.
        """
        uploaded = await self._soundly(self._finish())
        self._promise.release()
        return uploaded

    async def let_go(self) -> None:
        """Forget it here, and leave it on the peers as it is."""
        self._broken = self._broken or RuntimeError("this upload has been let go")
        if self._transit is not None:
            await to_the_end(self._transit.forget())
        self._promise.release()

    async def discard(self) -> None:
        """Leave nothing of it on any peer, as far as they can be reached."""
        self._broken = self._broken or RuntimeError("this upload has been discarded")
        if self._transit is not None:
            await to_the_end(self._transit.undo())
        elif self._tickets:
            await to_the_end(_remove_shares(self._encoder.storage_index, self._tickets, self._uploader.peers()))
        self._promise.release()

    # Sending.

    async def _take(self, piece: Buffer) -> None:
        await self._send(self._encoder.write(piece))

    async def _send(self, segments: Sequence[Segment]) -> None:
        if segments:
            transit = await self._in_transit()
            for segment in segments:
                await transit.attempt(transit.road.set_off(segment))

    async def _in_transit(self) -> Transit:
        if self._transit is None:
            self._transit = Transit(
                self._uploader.means(),
                self._encoder,
                self._encoder.share_size,
                lasting=True,
                milestones=self._milestones,
            )
            if self._tickets:
                await self._transit.attempt(self._transit.shares.reopen(self._tickets, self._uploader.peers()))
            else:
                await self._transit.attempt(self._transit.find_room())
        return self._transit

    async def _settle(self) -> Standing:
        # The one standing at the end is as good as any on the way there.
        self._settling = True
        try:
            await self._clear()
            if self._keeping is not None:
                await self._keeping
        finally:
            self._settling = False
        if self._broken is not None:
            raise self._broken
        standing = replace(self._standing([*self._reached, self._milestones.here()]), tail=self._encoder.tail())
        self._reached = []
        return await self._secured(replace(standing, offset=standing.offset + len(standing.tail)))

    async def _clear(self) -> None:
        if self._transit is not None:
            self._transit.shares.hurry()
            await self._transit.attempt(self._transit.road.clear())

    async def _finish(self) -> Uploaded:
        if self._encoder.segments_cut == 0:
            tail = self._encoder.tail()
            return await self._uploader.upload(_once(tail), len(tail))
        if not self._encoder.ended:
            await self._send(self._encoder.end())
        transit = await self._in_transit()
        await self._clear()
        file = await transit.attempt(transit.finish())
        return self._uploader.uploaded(file, transit)

    # Keeping.

    def _passed(self, checkpoint: Checkpoint) -> None:
        self._reached.append(checkpoint)
        if self._keeping is None and self._broken is None and not self.quiet and not self._settling:
            self._keeping = Deferred.fromCoroutine(self._keep_reached())
            self._keeping.addBoth(self._kept)

    async def _keep_reached(self) -> None:
        while self._reached and self._broken is None and not self._settling:
            reached, self._reached = self._reached, []
            standing = await self._secured(self._standing(reached))
            await self._keep(standing)
            if self._transit is not None:
                await self._transit.shares.give_back(standing.shares)

    def _kept(self, result: object) -> None:
        self._keeping = None
        if isinstance(result, Failure):
            self._broken = self._broken or result.value

    async def _secured(self, standing: Standing) -> Standing:
        if self._transit is None:
            return standing
        await self._transit.shares.secure()
        # With too few shares it would be a standing that nobody can go on from.
        self._transit.check()
        return replace(standing, shares=tuple(self._transit.shares.tickets()))

    def _standing(self, reached: Sequence[Checkpoint]) -> Standing:
        first, last = reached[0], reached[-1]
        records = b"".join(checkpoint.records for checkpoint in reached)
        return Standing(
            last.offset, last.state, last.segments, self._tickets, first_segment=first.since, records=records
        )

    async def _soundly(self, work: Coroutine[Any, Any, T]) -> T:
        """One after the other, each to its end, and none after an error."""
        running = self._in_turn.run(lambda: Deferred.fromCoroutine(self._unless_broken(work)))
        return await claimed(running, lambda _: None)

    async def _unless_broken(self, work: Coroutine[Any, Any, T]) -> T:
        if self._broken is not None:
            work.close()
            raise self._broken
        try:
            return await work
        except BaseException as error:
            self._broken = self._broken or error
            raise


async def begin(uploader: Uploader, length: int | None, keep: Keep) -> ResumableUpload:
    """A new file, of `length` bytes if that is known. Asks no peer yet."""
    uploader = replace(uploader)
    promise = await uploader.admit(length)
    try:
        size = _useful(length, promise.segment_size)
        encoder = uploader.new_encoder(uploader.random_bytes(KEY_SIZE), size, promise.segment_size)
        return ResumableUpload(uploader, encoder, promise, keep)
    except BaseException:
        promise.release()
        raise


async def go_on(
    uploader: Uploader, standing: Standing, records: Buffer, keep: Keep, length: int | None
) -> ResumableUpload:
    """
    From where it stood. `records` are those of all standings up to this one; `length` is the file's, if it is known by
    now. Raises `BadCheckpoint`; what the peers say, the first write or `finish` raises: `SharesForgotten` where there
    is no going on.
    """
    if standing.segments and not standing.shares:
        raise BadCheckpoint("nobody knows where its shares are")
    state = EncoderState.parse(standing.encoder)
    happy = min(uploader.encoding.happy, state.total)
    encoding = EncodingChoice(state.needed, state.total, happy, state.max_segment_size)
    uploader = replace(uploader, encoding=encoding)
    promise = await uploader.allowance.admit_exactly(state.max_segment_size)
    try:
        if standing.segments:
            resume = partial(Encoder.resume, codec=uploader.codec)
            encoder = await uploader.run_in_thread(resume, standing.encoder, records)
        else:
            # If shares were begun, nobody knows them any more, and their storage index is taken.
            size = _useful(length, state.max_segment_size)
            encoder = uploader.new_encoder(uploader.random_bytes(KEY_SIZE), size, state.max_segment_size)
        if standing.tail:
            encoder.write(standing.tail)
        return ResumableUpload(uploader, encoder, promise, keep, standing.shares)
    except BaseException:
        promise.release()
        raise


async def discard(standing: Standing, peers: Sequence[IStoragePeer]) -> None:
    """Leave nothing of an upload that nobody goes on with on any peer, as far as they can be reached."""
    await _remove_shares(_storage_index(standing), standing.shares, peers)


async def keep_alive(standing: Standing, peers: Sequence[IStoragePeer]) -> None:
    """Let no peer think that nobody goes on with the upload."""
    storage_index = _storage_index(standing)

    async def nudge(peer: IStoragePeer, ticket: Ticket) -> None:
        await peer.keep_alive(storage_index, ticket.number, ticket.text)

    await _with_each(standing.shares, peers, nudge, "an unfinished share may be given up")


async def _remove_shares(storage_index: bytes, tickets: Sequence[Ticket], peers: Sequence[IStoragePeer]) -> None:
    async def remove(peer: IStoragePeer, ticket: Ticket) -> None:
        writer = await peer.reopen(storage_index, ticket.number, ticket.text)
        await writer.abort()

    await _with_each(tickets, peers, remove, "an unfinished share may be left")


async def _with_each(
    tickets: Sequence[Ticket],
    peers: Sequence[IStoragePeer],
    work: Callable[[IStoragePeer, Ticket], Awaitable[None]],
    otherwise: str,
) -> None:
    """What can't be done with a share is only noted, with what that means."""
    by_identity = {identity_of(peer): peer for peer in peers}

    async def attempt(ticket: Ticket) -> None:
        peer = by_identity.get(ticket.identity)
        if peer is not None:
            try:
                await work(peer, ticket)
            except PeerError as error:
                log.info("{otherwise}: {error}", otherwise=otherwise, error=str(error))

    await together(attempt(ticket) for ticket in tickets)


def _storage_index(standing: Standing) -> bytes:
    return storage_index_hash(EncoderState.parse(standing.encoder).key)


def _useful(length: int | None, segment_size: int) -> int | None:
    """What is smaller than a segment goes at the end, whole, and it is known then how long it is."""
    return None if length is None or length < segment_size else length


async def _once(piece: Buffer) -> AsyncIterator[Buffer]:
    yield piece
