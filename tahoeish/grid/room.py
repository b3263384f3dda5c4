"""How much more fits into a grid: an estimate, from what the peers say of their disks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from fractions import Fraction

from twisted.internet.defer import Deferred
from twisted.internet.defer import TimeoutError as Late
from twisted.internet.interfaces import IReactorTime

from tahoeish.grid.peer import IStoragePeer, PeerError
from tahoeish.grid.shareset import EncodingChoice
from tahoeish.streams.tasks import together

PATIENCE = 3.0
"""Seconds for a peer's answer. One that takes longer isn't counted on."""

FRESH = 10.0
"""Seconds for which an estimate is good enough; file managers ask with every look."""


class GridRoom:
    """Asks all peers, but not too often. `encoding` is that of new files."""

    def __init__(
        self,
        peers: Callable[[], Sequence[IStoragePeer]],
        encoding: Callable[[], EncodingChoice],
        clock: IReactorTime,
    ) -> None:
        self._peers = peers
        self._encoding = encoding
        self._clock = clock
        self._estimate: int | None = None
        self._good_until = float("-inf")

    async def __call__(self) -> int | None:
        """Bytes of new files for which there is room; None if no peer says how much it takes."""
        if self._clock.seconds() >= self._good_until:
            answers = await together(self._ask(peer) for peer in self._peers())
            self._estimate = room_for_files(self._encoding(), [answer for answer in answers if answer is not None])
            self._good_until = self._clock.seconds() + FRESH
        return self._estimate

    async def _ask(self, peer: IStoragePeer) -> tuple[object, int | None] | None:
        try:
            asking = Deferred.fromCoroutine(peer.available_space())
            space = await asking.addTimeout(PATIENCE, self._clock)
        except (PeerError, Late):
            return None
        return (peer if peer.disk is None else peer.disk), space


def room_for_files(encoding: EncodingChoice, peers: Iterable[tuple[object, int | None]]) -> int | None:
    """
    The same, given for each peer the disk that it is on, and what is free there.

    Peers get equal portions of a file, those on one disk from the same space. When a disk is full the others go on
    without it, as long as there are enough of them for a file to be stored.
    """
    answers = list(peers)
    count = Counter(disk for disk, _ in answers)
    known = [(Fraction(space, count[disk]), disk) for disk, space in dict(answers).items() if space is not None]
    if answers and not known:
        return None
    left = len(answers)
    most = Fraction(0)
    for smallest, disk in sorted(known, key=lambda pair: pair[0]):
        if left < max(encoding.happy, 1):
            break
        most = max(most, smallest * left * encoding.needed / encoding.total)
        left -= count[disk]
    return int(most)
