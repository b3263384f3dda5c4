"""
Locks: who keeps others from changing an entry, how far down, and until when (RFC 4918 section 6).

What a lock covers and which token a change needs are rules about paths. They know nothing of the database.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from enum import Enum

from tahoeish.namespace.errors import Forbidden, Locked
from tahoeish.namespace.names import Path


class Scope(Enum):
    EXCLUSIVE = "exclusive"
    SHARED = "shared"


class Depth(Enum):
    ZERO = "0"
    INFINITY = "infinity"


@dataclass(frozen=True, slots=True)
class LockWish:
    """What a client asks for. `owner_xml`: its `owner` element, verbatim; `seconds`: None for as long as possible."""

    scope: Scope
    depth: Depth
    owner_xml: str | None
    seconds: int | None


@dataclass(frozen=True, slots=True)
class Lock:
    """
    A lock that holds until `expires`; `seconds` is what was granted.

    `path` is what it was put on, as the viewer who asks knows it. When that lies above what is shared with the
    viewer, it is the top of the share. `holder` is the user who may use the token.
    """

    token: str
    path: Path
    holder: str
    scope: Scope
    depth: Depth
    owner_xml: str | None
    seconds: int
    expires: float

    def covers(self, path: Path) -> bool:
        if self.depth is Depth.ZERO:
            return self.path == path
        return self.path == path[: len(self.path)]


@dataclass(frozen=True, slots=True)
class LockLimits:
    """How many locks one user may hold, and how long one lasts at most without being refreshed."""

    most_per_user: int = 1000
    longest_seconds: int = 3600


def covering(locks: Sequence[Lock], path: Path) -> list[Lock]:
    return [lock for lock in locks if lock.covers(path)]


def below(locks: Sequence[Lock], path: Path) -> list[Lock]:
    return [lock for lock in locks if len(lock.path) > len(path) and lock.path[: len(path)] == path]


def conflicting(locks: Sequence[Lock], path: Path, wish: LockWish) -> list[Lock]:
    """Of these locks, those that don't allow another one on the path."""
    touched = covering(locks, path)
    if wish.depth is Depth.INFINITY:
        touched += below(locks, path)
    return [lock for lock in touched if Scope.EXCLUSIVE in (lock.scope, wish.scope)]


def demand_tokens(
    locks: Sequence[Lock], path: Path, user: str, submitted: Collection[str], *, listing: bool, tree: bool
) -> None:
    """
    `Locked` unless the user submitted a token for everything that the change touches; `Forbidden` with another's token.

    Of several that share a lock, one token is enough. `listing`: the name is added to its folder or taken out. `tree`:
    what lies below goes away with it.
    """
    touched = [covering(locks, path)]
    if listing:
        touched.append(covering(locks, path[:-1]))
    if tree:
        roots = {lock.path for lock in below(locks, path)}
        touched += [[lock for lock in locks if lock.path == root] for root in sorted(roots)]
    for holding in touched:
        if not holding:
            continue
        usable = [lock for lock in holding if lock.token in submitted]
        if not usable:
            raise Locked(path, tuple(holding))
        if all(lock.holder != user for lock in usable):
            raise Forbidden(path, f"the lock's token is that of {usable[0].holder}, not of {user}")
