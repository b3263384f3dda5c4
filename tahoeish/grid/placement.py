"""
Which peer gets which share.

All of it is arithmetic. A peer may be anything that can be a key of a dictionary.

*Happiness* is the number of peers that could be made to give one share each, no two of them the same: the
size of a maximum matching between peers and shares. An upload with happiness h survives the loss of any h - k
of those peers, if k shares are needed.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha1
from typing import Generic, TypeVar

P = TypeVar("P")
Q = TypeVar("Q")


def permuted(storage_index: bytes, peers: Iterable[P], seed: Callable[[P], bytes]) -> list[P]:
    """
    The ring of a storage index: the order in which writers choose peers for a file and readers ask them for
    it.
    """
    return sorted(peers, key=lambda peer: sha1(storage_index + seed(peer), usedforsecurity=False).digest())


def happiness(holders: Mapping[int, Collection[P]]) -> int:
    """How many peers can be told apart by their shares, given who holds (or will hold) each share."""
    held: dict[P, set[int]] = {}
    for number, peers in holders.items():
        for peer in peers:
            held.setdefault(peer, set()).add(number)
    matching: dict[int, P] = {}
    for peer in held:
        _match(peer, held, matching)
    return len(matching)


@dataclass(frozen=True, slots=True)
class Placement(Generic[P]):
    asked: dict[P, list[int]]
    """The shares to ask room for, by peer. No share is asked of two peers."""
    homeless: list[int]
    """The shares that no peer holds and no peer takes."""


def place(
    total: int,
    ring: Sequence[P],
    held: Mapping[P, Collection[int]],
    writable: Collection[P],
    barred: Mapping[P, Collection[int]] | None = None,
) -> Placement[P]:
    """
    Find a home for each of the shares 0 to `total` - 1, so that happiness is as great as can be.

    A share that a peer in `held` has isn't sent again, except where a peer would otherwise add nothing to
    happiness. The first writable peers of the ring get one share each; when there are more shares than peers,
    those that have least get the rest. No peer is asked for what is `barred` for it.

    When peers have refused shares, call it again, with what has been granted added to `held`, and without
    those peers in `writable`.
    """
    barred = barred or {}
    # Peers that can't be written to first: they count only through what they hold, the others take any share.
    matching: dict[int, P] = {}
    for peer in sorted(ring, key=lambda peer: peer in writable):
        _match(peer, held, matching)

    existing = {number for peer in ring for number in held.get(peer, ())}
    homeless = [number for number in range(total) if number not in existing]
    spare = [number for number in range(total) if number in existing and number not in matching]
    takers = [peer for peer in ring if peer in writable]
    matched = set(matching.values())
    unmatched = [peer for peer in takers if peer not in matched]

    first = _one_each(homeless + spare, unmatched, barred)
    asked = {peer: [number] for peer, number in first.items()}
    left_over = []
    for number in homeless:
        if number in first.values():
            continue
        open_to = [peer for peer in takers if number not in barred.get(peer, ())]
        if open_to:
            peer = min(open_to, key=lambda peer: len(held.get(peer, ())) + len(asked.get(peer, ())))
            asked.setdefault(peer, []).append(number)
        else:
            left_over.append(number)
    return Placement(asked, left_over)


def _one_each(numbers: Sequence[int], peers: Sequence[P], barred: Mapping[P, Collection[int]]) -> dict[P, int]:
    """A share for each of the peers, as far as they go; where nothing is barred, the first for the first."""
    if not any(barred.values()):
        return dict(zip(peers, numbers, strict=False))
    open_to = {number: [peer for peer in peers if number not in barred.get(peer, ())] for number in numbers}
    chosen: dict[P, int] = {}
    for number in numbers:
        if len(chosen) == len(peers):
            break
        free = next((peer for peer in open_to[number] if peer not in chosen), None)
        if free is None:
            _match(number, open_to, chosen)
        else:
            chosen[free] = number
    return chosen


def _match(taker: P, offered: Mapping[P, Collection[Q]], matching: dict[Q, P]) -> bool:
    """Give `taker` a thing of its own in `matching`, where need be by giving others another one of theirs."""
    # As a rule one of them is still to be had.
    for thing in offered.get(taker, ()):
        if thing not in matching:
            matching[thing] = taker
            return True
    if not offered.get(taker):
        return False
    tried: set[Q] = set()

    def give(taker: P) -> bool:
        for thing in offered.get(taker, ()):
            if thing not in tried:
                tried.add(thing)
                if thing not in matching or give(matching[thing]):
                    matching[thing] = taker
                    return True
        return False

    return give(taker)
