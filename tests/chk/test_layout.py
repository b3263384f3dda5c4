from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tahoeish.chk.layout import (
    MAX_SEGMENTS,
    Segmentation,
    ShareHeader,
    ShareLayout,
    UriExtension,
    pack_ueb,
    parse_ueb,
)

encodings = st.integers(1, 256).flatmap(lambda total: st.tuples(st.integers(1, total), st.just(total)))
segmentations = st.builds(
    lambda size, encoding, max_size: Segmentation(size, encoding[0], encoding[1], max_size),
    st.integers(1, 10**10),
    encodings,
    st.integers(10**4, 10**8),
)
FIELDS = (b"crypttext_root_hash:32:%b,", b"segment_size:2:30,", b"share_root_hash:32:%b,")
MINIMAL_UEB = b"".join(FIELDS) % (b"c" * 32, b"s" * 32)


@given(segmentations)
def test_segments_and_blocks_add_up(segmentation: Segmentation) -> None:
    last = segmentation.num_segments - 1
    assert segmentation.segment_size % segmentation.needed == 0
    assert last * segmentation.segment_size + segmentation.length_of_segment(last) == segmentation.size
    assert 1 <= segmentation.tail_size <= segmentation.segment_size
    assert last * segmentation.block_size + segmentation.length_of_block(last) == segmentation.share_data_size
    assert segmentation.padded_tail_size == segmentation.tail_block_size * segmentation.needed
    if last:
        assert segmentation.length_of_segment(0) == segmentation.segment_size
        assert segmentation.length_of_block(0) == segmentation.block_size


@given(segmentations)
def test_the_real_segment_size_stands_in_for_the_maximum(segmentation: Segmentation) -> None:
    again = Segmentation(segmentation.size, segmentation.needed, segmentation.total, segmentation.segment_size)
    assert again.segment_size == segmentation.segment_size
    assert again.num_segments == segmentation.num_segments
    assert again.tail_block_size == segmentation.tail_block_size


@pytest.mark.parametrize(
    "arguments",
    [(0, 3, 10, 100), (1, 0, 10, 100), (1, 11, 10, 100), (1, 3, 257, 100), (1, 3, 10, 0), (-1, 1, 1, 1)],
)
def test_impossible_encodings_are_refused(arguments: tuple[int, int, int, int]) -> None:
    with pytest.raises(ValueError, match=r"at least one byte|1 <= needed"):
        Segmentation(*arguments)


def test_more_segments_than_readers_take_are_refused() -> None:
    assert Segmentation(MAX_SEGMENTS * 3, 3, 10, 3).num_segments == MAX_SEGMENTS
    with pytest.raises(ValueError, match="at most 4194304"):
        Segmentation(MAX_SEGMENTS * 3 + 1, 3, 10, 3)


@given(segmentations, st.sampled_from([None, 1, 2]))
def test_sections_follow_each_other(segmentation: Segmentation, version: int | None) -> None:
    layout = ShareLayout.standard(segmentation, version)
    header = layout.header
    tree = header.crypttext_tree - header.plaintext_tree
    assert header.data == header.size == {1: 36, 2: 68}[header.version]
    assert header.plaintext_tree == header.data + segmentation.share_data_size
    assert header.block_tree == header.crypttext_tree + tree
    assert header.share_chain == header.block_tree + tree
    assert header.ueb > header.share_chain
    ueb = pack_ueb(segmentation, bytes(32), bytes(32), bytes(32))
    assert layout.share_size == header.ueb + len(header.pack_ueb_length(len(ueb))) + len(ueb)


def biggest_version_1_size() -> int:
    """The file size, with one share and one segment, at which the extension block begins just below 2^32."""
    # Header, three trees of one node each, a chain of one node.
    return 2**32 - 1 - 36 - 3 * 32 - 34


def test_version_1_ends_where_its_fields_overflow() -> None:
    size = biggest_version_1_size()
    assert ShareLayout.standard(Segmentation(size, 1, 1, 2**40)).header.version == 1
    assert ShareLayout.standard(Segmentation(size + 1, 1, 1, 2**40)).header.version == 2


@given(segmentations, st.sampled_from([1, 2]), st.binary(max_size=10))
def test_parsing_a_header_undoes_packing(segmentation: Segmentation, version: int, rest: bytes) -> None:
    header = ShareLayout.standard(segmentation, version).header
    if header.ueb >= 1 << 32:
        header = ShareLayout.standard(segmentation).header
    assert ShareHeader.parse(header.pack() + rest) == header
    assert header.parse_ueb_length(header.pack_ueb_length(1234)) == 1234


@pytest.mark.parametrize(
    ("head", "complaint"),
    [
        (b"", "cut off"),
        (b"\0\0\0", "cut off"),
        (b"\0\0\0\0" + bytes(64), "unknown version 0"),
        (b"\0\0\0\3" + bytes(64), "unknown version 3"),
        (b"\0\0\0\1" + bytes(31), "cut off"),
        (b"\0\0\0\2" + bytes(63), "cut off"),
        (b"\0\0\0\2" + b"\xff" * 64, "offsets that no share has"),
    ],
)
def test_nonsense_headers_are_refused(head: bytes, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        ShareHeader.parse(head)


@given(segmentations)
def test_parsing_an_extension_block_finds_what_readers_need(segmentation: Segmentation) -> None:
    ueb = pack_ueb(segmentation, b"f" * 32, b"c" * 32, b"s" * 32)
    assert parse_ueb(ueb) == UriExtension(segmentation.segment_size, b"c" * 32, b"s" * 32)


def test_an_extension_block_is_spelled_as_tahoe_lafs_does() -> None:
    segmentation = Segmentation(size=1000, needed=3, total=10, max_segment_size=400)
    assert pack_ueb(segmentation, b"f" * 32, b"c" * 32, b"s" * 32) == (
        b"codec_name:3:crs,codec_params:8:402-3-10,crypttext_hash:32:ffffffffffffffffffffffffffffffff,"
        b"crypttext_root_hash:32:cccccccccccccccccccccccccccccccc,needed_shares:1:3,num_segments:1:3,"
        b"segment_size:3:402,share_root_hash:32:ssssssssssssssssssssssssssssssss,size:4:1000,"
        b"tail_codec_params:8:198-3-10,total_shares:2:10,"
    )


def test_unknown_keys_and_any_order_are_fine_in_an_extension_block() -> None:
    expected = UriExtension(30, b"c" * 32, b"s" * 32)
    assert parse_ueb(MINIMAL_UEB) == expected
    assert parse_ueb(b"zebra:3:a,b,plaintext_hash:0:," + MINIMAL_UEB) == expected


@pytest.mark.parametrize(
    ("ueb", "complaint"),
    [
        (b"", "crypttext_root_hash"),
        (MINIMAL_UEB.replace(b"crypttext_root", b"crypttext_rood"), "crypttext_root_hash"),
        (MINIMAL_UEB.replace(b"share_root", b"share_rood"), "share_root_hash"),
        (MINIMAL_UEB.replace(b"32:" + b"s" * 32, b"31:" + b"s" * 31), "share_root_hash"),
        (MINIMAL_UEB.replace(b"segment_size", b"segment_sizes"), "segment_size"),
        (MINIMAL_UEB.replace(b"2:30", b"2:-3"), "segment_size"),
        (MINIMAL_UEB.replace(b"2:30", b"21:" + b"1" * 21), "segment_size"),
        (MINIMAL_UEB[:-1], "end of value"),
        (MINIMAL_UEB + b"x", "no key at byte"),
        (MINIMAL_UEB + b"x:99999:", "end of value"),
        (MINIMAL_UEB + b"x:" + b"9" * 60_000, "no key at byte"),
    ],
)
def test_nonsense_extension_blocks_are_refused(ueb: bytes, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        parse_ueb(ueb)
