from __future__ import annotations

import fcntl
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tahoeish.storage.errors import NoSuchShare
from tahoeish.storage.layout import held, make_folder, move_into_place


def once_before(monkeypatch: pytest.MonkeyPatch, place: object, name: str, happening: Callable[[], object]) -> None:
    """Let something happen at the last moment before the first call."""
    real = getattr(place, name)
    left = [happening]

    def call(*arguments: object, **keywords: object) -> object:
        if left:
            left.pop()()
        return real(*arguments, **keywords)

    monkeypatch.setattr(place, name, call)


def test_hold_is_of_the_file_that_is_there_now(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, draft = tmp_path / "0", tmp_path / "draft"
    path.write_bytes(b"old")
    draft.write_bytes(b"new")
    once_before(monkeypatch, fcntl, "flock", lambda: draft.rename(path))

    with held(path) as file:
        assert file.read() == b"new"


def test_file_that_goes_before_it_is_held_is_no_share(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "0"
    path.write_bytes(b"share")
    once_before(monkeypatch, fcntl, "flock", path.unlink)

    with pytest.raises(NoSuchShare), held(path):
        pytest.fail("there is nothing to hold")


def test_held_file_is_not_held_by_anybody_else(tmp_path: Path) -> None:
    path = tmp_path / "0"
    path.write_bytes(b"share")

    with path.open("rb") as other:
        with held(path), pytest.raises(BlockingIOError):
            fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
        fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)


@pytest.mark.parametrize("removed", ["before the lower one is made", "before the file is moved"])
def test_folder_that_is_found_empty_and_removed_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, removed: str
) -> None:
    draft, path = tmp_path / "draft", tmp_path / "aa" / "aabb" / "0"
    draft.write_bytes(b"share")
    if removed == "before the file is moved":
        once_before(monkeypatch, os, "rename", lambda: os.removedirs(path.parent))
    else:
        path.parent.parent.mkdir()
        once_before(monkeypatch, os, "mkdir", path.parent.parent.rmdir)

    move_into_place(draft, path)

    assert path.read_bytes() == b"share"


def test_folders_are_only_made_where_the_disk_is(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        make_folder(tmp_path / "unmounted" / "aa" / "aabb")


def test_file_that_is_not_there_is_not_moved(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        move_into_place(tmp_path / "draft", tmp_path / "aa" / "aabb" / "0")
