"""What is remembered of uploads, in a folder of its own."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tahoeish.client.errors import UploadInProgress
from tahoeish.client.sessions import STALE_SECONDS, Remembered, SessionStore
from tahoeish.client.steady import Fingerprint

NODE = "http://127.0.0.1:3456"
FILE = Path("/films/holiday.mkv")
REMEMBERED = Remembered("/uploads/abc", Fingerprint(10, 20, 30), 1_700_000_000.5)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "state" / "uploads"


@pytest.fixture
def store(folder: Path) -> SessionStore:
    return SessionStore(folder)


def remember(store: SessionStore) -> None:
    slot = store.claim(NODE, FILE, "")
    slot.remember(REMEMBERED)
    slot.release()


def recalled(store: SessionStore, url: str = NODE, file: Path = FILE, target: str = "") -> Remembered | None:
    slot = store.claim(url, file, target)
    try:
        return slot.recall()
    finally:
        slot.release()


def test_another_process_finds_what_one_has_remembered(store: SessionStore, folder: Path) -> None:
    remember(store)
    assert recalled(SessionStore(folder)) == REMEMBERED


def test_another_node_another_file_and_another_name_are_something_else(store: SessionStore) -> None:
    remember(store)
    assert recalled(store, url="http://elsewhere") is None
    assert recalled(store, file=Path("/films/other.mkv")) is None
    assert recalled(store, target="/files/holiday.mkv") is None


def test_what_is_forgotten_leaves_nothing(store: SessionStore, folder: Path) -> None:
    remember(store)
    slot = store.claim(NODE, FILE, "")
    slot.forget()
    slot.release()
    assert list(folder.iterdir()) == []


def test_only_one_at_a_time_has_it(store: SessionStore, folder: Path) -> None:
    slot = store.claim(NODE, FILE, "")
    with pytest.raises(UploadInProgress, match=r"another process is uploading /films/holiday\.mkv"):
        SessionStore(folder).claim(NODE, FILE, "")
    slot.release()
    assert recalled(store) is None


@pytest.mark.parametrize("damage", [b"", b'{"address": "/uploads/a', b"[1]", b'{"address": 1, "file": {}}', b"\xff"])
def test_half_a_memory_is_none(store: SessionStore, folder: Path, damage: bytes) -> None:
    remember(store)
    [path] = folder.iterdir()
    path.write_bytes(damage)
    assert recalled(store) is None


def test_nobody_else_may_read_it_whatever_the_umask(store: SessionStore, folder: Path) -> None:
    before = os.umask(0)
    try:
        remember(store)
    finally:
        os.umask(before)
    [path] = folder.iterdir()
    assert (folder.stat().st_mode & 0o777, path.stat().st_mode & 0o777) == (0o700, 0o600)


def test_a_link_that_somebody_has_put_there_is_not_followed(store: SessionStore, folder: Path, tmp_path: Path) -> None:
    remember(store)
    [path] = folder.iterdir()
    path.unlink()
    path.symlink_to(tmp_path / "precious")
    with pytest.raises(OSError, match="Too many levels of symbolic links"):
        store.claim(NODE, FILE, "")
    assert not (tmp_path / "precious").exists()


def test_what_nobody_goes_on_with_is_cleared_but_not_what_is_in_use(store: SessionStore, folder: Path) -> None:
    remember(store)
    [old] = folder.iterdir()
    used = store.claim(NODE, Path("/films/other.mkv"), "")
    used.remember(REMEMBERED)
    now = old.stat().st_mtime + STALE_SECONDS
    store.clear_stale(now - 60)
    assert len(list(folder.iterdir())) == 2
    store.clear_stale(now + 60)
    assert old not in list(folder.iterdir()) and len(list(folder.iterdir())) == 1
    used.release()


def test_it_is_where_the_user_keeps_such_things(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    remember(SessionStore.of_user({"XDG_STATE_HOME": str(tmp_path)}))
    assert len(list((tmp_path / "tahoeish" / "uploads").iterdir())) == 1
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    remember(SessionStore.of_user({"XDG_STATE_HOME": "not/absolute"}))
    assert len(list((tmp_path / "home" / ".local" / "state" / "tahoeish" / "uploads").iterdir())) == 1
