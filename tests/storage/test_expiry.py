from __future__ import annotations

import os
from pathlib import Path

import pytest

from tahoeish.chk import base32
from tahoeish.storage.errors import StoreError
from tahoeish.storage.expiry import Collector, ExpiryPolicy, Fate, Finding, Tally
from tahoeish.storage.shares import ShareStore
from tests.storage.containers import MONTH, immutable_container, lease_number, mutable_container, put, secrets_number
from tests.storage.stores import NAME, NOW, STORAGE_INDEX, StartStore, finished

DAY = 24 * 60 * 60
PAST = lease_number(1, expiry=NOW - 1)
LONG_PAST = lease_number(2, expiry=NOW - 100 * DAY)
FUTURE = lease_number(3, expiry=NOW + 1)
EXPIRED = [LONG_PAST, PAST, LONG_PAST, LONG_PAST]


def collector(directory: Path, *, dry_run: bool = False, after_days: float = 0, now: float = NOW) -> Collector:
    return Collector(directory, ExpiryPolicy(after_days * DAY), now=lambda: now, durable=True, dry_run=dry_run)


def collected(directory: Path, *, dry_run: bool = False, after_days: float = 0) -> list[Finding]:
    return list(collector(directory, dry_run=dry_run, after_days=after_days).findings())


def fates(findings: list[Finding]) -> dict[str, Fate]:
    return {finding.path.name: finding.fate for finding in findings}


@pytest.fixture
def directory(store: ShareStore) -> Path:
    """Of a store that is running meanwhile."""
    return store.directory


# What goes, and what stays


@pytest.mark.parametrize("version", [1, 2])
def test_share_goes_when_the_last_of_its_leases_has_expired(directory: Path, version: int) -> None:
    put(directory, 0, immutable_container(version, b"share", EXPIRED))
    put(directory, 1, mutable_container(version, b"share", EXPIRED))
    put(directory, 2, immutable_container(version, b"share", [*EXPIRED, FUTURE]))
    put(directory, 3, mutable_container(version, b"share", [*EXPIRED, FUTURE]))

    findings = collected(directory)

    assert fates(findings) == {"0": Fate.EXPIRED, "1": Fate.EXPIRED, "2": Fate.LEASED, "3": Fate.LEASED}
    assert {finding.expired_at for finding in findings if finding.fate is Fate.EXPIRED} == {NOW - 1}
    assert sorted(os.listdir(directory / "shares" / NAME[:2] / NAME)) == ["2", "3"]


def test_folders_of_the_last_share_go_with_it(directory: Path) -> None:
    put(directory, 0, immutable_container(2, b"share", [PAST]))

    collected(directory)

    shares = directory / "shares"
    assert list(shares.rglob("*")) == [shares / "incoming"]


def test_share_that_never_had_a_lease_stays(directory: Path) -> None:
    paths = [
        put(directory, 0, immutable_container(2, b"share")),
        put(directory, 1, mutable_container(2, b"share", [lease_number(1, owner=0, expiry=0)])),
    ]

    assert fates(collected(directory)) == {"0": Fate.WITHOUT_LEASE, "1": Fate.WITHOUT_LEASE}
    assert all(path.exists() for path in paths)


def test_file_that_cannot_be_understood_stays_and_is_named(directory: Path) -> None:
    path = put(directory, 0, b"\0\0\0\7 something else")
    put(directory, 1, immutable_container(2, b"share", [PAST]))

    damaged, expired = collected(directory)

    assert (damaged.fate, expired.fate) == (Fate.UNREADABLE, Fate.EXPIRED)
    assert damaged.problem == f"{path}: container version 7 is unknown"
    assert path.exists()


def test_what_is_no_share_is_left_alone(directory: Path) -> None:
    expired = immutable_container(2, b"share", [PAST])
    share = put(directory, 0, expired)
    others = [
        share.with_name("0.bak"),
        directory / "shares" / "incoming" / NAME[:2] / NAME / "0",
        directory / "shares" / NAME[:2] / "notes" / "0",
        directory / "shares" / NAME[:2] / "a-file",
        directory / "shares" / "zz",
    ]
    for path in others:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(expired)

    assert [finding.path for finding in collected(directory)] == [share]
    assert all(path.read_bytes() == expired for path in others)


# The policy


@pytest.mark.parametrize(("after_days", "fate"), [(0, Fate.LEASED), (7, Fate.EXPIRED), (11, Fate.LEASED)])
def test_own_duration_counts_from_the_last_renewal(directory: Path, after_days: float, fate: Fate) -> None:
    renewed_ten_days_ago = lease_number(1, expiry=NOW + MONTH - 10 * DAY)
    put(directory, 0, immutable_container(2, b"share", [LONG_PAST, renewed_ten_days_ago]))

    assert fates(collected(directory, after_days=after_days)) == {"0": fate}


def test_own_duration_can_be_longer_than_the_leases(directory: Path) -> None:
    put(directory, 0, immutable_container(2, b"share", [lease_number(1, expiry=NOW - 10 * DAY)]))

    assert fates(collected(directory, after_days=31 + 11)) == {"0": Fate.LEASED}
    assert fates(collected(directory, after_days=31 + 9)) == {"0": Fate.EXPIRED}


def test_lease_made_by_the_store_lasts_a_month(start_store: StartStore, tmp_path: Path) -> None:
    finished(start_store(tmp_path), 0, b"share")

    def fate_at(now: float) -> Fate:
        (finding,) = collector(tmp_path, dry_run=True, now=now).findings()
        return finding.fate

    assert (fate_at(NOW + MONTH - 1), fate_at(NOW + MONTH)) == (Fate.LEASED, Fate.EXPIRED)


# Telling


def test_dry_run_tells_the_same_and_touches_nothing(directory: Path) -> None:
    put(directory, 0, immutable_container(2, b"share", [PAST]))
    put(directory, 1, mutable_container(2, b"share", EXPIRED))
    put(directory, 2, immutable_container(2, b"share", [FUTURE]))
    everything = {path: path.stat() for path in directory.rglob("*")}

    told = collected(directory, dry_run=True)

    after = {path: path.stat() for path in directory.rglob("*")}
    assert after.keys() == everything.keys()
    assert all(after[path].st_mtime_ns == everything[path].st_mtime_ns for path in everything)
    assert told == collected(directory)


def test_tally_says_what_it_comes_to(directory: Path) -> None:
    put(directory, 0, immutable_container(2, b"share", [PAST]))
    put(directory, 1, immutable_container(2, b"share", [PAST, LONG_PAST]))
    put(directory, 2, immutable_container(2, b"share", [FUTURE]))
    tally = Tally()
    for finding in collected(directory):
        tally.count(finding)
    expired_bytes = 2 * (12 + 5) + 3 * 72
    assert str(tally) == f"2 of 3 shares have expired, {expired_bytes} bytes"

    put(directory, 3, immutable_container(2, b"share"))
    put(directory, 4, b"")
    for finding in collected(directory):
        tally.count(finding)
    assert str(tally).startswith("1 can't be read and stay; 1 without any lease stay; 2 of ")


# The way through the directory


def names(count: int) -> list[str]:
    return sorted(base32.encode(bytes([number * 40]) + bytes(15)) for number in range(count))


def test_shares_come_in_order_from_any_prefix_on(directory: Path) -> None:
    for name in names(6):
        for number in (10, 9):
            put(directory, number, immutable_container(2, b"share", [FUTURE]), name=name)

    found = list(collector(directory).findings())
    assert [finding.path.relative_to(directory / "shares").parts for finding in found] == [
        (name[:2], name, number) for name in names(6) for number in ("9", "10")
    ]
    later = list(collector(directory).findings(first_prefix=names(6)[4][:2]))
    assert later == found[8:]
    assert {finding.prefix for finding in later} == {name[:2] for name in names(6)[4:]}


def test_directory_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=f"{tmp_path}/shares: No such file"):
        collected(tmp_path)


def test_share_that_goes_while_it_is_looked_for_is_no_matter(directory: Path) -> None:
    for number in range(3):
        put(directory, number, immutable_container(2, b"share", [FUTURE]))
    findings = collector(directory).findings()
    first = next(findings)

    first.path.with_name("1").unlink()

    assert [finding.path.name for finding in findings] == ["2"]


def test_renewed_lease_saves_the_share(store: ShareStore) -> None:
    path = put(store.directory, 0, mutable_container(2, b"share", [PAST]))

    assert store.add_lease(STORAGE_INDEX, secrets_number(1)) == {0}

    assert fates(collected(store.directory)) == {"0": Fate.LEASED}
    assert path.exists()
