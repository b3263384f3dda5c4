"""
The memory that all transfers of a node share.

Two rules keep it from locking up, whatever the clients do.

*What waits for a client is promised beforehand* (`SegmentAllowance`). A half-filled segment can't be sent on, so if
half-filled segments could use up the memory, none could ever be filled. An upload is therefore let in only with a
promise of one whole segment, and the more uploads there are, the smaller the segments of the next one: alone it gets
a large one, among five hundred a small one. It uses of the promise only what has really come in.

*What waits for peers, disks and processors is leased while it lasts* (`ByteBudget`). Those always get on, or are given
up, so a queue in order of arrival is fair and can't get stuck.

Each transfer also takes memory that nobody counts: its connections, what lies sealed before their sockets, its part of
a segment. So several may lease less together than one that is alone, whose road is as long as is good for it.
"""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass
from types import TracebackType

from twisted.internet.defer import Deferred


class Lease:
    """A part of a budget. Give it back with `release`, which may be called more than once, or leave its block."""

    def __init__(self, budget: ByteBudget, size: int, holder: object) -> None:
        self._budget = budget
        self._holder = holder
        self.size = size

    def release(self) -> None:
        size, self.size = self.size, 0
        holder, self._holder = self._holder, None
        self._budget._leave(holder)
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


@dataclass(frozen=True, slots=True)
class _Wanted:
    size: int
    holder: object


class ByteBudget:
    """
    A number of bytes, leased in order of arrival. One holder may have all of it, two have half of it together, three a
    third, and so on, but any number of them at least `crowd` bytes.

    An eighth is kept for small leases, which would otherwise stand in line behind large ones for next to nothing.
    """

    def __init__(self, capacity: int, *, crowd: int | None = None) -> None:
        self.capacity = capacity
        self.crowd = capacity if crowd is None else crowd
        self.used = 0
        self._kept_for_small = self.crowd // 8
        self._small = self._kept_for_small // 16
        self._waiting: deque[tuple[Deferred[Lease], _Wanted]] = deque()
        # How many leases each has or waits for.
        self._holders: Counter[object] = Counter()

    @property
    def waiting(self) -> int:
        """How many wait for a lease."""
        return len(self._waiting)

    @property
    def holders(self) -> int:
        """How many have leases or wait for one, of those that say who they are."""
        return len(self._holders)

    def lease(self, size: int, holder: object = None) -> Deferred[Lease]:
        """
        Fires with a lease of `size` bytes when there is room. More than there is altogether becomes all there is:
        such a one goes alone.

        `holder` is whoever has several leases, and makes the room smaller for others.
        """
        waiter: Deferred[Lease] = Deferred(self._cancelled)
        if holder is not None:
            self._holders[holder] += 1
        if size <= self._small:
            if self.used + size <= self.capacity:
                self._grant(waiter, _Wanted(size, holder))
                return waiter
        else:
            size = min(size, self.capacity - self._kept_for_small)
        self._waiting.append((waiter, _Wanted(size, holder)))
        self._serve()
        return waiter

    def _grant(self, waiter: Deferred[Lease], wanted: _Wanted) -> None:
        self.used += wanted.size
        waiter.callback(Lease(self, wanted.size, wanted.holder))

    def _give_back(self, size: int) -> None:
        self.used -= size
        self._serve()

    def _serve(self) -> None:
        while self._waiting:
            waiter, wanted = self._waiting[0]
            room = self.capacity if wanted.size <= self._small else self._room() - self._kept_for_small
            if self.used + wanted.size > room and self.used > 0:
                return
            self._waiting.popleft()
            self._grant(waiter, wanted)

    def _room(self) -> int:
        return max(self.capacity // max(1, len(self._holders)), self.crowd)

    def _cancelled(self, waiter: Deferred[Lease]) -> None:
        for entry in self._waiting:
            if entry[0] is waiter:
                self._waiting.remove(entry)
                self._leave(entry[1].holder)
                break
        # Whoever stood in the way may have been at the front.
        self._serve()

    def _leave(self, holder: object) -> None:
        if holder is not None:
            self._holders[holder] -= 1
            if not self._holders[holder]:
                del self._holders[holder]


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
