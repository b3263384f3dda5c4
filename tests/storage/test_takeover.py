"""A Tahoe-LAFS node's storage directory, served by ours, and what that node finds when it has it back."""

from __future__ import annotations

from pathlib import Path

import pytest

from tahoeish.storage.errors import BadShareFile, BadWriteEnabler, NoSuchShare
from tahoeish.storage.mutable import MutableStore
from tahoeish.storage.vectors import ShareChange, Test, Write
from tests.storage.containers import (
    MONTH,
    StockLease,
    immutable_container,
    lease_number,
    mutable_container,
    put,
    secrets_number,
)
from tests.storage.stores import NAME, NOW, SECRETS, STORAGE_INDEX, StartStore

STOCK_NODE = b"\xee" * 20
STOCK_ENABLER = bytes(range(100, 132))
OUR_NODE = b"\x11" * 20
OLD = NOW - 1000
FIRST = lease_number(1, owner=0, expiry=OLD)
LEASES = [lease_number(number, expiry=OLD) for number in range(2, 8)]
ADDED = StockLease(1, SECRETS, NOW + MONTH)


def stock_mutable(version: int, data: bytes, leases: list[StockLease], *, unused: bytes = b"") -> bytes:
    return mutable_container(version, data, leases, node_id=STOCK_NODE, write_enabler=STOCK_ENABLER, unused=unused)


def renewed(number: int, owner: int = 1) -> StockLease:
    return lease_number(number, owner=owner)


def mutable_store(directory: Path) -> MutableStore:
    return MutableStore(directory, durable=True, now=lambda: NOW, node_id=OUR_NODE)


@pytest.mark.parametrize("version", [1, 2])
def test_both_kinds_are_read_where_they_lie(start_store: StartStore, tmp_path: Path, version: int) -> None:
    immutable = immutable_container(version, b"immutable share", [FIRST, *LEASES])
    mutable = stock_mutable(version, b"mutable share", LEASES)
    paths = {put(tmp_path, 0, immutable): immutable, put(tmp_path, 1, mutable): mutable}

    store = start_store(tmp_path)

    assert store.share_numbers(STORAGE_INDEX) == {0}
    share = store.open(STORAGE_INDEX, 0)
    assert (share.length, share.read(0, 100)) == (15, b"immutable share")
    assert mutable_store(tmp_path).share_numbers(STORAGE_INDEX) == {1}
    assert mutable_store(tmp_path).read(STORAGE_INDEX, 1, 0, 100) == b"mutable share"
    assert {path: path.read_bytes() for path in paths} == paths


def test_unfinished_uploads_of_the_former_node_are_cleared_away(start_store: StartStore, tmp_path: Path) -> None:
    unfinished = tmp_path / "shares" / "incoming" / NAME[:2] / NAME / "0"
    unfinished.parent.mkdir(parents=True)
    unfinished.write_bytes(b"\0\0\0\2")

    start_store(tmp_path)

    assert not unfinished.exists()


def test_each_kind_is_no_share_for_those_who_want_the_other(start_store: StartStore, tmp_path: Path) -> None:
    put(tmp_path, 0, immutable_container(2, b"immutable share"))
    put(tmp_path, 1, stock_mutable(2, b"mutable share", []))
    store = start_store(tmp_path)

    with pytest.raises(NoSuchShare, match="1: holds a share of a mutable file"):
        store.open(STORAGE_INDEX, 1)
    with pytest.raises(NoSuchShare, match="0: holds no share of a mutable file"):
        mutable_store(tmp_path).open(STORAGE_INDEX, 0)


def test_corruption_of_either_kind_can_be_reported(start_store: StartStore, tmp_path: Path) -> None:
    put(tmp_path, 0, immutable_container(2, b"immutable share"))
    put(tmp_path, 1, stock_mutable(2, b"mutable share", []))
    store = start_store(tmp_path)

    store.report_corruption(STORAGE_INDEX, 0, "immutable and yet changed")
    store.report_corruption(STORAGE_INDEX, 1, "changed beyond recognition")

    assert len(list((tmp_path / "corruption-advisories").iterdir())) == 2


# Leases


@pytest.mark.parametrize("version", [1, 2])
def test_lease_of_an_immutable_share_is_renewed_in_its_place(
    start_store: StartStore, tmp_path: Path, version: int
) -> None:
    path = put(tmp_path, 0, immutable_container(version, b"share", [FIRST, *LEASES]))

    start_store(tmp_path).add_lease(STORAGE_INDEX, secrets_number(1))
    assert path.read_bytes() == immutable_container(version, b"share", [renewed(1, owner=0), *LEASES])


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize("place", range(6))
def test_lease_of_a_mutable_share_is_renewed_in_its_place(
    start_store: StartStore, tmp_path: Path, version: int, place: int
) -> None:
    path = put(tmp_path, 0, stock_mutable(version, b"share", LEASES, unused=b"was longer once"))

    start_store(tmp_path).add_lease(STORAGE_INDEX, secrets_number(2 + place))

    leases = [*LEASES[:place], renewed(2 + place), *LEASES[place + 1 :]]
    assert path.read_bytes() == stock_mutable(version, b"share", leases, unused=b"was longer once")


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize("count", range(7))
def test_lease_is_added_to_a_mutable_share(start_store: StartStore, tmp_path: Path, version: int, count: int) -> None:
    path = put(tmp_path, 0, stock_mutable(version, b"share", LEASES[:count], unused=b"was longer once"))

    assert start_store(tmp_path).add_lease(STORAGE_INDEX, SECRETS) == {0}

    assert path.read_bytes() == stock_mutable(version, b"share", [*LEASES[:count], ADDED], unused=b"was longer once")


def test_renewal_never_shortens_a_lease_of_a_mutable_share(start_store: StartStore, tmp_path: Path) -> None:
    container = stock_mutable(2, b"share", [lease_number(1, expiry=NOW + 2 * MONTH)])
    path = put(tmp_path, 0, container)

    start_store(tmp_path).add_lease(STORAGE_INDEX, secrets_number(1))

    assert path.read_bytes() == container


def test_place_of_a_lease_that_is_gone_is_taken_again(start_store: StartStore, tmp_path: Path) -> None:
    gone = lease_number(9, owner=0)
    path = put(tmp_path, 0, stock_mutable(2, b"share", [LEASES[0], gone, LEASES[1]]))

    start_store(tmp_path).add_lease(STORAGE_INDEX, SECRETS)

    assert path.read_bytes() == stock_mutable(2, b"share", [LEASES[0], ADDED, LEASES[1]])


# Changes


@pytest.mark.parametrize("version", [1, 2])
def test_changed_share_keeps_version_node_write_enabler_and_leases(
    start_store: StartStore, tmp_path: Path, version: int
) -> None:
    path = put(tmp_path, 0, stock_mutable(version, b"the stock share", LEASES, unused=b"was longer once"))
    start_store(tmp_path)

    change = ShareChange([Test(4, 5, b"stock")], [Write(4, b"other share")], None)
    success, found = mutable_store(tmp_path).read_test_write(
        STORAGE_INDEX, STOCK_ENABLER, SECRETS, {0: change}, [(0, 100)]
    )

    assert (success, found) == (True, {0: [b"the stock share"]})
    assert path.read_bytes() == stock_mutable(version, b"the other share", [*LEASES, ADDED])


def test_new_share_beside_stock_ones_is_made_by_our_node(start_store: StartStore, tmp_path: Path) -> None:
    path = put(tmp_path, 0, stock_mutable(1, b"share", []))
    start_store(tmp_path)

    change = {1: ShareChange(writes=[Write(0, b"new share")])}
    mutable_store(tmp_path).read_test_write(STORAGE_INDEX, STOCK_ENABLER, SECRETS, change, [])

    assert path.read_bytes() == stock_mutable(1, b"share", [ADDED])
    assert path.with_name("1").read_bytes() == mutable_container(
        2, b"new share", [ADDED], node_id=OUR_NODE, write_enabler=STOCK_ENABLER
    )


def test_stock_share_is_its_owners_only(start_store: StartStore, tmp_path: Path) -> None:
    container = stock_mutable(2, b"share", LEASES)
    path = put(tmp_path, 0, container)
    start_store(tmp_path)

    change = {0: ShareChange(writes=[Write(0, b"mine!")])}
    with pytest.raises(BadWriteEnabler):
        mutable_store(tmp_path).read_test_write(STORAGE_INDEX, b"?" * 32, SECRETS, change, [])

    assert path.read_bytes() == container


# What may be wrong with a file


@pytest.mark.parametrize(
    ("container", "complaint"),
    [
        (stock_mutable(2, b"share", [])[:99], "99 bytes are too few"),
        (stock_mutable(2, b"share", [])[:470], "a share of 5 bytes and leases at 473 don't fit into 470 bytes"),
        (stock_mutable(2, b"share", []).replace(b"v2\n", b"v3\n", 1), "of an unknown version"),
    ],
)
def test_damaged_container_is_refused_with_its_path(
    start_store: StartStore, tmp_path: Path, container: bytes, complaint: str
) -> None:
    path = put(tmp_path, 0, container)
    store = start_store(tmp_path)

    with pytest.raises(BadShareFile, match=complaint) as caught:
        mutable_store(tmp_path).open(STORAGE_INDEX, 0)
    assert str(path) in str(caught.value)
    with pytest.raises(BadShareFile, match=complaint):
        store.add_lease(STORAGE_INDEX, SECRETS)

    assert path.read_bytes() == container


@pytest.mark.parametrize("missing", [1, 4, 50, 92])
def test_further_leases_that_are_cut_off_are_none(start_store: StartStore, tmp_path: Path, missing: int) -> None:
    path = put(tmp_path, 0, stock_mutable(2, b"share", LEASES)[:-missing])

    start_store(tmp_path).add_lease(STORAGE_INDEX, SECRETS)

    assert path.read_bytes() == stock_mutable(2, b"share", [*LEASES[:5], ADDED])
