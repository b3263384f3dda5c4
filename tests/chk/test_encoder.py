from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tahoeish.chk.encoder import Encoder
from tahoeish.chk.erasure import ZfecCodec
from tahoeish.chk.errors import WrongLength
from tahoeish.chk.hashes import storage_index_hash
from tahoeish.chk.layout import MAX_SEGMENTS, ShareHeader
from tests.chk.shares import KEY, decode, encode, repeated

encodings = st.integers(1, 12).flatmap(lambda total: st.tuples(st.integers(1, total), st.just(total)))
contents = st.builds(repeated, st.binary(min_size=1, max_size=40), st.integers(1, 400))


def encoder_for(size: int | None, *, needed: int = 3, total: int = 10, max_segment_size: int = 100) -> Encoder:
    return Encoder(key=KEY, needed=needed, total=total, max_segment_size=max_segment_size, size=size, codec=ZfecCodec())


def cut(content: bytes, places: list[int]) -> list[bytes]:
    edges = [0, *sorted(place % (len(content) + 1) for place in places), len(content)]
    return [content[start:end] for start, end in pairwise(edges)]


@given(contents, encodings, st.integers(1, 120), st.lists(st.integers(0, 400), max_size=20), st.data())
def test_any_needed_shares_give_back_the_content(
    content: bytes,
    encoding: tuple[int, int],
    max_segment_size: int,
    places: list[int],
    data: st.DataObject,
) -> None:
    needed, total = encoding
    size = data.draw(st.sampled_from([None, len(content)]))
    cap, shares = encode(cut(content, places), needed=needed, total=total, max_segment_size=max_segment_size, size=size)
    survivors = data.draw(st.permutations(range(total)))[:needed]
    assert decode(cap, {number: shares[number] for number in survivors}) == content


@given(contents, encodings, st.integers(1, 120), st.lists(st.integers(0, 400), max_size=20))
def test_cutting_the_input_changes_nothing(
    content: bytes, encoding: tuple[int, int], max_segment_size: int, places: list[int]
) -> None:
    needed, total = encoding
    for size in (len(content), None):
        whole, pieces = (
            encode(pieces, needed=needed, total=total, max_segment_size=max_segment_size, size=size)
            for pieces in ([content], cut(content, places))
        )
        assert whole == pieces


@given(contents, encodings, st.integers(1, 500))
def test_an_unknown_length_changes_the_frame_but_neither_cap_nor_hashes(
    content: bytes, encoding: tuple[int, int], max_segment_size: int
) -> None:
    needed, total = encoding
    (known_cap, known), (unknown_cap, unknown) = (
        encode([content], needed=needed, total=total, max_segment_size=max_segment_size, size=size)
        for size in (len(content), None)
    )
    assert known_cap == unknown_cap
    for standard, streamed in zip(known, unknown, strict=True):
        assert (ShareHeader.parse(standard).version, ShareHeader.parse(streamed).version) == (1, 2)
        assert sections(standard) == sections(streamed)


def sections(share: bytes) -> list[bytes]:
    header = ShareHeader.parse(share)
    after_length = header.ueb + header.ueb_length_size
    edges = [header.data, header.plaintext_tree, header.crypttext_tree, header.block_tree, header.share_chain]
    return [share[start:end] for start, end in pairwise([*edges, header.ueb])] + [share[after_length:]]


def test_pieces_of_every_size_class_are_kept_in_order() -> None:
    content = repeated(bytes(range(251)), 600_000)
    sizes = [1, 20_000, 3, 16_384, 16_383, 70_000, *[5_000] * 30, 1, 100_000]
    edges = [sum(sizes[:i]) for i in range(len(sizes) + 1)]
    pieces = [content[start:end] for start, end in pairwise([*edges, len(content)])]
    cap, shares = encode(pieces, max_segment_size=200_000, size=None)
    assert decode(cap, dict(enumerate(shares[5:8], start=5))) == content


def test_small_pieces_may_change_after_they_were_written() -> None:
    # A caller may fill one buffer again and again as long as it is small.
    encoder, expected = encoder_for(90), encoder_for(90)
    buffer = bytearray(30)
    segments = []
    for number in range(3):
        buffer[:] = bytes([number]) * 30
        segments += encoder.write(buffer)
    buffer[:] = bytes(30)
    (sealed,) = (segment.seal() for segment in segments)
    (wanted,) = (segment.seal() for segment in expected.write(b"\0" * 30 + b"\1" * 30 + b"\2" * 30))
    assert sealed.block_hashes == wanted.block_hashes


def test_segments_come_as_soon_as_they_are_full() -> None:
    encoder = encoder_for(250)
    assert encoder.segment_size == 102
    assert encoder.segment_remaining == 102
    assert encoder.write(bytes(101)) == []
    assert encoder.segment_remaining == 1
    (first,) = encoder.write(bytes(2))
    assert (first.number, first.offset, first.size) == (0, 0, 102)
    assert encoder.segment_remaining == 101
    (second,) = encoder.write(bytes(101))
    assert (second.number, second.offset, second.size) == (1, 102, 102)
    assert encoder.segment_remaining == 46
    (tail,) = encoder.write(bytes(46))
    assert (tail.number, tail.offset, tail.size) == (2, 204, 46)
    assert encoder.segment_remaining == 0
    assert encoder.end() == []


def test_the_last_segment_of_an_unknown_length_comes_at_the_end() -> None:
    encoder = encoder_for(None)
    assert [segment.number for segment in encoder.write(bytes(250))] == [0, 1]
    assert encoder.segment_remaining == 56
    (tail,) = encoder.end()
    assert (tail.number, tail.offset, tail.size) == (2, 204, 46)


def test_several_segments_come_from_one_write() -> None:
    segments = encoder_for(1000).write(bytes(1000))
    assert [segment.size for segment in segments] == [102] * 9 + [82]
    assert [segment.offset for segment in segments] == [102 * number for number in range(10)]


def test_blocks_belong_behind_each_other() -> None:
    for size, data_offset in ((250, 36), (None, 68)):
        encoder = encoder_for(size)
        assert encoder.data_offset == data_offset
        sealed = [segment.seal() for segment in encoder.write(bytes(250)) + encoder.end()]
        assert [each.share_offset for each in sealed] == [data_offset + 34 * number for number in range(3)]
        assert [{len(block) for block in each.blocks} for each in sealed] == [{34}, {34}, {16}]
        assert [len(each.crypttext) for each in sealed] == [102, 102, 46]


def test_the_storage_index_is_known_from_the_start() -> None:
    assert encoder_for(None).storage_index == storage_index_hash(KEY)


def test_the_share_size_is_known_when_the_length_is() -> None:
    known, unknown = encoder_for(250), encoder_for(None)
    size = known.share_size
    assert size is not None
    assert unknown.share_size is None
    unknown.write(bytes(250))
    assert unknown.share_size is None
    unknown.end()
    # A header of 68 instead of 36 bytes, and a length of 8 instead of 4.
    assert unknown.share_size == size + 32 + 4


def test_the_only_segment_of_an_unknown_length_is_as_small_as_it_can_be() -> None:
    encoder = encoder_for(None)
    assert encoder.segment_size == 102
    encoder.write(bytes(50))
    encoder.end()
    assert encoder.segment_size == 51


@pytest.mark.parametrize("written", [0, 1, 249])
def test_a_file_shorter_than_announced_is_refused(written: int) -> None:
    encoder = encoder_for(250)
    encoder.write(bytes(written))
    with pytest.raises(WrongLength, match=f"should have 250 bytes, but ended after {written}"):
        encoder.end()


def test_a_file_longer_than_announced_is_refused_before_any_of_the_excess_is_taken() -> None:
    encoder = encoder_for(250)
    encoder.write(bytes(204))
    with pytest.raises(WrongLength, match="should have 250 bytes, but 251 have come already"):
        encoder.write(bytes(47))
    assert [segment.size for segment in encoder.write(bytes(46))] == [46]


def test_a_stream_longer_than_readers_take_is_refused() -> None:
    # With segments of a single byte the limit is within reach.
    encoder = encoder_for(None, needed=1, total=1, max_segment_size=1)
    with pytest.raises(WrongLength, match=f"longer than {MAX_SEGMENTS} bytes"):
        encoder.write(bytes(MAX_SEGMENTS + 1))


def test_empty_files_are_not_encoded() -> None:
    with pytest.raises(ValueError, match="at least one byte"):
        encoder_for(0)
    with pytest.raises(ValueError, match="at least one byte"):
        encoder_for(None).end()


@pytest.mark.parametrize("size", [None, 100])
def test_impossible_encodings_are_refused_at_once(size: int | None) -> None:
    with pytest.raises(ValueError, match="11 of 10"):
        encoder_for(size, needed=11)
    with pytest.raises(ValueError, match="16 bytes, not 15"):
        Encoder(key=bytes(15), needed=1, total=1, max_segment_size=100, size=size, codec=ZfecCodec())


def test_calls_out_of_order_are_refused() -> None:
    encoder = encoder_for(250)
    first, second, _ = encoder.write(bytes(250))
    with pytest.raises(RuntimeError, match="isn't complete"):
        encoder.finish()
    encoder.end()
    for again in (encoder.end, lambda: encoder.write(b"x")):
        with pytest.raises(RuntimeError, match="ended already"):
            again()
    sealed = first.seal()
    with pytest.raises(RuntimeError, match="sealed already"):
        first.seal()
    with pytest.raises(RuntimeError, match="segment 0 is to be absorbed next, not 1"):
        encoder.absorb(second.seal())
    encoder.absorb(sealed)
    with pytest.raises(RuntimeError, match="1 of 3 segments absorbed"):
        encoder.finish()


def test_what_gets_into_logs_shows_neither_key_nor_content() -> None:
    key = b"sixteen secrets!"
    encoder = Encoder(key=key, needed=2, total=3, max_segment_size=100, size=100, codec=ZfecCodec())
    (segment,) = encoder.write(b"confidential" * 8 + b"ends")
    sealed = segment.seal()
    encoder.absorb(sealed)
    encoder.end()
    finished = encoder.finish()
    for shown in map(repr, (encoder, segment, sealed, finished, finished.shares[0])):
        assert "sixteen" not in shown
        assert "confidential" not in shown
        assert len(shown) < 1000
