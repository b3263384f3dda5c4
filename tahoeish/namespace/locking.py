"""Making and ending locks. Each is the work of one transaction."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from sqlalchemy import Connection

from tahoeish.namespace import changes, lock_table, locks
from tahoeish.namespace.conditions import Conditions
from tahoeish.namespace.entries import NOTHING, VIRTUAL, Entry
from tahoeish.namespace.errors import ConditionFailed, Forbidden, Locked, NoSuchLock, TooManyLocks
from tahoeish.namespace.locks import Lock, LockLimits, LockWish
from tahoeish.namespace.names import Path
from tahoeish.namespace.places import SHARED, Place, seen
from tahoeish.namespace.view import View, as_seen


def lock(
    view: View, path: Path, wish: LockWish, conditions: Conditions, limits: LockLimits, new_token: Callable[[], str]
) -> tuple[Lock, bool]:
    place = view.change(path)
    created = place.record is None
    if created:
        place.demand_parent()
    view.demand(place.path, conditions)
    against = locks.conflicting(view.locks_about(place, tree=True), place.place, wish)
    if against:
        raise Locked(place.path, tuple(as_seen(one, place) for one in against))
    if lock_table.held_by(view.connection, view.user, view.now) >= limits.most_per_user:
        raise TooManyLocks(view.user, limits.most_per_user)
    if created:
        view.demand_tokens(place, conditions, listing=True)
        changes.write(view, place, NOTHING, view.now)
    seconds = _granted(wish.seconds, limits)
    made = Lock(
        new_token(), place.place, view.user, wish.scope, wish.depth, wish.owner_xml, seconds, view.now + seconds
    )
    lock_table.add(view.connection, place.owner, made)
    return as_seen(made, place), created


def refresh(view: View, path: Path, conditions: Conditions, seconds: int | None, limits: LockLimits) -> Lock:
    place = view.change(path)
    view.demand(place.path, conditions)
    meant = [one for one in _covering(view, place) if one.token in conditions.submitted]
    if not meant:
        raise ConditionFailed(place.path)
    found = meant[0]
    if found.holder != view.user:
        raise Forbidden(place.path, f"the lock's token is that of {found.holder}, not of {view.user}")
    granted = _granted(seconds, limits)
    longer = replace(found, seconds=granted, expires=view.now + granted)
    lock_table.prolong(view.connection, longer)
    return as_seen(longer, place)


def unlock(view: View, path: Path, token: str) -> None:
    place = view.change(path)
    found = next((one for one in _covering(view, place) if one.token == token), None)
    if found is None:
        raise NoSuchLock(token)
    if view.user not in (found.holder, place.owner):
        raise Forbidden(place.path, f"the lock's token is that of {found.holder}, not of {view.user}")
    lock_table.end(view.connection, token, view.now)


def locks_on(view: View, entries: Sequence[Entry]) -> dict[int, list[Lock]]:
    real = [entry for entry in entries if entry.id != VIRTUAL]
    by_owner = {
        owner: lock_table.of_owner(view.connection, owner, view.now) for owner in {entry.owner for entry in real}
    }
    found: dict[int, list[Lock]] = {}
    for entry in real:
        covering = locks.covering(by_owner[entry.owner], entry.place)
        if covering:
            found[entry.id] = [replace(one, path=seen(entry.path, entry.place, one.path)) for one in covering]
    return found


def _covering(view: View, place: Place) -> list[Lock]:
    return locks.covering(view.locks_about(place, tree=False), place.place)


def _granted(wished: int | None, limits: LockLimits) -> int:
    return limits.longest_seconds if wished is None else max(1, min(wished, limits.longest_seconds))


def everywhere(connection: Connection, now: float) -> list[Lock]:
    found = lock_table.everywhere(connection, now)
    return [replace(one, path=(SHARED + owner, *one.path)) for owner, one in found]


def break_lock(connection: Connection, token: str, now: float) -> None:
    if not lock_table.end(connection, token, now):
        raise NoSuchLock(token)
