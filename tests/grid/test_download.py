"""Downloads from a grid in which peers lie, stall and disappear."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import aclosing
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import deferLater

from tahoeish.chk import base32
from tahoeish.grid.errors import NotEnoughShares
from tahoeish.grid.peer import PeerUnavailable
from tests.grid.faults import failing, stalling
from tests.grid.gridtools import STALL_SECONDS, FolderGrid, content, failure_of, succeeded

DATA = content(50_000)


def gone(what: str) -> None:
    raise PeerUnavailable("it", "it is gone")


@pytest.fixture
def grid(tmp_path: Path) -> Iterator[FolderGrid]:
    with FolderGrid(tmp_path) as grid:
        yield grid


@settings(max_examples=60, deadline=None)
@given(first=st.integers(0, 49_999), length=st.integers(1, 50_000))
def test_any_range_reads_right(tmp_path_factory: pytest.TempPathFactory, first: int, length: int) -> None:
    with FolderGrid(tmp_path_factory.mktemp("grid")) as grid:
        cap = grid.store(DATA)
        last = min(first + length, len(DATA)) - 1
        assert succeeded(grid.fetch(cap, first, last)) == DATA[first : last + 1]
        assert grid.held() == 0


@pytest.mark.parametrize("lost", [(0, 1, 2), (0, 3, 4), (2, 3, 4), (0, 1, 4)])
def test_any_two_of_five_shares_are_enough(grid: FolderGrid, lost: tuple[int, ...]) -> None:
    cap = grid.store(DATA)
    for number in lost:
        shutil.rmtree(grid.folders[number] / "shares" / base32.encode(cap.storage_index)[:2])
    assert succeeded(grid.fetch(cap)) == DATA


def test_too_few_shares_are_counted_and_named(grid: FolderGrid) -> None:
    cap = grid.store(DATA)
    for number in (0, 1, 2):
        grid.peer_of(number, cap).fault = gone
    grid.peer_of(3, cap).fault = failing("open")
    error = failure_of(grid.fetch(cap))
    assert isinstance(error, NotEnoughShares)
    assert len(error.found) == 2 and error.needed == 2
    assert sum("it is gone" in reason for reason in error.reasons.values()) >= 3
    assert "failed at open" in str(error)


def test_a_file_that_was_never_stored(grid: FolderGrid, tmp_path: Path) -> None:
    with FolderGrid(tmp_path / "other") as other:
        cap = other.store(DATA)
    error = failure_of(grid.fetch(cap))
    assert isinstance(error, NotEnoughShares)
    assert "none was found" in str(error)


class TestReplacing:
    @pytest.mark.parametrize("when", ["open", "read"])
    @pytest.mark.parametrize("after", [0, 1, 2, 4, 7])
    def test_a_peer_that_fails(self, grid: FolderGrid, when: str, after: int) -> None:
        cap = grid.store(DATA)
        grid.peer_of(0, cap).fault = failing(when, after)
        assert succeeded(grid.fetch(cap)) == DATA
        assert grid.held() == 0

    @pytest.mark.parametrize("after", [0, 2, 5])
    def test_a_peer_that_stalls(self, grid: FolderGrid, after: int) -> None:
        cap = grid.store(DATA)
        grid.peer_of(1, cap).fault = stalling("read", after)
        fetching = Deferred.fromCoroutine(grid.fetch(cap))
        assert not fetching.called
        grid.clock.advance(STALL_SECONDS + 1)
        assert succeeded(fetching) == DATA
        assert grid.held() == 0

    def test_a_peer_that_stalls_when_asked_for_shares(self, grid: FolderGrid) -> None:
        cap = grid.store(DATA)
        grid.peers[1].fault = stalling("share_numbers")
        fetching = Deferred.fromCoroutine(grid.fetch(cap))
        grid.clock.advance(STALL_SECONDS + 1)
        assert succeeded(fetching) == DATA

    @pytest.mark.parametrize("offset", [40, 2000, 20_000])
    def test_a_peer_that_lies_is_reported(self, grid: FolderGrid, offset: int) -> None:
        cap = grid.store(DATA)
        liar = grid.peer_of(0, cap)

        def flip(number: int, start: int, data: bytes) -> bytes:
            if start <= offset < start + len(data):
                at = offset - start
                return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]
            return data

        liar.tamper = flip
        assert succeeded(grid.fetch(cap)) == DATA
        ((number, reason),) = liar.reports
        assert number == 0 and "block" in reason
        assert grid.held() == 0

    def test_not_one_wrong_byte_is_given_out_when_all_lie(self, grid: FolderGrid) -> None:
        cap = grid.store(DATA)
        for peer in grid.peers:
            peer.tamper = lambda number, start, data: (
                data[:-1] + bytes([data[-1] ^ 1]) if 14_000 < start < 25_100 else data
            )
        got = bytearray()

        async def fetch() -> None:
            file = await grid.downloader.open(cap)
            try:
                async with aclosing(file.read(0, cap.size - 1)) as stream:
                    async for piece in stream:
                        got.extend(piece)
            finally:
                await file.close()

        assert isinstance(failure_of(fetch()), NotEnoughShares)
        assert got and DATA.startswith(got)
        assert grid.held() == 0

    def test_a_share_cut_short(self, grid: FolderGrid) -> None:
        cap = grid.store(DATA)
        grid.peer_of(0, cap).tamper = lambda number, start, data: data[: max(0, 1000 - start)]
        assert succeeded(grid.fetch(cap)) == DATA


def test_a_reader_that_stops_gives_everything_back(grid: FolderGrid) -> None:
    cap = grid.store(DATA)

    async def taste() -> bytes:
        file = await grid.downloader.open(cap)
        try:
            async with aclosing(file.read(0, cap.size - 1)) as stream:
                async for piece in stream:
                    return bytes(piece)
        finally:
            await file.close()
        return b""

    assert DATA.startswith(succeeded(taste()))
    assert grid.held() == 0


def test_a_cancelled_reader_gives_everything_back(grid: FolderGrid) -> None:
    cap = grid.store(DATA)
    for peer in grid.peers:
        peer.fault = stalling("read", after=3)
    fetching = Deferred.fromCoroutine(grid.fetch(cap))
    fetching.cancel()
    failure_of(fetching)
    assert grid.held() == 0


def test_nobody_is_waited_for_when_the_shares_are_where_they_are_as_a_rule(grid: FolderGrid) -> None:
    cap = grid.store(DATA)
    for number in (2, 3, 4):
        grid.peer_of(number, cap).fault = stalling("share_numbers")
    assert succeeded(grid.fetch(cap)) == DATA
    assert not grid.clock.getDelayedCalls()


def test_who_reads_beside_others_reads_less_at_a_time(grid: FolderGrid, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tahoeish.grid.stretches.LONGEST", 4 * 4096)
    cap, other = grid.store(DATA), grid.store(content(50_001))
    reads: list[str] = []

    def note(what: str) -> None:
        if what == "read":
            reads.append(what)

    def reads_of_all() -> int:
        reads.clear()
        for peer in grid.peers:
            peer.fault = note
        assert succeeded(grid.fetch(cap)) == DATA
        return len(reads)

    alone = reads_of_all()
    for peer in grid.peers:
        peer.fault = stalling("read", after=4)
    beside = Deferred.fromCoroutine(grid.fetch(other))
    assert grid.reading.holders == 1
    assert reads_of_all() > alone
    beside.cancel()
    failure_of(beside)
    assert grid.held() == 0 and grid.reading.holders == 0
    assert reads_of_all() == alone


class TestLagging:
    def test_another_peer_is_asked_long_before_one_counts_as_stalled(self, grid: FolderGrid) -> None:
        cap = grid.store(DATA)
        grid.peer_of(1, cap).fault = stalling("read", after=4)

        fetching = Deferred.fromCoroutine(grid.fetch(cap))
        assert not fetching.called
        grid.clock.advance(STALL_SECONDS / 20)

        assert succeeded(fetching) == DATA
        assert grid.held() == 0

    def test_a_peer_that_lags_is_not_asked_again(self, grid: FolderGrid) -> None:
        cap = grid.store(DATA)
        slow = grid.peer_of(1, cap)
        reads: list[Deferred[None]] = []

        def lag(what: str) -> Deferred[None] | None:
            if what != "read":
                return None
            reads.append(Deferred())
            if len(reads) <= 2:
                return succeed(None)
            return reads[-1]

        slow.fault = lag
        fetching = Deferred.fromCoroutine(grid.fetch(cap))
        under_way = len(reads)
        grid.clock.advance(STALL_SECONDS / 20)

        assert succeeded(fetching) == DATA
        assert len(reads) == under_way

    def test_a_grid_that_is_slow_as_a_whole_is_not_asked_for_more(self, grid: FolderGrid) -> None:
        cap = grid.store(DATA)
        opened: list[str] = []

        def slow(what: str) -> Deferred[None] | None:
            if what == "open":
                opened.append(what)
            return deferLater(grid.clock, 1.0) if what == "read" else None

        for peer in grid.peers:
            peer.fault = slow
        fetching = Deferred.fromCoroutine(grid.fetch(cap))
        for _ in range(400):
            grid.clock.advance(0.1)

        assert succeeded(fetching) == DATA
        assert len(opened) <= 4
