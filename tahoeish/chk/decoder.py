"""Shares in, verified plaintext out."""

from __future__ import annotations

from collections.abc import Mapping

from tahoeish.chk.buffers import Buffer
from tahoeish.chk.caps import ReadCap
from tahoeish.chk.cipher import apply_keystream
from tahoeish.chk.erasure import ErasureCodec
from tahoeish.chk.errors import CorruptFile
from tahoeish.chk.hashes import crypttext_segment_hasher
from tahoeish.chk.share_reader import FileFacts, ShareReader, Span

__all__ = ["Decoder", "ShareReader", "Span"]


class Decoder:
    """
    Decodes one file, segment by segment and in any order, from any `needed` of its shares.

    Get a reader for each share with `share`. When as many as the file needs are ready, fetch one block
    from each for the segment you want, and `open_segment`. A share that turns out corrupt is to be
    replaced with another.
    """

    def __init__(self, cap: ReadCap, codec: ErasureCodec) -> None:
        self.cap = cap
        self._codec = codec
        self._facts = FileFacts(cap)

    @property
    def segment_size(self) -> int | None:
        """None until the first reader is ready."""
        return None if self._facts.segmentation is None else self._facts.segmentation.segment_size

    @property
    def num_segments(self) -> int | None:
        """None until the first reader is ready."""
        return None if self._facts.segmentation is None else self._facts.segmentation.num_segments

    def share(self, number: int) -> ShareReader:
        """
        A new reader for a share with this number; several holders may have one.

        Raises CorruptShare when the file has no such share.
        """
        return ShareReader(number, self._facts)

    def segments_for(self, first_byte: int, last_byte: int) -> range:
        """The segments in which a range of the file lies; both its ends are inclusive, as in HTTP."""
        if not 0 <= first_byte <= last_byte < self.cap.size:
            raise ValueError(f"bytes {first_byte} to {last_byte} are no range of a file of {self.cap.size} bytes")
        if self.segment_size is None:
            raise RuntimeError("the segment size isn't known before a share reader is ready")
        return range(first_byte // self.segment_size, last_byte // self.segment_size + 1)

    def open_segment(self, index: int, blocks: Mapping[int, Buffer], readers: Mapping[int, ShareReader]) -> memoryview:
        """
        A segment's plaintext, from one block of each of `needed` shares, by share number like their ready
        readers.

        Raises CorruptShare for a block its share's hashes don't vouch for, CorruptFile when the blocks
        are good and the result isn't. Heavy, and changes nothing but the readers' memory of verified
        hashes: any number of threads may do it at once.
        """
        cap, segmentation, crypttext_tree = self.cap, self._facts.segmentation, self._facts.crypttext_tree
        if segmentation is None or crypttext_tree is None:
            raise RuntimeError("no segment can be opened before a share reader is ready")
        if not 0 <= index < segmentation.num_segments:
            raise IndexError(f"the file has {segmentation.num_segments} segments, there is no segment {index}")
        if len(blocks) != cap.needed:
            raise ValueError(f"opening a segment takes {cap.needed} blocks, not {len(blocks)}")
        for number, block in blocks.items():
            readers[number].verify_block(index, block)

        size = segmentation.length_of_segment(index)
        crypttext = _cut(self._codec.decode(cap.needed, cap.total, blocks), size)
        hasher = crypttext_segment_hasher()
        for piece in crypttext:
            hasher.update(piece)
        if hasher.digest() != crypttext_tree.leaf(index):
            raise CorruptFile(
                f"the blocks of segment {index} are good, but decode to something else than was encoded: "
                "the file was damaged before it was stored"
            )
        plaintext = bytearray(size)
        apply_keystream(cap.key, index * segmentation.segment_size, crypttext, plaintext)
        return memoryview(plaintext).toreadonly()


def _cut(blocks: list[Buffer], size: int) -> list[Buffer]:
    """The first `size` bytes: without what a tail was padded with."""
    pieces: list[Buffer] = []
    for block in blocks:
        piece = memoryview(block)[:size]
        size -= len(piece)
        pieces.append(piece)
    return pieces
