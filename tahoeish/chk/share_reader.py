"""Reading one share: which of its bytes are needed, and whether they are what the file's cap vouches for."""

from __future__ import annotations

from collections.abc import Generator, Iterable
from dataclasses import dataclass

from tahoeish.chk.buffers import Buffer
from tahoeish.chk.caps import ReadCap, VerifyCap
from tahoeish.chk.errors import CorruptFile, CorruptShare
from tahoeish.chk.hashes import block_hash, ueb_hash
from tahoeish.chk.layout import (
    CHAIN_ENTRY,
    MAX_HEADER_SIZE,
    MAX_UEB_SIZE,
    Segmentation,
    ShareHeader,
    parse_chain,
    parse_ueb,
)
from tahoeish.chk.merkle import VerifiedTree, WrongHash, chain_length, serialised_size, verify_chain

# Enough for all of a small share, or for all the hashes of one that has them first.
_HEAD_SIZE = 2048
# The extension block is some 320 bytes long in files by Tahoe-LAFS, but that can't be relied on.
_UEB_OVER_READ = 4096
# Hash trees no bigger than this are fetched together with the extension block that tells their true size: a
# round trip costs more than the bytes.
_HASHES_OVER_READ = 256 * 1024


@dataclass(frozen=True, slots=True)
class Span:
    """A range of a share's bytes."""

    offset: int
    length: int

    @property
    def end(self) -> int:
        return self.offset + self.length


class FileFacts:
    """
    What is known of a file beyond its cap, once verified. Shared by all readers of the file's shares.
    """

    def __init__(self, cap: ReadCap | VerifyCap) -> None:
        self.cap = cap
        self.segmentation: Segmentation | None = None
        self.share_root = b""
        self.crypttext_root = b""
        self.crypttext_tree: VerifiedTree | None = None

    def learn_extension(self, ueb: bytes) -> Segmentation:
        """
        Believe an extension block, if the cap does: WrongHash if not.

        CorruptFile when the cap vouches for a block that makes no sense.
        """
        if ueb_hash(ueb) != self.cap.ueb_hash:
            raise WrongHash
        if self.segmentation is None:
            cap = self.cap
            try:
                extension = parse_ueb(ueb)
                if extension.segment_size < 1 or extension.segment_size % cap.needed:
                    raise ValueError(f"has a segment size of {extension.segment_size}, not a multiple of {cap.needed}")
                segmentation = Segmentation(cap.size, cap.needed, cap.total, extension.segment_size)
            except ValueError as error:
                raise CorruptFile(f"the file's URI extension block is nonsense: {error}") from None
            self.share_root = extension.share_root_hash
            self.crypttext_root = extension.crypttext_root_hash
            self.segmentation = segmentation
        return self.segmentation

    def learn_crypttext_tree(self, nodes: bytes, leaf_count: int) -> None:
        # Every leaf at once, while it is known whose fault a wrong one is: the tree serves for all the
        # shares.
        tree = VerifiedTree(self.crypttext_root, leaf_count, nodes)
        tree.verify_all()
        self.crypttext_tree = tree


class ShareReader:
    """
    Verifies one share, and finds its blocks.

    As long as `wanted` names a span of the share, fetch that and give it to `received`. Then the reader
    is ready: `block_span` says where blocks are. Nothing is ever wanted that is bigger than what the cap
    explains, whatever lengths and offsets the share claims.
    """

    def __init__(self, number: int, file: FileFacts) -> None:
        """Raises CorruptShare when the file has no such share, since the number is what somebody claims to hold."""
        if not 0 <= number < file.cap.total:
            raise CorruptShare(number, "number", f"is not below {file.cap.total}")
        self.number = number
        self._file = file
        # What was fetched while opening, by offset; and where the share ends, if that has shown.
        self._fetched: list[tuple[int, bytes]] = []
        self._end: int | None = None
        self._data_offset = 0
        self._segmentation: Segmentation | None = None
        self._block_tree: VerifiedTree | None = None
        self._opening = self._open()
        self._wanted: Span | None = next(self._opening)

    def wanted(self) -> Span | None:
        """The bytes to fetch next, None when the reader is ready."""
        return self._wanted

    def received(self, data: bytes) -> None:
        """
        The wanted bytes; fewer when the share ended before. Raises CorruptShare, which makes the reader
        useless, or CorruptFile, which goes for all readers of the file.
        """
        span, self._wanted = self._wanted, None
        if span is None:
            raise RuntimeError(f"nothing was wanted of share {self.number}")
        if len(data) > span.length:
            raise self._corrupt("holder", f"sent {len(data)} bytes when asked for {span.length}")
        if len(data) < span.length:
            self._end = span.offset + len(data)
        self._fetched.append((span.offset, data))
        self._wanted = next(self._opening, None)

    def block_span(self, segment: int) -> Span:
        """Where the share keeps its block of a segment."""
        segmentation = self._require_ready()
        return Span(self._data_offset + segment * segmentation.block_size, segmentation.length_of_block(segment))

    def verify_block(self, segment: int, block: Buffer) -> None:
        """Raises CorruptShare unless the block is what it should be. Heavy; any thread may do it."""
        expected = self._require_ready().length_of_block(segment)
        if len(block) != expected:
            raise self._corrupt(f"block {segment}", f"has {len(block)} bytes instead of {expected}")
        assert self._block_tree is not None
        try:
            leaf = self._block_tree.leaf(segment)
        except WrongHash:
            raise self._corrupt("block hash tree") from None
        if block_hash(block) != leaf:
            raise self._corrupt(f"block {segment}")

    def _require_ready(self) -> Segmentation:
        if self._segmentation is None or self._block_tree is None:
            raise RuntimeError(f"the reader of share {self.number} isn't ready")
        return self._segmentation

    def _corrupt(self, where: str, problem: str = "does not match its hash") -> CorruptShare:
        return CorruptShare(self.number, where, problem)

    def _open(self) -> Generator[Span, None, None]:
        yield Span(0, _HEAD_SIZE)
        _, head = self._fetched[0]
        try:
            header = ShareHeader.parse(head[:MAX_HEADER_SIZE])
        except ValueError as error:
            raise self._corrupt("header", str(error)) from None

        yield from self._open_extension(header)
        yield from self._open_trees(header)
        self._data_offset = header.data
        self._fetched.clear()

    def _open_extension(self, header: ShareHeader) -> Generator[Span, None, None]:
        where = "URI extension block"
        length_span = Span(header.ueb, header.ueb_length_size)
        if not self._holds(length_span):
            hashes = header.crypttext_tree if self._file.crypttext_tree is None else header.block_tree
            ahead = header.ueb - hashes
            start = hashes if 0 <= ahead <= _HASHES_OVER_READ else header.ueb
            yield from self._fetch(Span(start, header.ueb - start + _UEB_OVER_READ))
        length = header.parse_ueb_length(self._take(where, length_span))
        if length > MAX_UEB_SIZE:
            raise self._corrupt(where, f"claims to be {length} bytes long")
        ueb_span = Span(length_span.end, length)
        yield from self._fetch(ueb_span)
        try:
            self._segmentation = self._file.learn_extension(self._take(where, ueb_span))
        except WrongHash:
            raise self._corrupt(where) from None

    def _open_trees(self, header: ShareHeader) -> Generator[Span, None, None]:
        assert self._segmentation is not None
        leaf_count, total = self._segmentation.num_segments, self._segmentation.total
        tree_size = serialised_size(leaf_count)
        crypttext_tree = Span(header.crypttext_tree, tree_size)
        block_tree = Span(header.block_tree, tree_size)
        chain = Span(header.share_chain, CHAIN_ENTRY.size * chain_length(total))

        needs_crypttext_tree = self._file.crypttext_tree is None
        for span in _joined([crypttext_tree, block_tree, chain] if needs_crypttext_tree else [block_tree, chain]):
            yield from self._fetch(span)

        # Another reader may have brought the file's own tree while this one was waiting for its copy.
        if self._file.crypttext_tree is None:
            where = "crypttext hash tree"
            nodes = self._take(where, crypttext_tree)
            try:
                self._file.learn_crypttext_tree(nodes, leaf_count)
            except WrongHash:
                raise self._corrupt(where) from None
        where = "share hash chain"
        entries = parse_chain(self._take(where, chain))
        try:
            block_root = verify_chain(self._file.share_root, total, self.number, entries)
        except WrongHash:
            raise self._corrupt(where) from None
        where = "block hash tree"
        nodes = self._take(where, block_tree)
        try:
            self._block_tree = VerifiedTree(block_root, leaf_count, nodes)
        except WrongHash:
            raise self._corrupt(where) from None

    def _fetch(self, span: Span) -> Generator[Span, None, None]:
        """Ask for what isn't in hand and may exist; `_take` complains if it turns out not to."""
        if not self._holds(span) and (self._end is None or span.offset < self._end):
            yield span

    def _holds(self, span: Span) -> bool:
        return self._piece_with(span) is not None

    def _take(self, where: str, span: Span) -> bytes:
        piece = self._piece_with(span)
        if piece is None:
            raise self._corrupt(where, f"is cut off: the share ends after {self._end} bytes")
        start, data = piece
        return data[span.offset - start : span.end - start]

    def _piece_with(self, span: Span) -> tuple[int, bytes] | None:
        for start, data in self._fetched:
            if start <= span.offset and span.end <= start + len(data):
                return start, data
        return None


def _joined(spans: Iterable[Span]) -> list[Span]:
    """The same bytes in ascending order, adjacent spans made one."""
    joined: list[Span] = []
    for span in sorted(spans, key=lambda span: span.offset):
        if joined and joined[-1].end == span.offset:
            span = Span(joined[-1].offset, joined.pop().length + span.length)
        joined.append(span)
    return joined
