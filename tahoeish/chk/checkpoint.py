"""
A half-encoded file, put aside.

A checkpoint has two parts. The *state* is small, about 230 bytes, and is replaced each time. The *records* are the
hashes of segments, 32 bytes for each segment and one more share than there are: they only ever get longer, so what a
checkpoint adds to the one before is appended. Whoever writes the records first and the state after them may be
interrupted anywhere: records that the state doesn't know of yet are ignored.

Both belong where the file's cap would be safe: the state has the file's key in it.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from hashlib import sha256

from tahoeish.chk.buffers import Buffer
from tahoeish.chk.errors import BadCheckpoint
from tahoeish.chk.hashes import HASH_SIZE

VERSION = 1

_MAGIC = b"tahoeish encoder"
_HEAD = struct.Struct(f">{len(_MAGIC)}sH")
# Key, needed, total, the largest segment, the file's size (-1 if unknown), segments, bytes in them, whether that was
# all, the records' chained hash. Behind it, the state of the ciphertext's hash, and the hash of all that.
_BODY = struct.Struct(f">16sHHQqQQ?{HASH_SIZE}s")
_CHECK_SIZE = 16

EMPTY_CHAIN = bytes(HASH_SIZE)


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """
    Where an encoder stood when `segments` segments, with the file's first `offset` bytes, were absorbed.

    The records are those of the segments from `since` on.
    """

    segments: int
    offset: int
    state: bytes = field(repr=False)
    since: int
    records: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class EncoderState:
    """The first part, unpacked."""

    key: bytes = field(repr=False)
    needed: int
    total: int
    max_segment_size: int
    size: int | None
    segments: int
    offset: int
    complete: bool
    records_chain: bytes = field(repr=False)
    crypttext_sha: bytes = field(repr=False)

    def pack(self) -> bytes:
        packed = (
            _HEAD.pack(_MAGIC, VERSION)
            + _BODY.pack(
                self.key,
                self.needed,
                self.total,
                self.max_segment_size,
                -1 if self.size is None else self.size,
                self.segments,
                self.offset,
                self.complete,
                self.records_chain,
            )
            + self.crypttext_sha
        )
        return packed + _check(packed)

    @classmethod
    def parse(cls, data: bytes) -> EncoderState:
        """Raises `BadCheckpoint`."""
        if len(data) < _HEAD.size or not data.startswith(_MAGIC):
            raise BadCheckpoint("that is no state of an encoder")
        _, version = _HEAD.unpack_from(data)
        if version != VERSION:
            raise BadCheckpoint(f"the encoder's state has version {version}; this program understands {VERSION} only")
        packed, check = data[:-_CHECK_SIZE], data[-_CHECK_SIZE:]
        if len(packed) < _HEAD.size + _BODY.size or _check(packed) != check:
            raise BadCheckpoint("the encoder's state is damaged")
        key, needed, total, max_segment_size, size, segments, offset, complete, chain = _BODY.unpack_from(
            packed, _HEAD.size
        )
        return cls(
            key,
            needed,
            total,
            max_segment_size,
            None if size < 0 else size,
            segments,
            offset,
            complete,
            chain,
            packed[_HEAD.size + _BODY.size :],
        )

    def leaves(self, records: Buffer) -> Iterator[list[bytes]]:
        """The hashes of each segment: the ciphertext's, then each block's. Raises `BadCheckpoint` before the first."""
        size = record_size(self.total)
        known = memoryview(records)[: self.segments * size]
        if len(known) < self.segments * size:
            raise BadCheckpoint(f"{self.segments} segments need {self.segments * size} bytes, not {len(known)}")
        chain = EMPTY_CHAIN
        for at in range(0, len(known), size):
            chain = chained(chain, known[at : at + size])
        if chain != self.records_chain:
            raise BadCheckpoint("the hashes of the segments so far are damaged, or another file's")
        return (
            [bytes(known[at + part : at + part + HASH_SIZE]) for part in range(0, size, HASH_SIZE)]
            for at in range(0, len(known), size)
        )


def record_size(total: int) -> int:
    """Bytes that each segment adds to the records."""
    return HASH_SIZE * (1 + total)


def record(crypttext_hash: bytes, block_hashes: Sequence[bytes]) -> bytes:
    return crypttext_hash + b"".join(block_hashes)


def chained(chain: bytes, record: Buffer) -> bytes:
    """The chain's next value. It tells apart whole records from torn ones, and this file's from another's."""
    return sha256(chain + bytes(record)).digest()


def _check(packed: bytes) -> bytes:
    return sha256(packed).digest()[:_CHECK_SIZE]
