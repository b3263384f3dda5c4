"""One segment on its way into shares: the part of encoding that can be done for several segments at once."""

from __future__ import annotations

from dataclasses import dataclass, field

from tahoeish.chk.buffers import Buffer
from tahoeish.chk.cipher import apply_keystream
from tahoeish.chk.erasure import ErasureCodec
from tahoeish.chk.hashes import block_hash, crypttext_segment_hash
from tahoeish.chk.layout import round_up


@dataclass(frozen=True, slots=True)
class Encoding:
    """What all the segments of a file have in common."""

    key: bytes = field(repr=False)
    needed: int
    total: int
    codec: ErasureCodec


class Segment:
    """A full segment of plaintext, which it holds until it is sealed."""

    __slots__ = ("_encoding", "_plaintext", "_share_offset", "number", "offset", "size")

    def __init__(
        self,
        number: int,
        offset: int,
        plaintext: list[Buffer],
        *,
        share_offset: int,
        encoding: Encoding,
    ) -> None:
        self.number = number
        self.offset = offset
        self.size = sum(map(len, plaintext))
        self._plaintext = plaintext
        self._share_offset = share_offset
        self._encoding = encoding

    def seal(self) -> SealedSegment:
        """
        Encrypt, erasure-code and hash. Heavy, and touches nothing but this segment: any thread may do it,
        once.
        """
        if not self._plaintext:
            raise RuntimeError(f"segment {self.number} was sealed already")
        encoding = self._encoding
        # What the coder needs to come out even are zeros after the ciphertext, which is what a new buffer
        # has.
        padded = bytearray(round_up(self.size, encoding.needed))
        apply_keystream(encoding.key, self.offset, self._plaintext, padded)
        self._plaintext = []

        ciphertext = memoryview(padded).toreadonly()
        block_size = len(padded) // encoding.needed
        primary = [ciphertext[at : at + block_size] for at in range(0, len(padded), block_size)]
        blocks = encoding.codec.encode(encoding.needed, encoding.total, primary)
        crypttext = ciphertext[: self.size]
        return SealedSegment(
            number=self.number,
            share_offset=self._share_offset,
            blocks=blocks,
            block_hashes=[block_hash(block) for block in blocks],
            crypttext=crypttext,
            crypttext_hash=crypttext_segment_hash(crypttext),
        )


@dataclass(frozen=True, slots=True)
class SealedSegment:
    """
    A segment as it goes into the shares.

    `blocks` has one block per share, in share order; each belongs at `share_offset` of its share. The first
    ones are views of the ciphertext, so holding one of those holds the whole segment.
    """

    number: int
    share_offset: int
    blocks: list[Buffer] = field(repr=False)
    block_hashes: list[bytes] = field(repr=False)
    crypttext: memoryview
    crypttext_hash: bytes
