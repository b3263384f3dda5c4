"""Shares that are kept open for the next request."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from twisted.internet.task import Clock

from tahoeish.storage.recent import MOST, SECONDS, RecentShares
from tahoeish.storage.share_file import ShareFile
from tahoeish.streams.threads import direct

INDEX = bytes(16)
CONTENT = bytes(range(256)) * 40


def share(folder: Path, name: str = "0") -> ShareFile:
    path = folder / name
    path.write_bytes(b"header" + CONTENT)
    return ShareFile(path, path.open("rb", buffering=0), 6, len(CONTENT))


class Kept:
    def __init__(self) -> None:
        self.clock = Clock()
        self.recent = RecentShares(direct, self.clock)


@pytest.fixture
def kept() -> Kept:
    return Kept()


def test_a_share_is_taken_by_one_at_a_time(kept: Kept, tmp_path: Path) -> None:
    one = share(tmp_path)
    kept.recent.keep(INDEX, 0, one)
    assert kept.recent.take(INDEX, 1) is None
    assert kept.recent.take(INDEX, 0) is one
    assert kept.recent.take(INDEX, 0) is None and not one.closed
    one.close()


def test_what_nobody_asks_for_any_more_is_closed(kept: Kept, tmp_path: Path) -> None:
    first, second = share(tmp_path), share(tmp_path, "1")
    kept.recent.keep(INDEX, 0, first)
    kept.clock.advance(SECONDS - 1)
    kept.recent.keep(INDEX, 1, second)
    kept.clock.advance(1)
    assert first.closed and not second.closed
    kept.clock.advance(SECONDS - 1)
    assert second.closed and not kept.clock.getDelayedCalls()


def test_a_share_that_was_removed_meanwhile_is_gone(kept: Kept, tmp_path: Path) -> None:
    one = share(tmp_path)
    kept.recent.keep(INDEX, 0, one)
    one.path.unlink()
    assert kept.recent.take(INDEX, 0) is None and one.closed


def test_of_one_share_one_is_kept(kept: Kept, tmp_path: Path) -> None:
    first, second = share(tmp_path), share(tmp_path)
    kept.recent.keep(INDEX, 0, first)
    kept.recent.keep(INDEX, 0, second)
    assert first.closed and not second.closed
    kept.recent.stop()
    assert second.closed and not kept.clock.getDelayedCalls()


def test_not_more_than_so_many_are_kept(kept: Kept, tmp_path: Path) -> None:
    shares = [share(tmp_path, str(number)) for number in range(MOST + 3)]
    for number, one in enumerate(shares):
        kept.recent.keep(INDEX, number, one)
    assert [one.closed for one in shares] == [True] * 3 + [False] * MOST
    kept.recent.stop()
    assert all(one.closed for one in shares)


def test_nothing_is_kept_when_the_node_stops(kept: Kept, tmp_path: Path) -> None:
    one = share(tmp_path)
    kept.recent.stop()
    kept.recent.keep(INDEX, 0, one)
    assert one.closed and not kept.clock.getDelayedCalls()


@pytest.fixture
def tells(tmp_path: Path) -> None:
    """Skips the test where the system can't say what of a file it has in memory."""
    with (tmp_path / "probe").open("wb+", buffering=0) as file:
        file.write(b"x")
        try:
            os.preadv(file.fileno(), [bytearray(1)], 0, os.RWF_NOWAIT)
        except (AttributeError, OSError) as error:
            pytest.skip(f"preadv with RWF_NOWAIT is missing here, or in the file system of {tmp_path}: {error}")


@pytest.mark.usefixtures("tells")
@pytest.mark.parametrize(("offset", "length"), [(0, 10), (100, 1), (len(CONTENT) - 5, 100), (0, 1 << 40)])
def test_what_the_system_has_in_memory_is_read_without_waiting(tmp_path: Path, offset: int, length: int) -> None:
    one = share(tmp_path)
    now = one.read_now(offset, length)
    assert now is not None and bytes(now) == CONTENT[offset : offset + length]
    one.close()


@pytest.mark.parametrize("offset", [len(CONTENT), 1 << 70])
def test_behind_the_end_there_is_nothing_to_be_read_at_once(tmp_path: Path, offset: int) -> None:
    one = share(tmp_path)
    assert one.read_now(offset, 1) is None
    one.close()
