"""Files whose length, or whose key, isn't known before all of them has come."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tahoeish.chk.caps import LiteralCap, ReadCap
from tahoeish.chk.errors import WrongLength
from tahoeish.grid.errors import FileTooLarge, UploadUnhappy
from tests.grid.faults import failing
from tests.grid.gridtools import FolderGrid, content, failure_of, pieces, succeeded

DATA = content(50_000)


@pytest.fixture
def grid(tmp_path: Path) -> Iterator[FolderGrid]:
    with FolderGrid(tmp_path) as grid:
        yield grid


def spool_files(grid: FolderGrid) -> list[Path]:
    spool = grid.folders[0].parent / "spool"
    return list(spool.iterdir()) if spool.exists() else []


class TestPeersThatNeedTheLength:
    @pytest.fixture(autouse=True)
    def peers_that_need_the_length(self, grid: FolderGrid) -> None:
        for peer in grid.peers[:3]:
            peer.needs_length = True

    def test_without_a_hint_the_file_is_spooled(self, grid: FolderGrid) -> None:
        uploaded = succeeded(grid.upload(DATA, None))
        assert uploaded.spooled and not uploaded.missing
        assert isinstance(uploaded.cap, ReadCap)
        assert succeeded(grid.fetch(uploaded.cap)) == DATA
        assert spool_files(grid) == []
        assert grid.held() == 0

    @pytest.mark.parametrize("hint", [50_000, 50_001, 53_247, 53_248, 53_249, 1_000_000])
    def test_with_a_hint_it_is_padded(self, grid: FolderGrid, hint: int) -> None:
        uploaded = succeeded(grid.uploader.upload(pieces(DATA), None, size_hint=hint))
        assert not uploaded.spooled and not uploaded.missing
        assert isinstance(uploaded.cap, ReadCap)
        assert succeeded(grid.fetch(uploaded.cap)) == DATA
        assert succeeded(grid.fetch(uploaded.cap, 30_000, 30_100)) == DATA[30_000:30_101]
        assert grid.held() == 0

    def test_a_hint_that_was_too_small_fails_and_leaves_nothing(self, grid: FolderGrid) -> None:
        error = failure_of(grid.uploader.upload(pieces(DATA), None, size_hint=49_999))
        assert isinstance(error, WrongLength) and "49999" in str(error)
        assert grid.files() == []
        assert grid.held() == 0

    def test_more_than_may_be_spooled_is_refused_with_advice(self, grid: FolderGrid) -> None:
        error = failure_of(grid.upload(content(200_001), None))
        assert isinstance(error, FileTooLarge) and "size-hint" in str(error)
        assert grid.files() == []
        assert spool_files(grid) == []
        assert grid.held() == 0

    def test_what_is_spooled_is_encrypted(self, grid: FolderGrid, monkeypatch: pytest.MonkeyPatch) -> None:
        seen = bytearray()

        def pwrite(file: int, data: bytes, offset: int) -> int:
            seen.extend(data)
            return len(data)

        monkeypatch.setattr("tahoeish.grid.spool.os.pwrite", pwrite)
        monkeypatch.setattr("tahoeish.grid.spool.os.pread", lambda file, size, at: bytes(seen[at : at + size]))
        succeeded(grid.upload(b"secret" * 1000, None))
        assert len(seen) == 6000 and b"secret" not in seen


def test_enough_peers_that_do_not_care_are_enough(grid: FolderGrid) -> None:
    grid.peers[0].needs_length = True
    uploaded = succeeded(grid.upload(DATA, None))
    assert not uploaded.spooled
    assert uploaded.happiness == 4


@pytest.mark.parametrize("size", range(4096 * 3 - 8, 4096 * 3 + 8))
def test_room_for_a_bound_is_room_for_anything_shorter(grid: FolderGrid, size: int) -> None:
    for peer in grid.peers:
        peer.needs_length = True
    for bound in (size, size + 1, size + 5, size + 4096):
        uploaded = succeeded(grid.uploader.upload(pieces(content(size)), None, size_hint=bound))
        assert not uploaded.missing


class TestConvergence:
    def test_the_same_content_gives_the_same_cap(self, grid: FolderGrid) -> None:
        caps = {str(succeeded(grid.uploader.upload_convergently(pieces(DATA), len(DATA), b"s")).cap) for _ in range(2)}
        assert len(caps) == 1
        assert len(grid.files()) == 5

    def test_another_secret_gives_another_cap(self, grid: FolderGrid) -> None:
        one, other = (succeeded(grid.uploader.upload_convergently(pieces(DATA), None, s)).cap for s in (b"a", b"b"))
        assert one != other

    def test_small_files_are_literal(self, grid: FolderGrid) -> None:
        uploaded = succeeded(grid.uploader.upload_convergently(pieces(b"tiny"), None, b"s"))
        assert uploaded.cap == LiteralCap(b"tiny")

    def test_shares_that_others_may_rely_on_are_not_taken_back(self, grid: FolderGrid) -> None:
        for number in (1, 3):
            grid.peers[number].fault = failing("commit")
        assert isinstance(failure_of(grid.uploader.upload_convergently(pieces(DATA), None, b"s")), UploadUnhappy)
        assert len(grid.files()) == 3
        for number in (1, 3):
            grid.peers[number].fault = lambda what: None
        uploaded = succeeded(grid.uploader.upload_convergently(pieces(DATA), None, b"s"))
        assert not uploaded.missing and uploaded.happiness == 5
        assert len(grid.files()) == 5

    def test_a_wrong_length_stores_nothing(self, grid: FolderGrid) -> None:
        assert isinstance(failure_of(grid.uploader.upload_convergently(pieces(DATA), 49_000, b"s")), WrongLength)
        assert grid.files() == []
