"""
The shares that a file is read from: k good ones, and others in place of those that turn out not to be.

The first k shares are looked for where they are as a rule. If some aren't there, or that takes a while, all peers are
asked what they have. So in the best case nobody else has to be bothered, or waited for.
"""

from __future__ import annotations

from collections.abc import Collection, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from twisted.internet.defer import CancelledError, Deferred, DeferredLock
from twisted.internet.defer import TimeoutError as StalledError
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger

from tahoeish.chk.decoder import Decoder, ShareReader
from tahoeish.chk.errors import CorruptShare
from tahoeish.grid.errors import NotEnoughShares
from tahoeish.grid.peer import IShareSource, IStoragePeer, PeerError, ShareMissing
from tahoeish.grid.placement import permuted
from tahoeish.streams.tasks import share_of, together
from tahoeish.streams.threads import ThreadRunner

T = TypeVar("T")

log = Logger()

LITTLE_TO_VERIFY = 32 * 1024
"""Bytes of hashes that are verified sooner than a thread is found for them."""

LOOKING_SECONDS = 0.05
"""What the first k shares get to be where they are looked for, until everybody is asked."""

GRACE_SECONDS = 0.3
"""What peers get that haven't answered yet when enough others have: they may have shares that need no decoding."""


@dataclass(frozen=True, eq=False, slots=True)
class Share:
    """One share that is being read: where its bytes come from, and what vouches for them."""

    reader: ShareReader
    peer: IStoragePeer
    source: IShareSource

    @property
    def number(self) -> int:
        return self.reader.number


class GoodShares:
    """`avoid` are shares that are known to be bad, by the names of their peers."""

    def __init__(
        self,
        decoder: Decoder,
        peers: Sequence[IStoragePeer],
        avoid: Mapping[str, Collection[int]],
        *,
        run_in_thread: ThreadRunner,
        clock: IReactorTime,
        stall_timeout: float,
    ) -> None:
        self._cap = decoder.cap
        self._decoder = decoder
        self._ring = permuted(self._cap.storage_index, peers, lambda peer: peer.permutation_seed)
        self._avoid = avoid
        self._run_in_thread = run_in_thread
        self._clock = clock
        self._stall_timeout = stall_timeout
        self._shares: list[Share] = []
        self._found: dict[int, set[str]] = {}
        self._untried: list[tuple[int, IStoragePeer]] = []
        self._tried: set[tuple[int, str]] = set()
        self._reasons: dict[str, str] = {}
        self._replacing = DeferredLock()
        self._asking: set[Deferred[None]] = set()
        self._enough_known: Deferred[None] = Deferred()
        self._grace_call: IDelayedCall | None = None
        self._ask_call: IDelayedCall | None = None
        self._asked = False

    async def find(self) -> None:
        """Raises `NotEnoughShares`."""
        self._ask_call = self._clock.callLater(LOOKING_SECONDS, self._ask_all)
        likely = [
            (number, peer)
            for number, peer in enumerate(self._ring[: self._cap.needed])
            if number not in self._avoid.get(peer.name, ())
        ]
        await together(self._open(number, peer, guessed=True) for number, peer in likely)
        await self.good()
        if self._ask_call.active():
            self._ask_call.cancel()

    async def good(self) -> list[Share]:
        """k shares to read from, others in place of those that were dropped."""
        needed = self._cap.needed
        if len(self._shares) >= needed and not self._replacing.locked:
            return self._shares[:needed]
        await self._replacing.acquire()
        try:
            while (missing := needed - len(self._shares)) > 0:
                await self._known()
                candidates = self._next_candidates(missing)
                if len(candidates) < missing and self._asking:
                    await together(share_of(asking) for asking in list(self._asking))
                    candidates += self._next_candidates(missing - len(candidates), candidates)
                if len(candidates) < missing:
                    found = {number: sorted(names) for number, names in self._found.items()}
                    raise NotEnoughShares(found, needed, self._reasons)
                await together(self._open(*candidate) for candidate in candidates)
            return self._shares[:needed]
        finally:
            self._replacing.release()

    async def spare(self, used: Collection[Share]) -> Share | None:
        """One more good share besides those that are `used`, if there is one."""
        await self._replacing.acquire()
        try:
            await self._known()
            while True:
                numbers = {share.number for share in used}
                for share in self._shares:
                    if share.number not in numbers:
                        return share
                candidates = self._next_candidates(1)
                if not candidates:
                    return None
                await self._open(*candidates[0])
        finally:
            self._replacing.release()

    def put_last(self, share: Share) -> None:
        """Read from others first."""
        if share in self._shares:
            self._shares.remove(share)
            self._shares.append(share)

    def drop(self, share: Share, error: Exception) -> None:
        # Several readers may find out at the same time.
        if share in self._shares:
            self._shares.remove(share)
            self._give_up(share.number, share.peer, error)
            _unwatched(share.source.close(), "closing a dropped share")

    async def close(self) -> None:
        """Let go of all of them."""
        for asking in list(self._asking):
            asking.cancel()
        if self._ask_call is not None and self._ask_call.active():
            self._ask_call.cancel()
        if self._grace_call is not None and self._grace_call.active():
            self._grace_call.cancel()
        shares, self._shares, self._untried = self._shares, [], []
        for share in shares:
            await share.source.close()

    # What the peers have.

    def _ask_all(self) -> None:
        if self._asked:
            return
        self._asked = True
        for peer in self._ring:
            asking = Deferred.fromCoroutine(self._ask(peer))
            self._asking.add(asking)
            asking.addBoth(self._answered, asking)
        if not self._asking:
            self._now_known()

    async def _ask(self, peer: IStoragePeer) -> None:
        try:
            numbers = await self._timed(peer.share_numbers(self._cap.storage_index))
        except (PeerError, StalledError) as error:
            self._reasons[peer.name] = self._told(error)
            return
        except CancelledError:
            return
        for number in numbers.difference(self._avoid.get(peer.name, ())):
            if number < self._cap.total:
                self._found.setdefault(number, set()).add(peer.name)
                if (number, peer.name) not in self._tried:
                    self._untried.append((number, peer))
        # The first k shares are the file itself, cut in pieces: from these there is nothing to decode.
        self._untried.sort(key=lambda candidate: candidate[0])

    def _answered(self, result: object, asking: Deferred[None]) -> object:
        self._asking.discard(asking)
        if not self._asking:
            self._now_known()
        elif len(self._found) >= self._cap.needed and self._grace_call is None:
            self._grace_call = self._clock.callLater(GRACE_SECONDS, self._now_known)
        return result

    def _now_known(self) -> None:
        if self._grace_call is not None and self._grace_call.active():
            self._grace_call.cancel()
        if not self._enough_known.called:
            self._enough_known.callback(None)

    async def _known(self) -> None:
        self._ask_all()
        if not self._enough_known.called:
            await share_of(self._enough_known)

    def _next_candidates(
        self, count: int, besides: Collection[tuple[int, IStoragePeer]] = ()
    ) -> list[tuple[int, IStoragePeer]]:
        taken = {share.number for share in self._shares} | {number for number, _ in besides}
        candidates: list[tuple[int, IStoragePeer]] = []
        for candidate in list(self._untried):
            number, peer = candidate
            if (number, peer.name) in self._tried:
                self._untried.remove(candidate)
            elif len(candidates) < count and number not in taken:
                taken.add(number)
                candidates.append(candidate)
                self._untried.remove(candidate)
        return candidates

    # One share.

    async def _open(self, number: int, peer: IStoragePeer, *, guessed: bool = False) -> None:
        """Adds to the shares, or to the reasons."""
        try:
            source = await self._timed(peer.open_share(self._cap.storage_index, number))
        except (PeerError, StalledError) as error:
            if guessed and isinstance(error, ShareMissing):
                return
            self._give_up(number, peer, error)
            return
        self._tried.add((number, peer.name))
        self._found.setdefault(number, set()).add(peer.name)
        try:
            reader = self._decoder.share(number)
            while (span := reader.wanted()) is not None:
                data = bytes(await self._timed(source.read(span.offset, span.length)))
                if len(data) > LITTLE_TO_VERIFY:
                    await self._run_in_thread(reader.received, data)
                else:
                    reader.received(data)
        except (PeerError, StalledError, CorruptShare) as error:
            await source.close()
            self._give_up(number, peer, error)
        except BaseException:
            await source.close()
            raise
        else:
            self._shares.append(Share(reader, peer, source))

    def _give_up(self, number: int, peer: IStoragePeer, error: Exception) -> None:
        self._tried.add((number, peer.name))
        told = self._told(error)
        self._reasons[f"{peer.name} (share {number})"] = told
        log.warn("share {number} on {peer} given up: {told}", number=number, peer=peer.name, told=told)
        if isinstance(error, CorruptShare):
            _unwatched(peer.report_corruption(self._cap.storage_index, number, str(error)), "reporting a corrupt share")

    def _told(self, error: Exception) -> str:
        if isinstance(error, StalledError):
            return f"no answer for {self._stall_timeout:g} seconds"
        return str(error)

    def _timed(self, work: Coroutine[Any, Any, T]) -> Deferred[T]:
        return Deferred.fromCoroutine(work).addTimeout(self._stall_timeout, self._clock)


def _unwatched(work: Coroutine[Any, Any, object], doing: str) -> None:
    Deferred.fromCoroutine(work).addErrback(lambda failure: log.failure(doing, failure))
