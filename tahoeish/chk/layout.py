"""Where things are: how a file is cut into segments and blocks, and what is at which offset of a share."""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass, field
from typing import Final

from tahoeish.chk.caps import MAX_SHARES
from tahoeish.chk.hashes import HASH_SIZE, netstring
from tahoeish.chk.merkle import chain_length, serialised_size

MAX_SEGMENTS: Final = 1 << 22
"""Readers hold hash trees in memory. This bounds each to 256 MiB, and a file in 1 MiB segments to 4 TiB."""

MAX_UEB_SIZE: Final = 64 * 1024

CHAIN_ENTRY: Final = struct.Struct(f">H{HASH_SIZE}s")

_HEADERS: Final = {1: struct.Struct(">9L"), 2: struct.Struct(">L8Q")}
_UEB_LENGTHS: Final = {1: struct.Struct(">L"), 2: struct.Struct(">Q")}
_VERSION: Final = struct.Struct(">L")
MAX_HEADER_SIZE: Final = _HEADERS[2].size

SHARE_BEGINNING: Final = bytes(3)
"""What the header of every share begins with, whatever its version."""

# An offset has to leave room for a length behind it within a signed 64-bit file offset.
_OFFSET_LIMIT: Final = 1 << 62


def ceil_div(a: int, b: int) -> int:
    return -(-a // b)


def round_up(a: int, multiple: int) -> int:
    return ceil_div(a, multiple) * multiple


@dataclass(frozen=True, slots=True)
class Segmentation:
    """
    How a file of a known size is cut up. Raises ValueError for what the format can't express.

    A segment size read from a share may stand in for the maximum: the blocks come out the same.
    """

    size: int
    needed: int
    total: int
    max_segment_size: int
    segment_size: int = field(init=False)

    def __post_init__(self) -> None:
        if not 1 <= self.needed <= self.total <= MAX_SHARES:
            raise ValueError(f"can't encode {self.needed} of {self.total}: 1 <= needed <= total <= {MAX_SHARES}")
        if self.size < 1 or self.max_segment_size < 1:
            raise ValueError("an encoded file, and its segments, have at least one byte")
        segment_size = round_up(min(self.max_segment_size, self.size), self.needed)
        object.__setattr__(self, "segment_size", segment_size)
        if self.num_segments > MAX_SEGMENTS:
            raise ValueError(
                f"{self.size} bytes in segments of {segment_size} make {self.num_segments} segments; "
                f"at most {MAX_SEGMENTS} are supported"
            )

    @property
    def num_segments(self) -> int:
        return ceil_div(self.size, self.segment_size)

    @property
    def tail_size(self) -> int:
        return self.size - (self.num_segments - 1) * self.segment_size

    @property
    def padded_tail_size(self) -> int:
        return round_up(self.tail_size, self.needed)

    @property
    def block_size(self) -> int:
        return self.segment_size // self.needed

    @property
    def tail_block_size(self) -> int:
        return self.padded_tail_size // self.needed

    @property
    def share_data_size(self) -> int:
        return ceil_div(self.size, self.needed)

    def length_of_segment(self, number: int) -> int:
        return self.tail_size if number == self.num_segments - 1 else self.segment_size

    def length_of_block(self, number: int) -> int:
        return self.tail_block_size if number == self.num_segments - 1 else self.block_size


@dataclass(frozen=True, slots=True)
class ShareHeader:
    """
    The start of a share: the offsets of its sections.

    `block_size`, `data_size` and `plaintext_tree` are written for tradition's sake; no reader looks at them.
    """

    version: int
    block_size: int
    data_size: int
    data: int
    plaintext_tree: int
    crypttext_tree: int
    block_tree: int
    share_chain: int
    ueb: int

    def pack(self) -> bytes:
        return _HEADERS[self.version].pack(
            self.version,
            self.block_size,
            self.data_size,
            self.data,
            self.plaintext_tree,
            self.crypttext_tree,
            self.block_tree,
            self.share_chain,
            self.ueb,
        )

    @classmethod
    def parse(cls, head: bytes) -> ShareHeader:
        """From a share's first MAX_HEADER_SIZE bytes. Raises ValueError for nonsense."""
        if len(head) < _VERSION.size:
            raise ValueError("is cut off")
        (version,) = _VERSION.unpack_from(head)
        if version not in _HEADERS:
            raise ValueError(f"has the unknown version {version}")
        if len(head) < _HEADERS[version].size:
            raise ValueError("is cut off")
        header = cls(*_HEADERS[version].unpack_from(head))
        if max(header.data, header.crypttext_tree, header.block_tree, header.share_chain, header.ueb) >= _OFFSET_LIMIT:
            raise ValueError("names offsets that no share has")
        return header

    @property
    def size(self) -> int:
        return _HEADERS[self.version].size

    @property
    def ueb_length_size(self) -> int:
        return _UEB_LENGTHS[self.version].size

    def pack_ueb_length(self, length: int) -> bytes:
        return _UEB_LENGTHS[self.version].pack(length)

    def parse_ueb_length(self, data: bytes) -> int:
        (length,) = _UEB_LENGTHS[self.version].unpack(data)
        return int(length)


def header_size(version: int) -> int:
    """Also the offset of the first block, as this is what follows the header."""
    return _HEADERS[version].size


@dataclass(frozen=True, slots=True)
class ShareLayout:
    """The order of sections that Tahoe-LAFS writes; all of it follows from the file's size and encoding."""

    header: ShareHeader
    share_size: int

    @classmethod
    def standard(cls, segmentation: Segmentation, version: int | None = None) -> ShareLayout:
        """Without a `version`: the one Tahoe-LAFS would choose, 1 unless the share is too big for it."""
        if version is None:
            layout = cls.standard(segmentation, version=1)
            header = layout.header
            too_big = max(header.block_size, header.data_size, header.ueb) >= 1 << 32
            return cls.standard(segmentation, version=2) if too_big else layout
        tree_size = serialised_size(segmentation.num_segments)
        data = header_size(version)
        plaintext_tree = data + segmentation.share_data_size
        crypttext_tree = plaintext_tree + tree_size
        block_tree = crypttext_tree + tree_size
        share_chain = block_tree + tree_size
        ueb = share_chain + CHAIN_ENTRY.size * chain_length(segmentation.total)
        header = ShareHeader(
            version,
            segmentation.block_size,
            segmentation.share_data_size,
            data,
            plaintext_tree,
            crypttext_tree,
            block_tree,
            share_chain,
            ueb,
        )
        # All that isn't known of the extension block beforehand are hashes, and those have one length.
        unknown = bytes(HASH_SIZE)
        ueb_size = len(pack_ueb(segmentation, unknown, unknown, unknown))
        return cls(header, ueb + header.ueb_length_size + ueb_size)


def pack_chain(chain: list[tuple[int, bytes]]) -> bytes:
    return b"".join(CHAIN_ENTRY.pack(number, node) for number, node in chain)


def parse_chain(data: bytes) -> dict[int, bytes]:
    """`data`: whole entries, in any order."""
    return dict(CHAIN_ENTRY.iter_unpack(data))


def pack_ueb(
    segmentation: Segmentation, crypttext_hash: bytes, crypttext_root_hash: bytes, share_root_hash: bytes
) -> bytes:
    """
    The URI extension block, whose hash is in the cap.

    Exactly these keys in exactly this order: Tahoe-LAFS's repairer generates the block anew, and the
    shares it makes are useless unless it arrives at the same bytes.
    """
    encoding = b"%d-%d" % (segmentation.needed, segmentation.total)
    fields = {
        b"codec_name": b"crs",
        b"codec_params": b"%d-%b" % (segmentation.segment_size, encoding),
        b"crypttext_hash": crypttext_hash,
        b"crypttext_root_hash": crypttext_root_hash,
        b"needed_shares": b"%d" % segmentation.needed,
        b"num_segments": b"%d" % segmentation.num_segments,
        b"segment_size": b"%d" % segmentation.segment_size,
        b"share_root_hash": share_root_hash,
        b"size": b"%d" % segmentation.size,
        b"tail_codec_params": b"%d-%b" % (segmentation.padded_tail_size, encoding),
        b"total_shares": b"%d" % segmentation.total,
    }
    return b"".join(b"%b:%b" % (key, netstring(value)) for key, value in fields.items())


@dataclass(frozen=True, slots=True)
class UriExtension:
    """What a reader needs from the URI extension block; the cap says the rest."""

    segment_size: int
    crypttext_root_hash: bytes
    share_root_hash: bytes


_UEB_KEY = re.compile(rb"([a-zA-Z_-]+):([0-9]{1,5}):")
_UEB_NUMBER = re.compile(rb"[0-9]{1,20}")


def parse_ueb(data: bytes) -> UriExtension:
    """Raises ValueError for anything but an extension block with all that a reader needs."""
    fields: dict[bytes, bytes] = {}
    position = 0
    while position < len(data):
        key = _UEB_KEY.match(data, position)
        if key is None:
            raise ValueError(f"has no key at byte {position}")
        position = key.end() + int(key[2])
        fields[key[1]] = data[key.end() : position]
        if data[position : position + 1] != b",":
            raise ValueError(f"has no end of value at byte {position}")
        position += 1
    for name in (b"crypttext_root_hash", b"share_root_hash"):
        if len(fields.get(name, b"")) != HASH_SIZE:
            raise ValueError(f"has no {name.decode()}")
    if not _UEB_NUMBER.fullmatch(fields.get(b"segment_size", b"")):
        raise ValueError("has no segment_size")
    return UriExtension(int(fields[b"segment_size"]), fields[b"crypttext_root_hash"], fields[b"share_root_hash"])
