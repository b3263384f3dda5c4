"""Shares: folders that their owner lets another user into."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Select, bindparam, delete, insert, select, update

from tahoeish.namespace import records, trees
from tahoeish.namespace.names import Path
from tahoeish.namespace.records import Record
from tahoeish.namespace.schema import shares


@dataclass(frozen=True, slots=True)
class Share:
    """
    `with_user` finds the folder as `/@OWNER/NAME`.

    `path` is where the viewer who asks finds it: in their own tree if they are the owner. It is shared as long as it
    lies anywhere in the owner's tree.
    """

    owner: str
    with_user: str
    name: str
    writable: bool
    path: Path


@dataclass(frozen=True, slots=True)
class SharedFolder:
    """A share as the database has it, with the records from the top of the owner's tree down to the folder."""

    owner: str
    with_user: str
    name: str
    writable: bool
    records: tuple[Record, ...]

    @property
    def place(self) -> Path:
        return tuple(record.name for record in self.records[1:])


_ONE = select(shares).where(
    shares.c.owner == bindparam("whose"), shares.c.with_user == bindparam("whom"), shares.c.name == bindparam("called")
)
_FROM = (
    select(shares)
    .where(shares.c.owner == bindparam("whose"), shares.c.with_user == bindparam("whom"))
    .order_by(shares.c.name)
)
_WITH = select(shares).where(shares.c.with_user == bindparam("whom")).order_by(shares.c.owner, shares.c.name)
_BY = select(shares).where(shares.c.owner == bindparam("whose")).order_by(shares.c.with_user, shares.c.name)


def find(connection: Connection, owner: str, with_user: str, name: str) -> SharedFolder | None:
    found = _living(connection, _ONE, {"whose": owner, "whom": with_user, "called": name})
    return found[0] if found else None


def between(connection: Connection, owner: str, with_user: str) -> list[SharedFolder]:
    return _living(connection, _FROM, {"whose": owner, "whom": with_user})


def with_user(connection: Connection, user: str) -> list[SharedFolder]:
    return _living(connection, _WITH, {"whom": user})


def by_owner(connection: Connection, user: str) -> list[SharedFolder]:
    return _living(connection, _BY, {"whose": user})


def put(connection: Connection, owner: str, with_user: str, name: str, folder: int, writable: bool) -> None:
    key = (shares.c.owner == owner, shares.c.with_user == with_user, shares.c.name == name)
    changed = connection.execute(update(shares).where(*key).values(folder=folder, writable=writable))
    if not changed.rowcount:
        connection.execute(
            insert(shares).values(owner=owner, with_user=with_user, name=name, folder=folder, writable=writable)
        )


def end(connection: Connection, owner: str, with_user: str, name: str) -> bool:
    """Whether there was such a share."""
    key = (shares.c.owner == owner, shares.c.with_user == with_user, shares.c.name == name)
    return connection.execute(delete(shares).where(*key)).rowcount > 0


def _living(connection: Connection, statement: Select[Any], given: dict[str, str]) -> list[SharedFolder]:
    """Those whose folder still lies in its owner's tree: it may have been removed, or moved to somebody else's."""
    found = []
    for row in connection.execute(statement, given).all():
        chain = [records.by_id(connection, row.folder)]
        while (parent := chain[-1].parent) is not None:
            chain.append(records.by_id(connection, parent))
        tree = trees.find(connection, row.owner)
        if tree is not None and chain[-1].id == tree.root:
            found.append(SharedFolder(row.owner, row.with_user, row.name, row.writable, tuple(reversed(chain))))
    return found
