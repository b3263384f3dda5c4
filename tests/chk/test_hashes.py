from __future__ import annotations

from typing import Any

import pytest

from tahoeish.chk import base32, hashes
from tahoeish.chk.layout import Segmentation
from tests.chk.shares import repeated, vectors

VECTORS = vectors("hash_vectors")

# Tahoe-LAFS has more kinds of tagged hash than its immutable files use; they test the construction.
TAGS = {
    "plaintext_hash": (b"allmydata_plaintext_v1", 32),
    "plaintext_segment_hash": (b"allmydata_plaintext_segment_v1", 32),
    "ssk_writekey_hash": (b"allmydata_mutable_privkey_to_writekey_v1", 16),
    "ssk_write_enabler_master_hash": (b"allmydata_mutable_writekey_to_write_enabler_master_v1", 32),
    "ssk_pubkey_fingerprint_hash": (b"allmydata_mutable_pubkey_to_fingerprint_v1", 32),
    "ssk_readkey_hash": (b"allmydata_mutable_writekey_to_readkey_v1", 16),
    "ssk_storage_index_hash": (b"allmydata_mutable_readkey_to_storage_index_v1", 16),
    "mutable_rwcap_salt_hash": (b"allmydata_dirnode_child_rwcap_to_salt_v1", 16),
    "backupdb_dirhash": (b"allmydata_backupdb_dirhash_v1", 32),
    "merkle_pair": (b"Merkle tree internal node", 32),
    "ssk_readkey_data": (b"allmydata_mutable_readkey_to_datakey_v1", 16),
    "mutable_rwcap_key": (b"allmydata_mutable_writekey_and_salt_to_dirnode_child_capkey_v1", 16),
}


def one_shot(hasher: hashes.TaggedHasher, data: bytes) -> bytes:
    hasher.update(data)
    return hasher.digest()


def name_of(vector: dict[str, Any]) -> str:
    return f"{vector['name']}-{len(vector.get('input_hex', '')) // 2}"


@pytest.mark.parametrize("vector", VECTORS["tagged_hash"], ids=name_of)
def test_known_tagged_hashes(vector: dict[str, Any]) -> None:
    data = bytes.fromhex(vector.get("input_hex", ""))
    match vector["name"]:
        case "storage_index_hash":
            digest = hashes.storage_index_hash(data)
        case "block_hash":
            digest = hashes.block_hash(data)
        case "uri_extension_hash":
            digest = hashes.ueb_hash(data)
        case "crypttext_segment_hash":
            digest = hashes.crypttext_segment_hash(data)
            assert one_shot(hashes.crypttext_segment_hasher(), data) == digest
        case "crypttext_hash":
            digest = one_shot(hashes.crypttext_hasher(), data)
        case "empty_leaf":
            digest = hashes.merkle_filler(vector["index"])
        case name:
            tag, length = TAGS[name]
            digest = hashes.tagged_hash(tag, data, length)
    assert digest.hex() == vector["output_hex"]


@pytest.mark.parametrize("vector", VECTORS["pair_hash"], ids=name_of)
def test_known_pair_hashes(vector: dict[str, str]) -> None:
    a, b = bytes.fromhex(vector["a_hex"]), bytes.fromhex(vector["b_hex"])
    match vector["name"]:
        case "file_renewal_secret":
            digest = hashes.file_renewal_secret(a, b)
        case "file_cancel_secret":
            digest = hashes.file_cancel_secret(a, b)
        case "bucket_renewal_secret":
            digest = hashes.bucket_renewal_secret(a, b)
        case "bucket_cancel_secret":
            digest = hashes.bucket_cancel_secret(a, b)
        case name:
            tag, length = TAGS[name]
            digest = hashes.tagged_pair_hash(tag, a, b, length)
    assert digest.hex() == vector["output_hex"]


def test_the_quick_parent_hash_is_the_tagged_pair_hash() -> None:
    left, right = b"l" * 32, b"r" * 32
    assert hashes.merkle_node(left, right) == hashes.tagged_pair_hash(TAGS["merkle_pair"][0], left, right)


@pytest.mark.parametrize("vector", VECTORS["lease_secrets"])
def test_known_lease_secrets(vector: dict[str, str]) -> None:
    known = {name: bytes.fromhex(text) for name, text in vector.items() if name.endswith("_hex")}
    renewal = hashes.client_renewal_secret(known["lease_secret_hex"])
    cancel = hashes.client_cancel_secret(known["lease_secret_hex"])
    assert (renewal, cancel) == (known["client_renewal_hex"], known["client_cancel_hex"])

    renewal = hashes.file_renewal_secret(renewal, known["storage_index_hex"])
    cancel = hashes.file_cancel_secret(cancel, known["storage_index_hex"])
    assert (renewal, cancel) == (known["file_renewal_hex"], known["file_cancel_hex"])

    renewal = hashes.bucket_renewal_secret(renewal, known["tubid_hex"])
    cancel = hashes.bucket_cancel_secret(cancel, known["tubid_hex"])
    assert (renewal, cancel) == (known["bucket_renewal_hex"], known["bucket_cancel_hex"])


CONVERGENT_DATA = {
    "256 ascending bytes truncated to 56": bytes(range(56)),
    "byte 'x' * 100": b"x" * 100,
    "ASCII 'The quick brown fox'": b"The quick brown fox",
    "byte 'a' * 2000000": b"a" * 2_000_000,
}


@pytest.mark.parametrize("vector", VECTORS["convergence"], ids=lambda vector: vector["data_rule"])
def test_known_convergent_keys(vector: dict[str, Any]) -> None:
    hasher = hashes.convergence_hasher(
        bytes.fromhex(vector["secret_hex"]), vector["k"], vector["n"], vector["segment_size"]
    )
    hasher.update(CONVERGENT_DATA[vector["data_rule"]])
    assert hasher.digest().hex() == vector["key_hex"]
    storage_index = hashes.storage_index_hash(hasher.digest())
    assert storage_index.hex() == vector["storage_index_hex"]
    assert base32.encode(storage_index) == vector["storage_index_text"]


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_any_kind_of_buffer_hashes_the_same(kind: type[bytes | bytearray | memoryview]) -> None:
    data = repeated(b"0123456789abcdef", 5000)
    assert hashes.block_hash(kind(data)) == hashes.tagged_hash(b"allmydata_encoded_subshare_v1", data)
    assert hashes.tagged_pair_hash(b"tag", kind(data), kind(data)) == hashes.tagged_pair_hash(b"tag", data, data)


def test_a_convergent_key_depends_on_the_real_segment_size() -> None:
    small = Segmentation(size=100, needed=3, total=10, max_segment_size=1000)
    assert small.segment_size == 102
    keys = {
        one_shot(hashes.convergence_hasher(b"secret", 3, 10, segment_size), b"data")
        for segment_size in (small.segment_size, small.max_segment_size)
    }
    assert len(keys) == 2
