"""What a crash in the middle of a change leaves, at every moment at which something reaches the disk."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tahoeish.storage.mutable import MutableStore
from tahoeish.storage.shares import ShareStore
from tahoeish.storage.vectors import ShareChange, Write
from tests.storage.containers import MONTH, NODE_ID, WRITE_ENABLER, StockLease, lease_number, mutable_container, put
from tests.storage.stores import NAME, NOW, OTHER_SECRETS, SECRETS, STORAGE_INDEX, StartStore, shares_found
from tests.storage.test_durability import SyncedPaths

OLD = b"o" * 5000
LEASES = [lease_number(number) for number in range(5)]
CRASHES = 80
NEW_LEASE = StockLease(1, OTHER_SECRETS, NOW + MONTH)

# One process for all the crashes: a child of it for each, which is killed when it is about to make its n-th call.
_CRASHER = """
import os, signal, sys
from pathlib import Path
from tahoeish.storage.mutable import MutableStore
from tahoeish.storage.vectors import ShareChange, Write
from tests.storage.containers import NODE_ID, WRITE_ENABLER
from tests.storage.stores import NOW, OTHER_SECRETS, STORAGE_INDEX

def killed_at(number, name):
    real = getattr(os, name)
    def call(*arguments, **keywords):
        global calls
        calls += 1
        if calls == number:
            os.kill(os.getpid(), signal.SIGKILL)
        return real(*arguments, **keywords)
    setattr(os, name, call)

for number, directory in enumerate(sys.argv[1:], 1):
    child = os.fork()
    if not child:
        calls = 0
        for name in ("pwritev", "copy_file_range", "fsync", "fdatasync", "mkdir", "rename", "unlink", "rmdir"):
            killed_at(number, name)
        store = MutableStore(Path(directory), durable=True, now=lambda: NOW, node_id=NODE_ID)
        changes = {
            0: ShareChange(writes=[Write(1000, b"n" * 10), Write(6000, b"n" * 10)]),
            1: ShareChange(writes=[Write(0, b"n" * 9000)]),
            2: ShareChange(new_length=0),
            3: ShareChange(writes=[Write(0, b"n" * 700)]),
        }
        store.read_test_write(STORAGE_INDEX, WRITE_ENABLER, OTHER_SECRETS, changes, [])
        os._exit(0)
    _, status = os.waitpid(child, 0)
    print("killed" if os.WIFSIGNALED(status) else f"exited {os.WEXITSTATUS(status)}", flush=True)
"""


def test_killed_change_leaves_every_share_old_or_new(start_store: StartStore, tmp_path: Path) -> None:
    directories = [tmp_path / str(number) for number in range(1, CRASHES + 1)]
    for directory in directories:
        (directory / "shares" / "incoming").mkdir(parents=True)
        for number in (0, 1, 2, 4):
            put(directory, number, mutable_container(2, OLD, LEASES, unused=b"u" * 50))
    command = [sys.executable, "-c", _CRASHER, *map(str, directories)]
    ended = subprocess.run(command, cwd=Path(__file__).parents[2], capture_output=True, text=True, check=True)

    patched = OLD[:1000] + b"n" * 10 + OLD[1010:] + bytes(1000) + b"n" * 10
    allowed: dict[int, set[bytes | None]] = {
        0: {OLD, patched},
        1: {OLD, b"n" * 9000},
        2: {OLD, None},
        3: {None, b"n" * 700},
        4: {OLD},
    }
    outcomes = []
    for directory in directories:
        store = start_store(directory)
        mutable = MutableStore(directory, durable=True, now=lambda: NOW, node_id=NODE_ID)
        there = mutable.share_numbers(STORAGE_INDEX)
        found = {n: mutable.read(STORAGE_INDEX, n, 0, 10**6) if n in there else None for n in allowed}
        assert [number for number, content in found.items() if content not in allowed[number]] == []
        assert shares_found(store) == [f"{NAME[:2]}/{NAME}/{number}" for number in sorted(there)]
        outcomes.append(tuple(found.values()))
    # Every moment was tried: the first crash came before anything had happened, the last ones never came.
    statuses = ended.stdout.split("\n")
    assert statuses[0] == "killed" and statuses[CRASHES - 1] == "exited 0"
    assert outcomes[0] == (OLD, OLD, OLD, None, OLD)
    assert outcomes[-1] == (patched, b"n" * 9000, None, b"n" * 700, OLD)
    assert len(set(outcomes)) > 3


@pytest.mark.parametrize("version", [1, 2])
def test_lease_that_was_not_counted_before_a_crash_is_written_over(store: ShareStore, version: int) -> None:
    container = mutable_container(version, b"share", LEASES)
    path = put(store.directory, 0, container + b"torn" * 10)

    store.add_lease(STORAGE_INDEX, OTHER_SECRETS)

    assert path.read_bytes() == mutable_container(version, b"share", [*LEASES, NEW_LEASE])


def test_further_lease_is_on_the_disk_before_it_is_counted(store: ShareStore, monkeypatch: pytest.MonkeyPatch) -> None:
    path = put(store.directory, 0, mutable_container(2, b"share", LEASES))
    seen_by_syncs: list[tuple[int, int]] = []

    def watch(fd: int) -> None:
        content = path.read_bytes()
        seen_by_syncs.append((len(content), content[468 + 5 + 3]))

    monkeypatch.setattr(os, "fdatasync", watch)
    store.add_lease(STORAGE_INDEX, OTHER_SECRETS)

    size = 468 + 5 + 4 + 2 * 92
    assert seen_by_syncs == [(size, 1), (size, 2)]


def test_share_is_synced_before_and_its_folders_after_it_is_visible(
    store: ShareStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    mutable = MutableStore(store.directory, durable=True, now=lambda: NOW, node_id=NODE_ID)
    shares = store.directory / "shares"
    path = shares / NAME[:2] / NAME / "0"
    synced: list[tuple[Path, bool]] = []
    fsync = os.fsync

    def watch(fd: int) -> None:
        synced.append((Path(f"/proc/self/fd/{fd}").readlink(), path.exists()))
        fsync(fd)

    monkeypatch.setattr(os, "fsync", watch)
    change = {0: ShareChange(writes=[Write(0, b"share")])}
    mutable.read_test_write(STORAGE_INDEX, WRITE_ENABLER, SECRETS, change, [])

    draft = shares / "incoming" / f"{NAME}.0.mutable"
    assert synced == [(draft, False), (path.parent, True), (path.parent.parent, True), (shares, True)]


def test_store_that_need_not_be_durable_never_waits_for_the_disk(
    store: ShareStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    mutable = MutableStore(store.directory, durable=False, now=lambda: NOW, node_id=NODE_ID)
    synced = SyncedPaths(monkeypatch)

    for lease in (SECRETS, OTHER_SECRETS):
        change = {0: ShareChange(writes=[Write(0, b"share")]), 1: ShareChange(writes=[Write(0, b"share")])}
        mutable.read_test_write(STORAGE_INDEX, WRITE_ENABLER, lease, change, [])
    mutable.read_test_write(STORAGE_INDEX, WRITE_ENABLER, SECRETS, {0: ShareChange(new_length=0)}, [])

    assert synced.take() == set()
