from __future__ import annotations

import os
import struct
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from hashlib import blake2b
from itertools import pairwise
from pathlib import Path
from random import Random
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tahoeish.storage.errors import (
    BadShareFile,
    NoSuchShare,
    ShareExists,
    ShareInProgress,
    StoreError,
    StoreFull,
    StoreInUse,
)
from tahoeish.storage.incoming import IncomingShare
from tahoeish.storage.shares import ShareStore
from tests.storage.stores import (
    NAME,
    NOW,
    SECRETS,
    STORAGE_INDEX,
    StartStore,
    finished,
    full_disk_behind,
    shares_found,
)


def disk_with_free_bytes(monkeypatch: pytest.MonkeyPatch, free: int) -> None:
    monkeypatch.setattr(os, "statvfs", lambda path: SimpleNamespace(f_bavail=free, f_frsize=1))


# Layout


def test_finished_share_is_a_container_of_version_2(store: ShareStore) -> None:
    finished(store, 7, b"the share")

    path = store.directory / "shares" / NAME[:2] / NAME / "7"
    assert path.read_bytes() == (
        struct.pack(">LLL", 2, 9, 1)
        + b"the share"
        + struct.pack(">L", 0)
        + blake2b(SECRETS.renew, digest_size=32).digest()
        + blake2b(SECRETS.cancel, digest_size=32).digest()
        + struct.pack(">L", NOW + 2678400)
    )


def test_unfinished_share_lies_below_incoming(store: ShareStore) -> None:
    store.create(STORAGE_INDEX, 7, 100, SECRETS)

    assert shares_found(store) == [f"incoming/{NAME}.7"]


def test_only_files_named_by_a_number_are_shares(store: ShareStore) -> None:
    folder = finished(store, 10, b"share").parent
    for name in ("1.tmp", "007", "-1", "x", "٣"):
        (folder / name).touch()

    assert store.share_numbers(STORAGE_INDEX) == {10}


# Writing


@pytest.mark.parametrize("size", [11, None])
def test_share_appears_with_its_commit(store: ShareStore, size: int | None) -> None:
    share = store.create(STORAGE_INDEX, 1, size, SECRETS)

    share.write(6, [b"world"])
    share.write(0, [b"hel", memoryview(b"lo"), bytearray(b" ")])
    share.prepare()
    assert store.share_numbers(STORAGE_INDEX) == set()
    share.commit()

    assert store.share_numbers(STORAGE_INDEX) == {1}
    assert store.open(STORAGE_INDEX, 1).read(0, 100) == b"hello world"
    assert os.listdir(store.directory / "shares" / "incoming") == []


@given(
    data=st.binary(min_size=1, max_size=200),
    cuts=st.lists(st.integers(1, 199), max_size=8),
    random=st.randoms(use_true_random=False),
)
def test_pieces_may_come_in_any_order(
    tmp_path_factory: pytest.TempPathFactory, data: bytes, cuts: list[int], random: Random
) -> None:
    edges = sorted({0, len(data), *(cut for cut in cuts if cut < len(data))})
    pieces = list(pairwise(edges))
    random.shuffle(pieces)
    with ExitStack() as left_open:
        store = StartStore(left_open)(tmp_path_factory.mktemp("store"))
        share = store.create(STORAGE_INDEX, 0, None, SECRETS)
        for start, end in pieces:
            share.write(start, [data[start:end]])
        share.prepare()
        share.commit()

        assert store.open(STORAGE_INDEX, 0).read(0, len(data) + 1) == data


def test_writing_outside_of_the_share_is_refused(store: ShareStore) -> None:
    share = store.create(STORAGE_INDEX, 0, 10, SECRETS)

    with pytest.raises(ValueError, match="bytes 8 to 11 lie outside of a share of 10 bytes"):
        share.write(8, [b"abc"])


def test_share_of_known_size_is_not_prepared_before_its_end_was_written(store: ShareStore) -> None:
    share = store.create(STORAGE_INDEX, 0, 10, SECRETS)
    share.write(0, [b"123456789"])

    with pytest.raises(ValueError, match="only 9 of 10 bytes have been written"):
        share.prepare()


def test_what_is_prepared_is_not_written_to_any_more(store: ShareStore) -> None:
    share = store.create(STORAGE_INDEX, 0, None, SECRETS)
    share.write(0, [b"share"])
    share.prepare()

    with pytest.raises(StoreError, match="the share is prepared, not writing"):
        share.write(0, [b"late"])


def test_what_is_not_prepared_is_not_committed(store: ShareStore) -> None:
    share = store.create(STORAGE_INDEX, 0, None, SECRETS)

    with pytest.raises(StoreError, match="the share is writing, not prepared"):
        share.commit()


def test_share_that_is_there_is_not_begun_again(store: ShareStore) -> None:
    finished(store, 0, b"first")

    with pytest.raises(ShareExists, match="there already"):
        store.create(STORAGE_INDEX, 0, 10, SECRETS)


def test_share_that_is_being_written_is_not_begun_again(store: ShareStore) -> None:
    store.create(STORAGE_INDEX, 0, 10, SECRETS)

    with pytest.raises(ShareInProgress, match="being written by somebody else"):
        store.create(STORAGE_INDEX, 0, 10, SECRETS)


def test_commit_never_replaces_a_share(store: ShareStore) -> None:
    late = store.create(STORAGE_INDEX, 0, None, SECRETS)
    late.write(0, [b"late"])
    late.prepare()
    late.final_path.parent.mkdir(parents=True)
    late.final_path.write_bytes(b"somebody else's")

    with pytest.raises(ShareExists):
        late.commit()
    late.abort()

    assert late.final_path.read_bytes() == b"somebody else's"
    assert shares_found(store) == [f"{NAME[:2]}/{NAME}/0"]


# Aborting


def _nothing_more(share: IncomingShare) -> None:
    pass


def _prepared(share: IncomingShare) -> None:
    share.prepare()


def _committed(share: IncomingShare) -> None:
    share.prepare()
    share.commit()


@pytest.mark.parametrize("then", [_nothing_more, _prepared, _committed])
def test_aborted_share_leaves_neither_file_nor_folder(store: ShareStore, then: Callable[[IncomingShare], None]) -> None:
    share = store.create(STORAGE_INDEX, 0, None, SECRETS)
    share.write(0, [b"share"])
    then(share)

    share.abort()
    share.abort()

    shares = store.directory / "shares"
    assert list(shares.rglob("*")) == [shares / "incoming"]
    finished(store, 0, b"another try")


def test_abort_leaves_other_shares_of_the_file_alone(store: ShareStore) -> None:
    finished(store, 0, b"zero")
    other = store.create(STORAGE_INDEX, 1, 10, SECRETS)

    store.create(STORAGE_INDEX, 2, 10, SECRETS).abort()

    assert store.share_numbers(STORAGE_INDEX) == {0}
    assert other.path.exists()


def test_removed_share_is_gone(store: ShareStore) -> None:
    finished(store, 0, b"share")

    store.remove(STORAGE_INDEX, 0)

    assert shares_found(store) == []
    with pytest.raises(NoSuchShare):
        store.remove(STORAGE_INDEX, 0)


# Room


def test_full_disk_is_told_from_other_errors(store: ShareStore) -> None:
    share = store.create(STORAGE_INDEX, 0, 10, SECRETS)
    full_disk_behind(share.path)

    with pytest.raises(StoreFull, match=f"{share.path}: No space left on device"):
        share.write(0, [b"0123456789"])
    with pytest.raises(StoreError, match="the share is failed, not writing"):
        share.write(0, [b"0123456789"])

    share.abort()
    assert shares_found(store) == []


def test_disk_that_is_full_in_the_end_fails_the_prepare(store: ShareStore) -> None:
    share = store.create(STORAGE_INDEX, 0, 5, SECRETS)
    share.write(0, [b"share"])
    full_disk_behind(share.path)

    with pytest.raises(StoreFull):
        share.prepare()
    with pytest.raises(StoreError, match="failed"):
        share.commit()


def test_unfinished_shares_keep_their_room(store: ShareStore, monkeypatch: pytest.MonkeyPatch) -> None:
    disk_with_free_bytes(monkeypatch, 1000)
    first = store.create(STORAGE_INDEX, 0, 500, SECRETS)
    assert store.available_space() == 1000 - (12 + 500 + 72)

    with pytest.raises(StoreFull, match="no room for 584 bytes; 416 bytes are left"):
        store.create(STORAGE_INDEX, 1, 500, SECRETS)

    disk_with_free_bytes(monkeypatch, 600)
    first.write(0, [bytes(400)])
    assert store.available_space() == 600 - (12 + 100 + 72)
    first.abort()
    assert store.available_space() == 600


def test_reserve_is_left_free(start_store: StartStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = start_store(tmp_path, reserved_space=700)
    disk_with_free_bytes(monkeypatch, 1000)
    assert store.available_space() == 300

    with pytest.raises(StoreFull, match="besides the reserve of 700 bytes"):
        store.create(STORAGE_INDEX, 0, 250, SECRETS)

    disk_with_free_bytes(monkeypatch, 600)
    assert store.available_space() == 0


def test_share_of_unknown_size_grows_no_further_than_there_is_room(
    store: ShareStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk_with_free_bytes(monkeypatch, 1000)
    growing = store.create(STORAGE_INDEX, 0, None, SECRETS)
    store.create(STORAGE_INDEX, 1, 700, SECRETS)
    growing.write(0, [bytes(100)])

    with pytest.raises(StoreFull, match="no room for the next 300 bytes; 216 bytes are left"):
        growing.write(100, [bytes(300)])


# Reading


def test_reads_are_cut_off_at_the_end_of_the_share(store: ShareStore) -> None:
    finished(store, 0, b"0123456789")
    share = store.open(STORAGE_INDEX, 0)

    assert share.length == 10
    assert share.read(2, 3) == b"234"
    assert share.read(8, 100) == b"89"
    assert share.read(10, 1) == b""
    assert share.read(500, 1) == b""
    share.close()


def test_share_that_is_not_there_can_not_be_opened(store: ShareStore) -> None:
    store.create(STORAGE_INDEX, 0, 10, SECRETS)

    with pytest.raises(NoSuchShare, match=f"{NAME}/0: there is no such share"):
        store.open(STORAGE_INDEX, 0)


def test_damaged_container_can_not_be_opened(store: ShareStore) -> None:
    finished(store, 0, b"share").write_bytes(b"")

    with pytest.raises(BadShareFile):
        store.open(STORAGE_INDEX, 0)


def test_corruption_report_is_kept_for_the_operator(store: ShareStore) -> None:
    finished(store, 3, b"share")

    store.report_corruption(STORAGE_INDEX, 3, "block 5 isn't what it was")

    (note,) = (store.directory / "corruption-advisories").iterdir()
    assert note.name == f"2023-11-14T221320Z--{NAME}-3"
    assert "block 5 isn't what it was" in note.read_text()
    with pytest.raises(NoSuchShare):
        store.report_corruption(STORAGE_INDEX, 4, "a share that isn't there")


# Owning


def test_directory_has_one_owner_at_a_time(start_store: StartStore, tmp_path: Path) -> None:
    first = start_store(tmp_path)

    with pytest.raises(StoreInUse, match=f"{tmp_path}: somebody else uses this storage directory"):
        start_store(tmp_path)

    first.stop()
    start_store(tmp_path)


def test_nothing_appears_after_the_store_has_stopped(store: ShareStore) -> None:
    share = store.create(STORAGE_INDEX, 0, None, SECRETS)
    share.prepare()
    store.stop()

    with pytest.raises(StoreError, match="isn't running"):
        share.commit()
    with pytest.raises(StoreError, match="isn't running"):
        store.create(STORAGE_INDEX, 1, 10, SECRETS)
    share.abort()


def test_store_without_its_folders_makes_no_new_ones(store: ShareStore) -> None:
    elsewhere = store.directory.parent / "unmounted"
    store.directory.rename(elsewhere)
    store.directory.mkdir()

    with pytest.raises(StoreError, match="No such file or directory"):
        store.create(STORAGE_INDEX, 0, 10, SECRETS)
    assert list(store.directory.iterdir()) == []


def test_threads_do_not_get_in_each_others_way(store: ShareStore) -> None:
    def write(number: int) -> None:
        share = store.create(STORAGE_INDEX, number, None, SECRETS)
        share.write(0, [b"%d" % number])
        if number % 3 == 0:
            share.abort()
            return
        share.prepare()
        share.commit()
        if number % 3 == 1:
            share.abort()

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(write, range(120)))

    assert store.share_numbers(STORAGE_INDEX) == set(range(2, 120, 3))
    assert os.listdir(store.directory / "shares" / "incoming") == []
