"""Unfinished shares that are gone on with after the process that began them has ended."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from tahoeish.storage.errors import NoSuchShare, ShareInProgress, StoreError
from tahoeish.storage.incoming import IncomingShare
from tahoeish.storage.shares import LASTING_LIMIT, ShareStore
from tahoeish.storage.steps import take
from tests.storage.stores import (
    NAME,
    NOW,
    SECRETS,
    STORAGE_INDEX,
    StartStore,
    finished,
    open_files_below,
    shares_found,
)
from tests.storage.test_durability import SyncedPaths

DATA = os.urandom(100_000)
HALF = len(DATA) // 2
LASTING = f"incoming/{NAME}.0.lasting"

_WRITER = """
import sys, time
from pathlib import Path
from tahoeish.storage.shares import ShareStore
from tahoeish.storage.steps import take
from tests.storage.stores import SECRETS, STORAGE_INDEX

folder, size, half = Path(sys.argv[1]), int(sys.argv[2]) or None, int(sys.argv[3])
store = ShareStore(folder, durable=True, now=time.time)
store.start()
share = store.reopen(STORAGE_INDEX, 0, size, SECRETS) if half else store.create(
    STORAGE_INDEX, 0, size, SECRETS, lasting=True
)
other = store.create(STORAGE_INDEX, 1, None, SECRETS)
other.write(0, [b"does not last"])
data = sys.stdin.buffer.read()
share.write(half, [data])
take(share.securing())
print("secure", flush=True)
while True:
    # It is killed in the middle of this.
    share.write(half, [data])
"""


def killed_while_writing(directory: Path, size: int | None, offset: int, data: bytes) -> None:
    """A process that writes `data` there to a share that it begins, or, behind the beginning, reopens."""
    command = [sys.executable, "-c", _WRITER, str(directory), str(size or 0), str(offset)]
    root = Path(__file__).parents[2]
    with subprocess.Popen(command, cwd=root, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as writer:
        assert writer.stdin is not None and writer.stdout is not None
        writer.stdin.write(data)
        writer.stdin.close()
        said = writer.stdout.readline()
        writer.kill()
    assert said == b"secure\n"


def begun(store: ShareStore, size: int | None = len(DATA)) -> IncomingShare:
    share = store.create(STORAGE_INDEX, 0, size, SECRETS, lasting=True)
    share.write(0, [DATA[:HALF]])
    return share


def reopened(store: ShareStore, size: int | None = len(DATA)) -> IncomingShare:
    return store.reopen(STORAGE_INDEX, 0, size, SECRETS)


def complete(share: IncomingShare) -> bytes:
    share.prepare()
    share.commit()
    return share.final_path.read_bytes()


@pytest.fixture
def without_interruption(start_store: StartStore, tmp_path: Path) -> bytes:
    """The file of the same share when all goes well."""
    return finished(start_store(tmp_path / "undisturbed"), 0, DATA).read_bytes()


# After the end of the process


@pytest.mark.parametrize("size", [len(DATA), None])
def test_share_of_a_killed_process_is_gone_on_with(
    start_store: StartStore, tmp_path: Path, without_interruption: bytes, size: int | None
) -> None:
    killed_while_writing(tmp_path / "store", size, 0, DATA[:HALF])
    killed_while_writing(tmp_path / "store", size, HALF, DATA[HALF : HALF + 1000])

    store = start_store(tmp_path / "store")
    assert shares_found(store) == [LASTING]
    assert store.share_numbers(STORAGE_INDEX) == set()
    share = reopened(store, size)
    assert share.read(0, len(DATA)) == DATA[: HALF + 1000]
    # A little of it again.
    share.write(HALF + 500, [DATA[HALF + 500 :]])

    assert complete(share) == without_interruption
    assert shares_found(store) == [f"{NAME[:2]}/{NAME}/0"]


def test_prepared_share_is_gone_on_with_too(
    start_store: StartStore, tmp_path: Path, without_interruption: bytes
) -> None:
    store = start_store(tmp_path / "store")
    share = begun(store)
    share.write(HALF, [DATA[HALF:]])
    share.prepare()
    share.forget()
    store.stop()

    assert complete(reopened(start_store(tmp_path / "store"))) == without_interruption


def test_share_of_any_length_ends_where_it_is_written_to_in_the_end(
    store: ShareStore, without_interruption: bytes
) -> None:
    longer = begun(store, None)
    longer.write(len(DATA), [bytes(5000)])
    longer.prepare()
    longer.forget()

    share = reopened(store, None)
    share.write(HALF, [DATA[HALF:]])

    assert complete(share) == without_interruption


def test_share_of_known_length_is_not_complete_before_its_end_was_written(store: ShareStore) -> None:
    begun(store).forget()

    with pytest.raises(ValueError, match=f"only {HALF} of {len(DATA)} bytes have been written"):
        reopened(store).prepare()


def test_secure_share_is_on_the_disk_with_its_name(store: ShareStore, monkeypatch: pytest.MonkeyPatch) -> None:
    share = begun(store)
    synced = SyncedPaths(monkeypatch)

    take(share.securing())

    assert synced.take() == {share.path, share.path.parent}
    take(share.securing())
    assert synced.take() == {share.path}


# Letting go


def test_forgotten_share_is_closed_and_stays(store: ShareStore) -> None:
    open_before = open_files_below(store.directory)
    share = begun(store)

    share.forget()
    share.forget()
    share.abort()

    assert open_files_below(store.directory) == open_before
    assert shares_found(store) == [LASTING]
    with pytest.raises(StoreError, match="the share is forgotten"):
        share.write(0, [b"late"])


def test_forgotten_share_that_does_not_last_is_removed(store: ShareStore) -> None:
    store.create(STORAGE_INDEX, 0, 10, SECRETS).forget()

    assert shares_found(store) == []


def test_reopened_share_can_be_aborted(store: ShareStore) -> None:
    begun(store).forget()

    reopened(store).abort()

    assert shares_found(store) == []
    with pytest.raises(NoSuchShare):
        reopened(store)


def test_committed_share_is_no_longer_there_to_reopen(store: ShareStore) -> None:
    share = store.create(STORAGE_INDEX, 0, None, SECRETS, lasting=True)
    complete(share)
    share.forget()

    with pytest.raises(NoSuchShare, match="there is no such share"):
        reopened(store, None)
    assert store.share_numbers(STORAGE_INDEX) == {0}


# Several at once


def _write(share: IncomingShare) -> None:
    share.write(0, [b"late"])


def _secure(share: IncomingShare) -> None:
    take(share.securing())


def _commit(share: IncomingShare) -> None:
    share.commit()


@pytest.mark.parametrize("late", [_write, _secure, IncomingShare.prepare, _commit])
def test_who_reopens_a_share_has_it(
    store: ShareStore, without_interruption: bytes, late: Callable[[IncomingShare], None]
) -> None:
    older = begun(store)
    older.write(HALF, [DATA[HALF:]])
    if late is _commit:
        older.prepare()
    newer = reopened(store)

    with pytest.raises(StoreError, match="somebody else has taken over this share"):
        late(older)
    older.abort()

    assert complete(newer) == without_interruption


def test_letting_go_of_a_share_takes_it_from_nobody(store: ShareStore, without_interruption: bytes) -> None:
    older = begun(store)
    newer = reopened(store)

    older.forget()
    newer.write(HALF, [DATA[HALF:]])

    assert complete(newer) == without_interruption


def test_lasting_share_is_not_begun_twice_at_a_time(store: ShareStore) -> None:
    begun(store)

    with pytest.raises(ShareInProgress, match="is being written by somebody else"):
        begun(store)


def test_share_that_nobody_has_noted_to_be_begun_is_begun_anew(
    start_store: StartStore, tmp_path: Path, without_interruption: bytes
) -> None:
    killed_while_writing(tmp_path / "store", None, 0, bytes(5000))

    share = begun(start_store(tmp_path / "store"))
    share.write(HALF, [DATA[HALF:]])

    assert complete(share) == without_interruption


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[list[ShareStore]]:
    """Two processes of a crew."""
    stores = [ShareStore(tmp_path / "store", durable=False, now=lambda: NOW, crew="the crew") for _ in range(2)]
    for store in stores:
        store.start()
    yield stores
    for store in stores:
        store.stop()


def test_another_process_of_the_crew_goes_on_with_it(pair: list[ShareStore], without_interruption: bytes) -> None:
    left_open = begun(pair[0])

    share = reopened(pair[1])
    share.write(HALF, [DATA[HALF:]])

    assert complete(share) == without_interruption
    left_open.forget()


@pytest.mark.parametrize("late", [_write, _secure, IncomingShare.prepare, _commit])
def test_what_another_process_of_the_crew_begins_anew_is_left_alone(
    pair: list[ShareStore], without_interruption: bytes, late: Callable[[IncomingShare], None]
) -> None:
    older = begun(pair[0], None)
    if late is _commit:
        older.prepare()
    newer = begun(pair[1])

    with pytest.raises(StoreError, match="somebody else has taken over this share"):
        late(older)
    older.abort()
    newer.write(HALF, [DATA[HALF:]])

    assert complete(newer) == without_interruption


def test_a_process_that_joins_the_crew_leaves_it_alone(pair: list[ShareStore]) -> None:
    begun(pair[0]).forget()
    pair[1].stop()

    pair[1].start()

    assert shares_found(pair[1]) == [LASTING]


# What nobody goes on with


def idle_for(store: ShareStore, seconds: float) -> None:
    """Let the share look as if nobody had written to it for so long."""
    os.utime(store.directory / "shares" / LASTING, (NOW - seconds, NOW - seconds))


def test_share_that_nobody_has_written_to_for_very_long_is_cleared_away(
    start_store: StartStore, tmp_path: Path
) -> None:
    store = start_store(tmp_path)
    begun(store).forget()
    store.stop()

    idle_for(store, LASTING_LIMIT - 1)
    start_store(tmp_path).stop()
    assert shares_found(store) == [LASTING]

    idle_for(store, LASTING_LIMIT + 1)
    start_store(tmp_path)
    assert shares_found(store) == []


def test_share_that_is_kept_alive_is_not_cleared_away(store: ShareStore) -> None:
    begun(store).forget()
    idle_for(store, LASTING_LIMIT + 1)

    store.keep_alive(STORAGE_INDEX, 0)
    store.clear_lasting()

    assert shares_found(store) == [LASTING]
    idle_for(store, LASTING_LIMIT + 1)
    store.clear_lasting()
    assert shares_found(store) == []
    with pytest.raises(NoSuchShare):
        store.keep_alive(STORAGE_INDEX, 0)


def test_share_that_is_open_is_not_cleared_away(store: ShareStore) -> None:
    begun(store)
    idle_for(store, LASTING_LIMIT + 1)

    store.clear_lasting()

    assert shares_found(store) == [LASTING]


def test_room_is_kept_for_it_only_while_it_is_open(store: ShareStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "statvfs", lambda path: SimpleNamespace(f_bavail=1_000_000, f_frsize=1))
    share = begun(store)
    assert store.available_space() == 1_000_000 - (12 + len(DATA) - HALF + 72)

    share.forget()
    assert store.available_space() == 1_000_000

    reopened(store)
    # What is there of it already, the disk knows only roughly.
    assert 1_000_000 - (12 + len(DATA) + 72) <= store.available_space() < 1_000_000
