"""Repairing files in a grid where shares were lost and damaged, while peers fail and stall."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from twisted.internet.defer import CancelledError, Deferred

from tahoeish.chk.caps import ReadCap
from tahoeish.grid.errors import OtherEncoding
from tahoeish.grid.peer import PeerUnavailable
from tahoeish.grid.repair import RepairResult
from tahoeish.grid.shareset import IncompleteFile
from tests.grid.faults import failing, full, stalling
from tests.grid.gridtools import STALL_SECONDS, FolderGrid, content, failure_of, pieces, succeeded

DATA = content(50_000)


@pytest.fixture
def grid(tmp_path: Path) -> Iterator[FolderGrid]:
    with FolderGrid(tmp_path) as grid:
        yield grid


def repair(grid: FolderGrid, cap: ReadCap, *, verify: bool = False) -> RepairResult:
    result = succeeded(grid.repairer.check_and_repair(cap, verify=verify))
    assert grid.held() == 0
    return result


def lose(grid: FolderGrid, cap: ReadCap, *numbers: int) -> dict[int, bytes]:
    """Delete these shares; gives what was in them."""
    lost = {}
    for number in numbers:
        path = grid.share_file(number, cap)
        lost[number] = path.read_bytes()
        path.unlink()
    return lost


def unreachable(what: str) -> None:
    raise PeerUnavailable("it", "is switched off")


def is_whole(grid: FolderGrid, cap: ReadCap) -> bool:
    return succeeded(grid.checker.check(cap, verify=True)).healthy


@pytest.mark.parametrize("size", [56, 4095, 4096, 4097, 50_000])
def test_lost_shares_come_back_as_they_were(grid: FolderGrid, size: int) -> None:
    cap = grid.store(content(size))
    lost = lose(grid, cap, 0, 2, 4)
    result = repair(grid, cap)
    assert result.attempted and result.successful and not result.problem
    assert result.before.missing == [0, 2, 4]
    assert result.after.healthy and result.after.happiness == 5
    assert {number: grid.share_file(number, cap).read_bytes() for number in lost} == lost
    assert succeeded(grid.fetch(cap)) == content(size)


def test_a_file_of_unknown_length_is_repaired_too(grid: FolderGrid) -> None:
    cap = succeeded(grid.upload(DATA, None)).cap
    assert isinstance(cap, ReadCap)
    lose(grid, cap, 0, 1, 3)
    assert repair(grid, cap).successful
    assert is_whole(grid, cap)


def test_the_segment_size_is_that_of_the_file(grid: FolderGrid) -> None:
    cap = grid.store(DATA)
    lose(grid, cap, 1)
    grid.repairer = replace(
        grid.repairer,
        uploader=replace(
            grid.uploader, encoding=replace(grid.uploader.encoding, needed=3, total=4, max_segment_size=999)
        ),
    )
    assert repair(grid, cap).successful
    assert is_whole(grid, cap)


def test_a_healthy_file_is_left_alone(grid: FolderGrid) -> None:
    cap = grid.store(DATA)
    for peer in grid.peers:
        peer.fault = failing("allocate")
    result = repair(grid, cap, verify=True)
    assert not result.attempted and not result.successful
    assert result.after == result.before and result.after.healthy


def test_a_file_that_is_lost_stays_lost(grid: FolderGrid) -> None:
    cap = grid.store(DATA)
    lose(grid, cap, 0, 1, 2, 3)
    files = grid.files()
    result = repair(grid, cap)
    assert not result.attempted and not result.successful
    assert result.problem == "1 of the file's shares are left, and it takes 2 to rebuild it"
    assert grid.files() == files


def test_nothing_but_what_is_missing_is_written(grid: FolderGrid) -> None:
    cap = grid.store(DATA)
    lose(grid, cap, 3)
    files = set(grid.files())
    repair(grid, cap)
    (new,) = set(grid.files()) - files
    assert new.endswith("/3")


def test_a_peer_that_is_away_is_made_up_for_by_the_others(grid: FolderGrid) -> None:
    cap = grid.store(DATA)
    grid.peer_of(2, cap).fault = unreachable
    result = repair(grid, cap)
    assert result.successful
    assert result.after.happiness == 4
    assert is_whole(grid, cap)


class TestDamagedShares:
    def test_one_is_replaced_elsewhere(self, grid: FolderGrid) -> None:
        cap = grid.store(DATA)
        holder = grid.peer_of(0, cap)
        grid.damage(0, cap, 100)
        assert not repair(grid, cap).attempted

        result = repair(grid, cap, verify=True)
        assert result.successful
        assert result.after.shares[0] and holder.name not in result.after.shares[0]
        assert holder.reports == [(0, result.before.corrupt[0].reason)]
        after = succeeded(grid.checker.check(cap, verify=True))
        assert after.healthy and len(after.corrupt) == 1
        assert succeeded(grid.fetch(cap)) == DATA

    def test_several_are_replaced_without_a_loss_of_happiness(self, grid: FolderGrid) -> None:
        cap = grid.store(DATA)
        for number in (0, 1, 2):
            grid.damage(number, cap, 100)
        result = repair(grid, cap, verify=True)
        assert result.successful
        assert result.after.happiness == 5
        assert is_whole(grid, cap)

    def test_one_without_another_peer_stays_missing(self, tmp_path: Path) -> None:
        with FolderGrid(tmp_path, peers=1, happy=1) as grid:
            cap = grid.store(DATA)
            grid.damage(1, cap, 100)
            lose(grid, cap, 4)
            result = repair(grid, cap, verify=True)
            assert result.attempted and not result.successful
            assert result.after.missing == [1]
            assert result.problem == "the shares 1 could not be stored"


class TestPeersInTheWay:
    @pytest.mark.parametrize("when", ["allocate", "write", "prepare", "commit"])
    def test_one_that_fails_costs_its_share_at_the_most(self, grid: FolderGrid, when: str) -> None:
        cap = grid.store(DATA)
        broken = grid.peer_of(1, cap)
        lose(grid, cap, 1, 2)
        broken.fault = failing(when)
        result = repair(grid, cap)
        assert result.attempted
        assert set(result.after.missing) <= {1}
        assert result.successful == (when == "allocate")
        assert succeeded(grid.checker.check(cap, verify=True)).shares == result.after.shares

    @pytest.mark.parametrize("when", ["allocate", "write", "prepare", "commit"])
    def test_when_all_fail_nothing_new_is_left(self, grid: FolderGrid, when: str) -> None:
        cap = grid.store(DATA)
        lose(grid, cap, 1, 2)
        files = grid.files()
        for peer in grid.peers:
            peer.fault = full(when)
        result = repair(grid, cap)
        assert result.attempted and not result.successful
        assert result.problem.startswith("none of the missing shares could be stored")
        assert "no room left" in result.problem
        assert result.after == result.before
        assert grid.files() == files

    def test_one_that_stalls_is_given_up(self, grid: FolderGrid) -> None:
        cap = grid.store(DATA)
        stuck = grid.peer_of(1, cap)
        lose(grid, cap, 1, 2)
        stuck.fault = stalling("write")
        repairing = Deferred.fromCoroutine(grid.repairer.check_and_repair(cap, verify=False))
        assert not repairing.called
        grid.clock.advance(STALL_SECONDS + 1)
        assert succeeded(repairing).after.missing == [1]
        assert grid.held() == 0

    def test_shares_that_run_out_on_the_way_leave_nothing(self, grid: FolderGrid) -> None:
        cap = grid.store(DATA)
        lose(grid, cap, 1, 2, 3)
        files = grid.files()
        grid.peer_of(4, cap).fault = failing("read", after=3)
        result = repair(grid, cap)
        assert result.attempted and not result.successful
        assert result.problem.startswith("2 different shares are needed")
        assert grid.files() == files

    def test_cancelling_leaves_nothing(self, grid: FolderGrid) -> None:
        cap = grid.store(DATA)
        lose(grid, cap, 1, 2)
        files = grid.files()
        grid.peer_of(4, cap).fault = stalling("read", after=3)
        grid.peer_of(3, cap).fault = stalling("read", after=3)
        grid.peer_of(0, cap).fault = stalling("read", after=3)
        repairing = Deferred.fromCoroutine(grid.repairer.check_and_repair(cap, verify=False))
        assert not repairing.called and len(grid.files()) == len(files) + 2
        repairing.cancel()
        assert isinstance(failure_of(repairing), CancelledError)
        assert grid.files() == files
        assert grid.held() == 0


def test_nothing_is_left_of_content_that_is_not_the_files(grid: FolderGrid) -> None:
    cap = grid.store(DATA)
    lose(grid, cap, 1)
    files = grid.files()
    shares = succeeded(grid.checker.check(cap, verify=False)).shares
    file = IncompleteFile(cap, 4096, shares, {})
    assert isinstance(failure_of(grid.uploader.complete(file, pieces(DATA[:-1] + b"!"))), OtherEncoding)
    other_segments = replace(file, segment_size=2048)
    assert isinstance(failure_of(grid.uploader.complete(other_segments, pieces(DATA))), OtherEncoding)
    assert grid.files() == files
    assert grid.held() == 0
