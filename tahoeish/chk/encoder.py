"""Plaintext in, sealed segments and finally a cap out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from tahoeish.chk.buffers import Buffer, Pieces
from tahoeish.chk.caps import ReadCap
from tahoeish.chk.checkpoint import EMPTY_CHAIN, Checkpoint, EncoderState, chained, record
from tahoeish.chk.cipher import KEY_SIZE
from tahoeish.chk.erasure import ErasureCodec
from tahoeish.chk.errors import BadCheckpoint, WrongLength
from tahoeish.chk.hashes import crypttext_hasher, storage_index_hash, ueb_hash
from tahoeish.chk.layout import (
    MAX_SEGMENTS,
    Segmentation,
    ShareLayout,
    header_size,
    pack_chain,
    pack_ueb,
    round_up,
)
from tahoeish.chk.merkle import Fillers, MerkleTree, share_chain
from tahoeish.chk.segment import Encoding, SealedSegment, Segment

# Wide enough for any length: what a share has when its header's size must be fixed before the file's
# length is known.
_VERSION_FOR_UNKNOWN_LENGTH = 2

_LONGER_NUMBERS = 64


@dataclass(frozen=True, slots=True)
class ShareEnd:
    """What a share still lacks when all its blocks are written."""

    header: bytes
    """Belongs at offset 0."""

    trailer_offset: int
    trailer: Sequence[bytes] = field(repr=False)
    """Buffers that follow each other from `trailer_offset` to the share's end."""


@dataclass(frozen=True, slots=True)
class FinishedFile:
    cap: ReadCap
    shares: list[ShareEnd] = field(repr=False)
    """One for each share, in share order."""


class Encoder:
    """
    Encodes one file, whose length may be known beforehand or not.

    The order of things: `write` and `end` hand out segments, each is sealed (several at once, if you
    like), each sealed one is absorbed, in order; then `finish`. Between calls the encoder holds less than
    one segment of plaintext, and 64 bytes per segment and share.

    Whenever nothing is being absorbed, `checkpoint` says what `resume` needs to go on later, in another process.

    With a known length the shares are, byte for byte, those Tahoe-LAFS would write. With an unknown one
    (`size` is None) they differ in the header, and where the sections thus begin; the cap is the same.
    """

    def __init__(
        self,
        *,
        key: bytes,
        needed: int,
        total: int,
        max_segment_size: int,
        size: int | None,
        codec: ErasureCodec,
    ) -> None:
        if len(key) != KEY_SIZE:
            raise ValueError(f"a key has {KEY_SIZE} bytes, not {len(key)}")
        self._encoding = Encoding(key, needed, total, codec)
        self._max_segment_size = max_segment_size
        self._size = size

        self._segmentation: Segmentation | None
        self._layout: ShareLayout | None
        if size is None:
            # Nothing else is known of a file that may yet be one byte long; but this checks the arguments.
            Segmentation(1, needed, total, max_segment_size)
            self._segmentation, self._layout = None, None
            self._segment_size = round_up(max_segment_size, needed)
            self._limit = self._segment_size * MAX_SEGMENTS
            self.data_offset = header_size(_VERSION_FOR_UNKNOWN_LENGTH)
        else:
            self._segmentation = Segmentation(size, needed, total, max_segment_size)
            self._layout = ShareLayout.standard(self._segmentation)
            self._segment_size = self._segmentation.segment_size
            self._limit = size
            self.data_offset = self._layout.header.data

        self.storage_index = storage_index_hash(key)
        self._pieces = Pieces()
        self._received = 0
        self._handed_out = 0
        self._absorbed = 0
        self._ended = False

        fillers = Fillers()
        self._crypttext_hasher = crypttext_hasher()
        self._crypttext_tree = MerkleTree(fillers)
        self._block_trees = [MerkleTree(fillers) for _ in range(total)]
        self._share_tree = MerkleTree(fillers)
        self._records_chain = EMPTY_CHAIN

    @classmethod
    def resume(cls, state: bytes, records: Buffer, *, codec: ErasureCodec) -> Encoder:
        """
        The encoder as it was at a checkpoint; the next byte that it takes is at the checkpoint's offset.

        `records`: those of all checkpoints up to this one, behind each other; what comes after them is ignored. Heavy:
        some microseconds for each segment and share. Raises `BadCheckpoint`, or `CannotBeSaved`.
        """
        saved = EncoderState.parse(state)
        try:
            encoder = cls(
                key=saved.key,
                needed=saved.needed,
                total=saved.total,
                max_segment_size=saved.max_segment_size,
                size=saved.size,
                codec=codec,
            )
            encoder._crypttext_hasher = crypttext_hasher(saved.crypttext_sha)
        except ValueError as error:
            raise BadCheckpoint(f"the encoder's state makes no sense: {error}") from error
        for crypttext_hash, *block_hashes in saved.leaves(records):
            encoder._enter(crypttext_hash, block_hashes)
        encoder._handed_out = encoder._absorbed
        encoder._received = saved.offset
        if saved.complete:
            encoder.end()
        return encoder

    @property
    def position(self) -> int:
        """How many bytes of plaintext have been taken."""
        return self._received

    @property
    def ended(self) -> bool:
        """Whether there is no more plaintext."""
        return self._ended

    @property
    def segments_absorbed(self) -> int:
        return self._absorbed

    @property
    def segments_cut(self) -> int:
        """How many have been handed out, absorbed or not."""
        return self._handed_out

    @property
    def segment_size(self) -> int:
        """Of an unknown length's only segment, this is an upper bound until the end."""
        return self._segment_size

    @property
    def segment_count(self) -> int | None:
        """How many segments there are in all; None while the file's length is unknown."""
        return None if self._segmentation is None else self._segmentation.num_segments

    @property
    def share_size(self) -> int | None:
        """The exact size of each share; None while the file's length is unknown."""
        return None if self._layout is None else self._layout.share_size

    def share_size_up_to(self, size: int) -> int:
        """Room enough for each share of a file of unknown length that turns out to have at most `size` bytes."""
        segmentation = Segmentation(size, self._encoding.needed, self._encoding.total, self._max_segment_size)
        # A shorter file may have longer numbers in its extension block, by a few digits.
        return ShareLayout.standard(segmentation, _VERSION_FOR_UNKNOWN_LENGTH).share_size + _LONGER_NUMBERS

    @property
    def segment_remaining(self) -> int:
        """How many bytes the current segment lacks until it is full; 0 when the file is complete."""
        return min(self._segment_size - self._pieces.size, self._limit - self._received)

    def write(self, data: Buffer) -> list[Segment]:
        """
        Take the next bytes of plaintext; returns the segments they have filled, in order.

        Big pieces are kept, not copied: the caller must not change them afterwards. The last segment of a
        file of known length is full when the file is complete. Raises WrongLength, having taken nothing,
        when the file would become too long.
        """
        if self._ended:
            raise RuntimeError("the plaintext has ended already")
        rest = memoryview(data).cast("B")
        if self._received + len(rest) > self._limit:
            raise WrongLength(self._describe_excess(self._received + len(rest)))
        segments = []
        while rest:
            piece, rest = rest[: self.segment_remaining], rest[self.segment_remaining :]
            self._pieces.add(piece)
            self._received += len(piece)
            if self._pieces.size == self._segment_size or self._received == self._size:
                segments.append(self._cut_segment())
        return segments

    def _describe_excess(self, length: int) -> str:
        if self._size is not None:
            return f"the file should have {self._size} bytes, but {length} have come already"
        return f"the file is longer than {self._limit} bytes, the most that fits {MAX_SEGMENTS} segments"

    def end(self) -> list[Segment]:
        """
        No more plaintext; returns the last segment unless `write` did so already.

        Raises WrongLength for a file shorter than announced, ValueError for an empty one.
        """
        if self._ended:
            raise RuntimeError("the plaintext has ended already")
        if self._size is not None and self._received < self._size:
            raise WrongLength(f"the file should have {self._size} bytes, but ended after {self._received}")
        if self._segmentation is None:
            self._segmentation = Segmentation(
                self._received, self._encoding.needed, self._encoding.total, self._max_segment_size
            )
            self._layout = ShareLayout.standard(self._segmentation, _VERSION_FOR_UNKNOWN_LENGTH)
            self._segment_size = self._segmentation.segment_size
        self._ended = True
        return [self._cut_segment()] if self._pieces.size else []

    def _cut_segment(self) -> Segment:
        number = self._handed_out
        self._handed_out += 1
        return Segment(
            number,
            self._received - self._pieces.size,
            self._pieces.take(),
            share_offset=self.data_offset + number * (self._segment_size // self._encoding.needed),
            encoding=self._encoding,
        )

    def absorb(self, sealed: SealedSegment) -> None:
        """
        Enter the next segment, in order, into the file's hashes. Keeps none of its buffers.

        Heavy: may be done in any thread, but only for one segment at a time.
        """
        if sealed.number != self._absorbed:
            raise RuntimeError(f"segment {self._absorbed} is to be absorbed next, not {sealed.number}")
        self._crypttext_hasher.update(sealed.crypttext)
        self._enter(sealed.crypttext_hash, sealed.block_hashes)

    def _enter(self, crypttext_hash: bytes, block_hashes: Sequence[bytes]) -> None:
        self._crypttext_tree.append(crypttext_hash)
        for tree, block_hash in zip(self._block_trees, block_hashes, strict=True):
            tree.append(block_hash)
        self._records_chain = chained(self._records_chain, record(crypttext_hash, block_hashes))
        self._absorbed += 1

    def checkpoint(self, since: int = 0) -> Checkpoint:
        """
        What `resume` needs to go on from the last absorbed segment; `since`: the segments of an earlier checkpoint,
        whose records are left out.

        What was written behind that segment isn't in it, but comes in again as if for the first time. Not while another
        thread absorbs. Raises `CannotBeSaved`.
        """
        complete = self._ended and self._absorbed == self._handed_out
        offset = self._received if complete else min(self._absorbed * self._segment_size, self._received)
        encoding = self._encoding
        state = EncoderState(
            encoding.key,
            encoding.needed,
            encoding.total,
            self._max_segment_size,
            self._size,
            self._absorbed,
            offset,
            complete,
            self._records_chain,
            self._crypttext_hasher.save(),
        )
        records = b"".join(
            record(self._crypttext_tree.leaf(number), [tree.leaf(number) for tree in self._block_trees])
            for number in range(since, self._absorbed)
        )
        return Checkpoint(self._absorbed, offset, state.pack(), since, records)

    def tail(self) -> bytes:
        """The plaintext behind the last full segment: what no checkpoint has, however late."""
        return self._pieces.joined()

    def finish(self) -> FinishedFile:
        """The cap, and what the shares still lack. Call it once, after the last segment was absorbed."""
        if not self._ended or self._absorbed != self._handed_out:
            raise RuntimeError(f"{self._absorbed} of {self._handed_out} segments absorbed: the file isn't complete")
        assert self._segmentation is not None
        assert self._layout is not None
        self._crypttext_tree.finish()
        for tree in self._block_trees:
            tree.finish()
            self._share_tree.append(tree.root)
        self._share_tree.finish()

        encoding, header = self._encoding, self._layout.header
        ueb = pack_ueb(
            self._segmentation,
            self._crypttext_hasher.digest(),
            self._crypttext_tree.root,
            self._share_tree.root,
        )
        cap = ReadCap(encoding.key, ueb_hash(ueb), encoding.needed, encoding.total, self._segmentation.size)

        packed_header = header.pack()
        ueb_record = header.pack_ueb_length(len(ueb)) + ueb
        crypttext_tree = self._crypttext_tree.serialise()
        # Readers ignore the section of the plaintext's hashes; Tahoe-LAFS fills it with zeros.
        plaintext_tree = bytes(len(crypttext_tree))
        return FinishedFile(
            cap,
            [
                ShareEnd(
                    packed_header,
                    header.plaintext_tree,
                    (
                        plaintext_tree,
                        crypttext_tree,
                        block_tree.serialise(),
                        pack_chain(share_chain(self._share_tree, number)),
                        ueb_record,
                    ),
                )
                for number, block_tree in enumerate(self._block_trees)
            ],
        )
