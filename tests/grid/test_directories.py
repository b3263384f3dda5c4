"""Directories in a grid of folders."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from twisted.internet.defer import CancelledError, Deferred

from tahoeish.chk.caps import LiteralCap, ReadCap
from tahoeish.chk.directory import Child, pack
from tahoeish.chk.directory_caps import DirectoryCap
from tahoeish.chk.errors import BadDirectory
from tahoeish.grid.directories import Directories
from tahoeish.grid.errors import NotEnoughShares, UploadUnhappy
from tests.grid.gridtools import FolderGrid, failure_of, succeeded

MAX_TABLE = 2000
ONE = {"hello": Child(LiteralCap(b"hello"))}
MANY = {f"child {number}": Child(LiteralCap(b"hello"), {"number": number}) for number in range(20)}


@pytest.fixture
def grid(tmp_path: Path) -> Iterator[FolderGrid]:
    with FolderGrid(tmp_path) as grid:
        yield grid


@pytest.fixture
def directories(grid: FolderGrid) -> Directories:
    return Directories(grid.uploader, grid.downloader, MAX_TABLE)


async def read(directories: Directories, cap: DirectoryCap) -> dict[str, Child]:
    async with directories.opened(cap) as children:
        return children


def test_a_directory_is_stored_like_any_file(grid: FolderGrid, directories: Directories) -> None:
    cap = succeeded(directories.store(MANY))
    assert isinstance(cap.contents, ReadCap)
    assert succeeded(grid.fetch(cap.contents)) == pack(MANY)
    assert succeeded(read(directories, cap)) == MANY
    assert grid.held() == 0


def test_a_small_one_needs_no_peer(grid: FolderGrid, directories: Directories) -> None:
    cap = succeeded(directories.store(ONE))
    assert cap == DirectoryCap(LiteralCap(pack(ONE)))
    assert succeeded(read(directories, cap)) == ONE
    assert succeeded(directories.store({})) == DirectoryCap(LiteralCap(b""))
    assert grid.files() == []


def test_what_can_not_be_written_is_not_stored(grid: FolderGrid, directories: Directories) -> None:
    assert isinstance(failure_of(directories.store({**MANY, "a/b": Child(LiteralCap(b""))})), BadDirectory)
    assert grid.files() == []


def test_one_that_would_be_too_large_is_not_stored(grid: FolderGrid, directories: Directories) -> None:
    large = {name: Child(child.cap, {"padding": "x" * 100}) for name, child in MANY.items()}
    error = failure_of(directories.store(large))
    assert isinstance(error, BadDirectory) and "at most 2000" in str(error)
    assert grid.files() == []


def test_one_that_is_too_large_is_not_fetched(grid: FolderGrid, directories: Directories) -> None:
    # No peer has it, and none is asked.
    cap = DirectoryCap(ReadCap(bytes(16), bytes(32), 2, 5, MAX_TABLE + 1))
    error = failure_of(read(directories, cap))
    assert isinstance(error, BadDirectory) and "2001 bytes" in str(error)


def test_a_file_that_is_no_directory(grid: FolderGrid, directories: Directories) -> None:
    cap = DirectoryCap(grid.store(b"Dear diary, " * 10))
    assert isinstance(failure_of(read(directories, cap)), BadDirectory)
    assert grid.held() == 0


def test_one_whose_shares_are_gone(grid: FolderGrid, directories: Directories) -> None:
    cap = succeeded(directories.store(MANY))
    for folder in grid.folders:
        for share in folder.glob("shares/??/*/*"):
            share.unlink()
    assert isinstance(failure_of(read(directories, cap)), NotEnoughShares)
    assert grid.held() == 0


def test_too_few_peers(tmp_path: Path) -> None:
    with FolderGrid(tmp_path, peers=2) as grid:
        assert isinstance(failure_of(Directories(grid.uploader, grid.downloader).store(MANY)), UploadUnhappy)


class TestManyAtATime:
    """Each stays open until the test lets it go, and takes more than half of what there is for all."""

    @pytest.fixture
    def cap(self, directories: Directories) -> DirectoryCap:
        padded = {name: Child(child.cap, {"padding": "x" * 43}) for name, child in MANY.items()}
        cap = succeeded(directories.store(padded))
        assert MAX_TABLE * 7 // 8 < cap.contents.size <= MAX_TABLE
        return cap

    def test_who_would_hold_too_much_waits(self, directories: Directories, cap: DirectoryCap) -> None:
        opened: list[int] = []
        gates: list[Deferred[None]] = [Deferred() for _ in range(3)]

        async def hold(number: int) -> None:
            async with directories.opened(cap):
                opened.append(number)
                await gates[number]

        held = [Deferred.fromCoroutine(hold(number)) for number in range(3)]
        for number, gate in enumerate(gates):
            assert opened == list(range(number + 1))
            gate.callback(None)
            succeeded(held[number])

    def test_who_gives_up_makes_room(self, directories: Directories, cap: DirectoryCap) -> None:
        async def hold() -> None:
            async with directories.opened(cap):
                await Deferred()

        for _ in range(3):
            holding = Deferred.fromCoroutine(hold())
            holding.cancel()
            assert isinstance(failure_of(holding), CancelledError)
        assert len(succeeded(read(directories, cap))) == len(MANY)
