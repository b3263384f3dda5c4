"""Snapshots while the grid misbehaves, on a grid of folders."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock

from tahoeish.chk.caps import LiteralCap, ReadCap
from tahoeish.chk.directory import Child
from tahoeish.chk.directory_caps import DirectoryCap
from tahoeish.gateway.backup import restoration
from tahoeish.gateway.backup.restoration import Restorations
from tahoeish.gateway.backup.snapshot import Counts, Progress, Snapshots
from tahoeish.gateway.dav.visit import Names
from tahoeish.gateway.errors import Refused
from tahoeish.grid.directories import Directories
from tahoeish.grid.errors import UploadUnhappy
from tahoeish.grid.peer import PeerError
from tahoeish.namespace.catalogue import Catalogue
from tahoeish.namespace.conditions import UNCONDITIONAL
from tahoeish.namespace.database import Database, sqlite_url
from tahoeish.namespace.entries import Content
from tahoeish.namespace.viewer import LOCAL, Viewer
from tahoeish.streams.threads import direct
from tests.grid.gridtools import FolderGrid, failure_of, succeeded

VIEWER = Viewer(LOCAL)
FOLDERS = 30
FILE = Content(str(ReadCap(bytes(16), bytes(32), 3, 10, 1000)), 1000)


@pytest.fixture
def grid(tmp_path: Path) -> Iterator[FolderGrid]:
    with FolderGrid(tmp_path) as grid:
        yield grid


@pytest.fixture
def catalogue(tmp_path: Path) -> Iterator[Catalogue]:
    database = Database.open(sqlite_url(tmp_path / "catalogue.sqlite"))
    yield Catalogue(database, lambda: 1_000_000.0)
    database.close()


@pytest.fixture
def names(catalogue: Catalogue) -> Names:
    """With many small folders, side by side."""
    for number in range(FOLDERS):
        catalogue.make_folder(VIEWER, (f"{number:02}",))
        catalogue.put(VIEWER, (f"{number:02}", f"file {number}"), FILE)
    return Names(catalogue, direct, lambda: 2_000_000.0, Clock(), 60)


def snapshots(names: Names, grid: FolderGrid, folder: Path, max_table: int = 100_000) -> Snapshots:
    directories = Directories(grid.uploader, grid.downloader, max_table)
    return Snapshots(names, directories, b"secret", folder / "scratch")


def test_the_same_names_are_the_same_cap_and_are_stored_once(names: Names, grid: FolderGrid, tmp_path: Path) -> None:
    progress = Progress()
    cap = succeeded(snapshots(names, grid, tmp_path).take(VIEWER, (), progress))
    assert progress.total == Counts(FOLDERS, FOLDERS, 1000 * FOLDERS)
    assert (progress.done.folders, progress.done.files) == (FOLDERS, FOLDERS)
    stored = grid.files()
    assert len(stored) == 5 * (FOLDERS + 1)
    assert succeeded(snapshots(names, grid, tmp_path).take(VIEWER, (), Progress())) == cap
    assert grid.files() == stored
    assert list((tmp_path / "scratch").iterdir()) == []


def test_it_ends_soon_after_the_grid_does_and_can_be_repeated(names: Names, grid: FolderGrid, tmp_path: Path) -> None:
    asked: list[str] = []

    def refuse(what: str) -> None:
        asked.append(what)
        if what == "allocate" and asked.count("allocate") > 50:
            raise PeerError("peer", "is gone")

    for peer in grid.peers:
        peer.fault = refuse
    taking = Deferred.fromCoroutine(snapshots(names, grid, tmp_path).take(VIEWER, (), Progress()))
    assert isinstance(failure_of(taking), UploadUnhappy)
    assert grid.held() == 0
    assert asked.count("allocate") < 5 * FOLDERS
    for peer in grid.peers:
        peer.fault = lambda what: None
    succeeded(snapshots(names, grid, tmp_path).take(VIEWER, (), Progress()))
    assert len(grid.files()) == 5 * (FOLDERS + 1)


def test_a_few_folders_are_stored_at_a_time_and_cancelling_ends_them_all(
    names: Names, grid: FolderGrid, tmp_path: Path
) -> None:
    stuck: list[Deferred[None]] = []

    def stall(what: str) -> Deferred[None] | None:
        if what != "allocate":
            return None
        stuck.append(Deferred())
        return stuck[-1]

    for peer in grid.peers:
        peer.fault = stall
    taking = Deferred.fromCoroutine(snapshots(names, grid, tmp_path).take(VIEWER, (), Progress()))
    assert 2 <= len(stuck) / len(grid.peers) <= 8
    taking.cancel()
    assert isinstance(failure_of(taking), CancelledError)
    assert grid.held() == 0 and grid.files() == []


def test_a_folder_that_is_too_large_is_named(
    names: Names, catalogue: Catalogue, grid: FolderGrid, tmp_path: Path
) -> None:
    catalogue.make_folder(VIEWER, ("07", "large"))
    for number in range(20):
        catalogue.put(VIEWER, ("07", "large", f"{number}"), FILE)
    error = failure_of(snapshots(names, grid, tmp_path, max_table=3000).take(VIEWER, ("07",), Progress()))
    assert isinstance(error, Refused) and error.status == 413
    assert str(error).startswith("/07/large: ")
    assert grid.held() == 0


def test_a_directory_without_an_end_is_not_followed_to_it(
    names: Names, catalogue: Catalogue, grid: FolderGrid, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(restoration, "MOST_ENTRIES", 1000)
    directories = Directories(grid.uploader, grid.downloader)
    cap = DirectoryCap(LiteralCap(b""))
    for _ in range(200):
        cap = succeeded(directories.store({name: Child(cap) for name in ("one", "other")}))
    restorations = Restorations(names, directories, tmp_path / "scratch")
    work = restorations.bring_back(
        cap, VIEWER, ("new",), overwrite=False, conditions=UNCONDITIONAL, progress=Progress()
    )
    error = failure_of(work)
    assert isinstance(error, Refused) and error.status == 413
    assert len(catalogue.children(VIEWER, ())) == FOLDERS
