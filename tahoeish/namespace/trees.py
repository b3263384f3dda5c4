"""Whose tree it is: the top of each user's folders, its quota, and what happens to it when users come and go."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from sqlalchemy import Connection, bindparam, delete, exists, insert, select, update

from tahoeish.namespace import records
from tahoeish.namespace.entries import Usage
from tahoeish.namespace.errors import NoSuchUser, OverQuota
from tahoeish.namespace.records import Record
from tahoeish.namespace.schema import locks, trees, users, versions
from tahoeish.namespace.viewer import LOCAL

_FIND = select(
    trees.c.root,
    select(users.c.quota).where(users.c.name == trees.c.owner).scalar_subquery().label("quota"),
    exists().where(locks.c.owner == trees.c.owner).label("locked"),
).where(trees.c.owner == bindparam("who"))
_HOLD = (
    select(trees.c.owner)
    .where(trees.c.owner.in_(bindparam("owners", expanding=True)))
    .order_by(trees.c.owner)
    .with_for_update()
)


@dataclass(frozen=True, slots=True)
class Tree:
    """
    What every look into a user's tree begins with: the number of its top, and the user's quota.

    `locked`: there are locks on something in it, even if all of them may have run out.
    """

    root: int
    quota: int | None
    locked: bool


def find(connection: Connection, owner: str) -> Tree | None:
    """None if the user has no tree yet."""
    row = connection.execute(_FIND, {"who": owner}).one_or_none()
    return None if row is None else Tree(*row)


def make_root(connection: Connection, owner: str, now: float) -> None:
    """Make the top of a tree."""
    number = records.add_folder(connection, None, "", (now, now)).id
    connection.execute(insert(trees).values(owner=owner, root=number))


def has_users(connection: Connection) -> bool:
    return connection.execute(select(users.c.name).where(users.c.name != LOCAL).limit(1)).first() is not None


def hold(connection: Connection, owners: Iterable[str]) -> None:
    """
    Let nobody else change these users' trees until the transaction ends.

    So that sizes and locks are right without PostgreSQL having to end one of two transactions that change the same
    tree; the order keeps them from waiting for each other. In SQLite there is only one at a time anyway. Nothing else
    is asked in the same statement: if it has to wait, it sees everything else as it was before.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(_HOLD, {"owners": sorted(set(owners))}).all()


def set_quota(connection: Connection, user: str, most: int | None) -> None:
    if not connection.execute(update(users).where(users.c.name == user).values(quota=most)).rowcount:
        raise NoSuchUser(user)


def usage(connection: Connection, owner: str) -> Usage:
    tree = find(connection, owner)
    if tree is None:
        return Usage(0, None)
    used = records.by_id(connection, tree.root).size
    return Usage(used, None if tree.quota is None else max(0, tree.quota - used))


def demand_room(quota: int | None, owner: str, top: Record, growth: int) -> None:
    """`OverQuota` if the tree may not grow by so much. It may always shrink."""
    if quota is not None and growth > 0 and top.size + growth > quota:
        raise OverQuota(owner, quota, top.size, growth)


def hand_over(connection: Connection, old: str, new: str) -> None:
    """Give all that `old` has to `new`, who has nothing yet: the tree, and the locks on it and elsewhere."""
    connection.execute(update(trees).where(trees.c.owner == old).values(owner=new))
    connection.execute(update(locks).where(locks.c.owner == old).values(owner=new))
    connection.execute(update(locks).where(locks.c.holder == old).values(holder=new))


def discard(connection: Connection, owner: str) -> None:
    """Take a user's tree and locks away: nobody can reach it any more, and the next purge deletes it."""
    hold(connection, [owner])
    tree = find(connection, owner)
    if tree is not None:
        connection.execute(delete(trees).where(trees.c.owner == owner))
        connection.execute(insert(versions).values(folder=None, name="", entry=tree.root, replaced=0.0))
    connection.execute(delete(locks).where((locks.c.owner == owner) | (locks.c.holder == owner)))
