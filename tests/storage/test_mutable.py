from __future__ import annotations

import os
import resource
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from threading import Event, Thread
from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tahoeish.storage.errors import BadShareFile, BadWriteEnabler, NoSuchShare, StoreError, StoreFull, WrongKind
from tahoeish.storage.leases import LeaseSecrets
from tahoeish.storage.mutable import MutableStore
from tahoeish.storage.shares import ShareStore
from tahoeish.storage.vectors import ReadVector, ShareChange, Test, Write
from tests.storage.containers import (
    MONTH,
    NODE_ID,
    WRITE_ENABLER,
    StockLease,
    immutable_container,
    lease_number,
    mutable_container,
    put,
    secrets_number,
)
from tests.storage.stores import NAME, NOW, OTHER_SECRETS, SECRETS, STORAGE_INDEX, StartStore, finished, shares_found

LEASE = StockLease(1, SECRETS, NOW + MONTH)


@pytest.fixture
def mutable(store: ShareStore) -> MutableStore:
    return MutableStore(store.directory, durable=True, now=lambda: NOW, node_id=NODE_ID)


def change(
    store: MutableStore,
    changes: dict[int, ShareChange],
    *,
    write_enabler: bytes = WRITE_ENABLER,
    lease: LeaseSecrets = SECRETS,
    read: ReadVector = (),
) -> tuple[bool, dict[int, list[bytes]]]:
    return store.read_test_write(STORAGE_INDEX, write_enabler, lease, changes, read)


def write(store: MutableStore, number: int, data: bytes, offset: int = 0) -> None:
    assert change(store, {number: ShareChange(writes=[Write(offset, data)])})[0]


def content(store: MutableStore, number: int) -> bytes:
    return store.read(STORAGE_INDEX, number, 0, 10_000)


# Creating and reading


def test_first_write_creates_a_container_of_version_2(mutable: MutableStore) -> None:
    success, found = change(mutable, {3: ShareChange(writes=[Write(0, b"the share")])}, read=[(0, 100)])

    assert (success, found) == (True, {})
    path = mutable.directory / "shares" / NAME[:2] / NAME / "3"
    assert path.read_bytes() == mutable_container(2, b"the share", [LEASE])


def test_nothing_but_the_share_is_left(mutable: MutableStore) -> None:
    write(mutable, 0, b"one")
    write(mutable, 0, b"two")

    shares = mutable.directory / "shares"
    assert [str(path.relative_to(shares)) for path in shares.rglob("*") if path.is_file()] == [f"{NAME[:2]}/{NAME}/0"]


def test_only_mutable_shares_are_listed(mutable: MutableStore) -> None:
    write(mutable, 3, b"share")
    put(mutable.directory, 4, immutable_container(2, b"share"))
    put(mutable.directory, 5, b"")

    assert mutable.share_numbers(STORAGE_INDEX) == {3}
    assert mutable.share_numbers(bytes(16)) == set()


def test_reads_are_cut_off_at_the_end_of_the_share(mutable: MutableStore) -> None:
    write(mutable, 0, b"0123456789")

    def read(offset: int, length: int) -> bytes:
        return mutable.read(STORAGE_INDEX, 0, offset, length)

    assert (read(2, 3), read(8, 100), read(10, 1), read(2**64 - 1, 1)) == (b"234", b"89", b"", b"")


def test_open_share_stays_what_it_was(mutable: MutableStore) -> None:
    write(mutable, 0, b"before")
    share = mutable.open(STORAGE_INDEX, 0)

    write(mutable, 0, b"after, and longer")
    change(mutable, {0: ShareChange(new_length=0)})

    assert (share.length, share.read(0, 100)) == (6, b"before")
    share.close()


def test_share_that_is_not_there_can_not_be_read(mutable: MutableStore) -> None:
    with pytest.raises(NoSuchShare, match=f"{NAME}/0: there is no such share"):
        mutable.read(STORAGE_INDEX, 0, 0, 1)


def test_damaged_container_is_named(mutable: MutableStore) -> None:
    path = put(mutable.directory, 0, mutable_container(2, b"share")[:460])

    with pytest.raises(BadShareFile, match=f"{path}: 460 bytes are too few"):
        mutable.read(STORAGE_INDEX, 0, 0, 1)


# Writing


def test_writes_go_over_what_was_there(mutable: MutableStore) -> None:
    write(mutable, 0, b"0123456789")

    change(mutable, {0: ShareChange(writes=[Write(2, b"ab"), Write(8, b"cdef"), Write(3, b"B")])})

    assert content(mutable, 0) == b"01aB4567cdef"


def test_holes_are_filled_with_zeros(mutable: MutableStore) -> None:
    write(mutable, 0, b"ab")
    write(mutable, 0, b"cd", offset=5)
    write(mutable, 1, b"x", offset=3)

    assert content(mutable, 0) == b"ab\0\0\0cd"
    assert content(mutable, 1) == b"\0\0\0x"


@pytest.mark.parametrize(
    ("new_length", "expected"),
    [(None, b"01234ab"), (3, b"012"), (6, b"01234a"), (7, b"01234ab"), (1000, b"01234ab")],
)
def test_new_length_only_ever_shortens(mutable: MutableStore, new_length: int | None, expected: bytes) -> None:
    write(mutable, 0, b"01234")

    change(mutable, {0: ShareChange(writes=[Write(5, b"ab")], new_length=new_length)})

    assert content(mutable, 0) == expected


def test_what_was_cut_off_does_not_come_back(mutable: MutableStore) -> None:
    write(mutable, 0, b"secret")
    change(mutable, {0: ShareChange(new_length=1)})
    write(mutable, 0, b"!", offset=5)

    assert content(mutable, 0) == b"s\0\0\0\0!"


def test_new_length_of_zero_deletes_whatever_is_written(mutable: MutableStore) -> None:
    write(mutable, 0, b"zero")
    write(mutable, 1, b"one")

    change(mutable, {0: ShareChange(writes=[Write(0, b"more")], new_length=0), 7: ShareChange(new_length=0)})
    assert mutable.share_numbers(STORAGE_INDEX) == {1}

    change(mutable, {1: ShareChange(new_length=0)})
    shares = mutable.directory / "shares"
    assert list(shares.rglob("*")) == [shares / "incoming"]


def test_change_of_nothing_makes_no_share(mutable: MutableStore) -> None:
    assert change(mutable, {0: ShareChange(), 1: ShareChange(new_length=5)}) == (True, {})

    assert mutable.share_numbers(STORAGE_INDEX) == set()


# How long a disk takes is no property of the store.
@settings(deadline=None)
@given(
    rounds=st.lists(
        st.tuples(
            st.lists(st.tuples(st.integers(0, 40), st.binary(min_size=1, max_size=20)), max_size=4),
            st.none() | st.integers(1, 50),
        ),
        max_size=5,
    )
)
def test_changes_add_up(
    tmp_path_factory: pytest.TempPathFactory, rounds: list[tuple[list[tuple[int, bytes]], int | None]]
) -> None:
    directory = tmp_path_factory.mktemp("store")
    (directory / "shares" / "incoming").mkdir(parents=True)
    store = MutableStore(directory, durable=False, now=lambda: NOW, node_id=NODE_ID)
    expected = bytearray()
    write(store, 0, b"")
    for writes, new_length in rounds:
        changes = ShareChange(writes=[Write(*each) for each in writes], new_length=new_length)
        change(store, {0: changes})
        for offset, data in writes:
            expected.extend(bytes(max(0, offset - len(expected))))
            expected[offset : offset + len(data)] = data
        if new_length is not None:
            del expected[new_length:]

        assert content(store, 0) == expected


def test_large_share_is_copied_where_the_kernel_does_not_do_it(
    mutable: MutableStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = os.urandom(3 * 1024 * 1024 + 5)
    write(mutable, 0, before)

    monkeypatch.setattr(os, "copy_file_range", _not_supported)
    write(mutable, 0, b"new", offset=1000)

    assert mutable.read(STORAGE_INDEX, 0, 0, 10**8) == before[:1000] + b"new" + before[1003:]


def _not_supported(*_: object) -> int:
    raise OSError(95, "Operation not supported")


def test_what_is_overwritten_is_not_copied(mutable: MutableStore, monkeypatch: pytest.MonkeyPatch) -> None:
    write(mutable, 0, b"0123456789")
    copied: list[tuple[int, int]] = []
    copy_file_range = os.copy_file_range

    def watch(source: int, target: int, count: int, offset: int, target_offset: int) -> int:
        copied.append((offset - 468, count))
        return copy_file_range(source, target, count, offset, target_offset)

    monkeypatch.setattr(os, "copy_file_range", watch)
    change(mutable, {0: ShareChange(writes=[Write(0, b"ab"), Write(5, b"cd")])})
    write(mutable, 0, b"all of it!")

    assert copied == [(2, 3), (7, 3)]


# Reading, testing and writing in one step


def test_everything_is_read_of_all_shares_before_anything_is_written(mutable: MutableStore) -> None:
    write(mutable, 0, b"zero")
    write(mutable, 5, b"five!")

    success, found = change(
        mutable,
        {0: ShareChange(writes=[Write(0, b"new")]), 1: ShareChange(writes=[Write(0, b"new")])},
        read=[(0, 3), (2, 100), (50, 1)],
    )

    assert success
    assert found == {0: [b"zer", b"ro", b""], 5: [b"fiv", b"ve!", b""]}


def test_without_a_read_vector_all_shares_are_still_named(mutable: MutableStore) -> None:
    write(mutable, 0, b"zero")

    assert change(mutable, {}) == (True, {0: []})


@pytest.mark.parametrize(
    "tests",
    [
        {0: [Test(0, 4, b"nero")]},
        {0: [Test(0, 4, b"zero"), Test(2, 2, b"RO")]},
        {0: [Test(0, 100, b"zer")]},
        {0: [Test(0, 3, b"zero")]},
        {9: [Test(0, 1, b"x")]},
        {0: [Test(0, 4, b"zero")], 9: [Test(0, 1, b"x")]},
    ],
)
def test_one_test_that_fails_leaves_everything_as_it_is(mutable: MutableStore, tests: dict[int, list[Test]]) -> None:
    write(mutable, 0, b"zero")
    before = (mutable.directory / "shares" / NAME[:2] / NAME / "0").read_bytes()
    changes = {number: ShareChange(tests=each, writes=[Write(0, b"new")]) for number, each in tests.items()}

    success, found = change(
        mutable, {3: ShareChange(writes=[Write(0, b"new")]), **changes}, lease=OTHER_SECRETS, read=[(0, 4)]
    )

    assert (success, found) == (False, {0: [b"zero"]})
    assert mutable.share_numbers(STORAGE_INDEX) == {0}
    assert (mutable.directory / "shares" / NAME[:2] / NAME / "0").read_bytes() == before


@pytest.mark.parametrize(
    ("number", "test"),
    [(0, Test(0, 4, b"zero")), (0, Test(2, 100, b"ro")), (0, Test(9, 1, b"")), (9, Test(0, 100, b""))],
)
def test_tests_that_pass_let_the_writes_through(mutable: MutableStore, number: int, test: Test) -> None:
    write(mutable, 0, b"zero")

    assert change(mutable, {number: ShareChange(tests=[test], writes=[Write(0, b"NEW")])})[0]

    assert content(mutable, number)[:3] == b"NEW"


@pytest.mark.parametrize("other", [b"W" * 32, b"w" * 31, b"w" * 33])
def test_other_write_enabler_changes_and_learns_nothing(mutable: MutableStore, other: bytes) -> None:
    write(mutable, 0, b"zero")

    with pytest.raises(BadWriteEnabler):
        change(mutable, {1: ShareChange(writes=[Write(0, b"new")])}, write_enabler=other, read=[(0, 4)])

    assert mutable.share_numbers(STORAGE_INDEX) == {0}


def test_write_enabler_does_not_show_in_errors(mutable: MutableStore) -> None:
    write(mutable, 0, b"zero")

    with pytest.raises(BadWriteEnabler, match="was made with another write enabler") as caught:
        change(mutable, {}, write_enabler=b"S" * 32)
    assert "www" not in str(caught.value) and "SSS" not in str(caught.value)


def test_share_of_an_immutable_file_is_never_written_over(mutable: MutableStore) -> None:
    path = put(mutable.directory, 0, immutable_container(2, b"share"))

    with pytest.raises(WrongKind, match="immutable file, which never changes"):
        change(mutable, {0: ShareChange(writes=[Write(0, b"new")])})
    with pytest.raises(NoSuchShare):
        mutable.read(STORAGE_INDEX, 0, 0, 1)

    assert path.read_bytes() == immutable_container(2, b"share")


# Leases


def test_success_leases_all_shares(mutable: MutableStore) -> None:
    write(mutable, 0, b"zero")
    write(mutable, 1, b"one")

    change(mutable, {1: ShareChange(writes=[Write(0, b"ONE")])}, lease=OTHER_SECRETS)

    folder = mutable.directory / "shares" / NAME[:2] / NAME
    leases = [LEASE, StockLease(1, OTHER_SECRETS, NOW + MONTH)]
    assert (folder / "0").read_bytes() == mutable_container(2, b"zero", leases)
    assert (folder / "1").read_bytes() == mutable_container(2, b"ONE", leases)


def test_lease_endpoint_reaches_both_kinds(store: ShareStore, mutable: MutableStore) -> None:
    path = finished(store, 0, b"immutable")
    write(mutable, 1, b"mutable")

    assert store.add_lease(STORAGE_INDEX, OTHER_SECRETS) == {0, 1}

    leases = [LEASE, StockLease(1, OTHER_SECRETS, NOW + MONTH)]
    assert (path.parent / "1").read_bytes() == mutable_container(2, b"mutable", leases)
    assert path.read_bytes()[-72:] == leases[1].immutable(2)


def test_leases_beyond_the_fourth_stay_behind_the_share_as_it_grows_and_shrinks(mutable: MutableStore) -> None:
    leases = [lease_number(number) for number in range(6)]
    for number in range(6):
        change(mutable, {0: ShareChange(writes=[Write(0, b"share")])}, lease=secrets_number(number))
    path = mutable.directory / "shares" / NAME[:2] / NAME / "0"
    assert path.read_bytes() == mutable_container(2, b"share", leases)

    change(mutable, {0: ShareChange(writes=[Write(5, b" and more")])}, lease=secrets_number(5))
    assert path.read_bytes() == mutable_container(2, b"share and more", leases)

    change(mutable, {0: ShareChange(new_length=2)}, lease=secrets_number(4))
    assert path.read_bytes() == mutable_container(2, b"sh", leases)


# Room


def test_share_for_which_there_is_no_room_leaves_everything_as_it_was(mutable: MutableStore) -> None:
    write(mutable, 0, b"zero")
    before = (mutable.directory / "shares" / NAME[:2] / NAME / "0").read_bytes()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)

    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    try:
        with pytest.raises(StoreError, match="File too large"):
            change(mutable, {0: ShareChange(writes=[Write(0, b"new")]), 1: ShareChange(writes=[Write(0, bytes(2000))])})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))

    assert shares_found_by(mutable) == [f"{NAME[:2]}/{NAME}/0"]
    assert (mutable.directory / "shares" / NAME[:2] / NAME / "0").read_bytes() == before


def shares_found_by(mutable: MutableStore) -> list[str]:
    root = mutable.directory / "shares"
    return sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file())


def test_reserve_is_left_free_by_shares_that_grow(store: ShareStore, monkeypatch: pytest.MonkeyPatch) -> None:
    mutable = MutableStore(store.directory, durable=False, now=lambda: NOW, node_id=NODE_ID, reserved_space=5000)
    write(mutable, 0, bytes(1000))
    monkeypatch.setattr(os, "statvfs", lambda path: SimpleNamespace(f_bavail=5500, f_frsize=1))

    write(mutable, 0, b"x" * 1000)
    write(mutable, 0, b"x", offset=1000)
    with pytest.raises(StoreFull, match="no room for 2473 bytes instead of 1473"):
        write(mutable, 0, b"x", offset=2000)

    assert content(mutable, 0) == b"x" * 1001


@pytest.mark.parametrize("offset", [2**48, 2**64 - 1])
def test_hole_larger_than_the_disk_is_refused(mutable: MutableStore, offset: int) -> None:
    with pytest.raises(StoreFull):
        write(mutable, 0, b"x", offset=offset)

    assert shares_found_by(mutable) == []


def test_node_id_of_another_length_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="a node id has 20 bytes, not 19"):
        MutableStore(tmp_path, durable=False, now=lambda: NOW, node_id=bytes(19))


# Together


def in_threads(works: Iterable[Callable[[], object]]) -> list[object]:
    with ThreadPoolExecutor(8) as threads:
        return [future.result() for future in [threads.submit(work) for work in works]]


def test_of_those_who_test_for_the_same_state_one_wins(mutable: MutableStore) -> None:
    def claim(claimant: bytes) -> bool:
        changes = {0: ShareChange(tests=[Test(0, 1, b"")], writes=[Write(0, claimant)])}
        return change(mutable, changes, read=[(0, 1)])[0]

    won = in_threads(partial(claim, b"%d" % n) for n in range(10))

    assert won.count(True) == 1
    assert content(mutable, 0) == b"%d" % won.index(True)


def test_no_lease_is_lost_while_the_share_changes(store: ShareStore, mutable: MutableStore) -> None:
    write(mutable, 0, b"share")
    leases = [secrets_number(number) for number in range(30)]

    in_threads(
        [
            work
            for lease in leases
            for work in (
                partial(store.add_lease, STORAGE_INDEX, lease),
                partial(write, mutable, 0, b"share"),
            )
        ]
    )

    stored = (mutable.directory / "shares" / NAME[:2] / NAME / "0").read_bytes()
    missing = [lease for lease in leases if StockLease(1, lease, NOW + MONTH).mutable(2) not in stored]
    assert missing == []


def test_readers_see_a_share_as_it_was_at_some_moment(mutable: MutableStore) -> None:
    size = 100_000
    write(mutable, 0, b"a" * size)
    done = Event()
    seen: list[int] = []

    def read_all_the_time() -> None:
        while not done.is_set():
            seen.append(len(set(mutable.read(STORAGE_INDEX, 0, 0, size))))

    reader = Thread(target=read_all_the_time)
    reader.start()
    for letter in b"bcdefghijk":
        write(mutable, 0, bytes([letter]) * size)
    done.set()
    reader.join()

    assert set(seen) == {1}


def test_folders_may_come_and_go_at_the_same_time(start_store: StartStore, tmp_path: Path) -> None:
    """Storage indexes that begin alike share a folder, which whoever finds it empty removes."""
    store = start_store(tmp_path)
    mutable = MutableStore(tmp_path, durable=False, now=lambda: NOW, node_id=NODE_ID)

    def come_and_go(number: int) -> None:
        storage_index = STORAGE_INDEX[:8] + bytes([number]) * 8
        for _ in range(30):
            there = {0: ShareChange(writes=[Write(0, b"share")])}
            assert mutable.read_test_write(storage_index, WRITE_ENABLER, SECRETS, there, [])[0]
            gone = {0: ShareChange(new_length=0)}
            assert mutable.read_test_write(storage_index, WRITE_ENABLER, SECRETS, gone, [])[0]

    def come_and_go_immutably() -> None:
        for number in range(30):
            finished(store, number, b"share")
            store.remove(STORAGE_INDEX, number)

    in_threads([*(partial(come_and_go, n) for n in range(6)), come_and_go_immutably])

    assert shares_found(store) == []
