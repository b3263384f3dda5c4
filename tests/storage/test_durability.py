"""What a crash leaves. A process is killed here; what a power cut would leave shows in what is synced."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tahoeish.storage import incoming, syncing
from tahoeish.storage.shares import ShareStore
from tests.storage.stores import NAME, SECRETS, STORAGE_INDEX, StartStore, finished, shares_found

_WRITER = """
import sys, time
from pathlib import Path
from tahoeish.storage.shares import ShareStore
from tests.storage.stores import SECRETS, STORAGE_INDEX, finished

store = ShareStore(Path(sys.argv[1]), durable=True, now=time.time)
store.start()
finished(store, 0, b"committed")
prepared = store.create(STORAGE_INDEX, 1, None, SECRETS)
prepared.write(0, [b"prepared"])
prepared.prepare()
written = store.create(STORAGE_INDEX, 2, None, SECRETS)
written.write(0, [b"written"])
print("ready", flush=True)
time.sleep(3600)
"""


class SyncedPaths:
    """What has been synced, with the real calls still being made."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._paths: list[Path] = []
        monkeypatch.setattr(syncing, "can_sync_whole", lambda disk: False)
        for name in ("fsync", "fdatasync"):
            real = getattr(os, name)

            def sync(fd: int, real: object = real) -> None:
                self._paths.append(Path(f"/proc/self/fd/{fd}").readlink())
                real(fd)  # type: ignore[operator]

            monkeypatch.setattr(os, name, sync)

    def take(self) -> set[Path]:
        taken, self._paths = set(self._paths), []
        return taken


def test_killed_process_leaves_what_it_committed_and_nothing_else(start_store: StartStore, tmp_path: Path) -> None:
    command = [sys.executable, "-c", _WRITER, str(tmp_path)]
    root = Path(__file__).parents[2]
    with subprocess.Popen(command, cwd=root, stdout=subprocess.PIPE) as writer:
        assert writer.stdout is not None
        said = writer.stdout.readline()
        writer.kill()
    assert said == b"ready\n"

    store = start_store(tmp_path)

    assert shares_found(store) == [f"{NAME[:2]}/{NAME}/0"]
    assert store.open(STORAGE_INDEX, 0).read(0, 100) == b"committed"
    finished(store, 1, b"prepared")


def test_each_step_syncs_what_it_answers_for(
    start_store: StartStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced = SyncedPaths(monkeypatch)
    store = start_store(tmp_path / "store", durable=True)
    assert synced.take() == {tmp_path, tmp_path / "store", tmp_path / "store" / "shares"}

    share = store.create(STORAGE_INDEX, 0, None, SECRETS)
    share.write(0, [b"share"])
    assert synced.take() == set()
    monkeypatch.setattr(incoming, "SYNC_EVERY", 10)
    share.write(5, [b"share"])
    assert synced.take() == {share.path}
    share.prepare()
    assert synced.take() == {share.path}

    share.commit()
    folder = share.final_path.parent
    assert synced.take() == {folder, folder.parent, store.directory / "shares"}


def test_folders_are_synced_once_the_share_is_in_them(store: ShareStore, monkeypatch: pytest.MonkeyPatch) -> None:
    share = store.create(STORAGE_INDEX, 0, None, SECRETS)
    share.prepare()
    was_visible: list[bool] = []
    monkeypatch.setattr(os, "fsync", lambda fd: was_visible.append(share.final_path.exists()))

    share.commit()

    assert was_visible == [True, True, True]


def test_folder_made_a_moment_ago_by_another_share_is_synced_again(
    start_store: StartStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = start_store(tmp_path, durable=True)
    folder = finished(store, 0, b"first").parent
    synced = SyncedPaths(monkeypatch)

    finished(store, 1, b"second")

    assert synced.take() >= {folder, folder.parent, tmp_path / "shares"}


def test_store_that_need_not_be_durable_never_waits_for_the_disk(
    start_store: StartStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced = SyncedPaths(monkeypatch)
    store = start_store(tmp_path, durable=False)

    share = store.create(STORAGE_INDEX, 0, None, SECRETS)
    monkeypatch.setattr(incoming, "SYNC_EVERY", 5)
    monkeypatch.setattr(incoming, "SEND_EVERY", 1)
    share.write(0, [b"share"])
    share.prepare()
    share.commit()
    store.add_lease(STORAGE_INDEX, SECRETS)

    assert synced.take() == set()
