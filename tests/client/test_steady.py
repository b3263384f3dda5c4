"""A file that has to stay the same while it is sent."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
import pytest_twisted

from tahoeish.client.errors import FileChanged
from tahoeish.client.steady import SteadyFile, opened_steadily
from tahoeish.streams.threads import direct

CONTENT = bytes(range(256)) * 2000


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "file"
    path.write_bytes(CONTENT)
    return path


@pytest.mark.parametrize("start", [0, 1, 300_000, len(CONTENT)])
@pytest_twisted.ensureDeferred
async def test_it_is_read_from_anywhere_to_its_end_and_again(path: Path, start: int) -> None:
    async with opened_steadily(path, direct) as file:
        for _ in range(2):
            assert b"".join([piece async for piece in file.contents(start)]) == CONTENT[start:]


def _touch(path: Path) -> None:
    os.utime(path, (1, 1))


def _lengthen(path: Path) -> None:
    path.write_bytes(CONTENT + b"more")


def _shorten(path: Path) -> None:
    path.write_bytes(b"")


@pytest.mark.parametrize("change", [_touch, _lengthen, _shorten])
@pytest_twisted.ensureDeferred
async def test_of_a_file_that_changes_the_last_piece_is_never_given(path: Path, change: Callable[[Path], None]) -> None:
    given: list[bytes] = []

    async def take_all(file: SteadyFile) -> None:
        async for piece in file.contents():
            if not given:
                change(path)
            given.append(piece)

    async with opened_steadily(path, direct) as file:
        with pytest.raises(FileChanged):
            await take_all(file)
    assert 0 < len(b"".join(given)) < len(CONTENT)


@pytest_twisted.ensureDeferred
async def test_only_files_are_opened_and_pipes_are_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OSError, match="Not a regular file"):
        async with opened_steadily(tmp_path / "pipe", direct):
            pass


@pytest_twisted.ensureDeferred
async def test_its_time_is_rounded_down_to_microseconds(path: Path) -> None:
    os.utime(path, ns=(0, -1_500_000_500))
    async with opened_steadily(path, direct) as file:
        assert file.modified == -1.500001
