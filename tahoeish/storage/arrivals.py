"""
Whole shares on their way in, each in one request.

Whoever sends one may lose patience, and send it again, or ask to take it back, while it is still under way. The later
request then waits for the earlier one.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from hmac import compare_digest

from twisted.internet.defer import Deferred, succeed

from tahoeish.storage.undoing import ShareKey

UNKNOWN: ShareKey = (b"", 0)
"""Stands for shares that come together, so that nobody knows which they are before their request is here."""


class Arrival:
    """One of them, from the head of its request until it has been stored, or never will be."""

    def __init__(self, share: ShareKey, secret: bytes) -> None:
        self.share = share
        self.secret = secret
        self.received = False
        """All of it is here; now it's the disk's turn."""
        self._over = False
        self._waiting: list[Deferred[None]] = []

    def admits(self, secret: bytes) -> bool:
        return compare_digest(self.secret, secret)

    def over(self) -> Deferred[None]:
        """Fires when it is."""
        if self._over:
            return succeed(None)
        waiting: Deferred[None] = Deferred()
        self._waiting.append(waiting)
        return waiting

    def end(self) -> None:
        self._over = True
        for waiting in self._waiting:
            waiting.callback(None)


class Arrivals:
    """All of a storage node."""

    def __init__(self) -> None:
        self._arrivals: dict[ShareKey, list[Arrival]] = {}

    @contextmanager
    def begun(self, share: ShareKey, secret: bytes) -> Iterator[Arrival]:
        """One that lasts as long as the block."""
        arrival = Arrival(share, secret)
        together = self._arrivals.setdefault(share, [])
        together.append(arrival)
        try:
            yield arrival
        finally:
            together.remove(arrival)
            if not together:
                del self._arrivals[share]
            arrival.end()

    async def received(self, arrival: Arrival) -> None:
        """All of it is here. Returns when nobody else is storing the same any more."""
        while earlier := self._being_stored(arrival):
            await earlier.over()
        arrival.received = True

    async def all_over(self, share: ShareKey, secret: bytes) -> None:
        """Returns when everything is over that has begun by now with this secret."""
        for arrival in [*self._arrivals.get(share, ()), *self._arrivals.get(UNKNOWN, ())]:
            if arrival.admits(secret):
                await arrival.over()

    def _being_stored(self, arrival: Arrival) -> Arrival | None:
        same = self._arrivals.get(arrival.share, ())
        return next((other for other in same if other.received and other.admits(arrival.secret)), None)
