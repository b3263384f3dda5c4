"""
Every hash of the format: SHA-256 applied twice, with a tag in front that says what is being hashed.

Buffers of any kind are hashed where they lie. For more than 2 KiB, hashlib lets other threads run meanwhile.
"""

from collections.abc import Callable
from hashlib import sha256
from typing import Protocol

from tahoeish.chk import sha256 as savable
from tahoeish.chk.buffers import Buffer

HASH_SIZE = 32


def netstring(data: Buffer) -> bytes:
    return b"".join((b"%d:" % len(data), data, b","))


class _Sha(Protocol):
    def update(self, data: Buffer, /) -> None: ...

    def digest(self) -> bytes: ...


class TaggedHasher:
    """A tagged hash of data that comes in pieces."""

    __slots__ = ("_length", "_sha")

    def __init__(self, tag: bytes, length: int = HASH_SIZE) -> None:
        self._sha: _Sha = sha256(netstring(tag))
        self._length = length

    def update(self, data: Buffer) -> None:
        self._sha.update(data)

    def digest(self) -> bytes:
        return sha256(self._sha.digest()).digest()[: self._length]


class CrypttextHasher(TaggedHasher):
    """The one hash that goes through all of a file's ciphertext. So it can be put aside, and taken up again."""

    __slots__ = ("_savable",)

    def __init__(self, state: bytes | None = None) -> None:
        """With a `state` from `save`, go on from there; see `tahoeish.chk.sha256.resumed` for what it raises."""
        self._length = HASH_SIZE
        self._sha = self._savable = savable.begun() if state is None else savable.resumed(state)
        if state is None:
            self.update(netstring(b"allmydata_crypttext_v1"))

    def save(self) -> bytes:
        """Raises `CannotBeSaved`."""
        return self._savable.save()


def tagged_hash(tag: bytes, data: Buffer, length: int = HASH_SIZE) -> bytes:
    hasher = TaggedHasher(tag, length)
    hasher.update(data)
    return hasher.digest()


def tagged_pair_hash(tag: bytes, a: Buffer, b: Buffer, length: int = HASH_SIZE) -> bytes:
    return tagged_hash(tag, netstring(a) + netstring(b), length)


def _hash_tagged(tag: bytes, length: int = HASH_SIZE) -> Callable[[Buffer], bytes]:
    # Copying a hash object that has swallowed the tag is cheaper than beginning anew.
    tagged = sha256(netstring(tag))

    def hash_of(data: Buffer) -> bytes:
        sha = tagged.copy()
        sha.update(data)
        return sha256(sha.digest()).digest()[:length]

    return hash_of


storage_index_hash = _hash_tagged(b"allmydata_immutable_key_to_storage_index_v1", 16)
block_hash = _hash_tagged(b"allmydata_encoded_subshare_v1")
ueb_hash = _hash_tagged(b"allmydata_uri_extension_v1")
crypttext_segment_hash = _hash_tagged(b"allmydata_crypttext_segment_v1")

_inner_node = _hash_tagged(b"Merkle tree internal node")
_filler_leaf = _hash_tagged(b"Merkle tree empty leaf")


def merkle_node(left: bytes, right: bytes) -> bytes:
    """The parent of two nodes: their tagged pair hash, written out because big trees need it so often."""
    return _inner_node(b"32:%b,32:%b," % (left, right))


def merkle_filler(index: int) -> bytes:
    """The leaf that stands at `index` in a tree with fewer leaves than that."""
    return _filler_leaf(b"%d" % index)


def crypttext_hasher(state: bytes | None = None) -> CrypttextHasher:
    """For the whole file's ciphertext; see `CrypttextHasher`."""
    return CrypttextHasher(state)


def crypttext_segment_hasher() -> TaggedHasher:
    """`crypttext_segment_hash` for a segment in pieces."""
    return TaggedHasher(b"allmydata_crypttext_segment_v1")


def convergence_hasher(secret: bytes, needed: int, total: int, segment_size: int) -> TaggedHasher:
    """
    Turns the plaintext into the 16-byte key that everybody with the same `secret` and encoding arrives at.

    `segment_size` is the one the file will really have (`Segmentation.segment_size`), not the maximum.
    """
    parameters = b"%d,%d,%d" % (needed, total, segment_size)
    tag = b"allmydata_immutable_content_to_key_with_added_secret_v1+"
    return TaggedHasher(tag + netstring(secret) + netstring(parameters), 16)


def client_renewal_secret(lease_secret: bytes) -> bytes:
    # The format has tag and data the other way round here, and in the next one.
    return tagged_hash(lease_secret, b"allmydata_client_renewal_secret_v1")


def client_cancel_secret(lease_secret: bytes) -> bytes:
    return tagged_hash(lease_secret, b"allmydata_client_cancel_secret_v1")


def file_renewal_secret(client_secret: bytes, storage_index: bytes) -> bytes:
    return tagged_pair_hash(b"allmydata_file_renewal_secret_v1", client_secret, storage_index)


def file_cancel_secret(client_secret: bytes, storage_index: bytes) -> bytes:
    return tagged_pair_hash(b"allmydata_file_cancel_secret_v1", client_secret, storage_index)


def bucket_renewal_secret(file_secret: bytes, tub_id: bytes) -> bytes:
    """`tub_id`: the 20 bytes from the server's `anonymous-storage-FURL`."""
    return tagged_pair_hash(b"allmydata_bucket_renewal_secret_v1", file_secret, tub_id)


def bucket_cancel_secret(file_secret: bytes, tub_id: bytes) -> bytes:
    return tagged_pair_hash(b"allmydata_bucket_cancel_secret_v1", file_secret, tub_id)
