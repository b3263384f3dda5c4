"""Finished shares that were read a moment ago, still open."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from tahoeish.storage.share_file import ShareFile
from tahoeish.streams.threads import ThreadRunner

log = Logger()

SECONDS = 5.0
MOST = 128


class _Kept(NamedTuple):
    share: ShareFile
    since: float


class RecentShares:
    """
    Who reads a file asks for one piece of a share after the other, so a share that was read is kept open for the next
    request. Nobody reads what is kept here: whoever wants to, has to `take` it. At most `MOST` are kept, for `SECONDS`.
    """

    def __init__(self, run_in_thread: ThreadRunner, clock: IReactorTime) -> None:
        self._run_in_thread = run_in_thread
        self._clock = clock
        # The one that was kept last comes last.
        self._kept: dict[tuple[bytes, int], _Kept] = {}
        self._call: IDelayedCall | None = None
        self._stopped = False

    def take(self, storage_index: bytes, number: int) -> ShareFile | None:
        """The share, if it is kept and hasn't been removed from its folder since."""
        kept = self._kept.pop((storage_index, number), None)
        if kept is None:
            return None
        if kept.share.removed:
            self._close([kept.share])
            return None
        return kept.share

    def keep(self, storage_index: bytes, number: int, share: ShareFile) -> None:
        """It is closed later."""
        place = (storage_index, number)
        surplus = [self._kept.pop(place).share] if place in self._kept else []
        self._kept[place] = _Kept(share, self._clock.seconds())
        if self._stopped or len(self._kept) > MOST:
            surplus.append(self._kept.pop(next(iter(self._kept))).share)
        self._close(surplus)
        if self._call is None and self._kept:
            self._call = self._clock.callLater(SECONDS, self._look)

    def stop(self) -> None:
        """Close all, and from now on each as soon as it was read."""
        self._stopped = True
        if self._call is not None:
            self._call.cancel()
            self._call = None
        kept, self._kept = self._kept, {}
        self._close([share for share, _ in kept.values()])

    def _look(self) -> None:
        self._call = None
        now = self._clock.seconds()
        old = [place for place, kept in self._kept.items() if kept.since <= now - SECONDS]
        self._close([self._kept.pop(place).share for place in old])
        if self._kept:
            oldest = next(iter(self._kept.values()))
            self._call = self._clock.callLater(oldest.since + SECONDS - now, self._look)

    def _close(self, shares: Sequence[ShareFile]) -> None:
        if shares:
            # With its last reader, a share that was removed gives its disk space back, which may take a while.
            self._run_in_thread(_close_all, shares).addErrback(_tell)


def _close_all(shares: Sequence[ShareFile]) -> None:
    """Blocks."""
    for share in shares:
        share.close()


def _tell(failure: Failure) -> None:
    log.failure("closing a share", failure)
