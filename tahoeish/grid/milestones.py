"""Checkpoints along a file's road, so that an upload can go on from the last one."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from tahoeish.chk.checkpoint import Checkpoint
from tahoeish.chk.encoder import Encoder


class Milestones:
    """
    Takes a checkpoint of the encoder every so many segments, and tells of it when all that is before it has arrived.

    What it tells of comes in order, and the records of each begin where those of the one before end.
    """

    def __init__(self, encoder: Encoder, every: int, passed: Callable[[Checkpoint], None]) -> None:
        self._encoder = encoder
        self._every = max(every, 1)
        self._passed = passed
        self._last = encoder.segments_absorbed
        self._arrived = self._last
        self._early: set[int] = set()
        self._ahead: deque[Checkpoint] = deque()
        self._stopped = False

    @property
    def arrived_segments(self) -> int:
        """So many of the first segments have arrived, without a gap."""
        return self._arrived

    def absorbed(self) -> None:
        """In whatever thread, while no other absorbs."""
        if self._encoder.segments_absorbed - self._last >= self._every:
            self._ahead.append(self._take())

    def arrived(self, number: int) -> None:
        """In the reactor's thread, in any order."""
        if self._stopped:
            return
        self._early.add(number)
        while self._arrived in self._early:
            self._early.remove(self._arrived)
            self._arrived += 1
        while self._ahead and self._ahead[0].segments <= self._arrived:
            self._passed(self._ahead.popleft())

    def stop(self) -> None:
        """What is said to arrive from now on has been lost."""
        self._stopped = True

    def here(self) -> Checkpoint:
        """One of this moment, when nothing is on its way."""
        return self._take()

    def _take(self) -> Checkpoint:
        checkpoint = self._encoder.checkpoint(self._last)
        self._last = checkpoint.segments
        return checkpoint
