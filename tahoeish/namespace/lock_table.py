"""The locks in the database. A lock that has run out is as good as gone, whether its row is still there or not."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, and_, delete, func, insert, or_, select, true, update

from tahoeish.namespace.locks import Depth, Lock, Scope
from tahoeish.namespace.names import Path
from tahoeish.namespace.schema import locks


def about(connection: Connection, owner: str, place: Path, now: float, *, tree: bool) -> list[Lock]:
    """
    The locks at a place in a tree and on the folders above it; and, if asked, on all that lies below it.

    Here, and wherever locks come from the database, `path` is the place in the owner's tree.
    """
    above = [_text(place[:depth]) for depth in range(len(place) + 1)]
    there = locks.c.path.in_(above)
    return _living(connection, locks.c.owner == owner, or_(there, _below(place)) if tree else there, now)


def of_owner(connection: Connection, owner: str, now: float) -> list[Lock]:
    return _living(connection, locks.c.owner == owner, true(), now)


def everywhere(connection: Connection, now: float) -> list[tuple[str, Lock]]:
    """With the owner of the tree that each lock is in."""
    rows = connection.execute(select(locks).where(locks.c.expires > now).order_by(locks.c.owner, locks.c.path))
    return [(row.owner, _lock(row)) for row in rows]


def held_by(connection: Connection, user: str, now: float) -> int:
    statement = select(func.count()).where(locks.c.holder == user, locks.c.expires > now)
    return connection.execute(statement).scalar_one()


def add(connection: Connection, owner: str, lock: Lock) -> None:
    connection.execute(
        insert(locks).values(
            token=lock.token,
            owner=owner,
            path=_text(lock.path),
            holder=lock.holder,
            scope=lock.scope.value,
            depth=lock.depth.value,
            owner_xml=lock.owner_xml,
            seconds=lock.seconds,
            expires=lock.expires,
        )
    )


def prolong(connection: Connection, lock: Lock) -> None:
    connection.execute(
        update(locks).where(locks.c.token == lock.token).values(seconds=lock.seconds, expires=lock.expires)
    )


def end(connection: Connection, token: str, now: float) -> bool:
    """Whether it was still holding."""
    return connection.execute(delete(locks).where(locks.c.token == token, locks.c.expires > now)).rowcount > 0


def end_within(connection: Connection, owner: str, place: Path) -> None:
    """What lies there goes away, and all locks at and below it with it."""
    connection.execute(delete(locks).where(locks.c.owner == owner, or_(locks.c.path == _text(place), _below(place))))


def end_below(connection: Connection, owner: str, place: Path) -> None:
    """All that is in the folder goes away, and the locks on it; those on the folder itself stay."""
    connection.execute(delete(locks).where(locks.c.owner == owner, _below(place)))


def end_expired(connection: Connection, now: float) -> None:
    connection.execute(delete(locks).where(locks.c.expires <= now))


def _living(connection: Connection, whose: ColumnElement[bool], where: ColumnElement[bool], now: float) -> list[Lock]:
    rows = connection.execute(select(locks).where(whose, where, locks.c.expires > now).order_by(locks.c.path))
    return [_lock(row) for row in rows]


def _lock(row: Row[Any]) -> Lock:
    return Lock(
        row.token,
        tuple(row.path.split("/")) if row.path else (),
        row.holder,
        Scope(row.scope),
        Depth(row.depth),
        row.owner_xml,
        row.seconds,
        row.expires,
    )


def _text(place: Path) -> str:
    return "/".join(place)


def _below(place: Path) -> ColumnElement[bool]:
    """What begins with the path and a slash; zero is the character after the slash."""
    if not place:
        return locks.c.path != ""
    start = _text(place)
    return and_(locks.c.path > f"{start}/", locks.c.path < f"{start}0")
