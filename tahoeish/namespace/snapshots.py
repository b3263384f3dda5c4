"""
Trees as a whole: read as they are at one moment, and put in place in one step.

Either is one transaction, and holds no more than pages of members in memory, however large the tree is.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Protocol

from sqlalchemy import Connection, bindparam, insert, select

from tahoeish.namespace import history, lock_table, properties, records
from tahoeish.namespace.conditions import Conditions
from tahoeish.namespace.entries import Content, Entry
from tahoeish.namespace.errors import NotEmpty
from tahoeish.namespace.names import Path, check_name
from tahoeish.namespace.places import Place
from tahoeish.namespace.properties import PropertyName
from tahoeish.namespace.records import Record
from tahoeish.namespace.schema import entries
from tahoeish.namespace.schema import properties as property_table
from tahoeish.namespace.view import View

_PAGE = 500

_MEMBERS_OF_A_KIND = (
    select(entries)
    .where(
        entries.c.parent == bindparam("within"),
        entries.c.folder == bindparam("folders"),
        entries.c.name > bindparam("after"),
    )
    .order_by(entries.c.name)
    .limit(_PAGE)
)
_INSERT_PLAIN = insert(entries)
_INSERT = _INSERT_PLAIN.returning(entries.c.id, sort_by_parameter_order=True)


@dataclass(frozen=True, slots=True)
class Item:
    """A file or a folder, and all that is known of it but where it lies. `content` is None for a folder."""

    name: str
    content: Content | None
    created: float
    modified: float
    properties: Mapping[PropertyName, str] = field(default_factory=dict)


class TreeVisitor(Protocol):
    """Is told of a tree, depth first: of each folder first the folders in it, then its files, in order of name."""

    def enter(self, folder: Item) -> None: ...

    def files(self, files: Sequence[Item]) -> None:
        """Of the folder that was entered last and not left yet; often several times."""

    def leave(self) -> None: ...


class Planting(Protocol):
    """
    A tree that is to be put in place.

    Its folders are numbered: 0 is the place itself, the others follow in the order in which they come.
    """

    @property
    def sizes(self) -> Sequence[int]:
        """How many bytes are below each folder."""

    def __iter__(self) -> Iterator[tuple[int, Item]]:
        """Everything in it, each with the number of its folder, which came before. Anew with every call."""


# Reading.


def walk(view: View, path: Path, visitor: TreeVisitor) -> None:
    connection = view.connection
    top = view.reach(path).folder()
    visitor.enter(_items(connection, [top])[0])
    # Not by recursion: there is no limit to how deep folders lie in each other.
    way = [(top, _folders(connection, top))]
    while way:
        folder, remaining = way[-1]
        inner = next(remaining, None)
        if inner is not None:
            record, item = inner
            visitor.enter(item)
            way.append((record, _folders(connection, record)))
            continue
        for page in _pages(connection, folder, folders=False):
            visitor.files(_items(connection, page))
        visitor.leave()
        way.pop()


def _folders(connection: Connection, folder: Record) -> Iterator[tuple[Record, Item]]:
    for page in _pages(connection, folder, folders=True):
        yield from zip(page, _items(connection, page), strict=True)


def _pages(connection: Connection, folder: Record, *, folders: bool) -> Iterator[list[Record]]:
    after = ""
    while True:
        given = {"within": folder.id, "folders": folders, "after": after}
        page = [Record(*row) for row in connection.execute(_MEMBERS_OF_A_KIND, given)]
        if page:
            yield page
        if len(page) < _PAGE:
            return
        after = page[-1].name


def _items(connection: Connection, page: Sequence[Record]) -> list[Item]:
    dead = properties.of_entries(connection, [record.id for record in page])
    return [
        Item(record.name, record.content, record.created, record.modified, dead.get(record.id, {})) for record in page
    ]


# Putting in place.


def demand_plant(view: View, path: Path, overwrite: bool, conditions: Conditions) -> Place:
    """The place, if a tree without any bytes would be let in."""
    place = view.change(path)
    if place.record is None:
        place.demand_parent()
    view.demand(place.path, conditions)
    if place.record is None:
        view.demand_tokens(place, conditions, listing=True)
        return place
    if records.members(view.connection, place.folder().id, None, 1) and not overwrite:
        raise NotEmpty(place.path)
    view.demand_tokens(place, conditions, tree=True)
    return place


def plant(view: View, path: Path, tree: Planting, overwrite: bool, conditions: Conditions) -> Entry:
    place = demand_plant(view, path, overwrite, conditions)
    growth = tree.sizes[0] - (0 if place.record is None else place.record.size)
    view.demand_room(place, growth)
    if place.record is None:
        top = _make(view, place)
    else:
        # The folder itself stays, with its properties, shares and locks.
        top = place.record
        history.detach_members(view.connection, top, view.now)
        lock_table.end_below(view.connection, place.owner, place.place)
    _insert(view.connection, top, tree)
    records.member_changed(view.connection, (*place.folders, top), growth, listed_anew=view.now)
    return place.entry(records.by_id(view.connection, top.id))


def _make(view: View, place: Place) -> Record:
    record = records.add_folder(view.connection, place.parent.id, place.path[-1], (view.now, view.now))
    records.member_changed(view.connection, place.folders, 0, listed_anew=view.now)
    return record


def _insert(connection: Connection, top: Record, tree: Planting) -> None:
    numbers = [top.id]
    batch: list[tuple[int, Item]] = []
    for within, item in tree:
        # The row of a folder that is in this batch has no number yet.
        if len(batch) == _PAGE or within >= len(numbers):
            numbers += _insert_batch(connection, batch, numbers, tree.sizes)
            batch.clear()
        batch.append((within, item))
    if batch:
        _insert_batch(connection, batch, numbers, tree.sizes)


def _insert_batch(
    connection: Connection, batch: Sequence[tuple[int, Item]], numbers: Sequence[int], sizes: Sequence[int]
) -> list[int]:
    """The numbers of the new folders' rows."""
    sizes_of_folders = islice(sizes, len(numbers), None)
    # To be told the numbers of rows takes longer than to make them, and for most nobody needs to know.
    plain: list[dict[str, object]] = []
    numbered: list[dict[str, object]] = []
    items: list[Item] = []
    for within, item in batch:
        if item.content is None:
            numbered.append(_row(numbers[within], item) | _folder_columns(next(sizes_of_folders)))
            items.append(item)
            continue
        row = _row(numbers[within], item) | records.content_columns(item.content)
        if item.properties:
            numbered.append(row)
            items.append(item)
        else:
            plain.append(row)
    if plain:
        connection.execute(_INSERT_PLAIN, plain)
    made = list(connection.execute(_INSERT, numbered).scalars()) if numbered else []
    dead = [
        {"entry": number, "namespace": namespace, "name": name, "value": value}
        for number, item in zip(made, items, strict=True)
        for (namespace, name), value in item.properties.items()
    ]
    if dead:
        connection.execute(insert(property_table), dead)
    return [number for number, item in zip(made, items, strict=True) if item.content is None]


def _row(parent: int, item: Item) -> dict[str, object]:
    return {
        "parent": parent,
        "name": check_name(item.name),
        "folder": item.content is None,
        "created": item.created,
        "modified": item.modified,
        "changes": 0,
    }


def _folder_columns(size: int) -> dict[str, object]:
    return {"cap": None, "size": size, "content_type": None, "checksums": None}
