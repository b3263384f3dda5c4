"""Rows of the table of entries, and the few statements that read and write them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any

from sqlalchemy import Connection, Select, Update, and_, bindparam, case, delete, insert, select, update

from tahoeish.namespace.entries import Content, Entry, Kind
from tahoeish.namespace.names import Path
from tahoeish.namespace.schema import entries


@dataclass(frozen=True, slots=True)
class Record:
    """One row; its fields are the table's columns, in their order."""

    id: int
    parent: int | None
    name: str
    folder: bool
    cap: str | None
    size: int
    content_type: str | None
    checksums: str | None
    created: float
    modified: float
    changes: int

    @property
    def kind(self) -> Kind:
        return Kind.FOLDER if self.folder else Kind.FILE

    @property
    def content(self) -> Content | None:
        if self.cap is None:
            return None
        checksums = tuple(_checksum(one) for one in (self.checksums or "").split())
        return Content(self.cap, self.size, self.content_type, checksums)

    def entry(self, owner: str, path: Path, place: Path) -> Entry:
        return Entry(
            self.id,
            self.parent,
            path[-1] if path else "",
            owner,
            self.kind,
            self.content,
            self.size,
            self.created,
            self.modified,
            self.changes,
            path,
            place,
        )


def _checksum(text: str) -> tuple[str, str]:
    name, _, value = text.partition(":")
    return name, value


_BY_ID = select(entries).where(entries.c.id == bindparam("number"))
_MEMBERS = select(entries).where(entries.c.parent == bindparam("within")).order_by(entries.c.name)
_MEMBERS_AFTER = _MEMBERS.where(entries.c.name > bindparam("after"))
_INSERT = insert(entries).returning(entries)

_STEPS = 16
"""Names that one statement follows. SQLite joins up to 64 tables, but nobody needs it to plan for so many."""


@cache
def _along(steps: int) -> Select[Any]:
    found = [entries.alias(f"step{number}") for number in range(steps + 1)]
    joined: Any = found[0]
    for number in range(1, steps + 1):
        is_next = and_(
            found[number].c.parent == found[number - 1].c.id, found[number].c.name == bindparam(f"name{number}")
        )
        joined = joined.outerjoin(found[number], is_next)
    columns = [column for one in found for column in one.c]
    return select(*columns).select_from(joined).where(found[0].c.id == bindparam("start"))


@lru_cache
def _folders_changed(folders: int) -> Update:
    """Of so many folders, one in the other, the innermost is `within`."""
    is_parent = entries.c.id == bindparam("within")
    numbers: list[Any] = [bindparam(f"folder{number}") for number in range(folders)]
    return (
        update(entries)
        .where(entries.c.id.in_(numbers))
        .values(
            size=entries.c.size + bindparam("more"),
            changes=entries.c.changes + case((is_parent, 1), else_=0),
            modified=case((is_parent, bindparam("when")), else_=entries.c.modified),
        )
    )


def by_id(connection: Connection, number: int) -> Record:
    return Record(*connection.execute(_BY_ID, {"number": number}).one())


def along(connection: Connection, start: int, names: Path) -> tuple[Record, ...]:
    """The record with this number and, one in the other, those that the names lead to, as far as there are any."""
    width = len(entries.c)
    steps = names[:_STEPS]
    given = {f"name{number}": name for number, name in enumerate(steps, start=1)}
    row = tuple(connection.execute(_along(len(steps)), {"start": start, **given}).one())
    there = [row[first : first + width] for first in range(0, len(row), width) if row[first] is not None]
    found = tuple(Record(*columns) for columns in there)
    if len(found) > len(steps) and names[_STEPS:]:
        return (*found[:-1], *along(connection, found[-1].id, names[_STEPS:]))
    return found


def members(connection: Connection, folder: int, after: str | None, limit: int) -> list[Record]:
    """In the order of their names."""
    statement = (_MEMBERS if after is None else _MEMBERS_AFTER).limit(limit)
    given = {"within": folder} if after is None else {"within": folder, "after": after}
    return [Record(*row) for row in connection.execute(statement, given)]


def add_file(
    connection: Connection, parent: int | None, name: str, content: Content, times: tuple[float, float]
) -> Record:
    return _add(connection, parent, name, times, folder=False, **content_columns(content))


def add_folder(connection: Connection, parent: int | None, name: str, times: tuple[float, float]) -> Record:
    return _add(connection, parent, name, times, folder=True, cap=None, size=0, content_type=None, checksums=None)


def _add(
    connection: Connection, parent: int | None, name: str, times: tuple[float, float], **columns: object
) -> Record:
    created, modified = times
    row = {"parent": parent, "name": name, "created": created, "modified": modified, "changes": 0, **columns}
    return Record(*connection.execute(_INSERT, row).one())


def content_columns(content: Content) -> dict[str, object]:
    checksums = " ".join(f"{name}:{value}" for name, value in content.checksums)
    return {
        "cap": content.cap,
        "size": content.size,
        "content_type": content.content_type,
        "checksums": checksums or None,
    }


def change(connection: Connection, number: int, **columns: object) -> Record:
    return Record(
        *connection.execute(update(entries).where(entries.c.id == number).values(columns).returning(entries)).one()
    )


def remove(connection: Connection, number: int) -> None:
    connection.execute(delete(entries).where(entries.c.id == number))


def member_changed(
    connection: Connection, folders: Sequence[Record], growth: int, *, listed_anew: float | None = None
) -> None:
    """
    Tell the folders above an entry, from the top of the tree down, what has become of it.

    `listed_anew`: when its name was added to the last of them or taken out, now.
    """
    parent = folders[-1]
    changed = folders if growth else [parent]
    numbers = {f"folder{number}": folder.id for number, folder in enumerate(changed)}
    when = parent.modified if listed_anew is None else listed_anew
    connection.execute(_folders_changed(len(changed)), {**numbers, "within": parent.id, "more": growth, "when": when})
