"""Whatever is done in whatever order, the catalogue holds what a few dictionaries would."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from itertools import count
from typing import TypeAlias

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tahoeish.namespace.catalogue import Catalogue
from tahoeish.namespace.database import Database
from tahoeish.namespace.entries import Content
from tahoeish.namespace.errors import NamespaceError
from tahoeish.namespace.names import Path
from tahoeish.namespace.viewer import Viewer
from tests.namespace.states import Tree, add_users, assert_sound, tree

# So that one database does for all examples, each has two users of its own.
_numbers = count()

_names = st.sampled_from(["a", "b", "c"])
_own = st.lists(_names, min_size=1, max_size=3).map(tuple)
_others = _own.map(lambda path: ("@", "s", *path))
_paths = _own | _others


class Refused(Exception):
    """As the catalogue's errors, whichever."""


class Model:
    """Folders are dictionaries, files are sizes. What the other user shares is in the folder @, as s."""

    def __init__(self) -> None:
        self.top: Tree = {"@": {"s": {}}}

    def put(self, path: Path, size: int) -> None:
        folder, name = self._folder(path), path[-1]
        if isinstance(folder.get(name), dict):
            raise Refused
        folder[name] = f"{size}"

    def make_folder(self, path: Path) -> None:
        folder, name = self._folder(path), path[-1]
        if name in folder:
            raise Refused
        folder[name] = {}

    def remove(self, path: Path) -> None:
        self._existing(path)
        del self._folder(path)[path[-1]]

    def copy(self, source: Path, destination: Path, overwrite: bool, shallow: bool) -> None:
        copied = deepcopy(self._existing(source))
        if shallow and isinstance(copied, dict):
            copied = {}
        if _within(source, destination) or (_within(destination, source) and copied and isinstance(copied, dict)):
            raise Refused
        self._arrive(destination, copied, overwrite)

    def move(self, source: Path, destination: Path, overwrite: bool) -> None:
        moved = self._existing(source)
        if _within(source, destination) or _within(destination, source):
            raise Refused
        self._arrive(destination, moved, overwrite)
        self.remove(source)

    def _arrive(self, path: Path, what: str | Tree, overwrite: bool) -> None:
        folder = self._folder(path)
        if path[-1] in folder and not overwrite:
            raise Refused
        folder[path[-1]] = what

    def _folder(self, path: Path) -> Tree:
        folder: str | Tree = self.top
        for name in path[:-1]:
            if not isinstance(folder, dict) or name not in folder:
                raise Refused
            folder = folder[name]
        if not isinstance(folder, dict):
            raise Refused
        return folder

    def _existing(self, path: Path) -> str | Tree:
        folder = self._folder(path)
        if path[-1] not in folder:
            raise Refused
        return folder[path[-1]]


def _within(path: Path, other: Path) -> bool:
    return path[: len(other)] == other


class Real:
    """The same, in the catalogue."""

    def __init__(self, database: Database) -> None:
        self.catalogue = Catalogue(database, clock=lambda: 1.0)
        number = next(_numbers)
        self.viewer, self.other = Viewer(f"one {number}"), Viewer(f"other {number}")
        add_users(database, self.viewer.user, self.other.user)
        self.catalogue.make_folder(self.other, ("shared",))
        self.catalogue.share(self.other, ("shared",), self.viewer.user, "s", writable=True)

    def put(self, path: Path, size: int) -> None:
        self.catalogue.put(self.viewer, self._path(path), Content(f"{size}", size))

    def make_folder(self, path: Path) -> None:
        self.catalogue.make_folder(self.viewer, self._path(path))

    def remove(self, path: Path) -> None:
        self.catalogue.remove(self.viewer, self._path(path))

    def copy(self, source: Path, destination: Path, overwrite: bool, shallow: bool) -> None:
        self.catalogue.copy(
            self.viewer, self._path(source), self._path(destination), overwrite=overwrite, shallow=shallow
        )

    def move(self, source: Path, destination: Path, overwrite: bool) -> None:
        self.catalogue.move(self.viewer, self._path(source), self._path(destination), overwrite=overwrite)

    @property
    def top(self) -> Tree:
        found = tree(self.catalogue, self.viewer)
        return {"@" if name[0] == "@" else name: what for name, what in found.items()}

    def _path(self, path: Path) -> Path:
        return (f"@{self.other.user}", *path[1:]) if path[0] == "@" else path


Change: TypeAlias = Callable[[Model | Real], None]

_changes: st.SearchStrategy[Change] = st.one_of(
    st.builds(lambda path, size: lambda on: on.put(path, size), _paths, st.integers(0, 99)),
    st.builds(lambda path: lambda on: on.make_folder(path), _paths),
    st.builds(lambda path: lambda on: on.remove(path), _paths),
    st.builds(
        lambda source, destination, overwrite, shallow: lambda on: on.copy(source, destination, overwrite, shallow),
        _paths,
        _paths,
        st.booleans(),
        st.booleans(),
    ),
    st.builds(
        lambda source, destination, overwrite: lambda on: on.move(source, destination, overwrite),
        _paths,
        _paths,
        st.booleans(),
    ),
)


def _is_refused(change: Change, on: Model | Real) -> bool:
    try:
        change(on)
    except (Refused, NamespaceError):
        return True
    return False


def test_any_changes_in_any_order(database: Database) -> None:
    # The property is inside, because pytest-twisted can't run one that is parametrised, as `database` is.
    @settings(max_examples=40, derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow])
    @given(changes=st.lists(_changes, min_size=5, max_size=30))
    def holds(changes: list[Change]) -> None:
        model, real = Model(), Real(database)
        for change in changes:
            assert _is_refused(change, real) == _is_refused(change, model)
        assert real.top == model.top
        assert_sound(database)
        assert real.catalogue.usage(real.viewer, ()).used == _size({**model.top, "@": {}})
        while real.catalogue.purge(older_than=2.0, limit=7):
            pass
        assert real.top == model.top
        assert_sound(database)

    holds()


@pytest.mark.parametrize("path", [("a",), ("@", "s", "a")])
def test_the_model_sees_a_difference(database: Database, path: Path) -> None:
    model, real = Model(), Real(database)
    model.put(path, 1)
    assert real.top != model.top
    real.put(path, 1)
    assert real.top == model.top


def _size(what: str | Tree) -> int:
    return int(what) if isinstance(what, str) else sum(map(_size, what.values()))
