"""
What names stood for before.

A file that gets another content keeps its record, with properties and all; its old content goes into a record of its
own, without a parent. What is removed keeps its record too, and only loses its parent, so a folder of any size is
removed at once. Either way a version says which name, in which folder, it belongs to.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Select, and_, delete, func, insert, literal, select, update

from tahoeish.namespace import records
from tahoeish.namespace.entries import Content, Version
from tahoeish.namespace.errors import NoSuchVersion
from tahoeish.namespace.names import Path
from tahoeish.namespace.records import Record
from tahoeish.namespace.schema import entries, versions


def keep_content(connection: Connection, record: Record, successor: Content, now: float) -> None:
    """
    Before a file gets another content.

    Nothing is kept of an empty file: many clients make one first, of every file. Nor if it is the same content again.
    """
    if record.content is None or not record.size or record.cap == successor.cap:
        return
    kept = records.add_file(connection, None, record.name, record.content, (record.created, record.modified))
    _add(connection, record.parent, record.name, kept.id, now)


def detach(connection: Connection, record: Record, now: float) -> None:
    """Take a record, with all below it, out of its folder."""
    records.change(connection, record.id, parent=None)
    _add(connection, record.parent, record.name, record.id, now)


def detach_members(connection: Connection, folder: Record, now: float) -> None:
    """The same for all that is in a folder."""
    members = select(entries.c.parent, entries.c.name, entries.c.id, literal(now)).where(entries.c.parent == folder.id)
    connection.execute(insert(versions).from_select(["folder", "name", "entry", "replaced"], members))
    connection.execute(update(entries).where(entries.c.parent == folder.id).values(parent=None))


def find(connection: Connection, folder: int, path: Path, version_id: int) -> Record:
    """What this version of the last name of the path stands for."""
    statement = (
        select(entries)
        .join(versions, versions.c.entry == entries.c.id)
        .where(versions.c.id == version_id, versions.c.folder == folder, versions.c.name == path[-1])
    )
    row = connection.execute(statement).one_or_none()
    if row is None:
        raise NoSuchVersion(path, version_id)
    return Record(*row)


def release(connection: Connection, folder: int, path: Path, version_id: int) -> None:
    """The record is a version no longer. `NoSuchVersion` if a purge has begun to delete it since it was found."""
    where = (versions.c.id == version_id, versions.c.folder == folder)
    if not connection.execute(delete(versions).where(*where)).rowcount:
        raise NoSuchVersion(path, version_id)


def of_name(connection: Connection, folder: int, name: str, limit: int) -> list[Version]:
    """Newest first."""
    statement = (
        _select()
        .where(versions.c.folder == folder, versions.c.name == name)
        .order_by(versions.c.replaced.desc(), versions.c.id.desc())
        .limit(limit)
    )
    return [_version(row) for row in connection.execute(statement)]


def removed(connection: Connection, folder: int, limit: int) -> list[Version]:
    """Of each name that is in the folder no longer, the newest."""
    there = select(entries.c.id).where(entries.c.parent == folder, entries.c.name == versions.c.name).exists()
    newest = (
        select(func.max(versions.c.id))
        .where(versions.c.folder == folder, ~there)
        .group_by(versions.c.name)
        .order_by(versions.c.name)
        .limit(limit)
    )
    statement = _select().where(versions.c.id.in_(newest)).order_by(versions.c.name)
    return [_version(row) for row in connection.execute(statement)]


def purge(connection: Connection, older_than: float, limit: int) -> int:
    """
    Delete for good what is older, and what can't be reached because its folder has been purged.

    A folder goes away from the top down: first its files, then its folders become versions without a folder, and when
    it is empty, it goes itself. `limit` bounds these steps, and so the length of the transaction. Returns how many it
    took.
    """
    doomed = _doomed(connection, versions.c.folder.is_(None), limit)
    older = and_(versions.c.folder.is_not(None), versions.c.replaced < older_than)
    doomed += _doomed(connection, older, limit - len(doomed))
    files = [one for one in doomed if not one.folder]
    _delete(connection, files)
    steps = len(files)
    for one in doomed:
        if one.folder and steps < limit:
            # Half a folder must not be restored.
            connection.execute(update(versions).where(versions.c.id == one.id).values(folder=None))
            steps += _clear(connection, one.entry, limit - steps)
            if steps < limit:
                _delete(connection, [one])
                steps += 1
    return steps


def _doomed(connection: Connection, which: ColumnElement[bool], limit: int) -> list[Row[tuple[int, int, bool]]]:
    statement = (
        select(versions.c.id, versions.c.entry, entries.c.folder)
        .join(entries, entries.c.id == versions.c.entry)
        .where(which)
        .order_by(versions.c.replaced)
        .limit(limit)
        # Somebody may be restoring it.
        .with_for_update(of=versions, skip_locked=True)
    )
    return list(connection.execute(statement))


def _delete(connection: Connection, doomed: list[Row[tuple[int, int, bool]]]) -> None:
    connection.execute(delete(versions).where(versions.c.id.in_([one.id for one in doomed])))
    connection.execute(delete(entries).where(entries.c.id.in_([one.entry for one in doomed])))


def _clear(connection: Connection, folder: int, limit: int) -> int:
    """Take this many members out of a folder that nobody can reach; returns how many there were."""
    files = select(entries.c.id).where(entries.c.parent == folder, ~entries.c.folder).limit(limit)
    deleted = connection.execute(delete(entries).where(entries.c.id.in_(files))).rowcount
    folders = select(entries.c.id).where(entries.c.parent == folder, entries.c.folder).limit(limit - deleted)
    numbers = connection.execute(folders).scalars().all()
    if numbers:
        connection.execute(update(entries).where(entries.c.id.in_(numbers)).values(parent=None))
        orphans = [{"folder": None, "name": "", "entry": number, "replaced": 0.0} for number in numbers]
        connection.execute(insert(versions), orphans)
    return deleted + len(numbers)


def _add(connection: Connection, folder: int | None, name: str, entry: int, now: float) -> None:
    connection.execute(insert(versions).values(folder=folder, name=name, entry=entry, replaced=now))


def _select() -> Select[Any]:
    # The columns of the record first, so that they can be taken off together.
    columns = (versions.c.id.label("version"), versions.c.name.label("called"), versions.c.replaced)
    return select(*entries.c, *columns).join(versions, versions.c.entry == entries.c.id)


def _version(row: Row[Any]) -> Version:
    record = Record(*row[: len(entries.c)])
    return Version(row.version, row.called, record.kind, record.content, record.size, record.modified, row.replaced)
