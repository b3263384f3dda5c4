"""Uploads to a grid in which peers fail, stall and fill up at every step."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from twisted.internet.defer import CancelledError, Deferred

from tahoeish.chk.caps import LiteralCap, ReadCap
from tahoeish.chk.errors import WrongLength
from tahoeish.grid.errors import GridFull, UploadUnhappy
from tahoeish.grid.road import MOST_SEGMENTS
from tahoeish.streams.body import ClientGone
from tests.cycles import without_collector
from tests.grid.faults import failing, full, stalling
from tests.grid.gridtools import STALL_SECONDS, FolderGrid, Tap, content, failure_of, pieces, succeeded

DATA = content(50_000)


@pytest.fixture
def grid(tmp_path: Path) -> Iterator[FolderGrid]:
    with FolderGrid(tmp_path) as grid:
        yield grid


@pytest.mark.parametrize("size", [56, 4095, 4096, 4097, 8192, 50_000])
@pytest.mark.parametrize("known", [True, False])
def test_what_is_stored_can_be_fetched(grid: FolderGrid, size: int, known: bool) -> None:
    data = content(size)
    uploaded = succeeded(grid.upload(data, size if known else None))
    assert isinstance(uploaded.cap, ReadCap)
    assert uploaded.cap.size == size
    assert uploaded.happiness == 5 and not uploaded.missing
    assert succeeded(grid.fetch(uploaded.cap)) == data
    assert grid.held() == 0


@pytest.mark.parametrize("size", [0, 1, 55])
@pytest.mark.parametrize("known", [True, False])
def test_small_files_are_their_own_cap(grid: FolderGrid, size: int, known: bool) -> None:
    uploaded = succeeded(grid.upload(content(size), size if known else None))
    assert uploaded.cap == LiteralCap(content(size))
    assert grid.files() == []


@pytest.mark.parametrize("size", [4096, 50_000])
def test_nothing_of_a_file_is_under_way_once_it_is_stored(grid: FolderGrid, size: int) -> None:
    with without_collector():
        succeeded(grid.upload(content(size)))
        assert not list(grid.uploader.under_way)


@pytest.mark.parametrize("size", [4096, 50_000])
def test_nothing_of_it_is_under_way_either_when_peers_are_lost(grid: FolderGrid, size: int) -> None:
    grid.peers[0].fault = failing("write")
    with without_collector():
        succeeded(grid.upload(content(size)))
        assert not list(grid.uploader.under_way)


def test_each_peer_gets_one_share(grid: FolderGrid) -> None:
    grid.store(DATA)
    assert [path.split("/")[0] for path in grid.files()] == [f"peer{number}" for number in range(5)]


def test_fewer_peers_than_shares_get_several(tmp_path: Path) -> None:
    with FolderGrid(tmp_path, peers=2, needed=2, total=5, happy=2) as grid:
        cap = grid.store(DATA)
        assert len(grid.files()) == 5
        assert succeeded(grid.fetch(cap)) == DATA


class TestLosingPeers:
    @pytest.mark.parametrize("when", ["allocate", "write", "prepare", "commit"])
    def test_a_peer_that_fails_costs_its_share(self, grid: FolderGrid, when: str) -> None:
        grid.peers[2].fault = failing(when)
        uploaded = succeeded(grid.upload(DATA))
        assert uploaded.happiness == 4
        assert all(not path.startswith("peer2") for path in grid.files())
        assert isinstance(uploaded.cap, ReadCap)
        assert succeeded(grid.fetch(uploaded.cap)) == DATA
        assert grid.held() == 0

    def test_a_share_refused_at_the_start_goes_to_another_peer(self, grid: FolderGrid) -> None:
        grid.peers[2].fault = full("allocate")
        uploaded = succeeded(grid.upload(DATA))
        assert not uploaded.missing
        assert len(grid.files()) == 5

    def test_a_share_lost_in_the_middle_is_reported(self, grid: FolderGrid) -> None:
        grid.peers[1].fault = failing("write", after=3)
        uploaded = succeeded(grid.upload(DATA))
        assert len(uploaded.missing) == 1
        assert len(grid.files()) == 4

    @pytest.mark.parametrize("when", ["allocate", "write", "prepare", "commit"])
    def test_below_happiness_nothing_stays_anywhere(self, grid: FolderGrid, when: str) -> None:
        for number in (1, 3):
            grid.peers[number].fault = failing(when)
        error = failure_of(grid.upload(DATA))
        assert type(error) is UploadUnhappy
        assert f"failed at {when}" in str(error)
        assert "peer1" in str(error) and "peer3" in str(error)
        assert grid.files() == []
        assert grid.held() == 0

    def test_full_peers_are_told_apart_from_broken_ones(self, grid: FolderGrid) -> None:
        for number in (1, 3):
            grid.peers[number].fault = full("write")
        assert type(failure_of(grid.upload(DATA))) is GridFull
        assert grid.files() == []

    def test_it_fails_while_the_client_still_thinks(self, grid: FolderGrid) -> None:
        tap = Tap()
        uploading = Deferred.fromCoroutine(grid.uploader.upload(tap, None))
        tap.bring(DATA[:9000])
        assert not uploading.called and len(grid.files()) == 5
        for number in (1, 3):
            grid.peers[number].fault = failing("write")
        tap.bring(DATA[9000:20000])
        grid.clock.advance(0)
        assert type(failure_of(uploading)) is UploadUnhappy
        assert grid.files() == []
        assert grid.held() == 0

    @pytest.mark.parametrize("when", ["allocate", "write", "prepare", "commit"])
    def test_a_peer_that_stalls_is_given_up_after_a_while(self, grid: FolderGrid, when: str) -> None:
        grid.peers[4].fault = stalling(when)
        uploading = grid.upload(DATA)
        assert not uploading.called
        grid.clock.advance(STALL_SECONDS + 1)
        uploaded = succeeded(uploading)
        assert uploaded.happiness == 4
        assert all(not path.startswith("peer4") for path in grid.files())
        assert grid.held() == 0

    def test_a_peer_that_keeps_uploads_waiting_is_told(self, grid: FolderGrid) -> None:
        grid.peers[4].fault = stalling("write")
        uploading = grid.upload(DATA)
        grid.clock.advance(3)
        assert grid.uploader.kept_waiting(2) == {"peer4": 1} and grid.uploader.kept_waiting(4) == {}
        grid.clock.advance(STALL_SECONDS)
        succeeded(uploading)
        assert grid.uploader.kept_waiting(2) == {}


class TestEndingEarly:
    def test_a_source_that_breaks_leaves_nothing(self, grid: FolderGrid) -> None:
        tap = Tap()
        uploading = Deferred.fromCoroutine(grid.uploader.upload(tap, len(DATA)))
        tap.bring(DATA[:20000])
        assert len(grid.files()) == 5
        tap.break_off(ClientGone("gone"))
        assert type(failure_of(uploading)) is ClientGone
        assert grid.files() == []
        assert grid.held() == 0

    def test_a_cancelled_upload_leaves_nothing(self, grid: FolderGrid) -> None:
        tap = Tap()
        uploading = Deferred.fromCoroutine(grid.uploader.upload(tap, len(DATA)))
        tap.bring(DATA[:20000])
        uploading.cancel()
        assert type(failure_of(uploading)) is CancelledError
        assert grid.files() == []
        assert grid.held() == 0

    @pytest.mark.parametrize("when", ["allocate", "write", "prepare", "commit"])
    def test_cancelling_while_a_peer_stalls_leaves_nothing(self, grid: FolderGrid, when: str) -> None:
        grid.peers[0].fault = stalling(when)
        uploading = grid.upload(DATA)
        uploading.cancel()
        assert type(failure_of(uploading)) is CancelledError
        assert grid.files() == []
        assert grid.held() == 0

    @pytest.mark.parametrize("announced", [40, 56, 49_999, 50_001, 60_000])
    def test_a_wrong_length_leaves_nothing(self, grid: FolderGrid, announced: int) -> None:
        assert type(failure_of(grid.upload(DATA, announced))) is WrongLength
        assert grid.files() == []
        assert grid.held() == 0


def test_shares_grow_while_the_source_still_flows(grid: FolderGrid) -> None:
    tap = Tap()
    uploading = Deferred.fromCoroutine(grid.uploader.upload(tap, None))
    tap.bring(DATA[:4096])
    sizes = [
        path.stat().st_size for folder in grid.folders for path in (folder / "shares").rglob("*") if path.is_file()
    ]
    assert len(sizes) == 5 and min(sizes) >= 2048
    uploading.cancel()
    failure_of(uploading)


def test_the_road_is_no_longer_than_the_budget(grid: FolderGrid) -> None:
    for peer in grid.peers:
        peer.fault = stalling("write")
    drawn = 0

    async def source():  # type: ignore[no-untyped-def]
        nonlocal drawn
        async for piece in pieces(content(1 << 20)):
            drawn += len(piece)
            yield piece

    uploading = Deferred.fromCoroutine(grid.uploader.upload(source(), 1 << 20))
    assert drawn <= (MOST_SEGMENTS + 2) * 4096
    uploading.cancel()
    failure_of(uploading)
    assert grid.held() == 0
