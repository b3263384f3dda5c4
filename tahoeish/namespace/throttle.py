"""How long somebody who guesses passwords has to wait, by where they come from and whom they want to be. Pure."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import TypeAlias

Key: TypeAlias = tuple[str, ...]
"""A kind, and who: an address, a user, or a user at an address."""


@dataclass(frozen=True, slots=True)
class Patience:
    """What a throttle puts up with. Times in seconds."""

    first_delay: float = 0.25
    longest_delay: float = 30.0
    forgotten_after: float = 900.0
    free_per_user: int = 2
    # Many people may stand behind one address, all of whom come in at the same moment after a restart.
    free_per_address: int = 20
    most_remembered: int = 10_000


@dataclass(slots=True)
class _Failures:
    count: int
    last: float


class Throttle:
    """
    Counts failures per address and per user; each makes the next attempt wait longer, up to a bound.

    An attempt counts as failed from its beginning until it has succeeded, so that many at the same time don't get
    further than as many one after the other. Whoever has come in from an address before is counted apart from others
    at this address and from those who try the same name elsewhere: guessing locks nobody out of where they work.

    `now` is any clock that doesn't go back. Memory is bounded: beyond `most_remembered`, the oldest are forgotten.
    """

    def __init__(self, patience: Patience | None = None) -> None:
        self.patience = patience or Patience()
        self._failures: OrderedDict[Key, _Failures] = OrderedDict()
        self._welcome: OrderedDict[Key, None] = OrderedDict()

    def begin(self, address: str, user: str | None, now: float) -> float:
        """
        0 lets the attempt begin, and counts it. Else it hasn't begun: ask again in so many seconds.

        Without a user, it counts only for the address.
        """
        keys = self.keys(address, user)
        wait = max(self._wait(key, now) for key in keys)
        if not wait:
            for key in keys:
                self._count(key, now)
        return wait

    def succeeded(self, address: str, user: str) -> None:
        """The attempt that has begun wasn't a failure; earlier ones of this user are forgiven."""
        for key in self.keys(address, user):
            if key[0] == "address":
                # Only this one: else whoever has an account could wipe out what was counted while guessing at another.
                self._take_back(key)
            else:
                self._failures.pop(key, None)
        pair = _pair(address, user)
        self._welcome[pair] = None
        self._welcome.move_to_end(pair)
        self._bound(self._welcome)

    def keys(self, address: str, user: str | None) -> list[Key]:
        """Whom an attempt is counted for."""
        if user is None:
            return [("address", address)]
        pair = _pair(address, user)
        return [pair] if pair in self._welcome else [("address", address), ("user", user)]

    def _wait(self, key: Key, now: float) -> float:
        failures = self._failures.get(key)
        if failures is None:
            return 0.0
        if now - failures.last >= self.patience.forgotten_after:
            del self._failures[key]
            return 0.0
        return max(0.0, failures.last + self._delay(key, failures.count) - now)

    def _delay(self, key: Key, count: int) -> float:
        patience = self.patience
        beyond = count - (patience.free_per_address if key[0] == "address" else patience.free_per_user)
        if beyond <= 0:
            return 0.0
        # The exponent is bounded, as floats are.
        return min(patience.longest_delay, patience.first_delay * 2.0 ** min(beyond - 1, 64))

    def _count(self, key: Key, now: float) -> None:
        failures = self._failures.setdefault(key, _Failures(0, now))
        failures.count += 1
        failures.last = now
        self._failures.move_to_end(key)
        self._bound(self._failures)

    def _take_back(self, key: Key) -> None:
        failures = self._failures.get(key)
        if failures is None:
            return
        failures.count -= 1
        if failures.count <= 0:
            del self._failures[key]

    def _bound(self, remembered: OrderedDict[Key, _Failures] | OrderedDict[Key, None]) -> None:
        while len(remembered) > self.patience.most_remembered:
            remembered.popitem(last=False)


def _pair(address: str, user: str) -> Key:
    return ("pair", address, user)
