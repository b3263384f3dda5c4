from __future__ import annotations

import json
import os
import resource
import struct
from hashlib import blake2b
from pathlib import Path

import pytest

from tahoeish.storage.errors import StoreError
from tahoeish.storage.leases import LeaseSecrets
from tests.storage.stores import NOW, OTHER_SECRETS, SECRETS, STORAGE_INDEX, StartStore, finished

MONTH = 31 * 24 * 60 * 60
VECTORS = json.loads((Path(__file__).parents[1] / "vectors" / "hash_vectors.json").read_text())


def hidden(secret: bytes) -> bytes:
    return blake2b(secret, digest_size=32).digest()


def record(owner: int, renew: bytes, cancel: bytes, expiry: int) -> bytes:
    return struct.pack(">L", owner) + renew + cancel + struct.pack(">L", expiry)


def container(version: int, data: bytes, *leases: bytes) -> bytes:
    return struct.pack(">LLL", version, len(data), len(leases)) + data + b"".join(leases)


@pytest.mark.parametrize("vector", VECTORS["lease_secrets"])
def test_secrets_are_those_that_tahoe_would_use(vector: dict[str, str]) -> None:
    secrets = LeaseSecrets.derived(
        bytes.fromhex(vector["lease_secret_hex"]),
        bytes.fromhex(vector["storage_index_hex"]),
        bytes.fromhex(vector["tubid_hex"]),
    )

    assert secrets.renew.hex() == vector["bucket_renewal_hex"]
    assert secrets.cancel.hex() == vector["bucket_cancel_hex"]
    assert secrets.as_stored(2).renew.hex() == vector["stored_renewal_blake2b_hex"]
    assert secrets.as_stored(1) == secrets


def test_secrets_do_not_show_in_logs() -> None:
    assert repr(SECRETS) == "LeaseSecrets()"


def test_secrets_of_another_length_are_refused() -> None:
    with pytest.raises(ValueError, match="32 bytes each"):
        LeaseSecrets(b"r" * 32, b"c" * 31)


def test_added_lease_comes_after_the_first_one(start_store: StartStore, tmp_path: Path) -> None:
    store = start_store(tmp_path, durable=True)
    path = finished(store, 3, b"share")

    assert store.add_lease(STORAGE_INDEX, OTHER_SECRETS) == {3}

    assert path.read_bytes() == container(
        2,
        b"share",
        record(0, hidden(SECRETS.renew), hidden(SECRETS.cancel), NOW + MONTH),
        record(1, hidden(OTHER_SECRETS.renew), hidden(OTHER_SECRETS.cancel), NOW + MONTH),
    )


def test_lease_is_added_to_all_shares_of_a_file(start_store: StartStore, tmp_path: Path) -> None:
    store = start_store(tmp_path)
    paths = [finished(store, number, b"share") for number in (0, 7)]

    assert store.add_lease(STORAGE_INDEX, OTHER_SECRETS) == {0, 7}
    assert {path.stat().st_size for path in paths} == {12 + 5 + 2 * 72}


def test_without_shares_there_is_nothing_to_lease(start_store: StartStore, tmp_path: Path) -> None:
    assert start_store(tmp_path).add_lease(STORAGE_INDEX, SECRETS) == set()


def test_secrets_in_a_container_of_version_1_stay_plain(start_store: StartStore, tmp_path: Path) -> None:
    store = start_store(tmp_path)
    path = finished(store, 0, b"share")
    first = record(0, SECRETS.renew, SECRETS.cancel, 1000)
    path.write_bytes(container(1, b"share", first))

    store.add_lease(STORAGE_INDEX, OTHER_SECRETS)

    second = record(1, OTHER_SECRETS.renew, OTHER_SECRETS.cancel, NOW + MONTH)
    assert path.read_bytes() == container(1, b"share", first, second)


def test_own_lease_is_renewed_in_its_place(start_store: StartStore, tmp_path: Path) -> None:
    store = start_store(tmp_path)
    path = finished(store, 0, b"share")
    before = path.read_bytes()

    store.stop()
    start_store(tmp_path, now=NOW + 100.9).add_lease(STORAGE_INDEX, SECRETS)

    assert path.read_bytes() == before[:-4] + struct.pack(">L", NOW + 100 + MONTH)


def test_renewal_never_shortens_a_lease(start_store: StartStore, tmp_path: Path) -> None:
    store = start_store(tmp_path)
    path = finished(store, 0, b"share")
    before = path.read_bytes()

    store.stop()
    start_store(tmp_path, now=NOW - 100).add_lease(STORAGE_INDEX, SECRETS)

    assert path.read_bytes() == before


def test_lease_torn_by_a_crash_is_written_over_by_the_next(start_store: StartStore, tmp_path: Path) -> None:
    store = start_store(tmp_path)
    path = finished(store, 0, b"share")
    whole = path.read_bytes()
    path.write_bytes(whole + b"torn" * 10)

    assert store.open(STORAGE_INDEX, 0).length == 5
    store.add_lease(STORAGE_INDEX, OTHER_SECRETS)

    first, second = (
        whole[-72:],
        record(1, hidden(OTHER_SECRETS.renew), hidden(OTHER_SECRETS.cancel), NOW + MONTH),
    )
    assert path.read_bytes() == container(2, b"share", first, second)


def test_lease_is_on_the_disk_before_it_is_counted(
    start_store: StartStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = start_store(tmp_path, durable=True)
    path = finished(store, 0, b"share")
    seen_by_syncs: list[tuple[int, int]] = []
    fdatasync = os.fdatasync

    def watch(fd: int) -> None:
        content = path.read_bytes()
        seen_by_syncs.append((len(content), content[11]))
        fdatasync(fd)

    monkeypatch.setattr(os, "fdatasync", watch)
    store.add_lease(STORAGE_INDEX, OTHER_SECRETS)

    size = 12 + 5 + 2 * 72
    assert seen_by_syncs == [(size, 1), (size, 2)]


def test_lease_for_which_there_is_no_room_leaves_the_file_as_it_was(start_store: StartStore, tmp_path: Path) -> None:
    store = start_store(tmp_path)
    path = finished(store, 0, b"share")
    before = path.read_bytes()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)

    resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) + 30, hard))
    try:
        with pytest.raises(StoreError, match="File too large"):
            store.add_lease(STORAGE_INDEX, OTHER_SECRETS)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))

    assert path.read_bytes() == before
