"""Uploads that are put aside and gone on with, by this process or by the next one."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from twisted.internet.defer import Deferred

from tahoeish.chk.caps import LiteralCap, ReadCap
from tahoeish.chk.errors import BadCheckpoint
from tahoeish.grid.errors import GridFull, SharesForgotten, UploadUnhappy
from tahoeish.grid.resumable import ResumableUpload, Standing, begin, discard, go_on
from tests.grid.faults import failing, full, stalling
from tests.grid.gridtools import FolderGrid, content, failure_of, succeeded

DATA = content(100_000)


class Keeper:
    """What a catalogue would know."""

    def __init__(self) -> None:
        self.standing: Standing | None = None
        self.records = b""
        self.kept = 0
        self.length: int | None = None

    async def keep(self, standing: Standing) -> None:
        record_size = 32 * 6
        self.records = self.records[: standing.first_segment * record_size] + standing.records
        self.standing = replace(standing, records=b"")
        self.kept += 1

    def go_on(self, grid: FolderGrid) -> ResumableUpload:
        assert self.standing is not None
        return succeeded(go_on(grid.uploader, self.standing, self.records, self.keep, self.length))


@pytest.fixture
def grid(tmp_path: Path) -> Iterator[FolderGrid]:
    with FolderGrid(tmp_path) as grid:
        yield grid


def write(upload: ResumableUpload, data: bytes, size: int = 1000) -> None:
    for start in range(0, len(data), size):
        succeeded(upload.write(data[start : start + size]))


def expect_whole(grid: FolderGrid, upload: ResumableUpload) -> None:
    """All of `DATA` has been written, and is what can be fetched."""
    cap = succeeded(upload.finish()).cap
    assert isinstance(cap, ReadCap)
    assert succeeded(grid.fetch(cap)) == DATA


def expect_whole_again(grid: FolderGrid, keeper: Keeper, offset: int) -> None:
    """With peers that have come to their senses, it goes on from there to the end."""
    for peer in grid.peers:
        peer.fault = lambda what: None
    upload = keeper.go_on(grid)
    assert upload.position == offset
    write(upload, DATA[offset:])
    expect_whole(grid, upload)


def settle(upload: ResumableUpload, keeper: Keeper) -> Standing:
    standing = succeeded(upload.settle())
    succeeded(keeper.keep(standing))
    return standing


@pytest.mark.parametrize("size", [0, 1, 55, 56, 4095, 4096, 4097, 50_000])
@pytest.mark.parametrize("known", [True, False])
def test_what_came_at_once_can_be_fetched(grid: FolderGrid, size: int, known: bool) -> None:
    keeper, data = Keeper(), content(size)
    upload = succeeded(begin(grid.uploader, size if known else None, keeper.keep))
    write(upload, data)
    uploaded = succeeded(upload.finish())
    if size <= 55:
        assert uploaded.cap == LiteralCap(data)
    else:
        assert isinstance(uploaded.cap, ReadCap)
        assert succeeded(grid.fetch(uploaded.cap)) == data
    assert grid.held() == 0


def test_nothing_goes_to_the_peers_before_a_segment_is_full(grid: FolderGrid) -> None:
    keeper = Keeper()
    upload = succeeded(begin(grid.uploader, 100_000, keeper.keep))
    write(upload, DATA[:4095])
    standing = settle(upload, keeper)
    assert standing.offset == 4095 and standing.tail == DATA[:4095]
    assert grid.files() == []
    write(upload, DATA[4095:4096])
    assert len(grid.files()) == 5
    succeeded(upload.let_go())


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("known", [True, False])
def test_it_goes_on_through_any_number_of_restarts(tmp_path: Path, seed: int, known: bool) -> None:
    chance, keeper = random.Random(seed), Keeper()
    position = 0
    with FolderGrid(tmp_path) as grid:
        upload = succeeded(begin(grid.uploader, len(DATA) if known else None, keeper.keep))
        position = chance.randrange(1, 20_000)
        write(upload, DATA[:position])
        settle(upload, keeper)
        succeeded(upload.let_go())
        assert grid.held() == 0
    while position < len(DATA):
        with FolderGrid(tmp_path) as grid:
            grid.uploader.random_bytes = chance.randbytes
            upload = keeper.go_on(grid)
            assert upload.position == position
            step = chance.randrange(1, 30_000)
            write(upload, DATA[position : position + step])
            if chance.random() < 0.3:
                # As after a crash: what came since then is sent again.
                succeeded(upload.let_go())
                continue
            settle(upload, keeper)
            position = min(position + step, len(DATA))
            succeeded(upload.let_go())
    with FolderGrid(tmp_path) as grid:
        uploaded = succeeded(keeper.go_on(grid).finish())
        assert isinstance(uploaded.cap, ReadCap)
        assert succeeded(grid.fetch(uploaded.cap)) == DATA
        assert uploaded.happiness == 5 and not uploaded.missing
        assert len(grid.files()) == 5
        assert grid.held() == 0


@pytest.mark.parametrize("commits", range(6))
def test_an_end_that_was_interrupted_is_made_up_for(tmp_path: Path, commits: int) -> None:
    keeper = Keeper()
    with FolderGrid(tmp_path) as grid:
        upload = succeeded(begin(grid.uploader, len(DATA), keeper.keep))
        write(upload, DATA)
        settle(upload, keeper)
        for peer in grid.peers[commits:]:
            peer.fault = stalling("commit")
        finishing = Deferred.fromCoroutine(upload.finish()).addErrback(lambda _: None)
        assert finishing.called == (commits == 5)
        succeeded(upload.let_go())
    with FolderGrid(tmp_path) as grid:
        uploaded = succeeded(keeper.go_on(grid).finish())
        assert isinstance(uploaded.cap, ReadCap)
        assert succeeded(grid.fetch(uploaded.cap)) == DATA
        assert len(grid.files()) == 5


def test_standings_are_kept_on_the_way(grid: FolderGrid, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tahoeish.grid.resumable.CHECKPOINT_BYTES", 20_000)
    keeper = Keeper()
    upload = succeeded(begin(grid.uploader, len(DATA), keeper.keep))
    write(upload, DATA[:60_000])
    assert keeper.kept == 3
    assert keeper.standing is not None and 40_000 < keeper.standing.offset <= 60_000
    succeeded(upload.let_go())
    offset = keeper.standing.offset
    upload = keeper.go_on(grid)
    write(upload, DATA[offset:])
    expect_whole(grid, upload)


def test_nothing_is_kept_before_the_end_of_what_is_to_be_verified(
    grid: FolderGrid, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tahoeish.grid.resumable.CHECKPOINT_BYTES", 20_000)
    keeper = Keeper()
    upload = succeeded(begin(grid.uploader, len(DATA), keeper.keep))
    upload.quiet = True
    write(upload, DATA)
    assert keeper.kept == 0
    assert settle(upload, keeper).offset == len(DATA)
    succeeded(upload.let_go())
    expect_whole(grid, keeper.go_on(grid))


def test_a_share_that_is_lost_isnt_waited_for(grid: FolderGrid) -> None:
    keeper = Keeper()
    upload = succeeded(begin(grid.uploader, len(DATA), keeper.keep))
    write(upload, DATA[:50_000])
    grid.peers[1].fault = failing("write")
    write(upload, DATA[50_000:60_000])
    standing = settle(upload, keeper)
    assert len(standing.shares) == 4
    grid.peers[1].fault = lambda what: None
    succeeded(upload.let_go())
    upload = keeper.go_on(grid)
    write(upload, DATA[60_000:])
    uploaded = succeeded(upload.finish())
    assert isinstance(uploaded.cap, ReadCap)
    assert len(uploaded.missing) == 1
    assert succeeded(grid.fetch(uploaded.cap)) == DATA


def test_when_too_many_peers_fail_it_can_be_gone_on_with_later(grid: FolderGrid) -> None:
    keeper = Keeper()
    upload = succeeded(begin(grid.uploader, len(DATA), keeper.keep))
    write(upload, DATA[:50_000])
    settle(upload, keeper)
    for peer in grid.peers[:3]:
        peer.fault = failing("write")
    failing_write = Deferred.fromCoroutine(upload.write(DATA[50_000:70_000]))
    grid.clock.advance(0)
    assert type(failure_of(failing_write)) is UploadUnhappy
    succeeded(upload.let_go())
    for peer in grid.peers:
        peer.fault = lambda what: None
    upload = keeper.go_on(grid)
    assert upload.position == 50_000
    write(upload, DATA[50_000:])
    expect_whole(grid, upload)


@pytest.mark.parametrize("when", ["write", "secure"])
def test_nothing_is_kept_that_too_few_peers_have(grid: FolderGrid, monkeypatch: pytest.MonkeyPatch, when: str) -> None:
    monkeypatch.setattr("tahoeish.grid.resumable.CHECKPOINT_BYTES", 8_000)
    keeper = Keeper()
    upload = succeeded(begin(grid.uploader, len(DATA), keeper.keep))
    write(upload, DATA[:20_000])
    kept = settle(upload, keeper)
    for peer in grid.peers:
        peer.fault = failing(when)

    failing_write = Deferred.fromCoroutine(upload.write(DATA[20_000:60_000]))
    grid.clock.advance(0)

    assert type(failure_of(failing_write)) is UploadUnhappy
    assert keeper.standing is not None
    assert (keeper.standing.offset, keeper.standing.shares) == (kept.offset, kept.shares)
    succeeded(upload.let_go())
    expect_whole_again(grid, keeper, 20_000)


def test_what_is_lost_isnt_told_as_confirmed(grid: FolderGrid) -> None:
    upload = succeeded(begin(grid.uploader, len(DATA), Keeper().keep))
    write(upload, DATA[:20_000])
    confirmed = upload.progress.confirmed
    for peer in grid.peers:
        peer.fault = failing("write")
    Deferred.fromCoroutine(upload.write(DATA[20_000:60_000])).addErrback(lambda _: None)
    assert upload.progress.confirmed == confirmed
    succeeded(upload.let_go())


def test_a_standing_whose_shares_nobody_knows_is_refused(grid: FolderGrid) -> None:
    keeper = Keeper()
    upload = succeeded(begin(grid.uploader, len(DATA), keeper.keep))
    write(upload, DATA[:20_000])
    standing = settle(upload, keeper)
    succeeded(upload.let_go())
    going_on = go_on(grid.uploader, replace(standing, shares=()), keeper.records, keeper.keep, len(DATA))
    assert type(failure_of(Deferred.fromCoroutine(going_on))) is BadCheckpoint


def test_when_disks_are_full_it_can_be_gone_on_with_when_there_is_room(grid: FolderGrid) -> None:
    keeper = Keeper()
    upload = succeeded(begin(grid.uploader, len(DATA), keeper.keep))
    write(upload, DATA[:50_000])
    settle(upload, keeper)
    for peer in grid.peers:
        peer.fault = full("write")
    failing_write = Deferred.fromCoroutine(upload.write(DATA[50_000:70_000]))
    grid.clock.advance(0)
    assert type(failure_of(failing_write)) is GridFull
    succeeded(upload.let_go())
    assert len(grid.files()) == 5
    expect_whole_again(grid, keeper, 50_000)


def test_a_full_disk_gets_its_room_back_when_the_upload_goes_on_without_it(
    grid: FolderGrid, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tahoeish.grid.resumable.CHECKPOINT_BYTES", 8_000)
    keeper = Keeper()
    upload = succeeded(begin(grid.uploader, len(DATA), keeper.keep))
    write(upload, DATA[:20_000])
    settle(upload, keeper)
    grid.peers[1].fault = full("write")
    write(upload, DATA[20_000:60_000])
    assert keeper.standing is not None and len(keeper.standing.shares) == 4
    assert len(grid.files()) == 4
    succeeded(upload.let_go())


def test_peers_that_dont_answer_are_something_else_than_peers_that_forgot(grid: FolderGrid) -> None:
    keeper = Keeper()
    upload = succeeded(begin(grid.uploader, len(DATA), keeper.keep))
    write(upload, DATA[:50_000])
    settle(upload, keeper)
    succeeded(upload.let_go())
    for peer in grid.peers[:3]:
        peer.fault = failing("reopen")
    upload = keeper.go_on(grid)
    assert type(failure_of(Deferred.fromCoroutine(upload.write(DATA[50_000:60_000])))) is UploadUnhappy
    succeeded(upload.let_go())
    for peer in grid.peers:
        peer.fault = lambda what: None
    for path in [path for folder in grid.folders[:3] for path in (folder / "shares" / "incoming").rglob("*")]:
        if path.is_file():
            path.unlink()
    upload = keeper.go_on(grid)
    assert type(failure_of(Deferred.fromCoroutine(upload.write(DATA[50_000:60_000])))) is SharesForgotten
    assert grid.held() > 0
    succeeded(upload.let_go())
    assert grid.held() == 0


@pytest.mark.parametrize("at_hand", [True, False])
def test_what_is_discarded_leaves_nothing(grid: FolderGrid, at_hand: bool) -> None:
    keeper = Keeper()
    upload = succeeded(begin(grid.uploader, len(DATA), keeper.keep))
    write(upload, DATA[:50_000])
    settle(upload, keeper)
    assert len(grid.files()) == 5
    if at_hand:
        succeeded(upload.discard())
    else:
        succeeded(upload.let_go())
        assert keeper.standing is not None
        succeeded(discard(keeper.standing, grid.peers))
    assert grid.files() == []
    assert grid.held() == 0


def test_whoever_stops_waiting_loses_nothing(grid: FolderGrid) -> None:
    keeper = Keeper()
    upload = succeeded(begin(grid.uploader, len(DATA), keeper.keep))
    stuck: Deferred[None] = Deferred()
    grid.peers[0].fault = lambda what: stuck if what == "allocate" else None
    writing = Deferred.fromCoroutine(upload.write(DATA[:50_000]))
    writing.addErrback(lambda _: None)
    writing.cancel()
    grid.peers[0].fault = lambda what: None
    stuck.callback(None)
    assert settle(upload, keeper).offset == 50_000
    write(upload, DATA[50_000:])
    expect_whole(grid, upload)
