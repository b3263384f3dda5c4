"""Whose tree it is: the top of each user's folders, its quota, and what happens to it when users come and go."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import Connection, bindparam, delete, insert, select, update

from tahoeish.namespace import records
from tahoeish.namespace.entries import Usage
from tahoeish.namespace.errors import NoSuchUser, OverQuota
from tahoeish.namespace.records import Record
from tahoeish.namespace.schema import locks, trees, users, versions

_ROOT = select(trees.c.root).where(trees.c.owner == bindparam("who"))
_HOLD = (
    select(trees.c.owner, trees.c.root)
    .where(trees.c.owner.in_(bindparam("owners", expanding=True)))
    .order_by(trees.c.owner)
    .with_for_update()
)
_QUOTA = select(users.c.quota).where(users.c.name == bindparam("who"))


def root(connection: Connection, owner: str) -> int | None:
    """The top of the user's tree. None if the user has none yet."""
    number: int | None = connection.execute(_ROOT, {"who": owner}).scalar_one_or_none()
    return number


def plant(connection: Connection, owner: str, now: float) -> int:
    """Make the top of a tree."""
    number = records.add_folder(connection, None, "", (now, now)).id
    connection.execute(insert(trees).values(owner=owner, root=number))
    return number


def hold(connection: Connection, owners: Iterable[str]) -> dict[str, int]:
    """
    The tops of these users' trees, which nobody else changes until the transaction ends.

    So that sizes and locks are right without PostgreSQL having to end one of two transactions that change the same
    tree; the order keeps them from waiting for each other. In SQLite there is only one at a time anyway.
    """
    found = connection.execute(_HOLD, {"owners": sorted(set(owners))})
    return {row.owner: row.root for row in found}


def quota(connection: Connection, owner: str) -> int | None:
    most: int | None = connection.execute(_QUOTA, {"who": owner}).scalar_one_or_none()
    return most


def set_quota(connection: Connection, user: str, most: int | None) -> None:
    if not connection.execute(update(users).where(users.c.name == user).values(quota=most)).rowcount:
        raise NoSuchUser(user)


def usage(connection: Connection, owner: str) -> Usage:
    number = root(connection, owner)
    used = 0 if number is None else records.by_id(connection, number).size
    most = quota(connection, owner)
    return Usage(used, None if most is None else max(0, most - used))


def demand_room(connection: Connection, owner: str, top: Record, growth: int) -> None:
    """`OverQuota` if the tree may not grow by so much. It may always shrink."""
    if growth <= 0:
        return
    most = quota(connection, owner)
    if most is not None and top.size + growth > most:
        raise OverQuota(owner, most, top.size, growth)


def hand_over(connection: Connection, old: str, new: str) -> None:
    """Give all that `old` has to `new`, who has nothing yet: the tree, and the locks on it and elsewhere."""
    connection.execute(update(trees).where(trees.c.owner == old).values(owner=new))
    connection.execute(update(locks).where(locks.c.owner == old).values(owner=new))
    connection.execute(update(locks).where(locks.c.holder == old).values(holder=new))


def discard(connection: Connection, owner: str) -> None:
    """Take a user's tree and locks away: nobody can reach it any more, and the next purge deletes it."""
    number = hold(connection, [owner]).get(owner)
    if number is not None:
        connection.execute(delete(trees).where(trees.c.owner == owner))
        connection.execute(insert(versions).values(folder=None, name="", entry=number, replaced=0.0))
    connection.execute(delete(locks).where((locks.c.owner == owner) | (locks.c.holder == owner)))
