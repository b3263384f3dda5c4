"""Checking files in a grid where shares are lost and damaged, and peers fail and stall."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from twisted.internet.defer import CancelledError, Deferred

from tahoeish.chk.caps import ReadCap, VerifyCap
from tahoeish.grid.check import CheckResult
from tests.grid.faults import failing, stalling
from tests.grid.gridtools import STALL_SECONDS, FolderGrid, content, failure_of, succeeded

DATA = content(50_000)
FIRST_BLOCK = 100
"""An offset within a share's first block."""


@pytest.fixture
def grid(tmp_path: Path) -> Iterator[FolderGrid]:
    with FolderGrid(tmp_path) as grid:
        yield grid


def check(grid: FolderGrid, cap: ReadCap | VerifyCap, *, verify: bool = False) -> CheckResult:
    result = succeeded(grid.checker.check(cap, verify=verify))
    assert grid.held() == 0
    return result


@pytest.mark.parametrize("verify", [False, True])
@pytest.mark.parametrize("size", [56, 4096, 50_000])
def test_a_whole_file_is_healthy(grid: FolderGrid, verify: bool, size: int) -> None:
    cap = grid.store(content(size))
    for either in (cap, cap.verify_cap):
        result = check(grid, either, verify=verify)
        assert result.healthy and result.recoverable
        assert result.summary == "Healthy"
        assert result.happiness == 5
        assert result.missing == []
        assert result.shares == {number: [grid.peer_of(number, cap).name] for number in range(5)}
        assert sorted(result.answering) == [f"peer{number}" for number in range(5)]
        assert not result.silent and not result.corrupt and not result.unreadable


def test_a_file_that_was_never_stored(grid: FolderGrid, tmp_path: Path) -> None:
    with FolderGrid(tmp_path / "other") as other:
        cap = other.store(DATA)
    result = check(grid, cap)
    assert not result.healthy and not result.recoverable
    assert result.summary == "Not Healthy: 0 shares (enc 2-of-5)"
    assert result.missing == [0, 1, 2, 3, 4]


def test_lost_shares_are_named(grid: FolderGrid) -> None:
    cap = grid.store(DATA)
    for number in (1, 4):
        grid.share_file(number, cap).unlink()
    result = check(grid, cap)
    assert not result.healthy and result.recoverable
    assert result.missing == [1, 4]
    assert result.happiness == 3
    assert result.summary == "Not Healthy: 3 shares (enc 2-of-5)"


def test_fewer_shares_than_needed_are_not_recoverable(grid: FolderGrid) -> None:
    cap = grid.store(DATA)
    for number in (0, 1, 2, 4):
        grid.share_file(number, cap).unlink()
    assert not check(grid, cap).recoverable


def test_happiness_counts_peers_that_can_be_told_apart(tmp_path: Path) -> None:
    with FolderGrid(tmp_path, peers=2, happy=2) as grid:
        result = check(grid, grid.store(DATA))
        assert result.healthy
        assert result.happiness == 2 and len(result.good_hosts) == 2


def test_without_verifying_nothing_is_read(grid: FolderGrid) -> None:
    cap = grid.store(DATA)
    for peer in grid.peers:
        peer.fault = failing("open")
    assert check(grid, cap).healthy


class TestVerifying:
    # The first and the last block, the header's offset of the blocks, a tree, and the extension block.
    @pytest.mark.parametrize("offset", [FIRST_BLOCK, 25_000, 13, 26_600, 28_200])
    def test_a_damaged_share_is_named_and_reported(self, grid: FolderGrid, offset: int) -> None:
        cap = grid.store(DATA)
        holder = grid.peer_of(3, cap)
        grid.damage(3, cap, offset)
        assert check(grid, cap).healthy

        result = check(grid, cap.verify_cap, verify=True)
        assert not result.healthy and result.recoverable
        assert result.missing == [3]
        (bad,) = result.corrupt
        assert (bad.number, bad.peer) == (3, holder.name)
        assert bad.reason.startswith("share 3 is corrupt: its ")
        assert result.useless == {holder.name: {3}}
        assert holder.reports == [(3, bad.reason)]

    def test_where_it_is_damaged_is_said(self, grid: FolderGrid) -> None:
        cap = grid.store(DATA)
        grid.damage(0, cap, FIRST_BLOCK + 3 * 2048)
        (bad,) = check(grid, cap, verify=True).corrupt
        assert "its block 3 does not match its hash" in bad.reason

    def test_one_of_two_copies_is_enough(self, grid: FolderGrid) -> None:
        cap = grid.store(DATA)
        copied, damaged = grid.share_file(2, cap), grid.peers.index(grid.peer_of(4, cap))
        copy = grid.folders[damaged] / copied.relative_to(copied.parents[3])
        copy.write_bytes(copied.read_bytes())
        good = grid.peer_of(4, cap).name

        assert good in check(grid, cap, verify=True).shares[2]
        with copy.open("r+b") as file:
            file.seek(1000)
            file.write(b"not what it was")
        result = check(grid, cap, verify=True)
        assert result.healthy
        assert len(result.shares[2]) == 1 and len(result.corrupt) == 1

    def test_a_share_that_no_such_file_has_is_corrupt(self, grid: FolderGrid) -> None:
        cap = grid.store(DATA)
        path = grid.share_file(1, cap)
        path.with_name("7").write_bytes(path.read_bytes())
        assert check(grid, cap).healthy
        result = check(grid, cap, verify=True)
        assert result.healthy
        assert [bad.number for bad in result.corrupt] == [7]

    @pytest.mark.parametrize("when", ["open", "read"])
    def test_a_peer_that_fails_is_not_a_liar(self, grid: FolderGrid, when: str) -> None:
        cap = grid.store(DATA)
        grid.peer_of(2, cap).fault = failing(when)
        result = check(grid, cap, verify=True)
        assert result.missing == [2]
        assert not result.corrupt
        (unreadable,) = result.unreadable
        assert unreadable.number == 2 and unreadable.reason == f"failed at {when}"

    @pytest.mark.parametrize("after", [0, 1, 2])
    def test_a_peer_that_stalls_is_given_up(self, grid: FolderGrid, after: int) -> None:
        cap = grid.store(DATA)
        grid.peer_of(2, cap).fault = stalling("read", after)
        checking = Deferred.fromCoroutine(grid.checker.check(cap, verify=True))
        assert not checking.called
        grid.clock.advance(STALL_SECONDS + 1)
        (unreadable,) = succeeded(checking).unreadable
        assert unreadable.reason == "no answer for 10 seconds"
        assert grid.held() == 0

    def test_memory_is_leased_for_what_is_read(self, grid: FolderGrid) -> None:
        cap = grid.store(DATA)
        for peer in grid.peers:
            peer.fault = stalling("read", after=2)
        checking = Deferred.fromCoroutine(grid.checker.check(cap, verify=True))
        assert 25_000 <= grid.reading.used <= grid.reading.capacity
        checking.cancel()
        assert isinstance(failure_of(checking), CancelledError)
        assert grid.held() == 0


class TestSilentPeers:
    def test_one_that_fails_is_named_with_what_it_said(self, grid: FolderGrid) -> None:
        cap = grid.store(DATA)
        silent = grid.peer_of(1, cap)
        silent.fault = failing("share_numbers")
        result = check(grid, cap)
        assert result.missing == [1]
        assert result.silent == {silent.name: "failed at share_numbers"}
        assert silent.name not in result.answering and len(result.answering) == 4

    def test_one_that_stalls_is_given_up(self, grid: FolderGrid) -> None:
        cap = grid.store(DATA)
        grid.peers[3].fault = stalling("share_numbers")
        checking = Deferred.fromCoroutine(grid.checker.check(cap, verify=False))
        assert not checking.called
        grid.clock.advance(STALL_SECONDS + 1)
        assert succeeded(checking).silent == {"peer3": "no answer for 10 seconds"}


class TestLeases:
    def test_every_share_gets_a_longer_one(self, grid: FolderGrid) -> None:
        cap = grid.store(DATA)
        before = [grid.share_file(number, cap).read_bytes() for number in range(5)]
        for peer in grid.peers:
            peer.peer._store.now = lambda: 2e9
        check(grid, cap)
        assert [grid.share_file(number, cap).read_bytes() for number in range(5)] == before
        result = succeeded(grid.checker.check(cap, verify=False, add_lease=True))
        assert not result.not_leased
        after = [grid.share_file(number, cap).read_bytes() for number in range(5)]
        assert all(old != new and len(old) == len(new) for old, new in zip(before, after, strict=True))
        assert check(grid, cap, verify=True).healthy

    def test_a_peer_that_gives_none_is_named(self, grid: FolderGrid) -> None:
        cap = grid.store(DATA)
        grid.peers[2].fault = failing("allocate")
        result = succeeded(grid.checker.check(cap, verify=False, add_lease=True))
        assert result.healthy
        assert result.not_leased == {"peer2": "failed at allocate"}
