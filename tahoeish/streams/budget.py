"""
The memory that all transfers of a node share.

Two rules keep it from locking up, whatever the clients do.

*What waits for a client is promised beforehand* (`SegmentAllowance`). A half-filled segment can't be sent on, so if
half-filled segments could use up the memory, none could ever be filled. An upload is therefore let in only with a
promise of one whole segment, and the more uploads there are, the smaller the segments of the next one: alone it gets
a large one, among five hundred a small one. It uses of the promise only what has really come in.

*What waits for peers, disks and processors is leased while it lasts* (`ByteBudget`). Those always get on, or are given
up, so a queue in order of arrival is fair and can't get stuck.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from types import TracebackType

from twisted.internet.defer import Deferred


class Lease:
    """A part of a budget. Give it back with `release`, which may be called more than once, or leave its block."""

    def __init__(self, budget: ByteBudget, size: int) -> None:
        self._budget = budget
        self.size = size

    def release(self) -> None:
        size, self.size = self.size, 0
        self._budget._give_back(size)

    def shrink(self, size: int) -> None:
        """Keep `size` bytes only."""
        if size < self.size:
            surplus = self.size - size
            self.size = size
            self._budget._give_back(surplus)

    def __enter__(self) -> Lease:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()


class ByteBudget:
    """
    A number of bytes, leased in order of arrival.

    An eighth is kept for small leases, which would otherwise stand in line behind large ones for next to nothing.
    """

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self.used = 0
        self._kept_for_small = capacity // 8
        self._small = self._kept_for_small // 16
        self._waiting: deque[tuple[Deferred[Lease], int]] = deque()

    @property
    def waiting(self) -> int:
        """How many wait for a lease."""
        return len(self._waiting)

    def lease(self, size: int) -> Deferred[Lease]:
        """
        Fires with a lease of `size` bytes when there is room. More than there is altogether becomes all there is:
        such a one goes alone.
        """
        waiter: Deferred[Lease] = Deferred(self._leave)
        if size <= self._small:
            if self.used + size <= self.capacity:
                self._grant(waiter, size)
                return waiter
        else:
            size = min(size, self.capacity - self._kept_for_small)
        self._waiting.append((waiter, size))
        self._serve()
        return waiter

    def _grant(self, waiter: Deferred[Lease], size: int) -> None:
        self.used += size
        waiter.callback(Lease(self, size))

    def _give_back(self, size: int) -> None:
        self.used -= size
        self._serve()

    def _serve(self) -> None:
        while self._waiting:
            waiter, size = self._waiting[0]
            room = self.capacity if size <= self._small else self.capacity - self._kept_for_small
            if self.used + size > room and self.used > 0:
                return
            self._waiting.popleft()
            self._grant(waiter, size)

    def _leave(self, waiter: Deferred[Lease]) -> None:
        self._waiting = deque(entry for entry in self._waiting if entry[0] is not waiter)
        # Whoever stood in the way may have been at the front.
        self._serve()


class Promise:
    """Room for one segment of `segment_size` bytes, kept for one upload until `release`."""

    def __init__(self, allowance: SegmentAllowance, segment_size: int, extra: int) -> None:
        self._allowance = allowance
        self._extra = extra
        self.segment_size = segment_size
        self._held = True

    def release(self) -> None:
        if self._held:
            self._held = False
            self._allowance._give_back(self.segment_size, self._extra)


@dataclass(frozen=True, slots=True)
class _Wish:
    largest: int
    preferred: int
    at_least: int


class SegmentAllowance:
    """Lets uploads in, each with a promise of one segment."""

    def __init__(self, capacity: int, *, smallest: int = 64 * 1024) -> None:
        self.capacity = capacity
        self.promised = 0
        self.admitted = 0
        self._smallest = smallest
        self._extra = 0
        self._waiting: deque[tuple[Deferred[Promise], _Wish]] = deque()

    def admit(self, largest: int, *, preferred: int = 0, at_least: int = 0) -> Deferred[Promise]:
        """
        Fires when there is room for one more upload, with a promise of a segment of up to `largest` bytes.

        A long file pays for small segments longest, so it may say which size it would prefer in a crowd; an eighth of
        everything is there to grant such wishes. `at_least` is for those that can't do with less.
        """
        waiter: Deferred[Promise] = Deferred(self._leave)
        wish = _Wish(largest, min(preferred, largest), max(at_least, self._smallest))
        self._waiting.append((waiter, wish))
        self._serve()
        return waiter

    def admit_exactly(self, segment_size: int) -> Deferred[Promise]:
        """For those whose segment size is given, because their result depends on it."""
        return self.admit(segment_size, at_least=segment_size)

    def _serve(self) -> None:
        while self._waiting:
            waiter, wish = self._waiting[0]
            size, extra = self._size_for(wish)
            if self.promised + size > self.capacity and self.admitted > 0:
                return
            self._waiting.popleft()
            self.promised += size
            self._extra += extra
            self.admitted += 1
            waiter.callback(Promise(self, size, extra))

    def _size_for(self, wish: _Wish) -> tuple[int, int]:
        # A quarter of it all, divided among everybody here, so that those who come later find something, too.
        fair = self.capacity // (4 * (self.admitted + 1))
        size = wish.largest
        while size > fair and size // 2 >= wish.at_least:
            size //= 2
        extra = wish.preferred - size
        if extra > 0 and self._extra + extra <= self.capacity // 8:
            return wish.preferred, extra
        return size, 0

    def _give_back(self, size: int, extra: int) -> None:
        self.promised -= size
        self._extra -= extra
        self.admitted -= 1
        self._serve()

    def _leave(self, waiter: Deferred[Promise]) -> None:
        self._waiting = deque(entry for entry in self._waiting if entry[0] is not waiter)
        self._serve()
