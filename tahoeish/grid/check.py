"""
Whether a file is all there: who holds which of its shares, and whether these are what they should be.

Without verifying, peers are only asked what they hold, and believed. To verify, every share is read whole, and each
byte of it that a reader would ever look at is compared with what the file's cap vouches for. That takes no key.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from twisted.internet.defer import Deferred, DeferredSemaphore
from twisted.internet.defer import TimeoutError as StalledError
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from tahoeish.chk.caps import ReadCap, VerifyCap
from tahoeish.chk.errors import CorruptShare
from tahoeish.chk.verifier import ShareVerifier
from tahoeish.grid.peer import IShareSource, IStoragePeer, PeerError
from tahoeish.grid.placement import happiness, permuted
from tahoeish.streams.budget import ByteBudget
from tahoeish.streams.tasks import together
from tahoeish.streams.threads import ThreadRunner

T = TypeVar("T")

log = Logger()

SHARES_AT_ONCE = 4
"""Shares of one file that are verified at the same time."""


@dataclass(frozen=True, slots=True, order=True)
class BadShare:
    """A share that its peer lists, but that is of no use, and why."""

    number: int
    peer: str
    reason: str


@dataclass(frozen=True)
class CheckResult:
    """What a check has found. Peers go by their names."""

    cap: VerifyCap
    shares: Mapping[int, Sequence[str]]
    """The peers that hold each share, as far as is known a good one."""
    answering: Sequence[str]
    silent: Mapping[str, str] = field(default_factory=dict)
    """The peers that didn't say what they hold, and why."""
    corrupt: Sequence[BadShare] = ()
    """Shares that aren't what they should be. Their peers have been told."""
    unreadable: Sequence[BadShare] = ()
    """Shares whose peers failed while these were being verified."""
    not_leased: Mapping[str, str] = field(default_factory=dict)
    """The peers whose shares should have got a new lease and didn't, and why."""

    @property
    def happiness(self) -> int:
        return happiness(self.shares)

    @property
    def healthy(self) -> bool:
        """Every one of the file's shares is somewhere."""
        return len(self.shares) == self.cap.total

    @property
    def recoverable(self) -> bool:
        return len(self.shares) >= self.cap.needed

    @property
    def missing(self) -> list[int]:
        return [number for number in range(self.cap.total) if number not in self.shares]

    @property
    def good_hosts(self) -> set[str]:
        """The peers with at least one good share."""
        return {peer for peers in self.shares.values() for peer in peers}

    @property
    def useless(self) -> dict[str, set[int]]:
        """The shares that are there, but no good, by peer."""
        useless: dict[str, set[int]] = {}
        for share in (*self.corrupt, *self.unreadable):
            useless.setdefault(share.peer, set()).add(share.number)
        return useless

    @property
    def summary(self) -> str:
        if self.healthy:
            return "Healthy"
        return f"Not Healthy: {len(self.shares)} shares (enc {self.cap.needed}-of-{self.cap.total})"


@dataclass(frozen=True)
class Checker:
    """What all checks of a node share. `stall_timeout` is how long a peer may keep one of them waiting."""

    peers: Callable[[], Sequence[IStoragePeer]]
    budget: ByteBudget
    run_in_thread: ThreadRunner
    clock: IReactorTime
    stall_timeout: float

    async def check(self, cap: ReadCap | VerifyCap, *, verify: bool, add_lease: bool = False) -> CheckResult:
        """
        Ask every peer; with `verify`, read every share; with `add_lease`, give what is there a new lease.

        Peers that fail are part of the result. Raises `CorruptFile` when verifying shows that what the cap itself
        vouches for makes no sense.
        """
        check = _Check(self, cap.verify_cap if isinstance(cap, ReadCap) else cap)
        await check.ask_peers()
        if add_lease:
            await check.renew_leases()
        if verify:
            await check.verify_shares()
        return check.result()


class _Check:
    """One file being checked."""

    def __init__(self, checker: Checker, cap: VerifyCap) -> None:
        self._checker = checker
        self._cap = cap
        self._listed: list[tuple[IStoragePeer, set[int]]] = []
        self._silent: dict[str, str] = {}
        self._not_leased: dict[str, str] = {}
        self._corrupt: list[BadShare] = []
        self._unreadable: list[BadShare] = []
        self._places = DeferredSemaphore(SHARES_AT_ONCE)

    async def ask_peers(self) -> None:
        ring = permuted(self._cap.storage_index, self._checker.peers(), lambda peer: peer.permutation_seed)
        answers = await together(self._ask(peer) for peer in ring)
        self._listed = [(peer, numbers) for peer, numbers in zip(ring, answers, strict=True) if numbers is not None]

    async def renew_leases(self) -> None:
        await together(self._renew_lease(peer) for peer, numbers in self._listed if numbers)

    async def verify_shares(self) -> None:
        await together(self._verify(peer, number) for peer, numbers in self._listed for number in numbers)

    def result(self) -> CheckResult:
        bad = {(share.peer, share.number) for share in (*self._corrupt, *self._unreadable)}
        good: dict[int, list[str]] = {}
        for peer, numbers in self._listed:
            for number in numbers:
                if number < self._cap.total and (peer.name, number) not in bad:
                    good.setdefault(number, []).append(peer.name)
        return CheckResult(
            cap=self._cap,
            shares=dict(sorted(good.items())),
            answering=[peer.name for peer, _ in self._listed],
            silent=self._silent,
            corrupt=sorted(self._corrupt),
            unreadable=sorted(self._unreadable),
            not_leased=self._not_leased,
        )

    # What is asked of one peer.

    async def _ask(self, peer: IStoragePeer) -> set[int] | None:
        try:
            return await self._timed(peer.share_numbers(self._cap.storage_index))
        except (PeerError, StalledError) as error:
            self._silent[peer.name] = self._told(error)
            return None

    async def _renew_lease(self, peer: IStoragePeer) -> None:
        # Peers lease what they have already whenever they are asked for room, be it for nothing.
        try:
            await self._timed(peer.allocate(self._cap.storage_index, (), 0))
        except (PeerError, StalledError) as error:
            self._not_leased[peer.name] = self._told(error)

    async def _verify(self, peer: IStoragePeer, number: int) -> None:
        await self._places.acquire()
        try:
            source = await self._timed(peer.open_share(self._cap.storage_index, number))
            try:
                await self._read_all(source)
            finally:
                await source.close()
        except CorruptShare as error:
            self._corrupt.append(BadShare(number, peer.name, str(error)))
            log.warn("{peer}: {error}", peer=peer.name, error=str(error))
            await self._report(peer, error)
        except (PeerError, StalledError) as error:
            self._unreadable.append(BadShare(number, peer.name, self._told(error)))
        finally:
            self._places.release()

    async def _read_all(self, source: IShareSource) -> None:
        verifier = ShareVerifier(self._cap, source.number)
        while (span := verifier.wanted()) is not None:
            with await self._checker.budget.lease(span.length):
                data = bytes(await self._timed(source.read(span.offset, span.length)))
                await self._checker.run_in_thread(verifier.received, data)
                del data

    async def _report(self, peer: IStoragePeer, error: CorruptShare) -> None:
        try:
            await self._timed(peer.report_corruption(self._cap.storage_index, error.share_number, str(error)))
        except (PeerError, StalledError) as problem:
            log.warn("{peer} can't be told of it: {problem}", peer=peer.name, problem=self._told(problem))

    def _told(self, error: Exception) -> str:
        if isinstance(error, PeerError):
            return error.reason
        return f"no answer for {self._checker.stall_timeout:g} seconds"

    def _timed(self, work: Coroutine[Any, Any, T]) -> Deferred[T]:
        return Deferred.fromCoroutine(work).addTimeout(self._checker.stall_timeout, self._checker.clock)
