"""Rows of the table of entries, and the few statements that read and write them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, bindparam, delete, insert, select, update

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
_CHILD = select(entries).where(entries.c.parent == bindparam("within"), entries.c.name == bindparam("called"))
_MEMBERS = select(entries).where(entries.c.parent == bindparam("within")).order_by(entries.c.name)
_MEMBERS_AFTER = _MEMBERS.where(entries.c.name > bindparam("after"))
_INSERT = insert(entries).returning(entries)
_ABOVE = (
    update(entries)
    .where(entries.c.id.in_(bindparam("above", expanding=True)))
    .values(size=entries.c.size + bindparam("more"))
)
_PARENT = (
    update(entries)
    .where(entries.c.id == bindparam("within"))
    .values(size=entries.c.size + bindparam("more"), changes=entries.c.changes + 1)
)
_PARENT_LISTED_ANEW = _PARENT.values(modified=bindparam("when"))


def by_id(connection: Connection, number: int) -> Record:
    return Record(*connection.execute(_BY_ID, {"number": number}).one())


def child(connection: Connection, folder: int, name: str) -> Record | None:
    row = connection.execute(_CHILD, {"within": folder, "called": name}).one_or_none()
    return None if row is None else Record(*row)


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
    if listed_anew is None:
        connection.execute(_PARENT, {"within": parent.id, "more": growth})
    else:
        connection.execute(_PARENT_LISTED_ANEW, {"within": parent.id, "more": growth, "when": listed_anew})
    if growth and len(folders) > 1:
        connection.execute(_ABOVE, {"above": [folder.id for folder in folders[:-1]], "more": growth})
