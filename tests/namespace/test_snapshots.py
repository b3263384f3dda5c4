"""Whole trees, read at one moment and put in place in one step."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import pytest
from sqlalchemy import Connection, func, select

from tahoeish.namespace.catalogue import Catalogue
from tahoeish.namespace.conditions import Conditions
from tahoeish.namespace.database import Database
from tahoeish.namespace.entries import Content
from tahoeish.namespace.errors import BadName, Forbidden, Locked, NoSuchParent, NotAFolder, NotEmpty, OverQuota
from tahoeish.namespace.locks import Depth, LockWish, Scope
from tahoeish.namespace.names import Path
from tahoeish.namespace.properties import SetProperty
from tahoeish.namespace.schema import entries
from tahoeish.namespace.snapshots import Item
from tahoeish.namespace.viewer import Viewer
from tests.namespace.conftest import Clock
from tests.namespace.states import ANN, BOB, assert_sound, content, tree

COLOUR = ("urn:x", "colour")
LOCK = LockWish(Scope.EXCLUSIVE, Depth.INFINITY, None, 600)


class Visited:
    """Remembers what it is told, in order, and that as a tree that can be planted."""

    def __init__(self) -> None:
        self.told: list[str] = []
        self.items: list[tuple[int, Item]] = []
        self.sizes: list[int] = []
        self._way: list[int] = []

    def enter(self, folder: Item) -> None:
        self.told.append(f"+{folder.name}")
        if self._way:
            self.items.append((self._way[-1], folder))
        self._way.append(len(self.sizes))
        self.sizes.append(0)

    def files(self, files: Sequence[Item]) -> None:
        for file in files:
            assert file.content is not None
            self.told.append(file.name)
            self.items.append((self._way[-1], file))
            for number in self._way:
                self.sizes[number] += file.content.size

    def leave(self) -> None:
        self.told.append("-")
        self._way.pop()

    def __iter__(self) -> Iterator[tuple[int, Item]]:
        return iter(self.items)


def walked(catalogue: Catalogue, viewer: Viewer, path: Path = ()) -> Visited:
    visited = Visited()
    catalogue.walk(viewer, path, visited)
    return visited


@dataclass
class Row:
    """A tree with nothing but files in it."""

    files: list[Item]

    @property
    def sizes(self) -> Sequence[int]:
        return [sum(file.content.size for file in self.files if file.content is not None)]

    def __iter__(self) -> Iterator[tuple[int, Item]]:
        return ((0, file) for file in self.files)


def row(*names: str) -> Row:
    return Row([Item(name, content(name), 1.0, 2.0) for name in names])


@pytest.fixture
def filled(catalogue: Catalogue, users: list[str]) -> Catalogue:
    folders: list[Path] = [("a",), ("a", "b"), ("empty",)]
    files: list[Path] = [("top",), ("a", "one"), ("a", "two"), ("a", "b", "größe")]
    for path in folders:
        catalogue.make_folder(ANN, path)
    for path in files:
        catalogue.put(ANN, path, content("-".join(path), 100), modified=12.5)
    catalogue.change_properties(ANN, ("a", "one"), [SetProperty(COLOUR, "<colour>red</colour>")])
    catalogue.change_properties(ANN, ("a",), [SetProperty(COLOUR, "<colour>blue</colour>")], modified=77.25)
    return catalogue


def test_folders_come_before_files_and_each_is_left_when_all_of_it_was_told(filled: Catalogue) -> None:
    told = walked(filled, ANN).told
    assert told == ["+", "+a", "+b", "größe", "-", "one", "two", "-", "+empty", "-", "top", "-"]
    assert walked(filled, ANN, ("a", "b")).told == ["+b", "größe", "-"]


def test_a_tree_is_told_as_it_was_when_the_telling_began(filled: Catalogue) -> None:
    class Meddling(Visited):
        def enter(self, folder: Item) -> None:
            super().enter(folder)
            if folder.name == "a":
                filled.put(ANN, ("a", "b", "later"), content("later"))
                filled.remove(ANN, ("a", "one"))
                filled.move(ANN, ("empty",), ("a", "moved"), overwrite=False)

    visited = Meddling()
    filled.walk(ANN, (), visited)
    assert visited.told == ["+", "+a", "+b", "größe", "-", "one", "two", "-", "+empty", "-", "top", "-"]
    assert walked(filled, ANN).told == ["+", "+a", "+b", "größe", "later", "-", "+moved", "-", "two", "-", "top", "-"]


def test_a_tree_comes_back_with_all_that_is_known_of_it(
    filled: Catalogue, database: Database, clock: Clock, users: list[str]
) -> None:
    original = walked(filled, ANN)
    clock.advance(1000)
    planted = filled.plant(BOB, (), original)
    assert planted.size == 400 == filled.find(ANN, ()).size
    copy = walked(filled, BOB)
    assert copy.items == original.items
    assert {item.name: dict(item.properties) for _, item in copy.items if item.properties} == {
        "a": {COLOUR: "<colour>blue</colour>"},
        "one": {COLOUR: "<colour>red</colour>"},
    }
    assert filled.find(BOB, ("a",)).modified == 77.25
    assert filled.find(BOB, ("a",)).size == 300
    assert_sound(database)


def test_a_folder_that_is_not_there_is_made(filled: Catalogue, database: Database) -> None:
    entry = filled.plant(ANN, ("a", "new"), walked(filled, ANN, ("a",)))
    assert (entry.path, entry.size) == (("a", "new"), 300)
    assert tree(filled, ANN, ("a", "new")) == {"b": {"größe": "URI:CHK:a-b-größe"}, "one": "URI:CHK:a-one"} | {
        "two": "URI:CHK:a-two"
    }
    assert filled.find(ANN, ()).size == 700
    assert_sound(database)
    with pytest.raises(NoSuchParent):
        filled.plant(ANN, ("nowhere", "new"), row("file"))
    with pytest.raises(NotAFolder):
        filled.plant(ANN, ("top",), row("file"))


def test_what_is_there_is_overwritten_only_when_told_so_and_then_kept_as_versions(
    filled: Catalogue, database: Database
) -> None:
    before = tree(filled, ANN)
    with pytest.raises(NotEmpty):
        filled.plant(ANN, ("a",), row("new"))
    assert tree(filled, ANN) == before
    old = filled.find(ANN, ("a",))
    entry = filled.plant(ANN, ("a",), row("new", "one"), overwrite=True)
    assert entry.id == old.id and entry.etag != old.etag and entry.size == 200
    assert tree(filled, ANN, ("a",)) == {"new": "URI:CHK:new", "one": "URI:CHK:one"}
    assert [version.name for version in filled.removed(ANN, ("a",))] == ["b", "two"]
    [version] = filled.versions(ANN, ("a", "b"))
    filled.restore(ANN, ("a", "b"), version.id)
    assert tree(filled, ANN, ("a", "b")) == {"größe": "URI:CHK:a-b-größe"}
    assert_sound(database)


def test_an_empty_folder_needs_no_permission_to_overwrite(filled: Catalogue, database: Database) -> None:
    filled.plant(ANN, ("empty",), row("new"))
    assert tree(filled, ANN, ("empty",)) == {"new": "URI:CHK:new"}
    assert_sound(database)


def test_nothing_of_a_tree_is_there_that_breaks_off(filled: Catalogue, database: Database) -> None:
    class Broken(Row):
        def __iter__(self) -> Iterator[tuple[int, Item]]:
            yield from super().__iter__()
            raise ConnectionError("the disk is gone")

    before = tree(filled, ANN)
    with pytest.raises(ConnectionError):
        filled.plant(ANN, ("a",), Broken(row(*(f"{number}" for number in range(1200))).files), overwrite=True)
    with pytest.raises(BadName):
        filled.plant(ANN, ("a",), row("good", "bad/name"), overwrite=True)
    assert tree(filled, ANN) == before
    assert_sound(database)


def test_the_quota_counts_what_is_overwritten_as_room(filled: Catalogue) -> None:
    filled.set_quota("ann", 450)
    with pytest.raises(OverQuota):
        filled.plant(ANN, ("empty",), row("file"))
    filled.plant(ANN, ("a",), row("1", "2", "3"), overwrite=True)
    assert filled.usage(ANN, ()).used == 400


def test_locks_are_minded(filled: Catalogue) -> None:
    lock, _ = filled.lock(ANN, ("a", "b"), LOCK)
    with pytest.raises(Locked):
        filled.plant(ANN, ("a",), row("file"), overwrite=True)
    around, _ = filled.lock(ANN, ("empty",), LOCK)
    with pytest.raises(Locked):
        filled.plant(ANN, ("empty",), row("file"))
    filled.plant(ANN, ("empty",), row("file"), conditions=Conditions(tokens=frozenset([around.token])))
    filled.plant(ANN, ("a",), row("file"), overwrite=True, conditions=Conditions(tokens=frozenset([lock.token])))
    # The lock on the folder itself stays; the one on what was in it went with that.
    assert [each.token for each in filled.all_locks()] == [around.token]


def test_nobody_gets_to_what_is_not_theirs(filled: Catalogue) -> None:
    filled.share(ANN, ("a",), "bob", "seen", writable=False)
    assert walked(filled, BOB, ("@ann", "seen")).told == walked(filled, ANN, ("a",)).told
    # The own tree doesn't include what others share.
    assert walked(filled, BOB).told == ["+", "-"]
    closed: list[Path] = [("@ann", "seen"), ("@ann", "seen", "b", "new"), ("@ann",)]
    for path in closed:
        with pytest.raises(Forbidden):
            filled.plant(BOB, path, row("file"), overwrite=True)
    with pytest.raises(Forbidden):
        walked(filled, BOB, ("@ann",))
    inside = replace(ANN, below=("a", "b"))
    assert walked(filled, inside, ("a", "b")).told == ["+b", "größe", "-"]
    closed = [(), ("a",), ("empty",)]
    for path in closed:
        with pytest.raises(Forbidden):
            walked(filled, inside, path)
        with pytest.raises(Forbidden):
            filled.plant(inside, path, row("file"), overwrite=True)
    with pytest.raises(Forbidden):
        filled.plant(replace(ANN, read_only=True), ("empty",), row("file"))


def test_a_shared_folder_stays_shared_when_it_is_filled_anew(filled: Catalogue, database: Database) -> None:
    filled.share(ANN, ("a",), "bob", "work", writable=True)
    filled.plant(BOB, ("@ann", "work"), row("new"), overwrite=True)
    assert tree(filled, ANN, ("a",)) == tree(filled, BOB, ("@ann", "work")) == {"new": "URI:CHK:new"}
    assert filled.find(ANN, ()).size == 200
    assert_sound(database)


def test_folders_lie_in_each_other_as_deep_as_they_like(catalogue: Catalogue, database: Database) -> None:
    class Deep:
        sizes: Sequence[int] = [7] * 1500

        def __iter__(self) -> Iterator[tuple[int, Item]]:
            for number in range(1499):
                yield number, Item("d", None, 1.0, 1.0)
            yield 1499, Item("file", Content("URI:CHK:deep", 7), 1.0, 1.0)

    catalogue.plant(ANN, (), Deep())
    assert walked(catalogue, ANN).told == ["+", *["+d"] * 1499, "file", *["-"] * 1500]
    assert_sound(database)


def test_a_folder_of_many_members_is_told_in_pages_and_in_order(catalogue: Catalogue, database: Database) -> None:
    names = [f"{number:04}" for number in range(1203)]
    catalogue.plant(ANN, ("many",), row(*names))
    assert walked(catalogue, ANN, ("many",)).told == ["+many", *names, "-"]

    def count(connection: Connection) -> int:
        return connection.execute(select(func.count()).select_from(entries)).scalar_one()

    assert database.read(count) == 1205
    assert_sound(database)
