"""Copying records inside the database: a tree of any size in a few statements."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Column,
    ColumnElement,
    Connection,
    MetaData,
    Table,
    case,
    column,
    func,
    insert,
    literal,
    select,
    table,
)

from tahoeish.namespace import records
from tahoeish.namespace.records import Record
from tahoeish.namespace.schema import entries, properties

# Which new number stands for which old one, as long as the copying takes.
_numbers = Table(
    "copying",
    MetaData(),
    Column("old", BigInteger, primary_key=True, autoincrement=False),
    Column("new", BigInteger, nullable=False),
    prefixes=["TEMPORARY"],
    postgresql_on_commit="DROP",
)


def copy_one(connection: Connection, source: Record, folder: int, name: str, times: tuple[float, float]) -> Record:
    """A file with its content, or a folder without what is in it; with properties. `times`: created and modified."""
    if source.content is None:
        copied = records.add_folder(connection, folder, name, times)
    else:
        copied = records.add_file(connection, folder, name, source.content, times)
    kept = (properties.c.namespace, properties.c.name, properties.c.value)
    chosen = select(literal(copied.id, BigInteger), *kept).where(properties.c.entry == source.id)
    connection.execute(insert(properties).from_select(["entry", *kept], chosen))
    return copied


def copy_tree(connection: Connection, source: Record, folder: int, name: str, times: tuple[float, float]) -> Record:
    """A folder with all below it, which keeps the time it was modified at. `folder` doesn't lie within it."""
    _numbers.create(connection, checkfirst=False)
    _number(connection, source)
    created, modified = times
    above = _numbers.alias("above")
    is_source = entries.c.id == source.id
    columns: dict[Column[object], ColumnElement[object]] = {
        entries.c.id: _numbers.c.new,
        entries.c.parent: func.coalesce(above.c.new, folder),
        entries.c.name: case((is_source, name), else_=entries.c.name),
        entries.c.created: literal(created),
        entries.c.modified: case((is_source, modified), else_=entries.c.modified),
        entries.c.changes: literal(0),
    }
    columns |= {kept: kept for kept in entries.c if kept not in columns}
    chosen = (
        select(*columns.values())
        .select_from(_numbers)
        .join(entries, entries.c.id == _numbers.c.old)
        .outerjoin(above, above.c.old == entries.c.parent)
        .order_by(_numbers.c.new)
    )
    connection.execute(insert(entries).from_select(list(columns), chosen))
    kept = (properties.c.namespace, properties.c.name, properties.c.value)
    owned = select(_numbers.c.new, *kept).join(properties, properties.c.entry == _numbers.c.old)
    connection.execute(insert(properties).from_select(["entry", *kept], owned))
    number = connection.execute(select(_numbers.c.new).where(_numbers.c.old == source.id)).scalar_one()
    _numbers.drop(connection, checkfirst=False)
    return records.by_id(connection, number)


def _number(connection: Connection, source: Record) -> None:
    tree = select(entries.c.id).where(entries.c.id == source.id).cte("tree", recursive=True)
    tree = tree.union_all(select(entries.c.id).where(entries.c.parent == tree.c.id))
    chosen = select(tree.c.id, _next_number(connection))
    connection.execute(insert(_numbers).from_select([_numbers.c.old, _numbers.c.new], chosen))


def _next_number(connection: Connection) -> ColumnElement[int]:
    if connection.dialect.name == "postgresql":
        return func.nextval(func.pg_get_serial_sequence(entries.name, entries.c.id.name))
    used = table("sqlite_sequence", column("name"), column("seq"))
    last = select(used.c.seq).where(used.c.name == entries.name).scalar_subquery()
    return last + func.row_number().over()
