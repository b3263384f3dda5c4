from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tahoeish.chk.decoder import Decoder, Span
from tahoeish.chk.erasure import ZfecCodec
from tahoeish.chk.errors import CorruptFile, CorruptShare
from tahoeish.chk.hashes import ueb_hash
from tahoeish.chk.layout import ShareHeader, parse_ueb
from tests.chk.shares import Download, decode, encode, fetch, open_reader, repeated

CONTENT = repeated(bytes(range(251)), 2500)
CAP, SHARES = encode([CONTENT], needed=2, total=4, max_segment_size=200, size=len(CONTENT))
HEADER = ShareHeader.parse(SHARES[0])


def of(*numbers: int) -> dict[int, bytes]:
    return {number: SHARES[number] for number in numbers}


def ueb_of(share: bytes) -> bytes:
    header = ShareHeader.parse(share)
    return share[header.ueb + header.ueb_length_size :]


@given(st.integers(0, len(CONTENT) - 1), st.integers(0, len(CONTENT) - 1))
def test_a_range_is_read_from_its_segments_alone(a: int, b: int) -> None:
    first, last = min(a, b), max(a, b)
    download = Download(CAP, of(1, 2))
    segment_size = download.decoder.segment_size
    assert segment_size is not None
    segments = download.decoder.segments_for(first, last)
    read = b"".join(map(download.segment, segments))
    skipped = first - segments.start * segment_size
    assert 0 <= skipped < segment_size
    assert read[skipped : skipped + last - first + 1] == CONTENT[first : last + 1]
    assert len(read) <= last - first + 1 + 2 * (segment_size - 1)


@pytest.mark.parametrize(("first", "last"), [(-1, 0), (5, 4), (0, len(CONTENT)), (len(CONTENT), len(CONTENT))])
def test_a_range_outside_the_file_is_refused(first: int, last: int) -> None:
    with pytest.raises(ValueError, match="no range of a file of 2500 bytes"):
        Download(CAP, of(0, 1)).decoder.segments_for(first, last)


def test_nothing_is_known_before_the_first_reader_is_ready() -> None:
    decoder = Decoder(CAP, ZfecCodec())
    reader = decoder.share(3)
    assert (decoder.segment_size, decoder.num_segments) == (None, None)
    with pytest.raises(RuntimeError, match="before a share reader is ready"):
        decoder.segments_for(0, 1)
    with pytest.raises(RuntimeError, match="before a share reader is ready"):
        decoder.open_segment(0, {}, {})
    with pytest.raises(RuntimeError, match="share 3 isn't ready"):
        reader.block_span(0)
    open_reader(reader, SHARES[3])
    assert (decoder.segment_size, decoder.num_segments) == (200, 13)
    with pytest.raises(RuntimeError, match="nothing was wanted"):
        reader.received(b"")


def test_a_segment_takes_exactly_the_needed_blocks() -> None:
    download = Download(CAP, of(0, 1, 2))
    with pytest.raises(ValueError, match="takes 2 blocks, not 3"):
        download.segment(0)
    with pytest.raises(IndexError, match="there is no segment 13"):
        download.decoder.open_segment(13, {}, {})


def test_a_small_share_is_opened_in_one_round_trip() -> None:
    cap, shares = encode([bytes(100)], size=100)
    assert open_reader(Decoder(cap, ZfecCodec()).share(0), shares[0]) == [Span(0, 2048)]


def test_a_bigger_share_is_opened_in_two_round_trips() -> None:
    head, hashes = open_reader(Decoder(CAP, ZfecCodec()).share(0), SHARES[0])
    assert head == Span(0, 2048)
    assert hashes == Span(HEADER.crypttext_tree, HEADER.ueb - HEADER.crypttext_tree + 4096)


def test_the_crypttext_hash_tree_is_read_once_for_all_shares() -> None:
    decoder = Decoder(CAP, ZfecCodec())
    open_reader(decoder.share(0), SHARES[0])
    _, hashes = open_reader(decoder.share(1), SHARES[1])
    assert hashes == Span(HEADER.block_tree, HEADER.ueb - HEADER.block_tree + 4096)


def test_trees_too_big_to_be_read_on_suspicion_are_read_once_the_cap_explains_them() -> None:
    content = bytes(3000)
    cap, shares = encode([content], needed=1, total=2, max_segment_size=1, size=len(content))
    header = ShareHeader.parse(shares[0])
    decoder = Decoder(cap, ZfecCodec())
    assert open_reader(decoder.share(0), shares[0]) == [
        Span(0, 2048),
        Span(header.ueb, 4096),
        Span(header.crypttext_tree, header.ueb - header.crypttext_tree),
    ]
    assert open_reader(decoder.share(1), shares[1]) == [
        Span(0, 2048),
        Span(header.ueb, 4096),
        Span(header.block_tree, header.ueb - header.block_tree),
    ]


def test_readers_may_be_opened_side_by_side() -> None:
    decoder = Decoder(CAP, ZfecCodec())
    readers = {number: decoder.share(number) for number in (1, 3)}
    while any(reader.wanted() for reader in readers.values()):
        for number, reader in readers.items():
            if (span := reader.wanted()) is not None:
                reader.received(fetch(SHARES[number], span))
    blocks = {number: fetch(SHARES[number], reader.block_span(12)) for number, reader in readers.items()}
    assert bytes(decoder.open_segment(12, blocks, readers)) == CONTENT[2400:]


def test_several_threads_open_segments_of_one_file() -> None:
    download = Download(CAP, of(2, 3))
    with ThreadPoolExecutor(4) as threads:
        assert b"".join(threads.map(download.segment, list(range(13)) * 8)) == CONTENT * 8


# What other writers of the format may do, and Tahoe-LAFS reads.


def rearranged(
    share: bytes,
    *,
    version: int,
    hashes_first: bool = False,
    before_data: bytes = b"",
    before_hashes: bytes = b"",
    after: bytes = b"",
    legacy_fields: int = 0,
    plaintext_tree: bool = True,
) -> bytes:
    """The same data and hashes in another order and frame."""
    old = ShareHeader.parse(share)
    data = share[old.data : old.plaintext_tree]
    zeros = share[old.plaintext_tree : old.crypttext_tree] if plaintext_tree else b""
    hashes = share[old.crypttext_tree : old.ueb]
    ueb = ueb_of(share)
    frame = {1: 36, 2: 68}[version]
    record_size = len(hashes) + {1: 4, 2: 8}[version] + len(ueb)
    if hashes_first:
        hashes_at = frame + len(before_hashes)
        data_at = hashes_at + record_size + len(before_data)
        zeros_at = data_at
    else:
        data_at = frame + len(before_data)
        zeros_at = data_at + len(data)
        hashes_at = zeros_at + len(zeros) + len(before_hashes)
    header = ShareHeader(
        version,
        legacy_fields,
        legacy_fields,
        data_at,
        zeros_at,
        hashes_at,
        hashes_at + old.block_tree - old.crypttext_tree,
        hashes_at + old.share_chain - old.crypttext_tree,
        hashes_at + len(hashes),
    )
    record = hashes + header.pack_ueb_length(len(ueb)) + ueb
    if hashes_first:
        return header.pack() + before_hashes + record + before_data + data + after
    return header.pack() + before_data + data + zeros + before_hashes + record + after


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize(
    "variation",
    [
        {},
        {"legacy_fields": 0xDEADBEEF},
        {"plaintext_tree": False},
        {"before_data": b"g" * 4000},
        {"before_hashes": b"g" * 777},
        {"after": b"t"},
        {"after": b"t" * 100_000},
        {"hashes_first": True},
        {"hashes_first": True, "before_data": b"g" * 5000},
        {"hashes_first": True, "before_hashes": b"g" * 3000, "after": b"t" * 10},
    ],
    ids=lambda variation: "-".join(variation) or "standard",
)
def test_shares_may_be_laid_out_differently(version: int, variation: dict[str, bytes | bool | int]) -> None:
    share = rearranged(SHARES[3], version=version, **variation)  # type: ignore[arg-type]
    assert decode(CAP, {0: SHARES[0], 3: share}) == CONTENT


def test_hashes_first_are_read_with_the_head() -> None:
    content = CONTENT[:1000]
    cap, shares = encode([content], needed=2, total=4, max_segment_size=200, size=len(content))
    share = rearranged(shares[0], version=2, hashes_first=True)
    assert open_reader(Decoder(cap, ZfecCodec()).share(0), share) == [Span(0, 2048)]


@pytest.mark.parametrize("order", [reversed, lambda entries: entries[1:] + entries[:1]])
def test_the_chain_may_have_any_order(order: object) -> None:
    assert callable(order)
    chain = SHARES[3][HEADER.share_chain : HEADER.ueb]
    entries = [chain[at : at + 34] for at in range(0, len(chain), 34)]
    share = SHARES[3].replace(chain, b"".join(order(entries)))
    assert share != SHARES[3]
    assert decode(CAP, {0: SHARES[0], 3: share}) == CONTENT


# Extension blocks other than Tahoe-LAFS's own. Their hash is in the cap, so whoever made the cap wanted them.


def with_ueb(share: bytes, ueb: bytes) -> bytes:
    header = ShareHeader.parse(share)
    return share[: header.ueb] + header.pack_ueb_length(len(ueb)) + ueb


def read_with_ueb(ueb: bytes) -> bytes:
    cap = replace(CAP, ueb_hash=ueb_hash(ueb))
    return decode(cap, {number: with_ueb(SHARES[number], ueb) for number in (1, 3)})


def test_an_extension_block_may_have_just_what_is_needed_or_far_more() -> None:
    known = parse_ueb(ueb_of(SHARES[0]))
    minimal = b"crypttext_root_hash:32:%b,segment_size:3:200,share_root_hash:32:%b," % (
        known.crypttext_root_hash,
        known.share_root_hash,
    )
    assert read_with_ueb(minimal) == CONTENT
    assert read_with_ueb(minimal + b"padding:10000:%b," % bytes(10_000)) == CONTENT


def test_a_segment_size_larger_than_the_file_is_fine() -> None:
    content = b"x" * 99
    cap, shares = encode([content], needed=2, total=4, max_segment_size=200, size=99)
    ueb = ueb_of(shares[0]).replace(b"segment_size:3:100", b"segment_size:10:3000000000")
    assert ueb != ueb_of(shares[0])
    download = Download(
        replace(cap, ueb_hash=ueb_hash(ueb)), {number: with_ueb(shares[number], ueb) for number in (1, 3)}
    )
    assert download.decoder.segments_for(0, 98) == range(1)
    assert download.content() == content


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        (b"segment_size:3:200", b"segment_size:3:201", "201, not a multiple of 2"),
        (b"segment_size:3:200", b"segment_size:1:0", "0, not a multiple of 2"),
        (b"segment_size:3:200,", b"", "has no segment_size"),
        (b"share_root_hash", b"shareXroot_hash", "has no share_root_hash"),
        (b"size:4:2500,", b"size:4:2500", "no end of value at byte"),
    ],
)
def test_an_extension_block_the_cap_vouches_for_must_make_sense(old: bytes, new: bytes, complaint: str) -> None:
    ueb = ueb_of(SHARES[0])
    assert old in ueb
    with pytest.raises(CorruptFile, match=complaint):
        read_with_ueb(ueb.replace(old, new))


def test_a_file_of_absurdly_many_segments_is_refused_before_its_trees_are_read() -> None:
    ueb = ueb_of(SHARES[0]).replace(b"segment_size:3:200", b"segment_size:1:2")
    cap = replace(CAP, ueb_hash=ueb_hash(ueb), size=10**15)
    reader = Decoder(cap, ZfecCodec()).share(0)
    with pytest.raises(CorruptFile, match="500000000000000 segments; at most 4194304"):
        open_reader(reader, with_ueb(SHARES[0], ueb))


def test_good_blocks_of_bad_ciphertext_are_the_files_fault() -> None:
    """A writer whose blocks and crypttext hashes disagree fools no reader."""
    other = bytes(reversed(CONTENT))
    _, other_shares = encode([other], needed=2, total=4, max_segment_size=200, size=len(other))
    mixed_ueb = ueb_of(SHARES[0]).replace(
        parse_ueb(ueb_of(SHARES[0])).crypttext_root_hash,
        parse_ueb(ueb_of(other_shares[0])).crypttext_root_hash,
    )
    tree = slice(HEADER.crypttext_tree, HEADER.block_tree)
    shares = {
        number: with_ueb(SHARES[number].replace(SHARES[number][tree], other_shares[number][tree]), mixed_ueb)
        for number in (1, 3)
    }
    with pytest.raises(CorruptFile, match="segment 0 are good, but decode to something else"):
        decode(replace(CAP, ueb_hash=ueb_hash(mixed_ueb)), shares)


def test_a_share_number_that_the_file_has_not_is_refused() -> None:
    for number in (-1, 4):
        with pytest.raises(CorruptShare, match="its number is not below 4") as caught:
            Decoder(CAP, ZfecCodec()).share(number)
        assert caught.value.share_number == number
