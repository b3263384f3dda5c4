"""
Reading one stretch of a file from k shares, and from one more where a peer lags behind.

A peer that is much slower than the others would otherwise set the pace, long before it counts as stalled. So when some
blocks have come and another one takes several times as long, a further share is asked for its own; who comes first
counts. How often that may happen is bounded, so that a grid that is slow as a whole isn't made slower.
"""

from __future__ import annotations

from collections.abc import Collection
from functools import partial
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.defer import TimeoutError as StalledError
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from tahoeish.chk.buffers import Buffer
from tahoeish.grid.good_shares import GoodShares, Share
from tahoeish.grid.peer import PeerError

log = Logger()

LAGGING_SECONDS = 0.25
"""Nobody lags who takes less."""

LAGGING_TIMES = 3
"""As long as the slowest of those who have come."""

UNKNOWN_SECONDS = 1.0
"""What is granted as long as nobody knows how long such a thing takes here."""


class Pace:
    """How long the stretches of one file take, and how many of them may be asked for once more."""

    def __init__(self) -> None:
        self.typical: float | None = None
        self._hedges = 2.0
        self._laggards: set[Share] = set()

    def learn(self, seconds: float) -> None:
        self.typical = seconds if self.typical is None else self.typical + (seconds - self.typical) / 8
        self._hedges = min(self._hedges + 1 / 16, 8.0)

    def may_hedge(self, waited_for: Collection[Share]) -> bool:
        # Several stretches wait for the same peer; that it lags needs to be found out only once.
        if not self._laggards.issuperset(waited_for):
            if self._hedges < 1:
                return False
            self._hedges -= 1
            self._laggards.update(waited_for)
        return True


class StretchReader:
    """Reads the blocks of the segments `stretch` from as many of the `shares` as are `needed`."""

    def __init__(
        self,
        shares: GoodShares,
        needed: int,
        stretch: range,
        pace: Pace,
        *,
        clock: IReactorTime,
        stall_timeout: float,
    ) -> None:
        self._shares = shares
        self._needed = needed
        self._stretch = stretch
        self._pace = pace
        self._clock = clock
        self._stall_timeout = stall_timeout
        self._data: dict[Share, Buffer] = {}
        self._reading: dict[Share, Deferred[Any]] = {}
        self._begun = clock.seconds()
        self._news: Deferred[None] = Deferred()
        self._hedge_call: IDelayedCall | None = None
        self._hedging: Deferred[None] | None = None
        self._hedged = 0

    async def read(self) -> dict[Share, Buffer]:
        """What `needed` of the shares have there. Call it again after some of that was `forget`ten."""
        self._begun = self._clock.seconds()
        try:
            while len(self._data) < self._needed:
                self._news = Deferred()
                for share in await self._shares.good():
                    if len(self._data) + len(self._reading) < self._needed + self._hedged:
                        self._ask(share)
                if len(self._data) >= self._needed:
                    break
                self._watch(UNKNOWN_SECONDS if self._pace.typical is None else 4 * self._pace.typical)
                await self._news
            self._pace.learn(self._clock.seconds() - self._begun)
            for lagging in self._reading:
                self._shares.put_last(lagging)
            return dict(list(self._data.items())[: self._needed])
        finally:
            self._stop()

    def forget(self, share: Share) -> None:
        """What it has sent is no good."""
        self._data.pop(share, None)

    def _ask(self, share: Share) -> None:
        if share in self._data or share in self._reading:
            return
        first, last = share.reader.block_span(self._stretch[0]), share.reader.block_span(self._stretch[-1])
        reading: Deferred[Any] = Deferred.fromCoroutine(share.source.read(first.offset, last.end - first.offset))
        reading.addTimeout(self._stall_timeout, self._clock)
        self._reading[share] = reading
        reading.addCallback(partial(self._came, share)).addErrback(partial(self._failed, share))

    def _came(self, share: Share, data: Buffer) -> None:
        self._reading.pop(share, None)
        self._data[share] = data
        if len(self._data) < self._needed:
            self._watch(LAGGING_TIMES * (self._clock.seconds() - self._begun), anew=True)
        self._tell()

    def _failed(self, share: Share, failure: Failure) -> None:
        self._reading.pop(share, None)
        if failure.check(CancelledError):
            return
        if isinstance(failure.value, (PeerError, StalledError)):
            self._shares.drop(share, failure.value)
            self._tell()
        elif not self._news.called:
            self._news.errback(failure)
        else:
            log.failure("reading share {number}", failure, number=share.number)

    def _tell(self) -> None:
        if not self._news.called:
            self._news.callback(None)

    # Lagging.

    def _watch(self, seconds: float, *, anew: bool = False) -> None:
        """Look after those who haven't come yet, so many seconds after all was asked for."""
        if self._hedge_call is not None and self._hedge_call.active():
            if not anew:
                return
            self._hedge_call.cancel()
        wait = self._begun + max(LAGGING_SECONDS, seconds) - self._clock.seconds()
        self._hedge_call = self._clock.callLater(max(0.0, wait), self._hedge)

    def _hedge(self) -> None:
        if self._hedging is None and self._reading and self._pace.may_hedge(self._reading.keys()):
            self._hedging = Deferred.fromCoroutine(self._ask_another())
            self._hedging.addErrback(self._could_not_hedge)

    async def _ask_another(self) -> None:
        another = await self._shares.spare([*self._data, *self._reading])
        self._hedging = None
        if another is not None:
            self._hedged += 1
            self._ask(another)

    def _could_not_hedge(self, failure: Failure) -> None:
        if not failure.check(CancelledError):
            log.failure("asking one more share", failure)

    def _stop(self) -> None:
        if self._hedge_call is not None and self._hedge_call.active():
            self._hedge_call.cancel()
        for waiting in [*self._reading.values(), *([self._hedging] if self._hedging is not None else [])]:
            waiting.cancel()
        self._reading.clear()
        self._hedging = None
