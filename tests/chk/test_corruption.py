"""Holders of shares that lie, lose bytes, or answer nonsense: each is found out, by name, in time."""

from __future__ import annotations

import struct
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tahoeish.chk.decoder import Decoder
from tahoeish.chk.erasure import ZfecCodec
from tahoeish.chk.errors import CorruptShare
from tahoeish.chk.layout import ShareHeader
from tests.chk.shares import Download, encode, fetch, open_reader, repeated

# 13 segments of 200 bytes, so that the trees have fillers; and a share longer than what is read at first.
CONTENT = repeated(bytes(range(251)), 2500)
CAP, SHARES = encode([CONTENT], needed=2, total=4, max_segment_size=200, size=len(CONTENT))
BAD = 1
SHARE = SHARES[BAD]
HEADER = ShareHeader.parse(SHARE)
BLOCK_SIZE = 100

SECTIONS = {
    "header": range(HEADER.data),
    "block": range(HEADER.data, HEADER.plaintext_tree),
    "plaintext hash tree": range(HEADER.plaintext_tree, HEADER.crypttext_tree),
    "crypttext hash tree": range(HEADER.crypttext_tree, HEADER.block_tree),
    "block hash tree": range(HEADER.block_tree, HEADER.share_chain),
    "share hash chain": range(HEADER.share_chain, HEADER.ueb),
    "URI extension block": range(HEADER.ueb, len(SHARE)),
}


def read_with(share: bytes) -> None:
    """Read everything from this share and a good one; only right bytes come out before it is found out."""
    download = Download(CAP, {BAD: share, 3: SHARES[3]})
    for index in range(13):
        assert download.segment(index) == CONTENT[index * 200 : (index + 1) * 200]


def complaint_about(share: bytes) -> CorruptShare | None:
    try:
        read_with(share)
    except CorruptShare as error:
        return error
    return None


def flip(share: bytes, byte: int, bit: int) -> bytes:
    flipped = bytearray(share)
    flipped[byte] ^= 1 << bit
    return bytes(flipped)


@settings(max_examples=500)
@given(
    st.sampled_from(
        ["block", "block hash tree", "crypttext hash tree", "share hash chain", "URI extension block"]
    ).flatmap(lambda section: st.tuples(st.just(section), st.sampled_from(SECTIONS[section]))),
    st.integers(0, 7),
)
def test_a_flipped_bit_is_found_where_it_is(place: tuple[str, int], bit: int) -> None:
    section, byte = place
    error = complaint_about(flip(SHARE, byte, bit))
    if error is None:
        # The siblings of the filler leaves' parents are all that such a small tree never needs.
        assert section in ("block hash tree", "crypttext hash tree")
        assert (byte - SECTIONS[section].start) // 32 in FILLERS_NOBODY_NEEDS
        return
    assert error.share_number == BAD
    expected = f"block {(byte - HEADER.data) // BLOCK_SIZE}" if section == "block" else section
    assert error.where == expected


# 13 leaves are nodes 15 to 27 of 31; 28 is needed with 27, and 14 (the parent of 29 and 30) with 13.
FILLERS_NOBODY_NEEDS = (29, 30)


@given(st.sampled_from(SECTIONS["plaintext hash tree"]), st.integers(0, 7))
def test_a_flipped_bit_in_the_unused_section_does_no_harm(byte: int, bit: int) -> None:
    assert complaint_about(flip(SHARE, byte, bit)) is None


@given(st.sampled_from(SECTIONS["header"]), st.integers(0, 7))
def test_a_flipped_bit_in_the_header_does_no_harm_or_leads_to_a_complaint(byte: int, bit: int) -> None:
    error = complaint_about(flip(SHARE, byte, bit))
    unused = [*range(4, 12), *range(16, 20)]
    if byte in unused:
        assert error is None
    else:
        assert error is not None
        assert error.share_number == BAD


@settings(max_examples=300)
@given(st.integers(0, len(SHARE) - 1))
def test_a_share_cut_short_is_found_out(length: int) -> None:
    error = complaint_about(SHARE[:length])
    assert error is not None
    assert error.share_number == BAD
    if length < HEADER.data:
        assert error.where == "header"
    elif length < len(SHARE):
        assert error.where == "URI extension block"
    assert "is cut off" in str(error)


def test_a_share_whose_data_is_cut_off_at_the_end_is_found_out_at_the_block() -> None:
    moved = SHARE + SHARE[HEADER.data : HEADER.plaintext_tree]
    moved = moved[:12] + struct.pack(">L", len(SHARE)) + moved[16:]
    assert complaint_about(moved) is None
    error = complaint_about(moved[:-1])
    assert error is not None
    assert error.where == "block 12"
    assert "has 49 bytes instead of 50" in str(error)


@given(st.binary(max_size=3000))
def test_garbage_is_no_share(garbage: bytes) -> None:
    error = complaint_about(garbage)
    assert error is not None
    assert error.where == "header"


offsets = st.one_of(
    st.integers(0, len(SHARE) + 100),
    st.sampled_from([2**31, 2**32 - 1, 2**40, 2**62 - 1, 2**62, 2**63, 2**64 - 1]),
    st.sampled_from([HEADER.data, HEADER.crypttext_tree, HEADER.block_tree, HEADER.share_chain, HEADER.ueb]),
)


@settings(max_examples=300)
@given(st.sampled_from([1, 2]), st.lists(offsets, min_size=8, max_size=8), st.binary(max_size=200))
def test_lying_offsets_never_make_a_reader_ask_for_much(version: int, claims: list[int], rest: bytes) -> None:
    fields = [min(claim, 2**32 - 1) for claim in claims] if version == 1 else claims
    lie = ShareHeader(version, *fields).pack() + rest
    share = lie + SHARE[len(lie) :]
    reader = Decoder(CAP, ZfecCodec()).share(BAD)
    asked = 0
    with suppress(CorruptShare):
        while (span := reader.wanted()) is not None:
            assert 0 <= span.offset < 2**62 + 100
            asked += span.length
            reader.received(fetch(share, span))
    assert reader.wanted() is None
    assert asked < 2048 + (64 + 64 + 4) * 1024 + 3 * 2000


def test_an_extension_block_that_claims_gigabytes_is_refused() -> None:
    lie = SHARE[: HEADER.ueb] + struct.pack(">L", 2**31) + SHARE[HEADER.ueb + 4 :]
    error = complaint_about(lie)
    assert error is not None
    assert error.where == "URI extension block"
    assert "claims to be 2147483648 bytes long" in str(error)


def test_an_answer_longer_than_the_question_is_refused() -> None:
    reader = Decoder(CAP, ZfecCodec()).share(BAD)
    with pytest.raises(CorruptShare, match="sent 2049 bytes when asked for 2048"):
        reader.received(bytes(2049))


def test_a_share_under_another_number_is_found_out() -> None:
    error = complaint_about(SHARES[2])
    assert error is not None
    assert (error.share_number, error.where) == (BAD, "share hash chain")


def test_a_share_of_another_file_is_found_out() -> None:
    _, others = encode([CONTENT[::-1]], needed=2, total=4, max_segment_size=200, size=len(CONTENT))
    error = complaint_about(others[BAD])
    assert error is not None
    assert (error.share_number, error.where) == (BAD, "URI extension block")


def test_a_corrupt_share_does_not_spoil_the_decoder() -> None:
    decoder = Decoder(CAP, ZfecCodec())
    damaged = flip(SHARE, HEADER.crypttext_tree + 32 * 15, 0)
    with pytest.raises(CorruptShare) as caught:
        open_reader(decoder.share(BAD), damaged)
    assert caught.value.where == "crypttext hash tree"

    readers = {number: decoder.share(number) for number in (0, 3)}
    for number, reader in readers.items():
        open_reader(reader, SHARES[number])
    blocks = {number: fetch(SHARES[number], reader.block_span(0)) for number, reader in readers.items()}
    assert bytes(decoder.open_segment(0, blocks, readers)) == CONTENT[:200]
    blocks[0] = flip(bytes(blocks[0]), 5, 5)
    with pytest.raises(CorruptShare, match="share 0 is corrupt: its block 0 does not match its hash"):
        decoder.open_segment(0, blocks, readers)
