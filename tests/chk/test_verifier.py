"""Shares read whole: whatever in them a reader could stumble over is found without one."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tahoeish.chk.errors import CorruptShare
from tahoeish.chk.layout import ShareHeader
from tahoeish.chk.verifier import ShareVerifier
from tests.chk.shares import encode, fetch, repeated

# As many segments as a tree has leaves, so that there are no fillers, which no reader ever looks at.
CONTENT = repeated(bytes(range(251)), 3200)
CAP, SHARES = encode([CONTENT], needed=2, total=4, max_segment_size=200, size=len(CONTENT))
NUMBER = 1
SHARE = SHARES[NUMBER]
HEADER = ShareHeader.parse(SHARE)
UNUSED = {*range(4, 12), *range(16, 20), *range(HEADER.plaintext_tree, HEADER.crypttext_tree)}


def verify(share: bytes, number: int = NUMBER) -> None:
    verifier = ShareVerifier(CAP.verify_cap, number)
    while (span := verifier.wanted()) is not None:
        verifier.received(fetch(share, span))


@pytest.mark.parametrize("number", range(4))
def test_good_shares_pass_without_a_key(number: int) -> None:
    verify(SHARES[number], number)


@settings(max_examples=500, deadline=None)
@given(st.sampled_from([byte for byte in range(len(SHARE)) if byte not in UNUSED]), st.integers(0, 7))
def test_any_flipped_bit_of_any_use_is_found(byte: int, bit: int) -> None:
    flipped = bytearray(SHARE)
    flipped[byte] ^= 1 << bit
    with pytest.raises(CorruptShare):
        verify(bytes(flipped))


@given(st.integers(0, len(SHARE) - 1))
def test_a_share_cut_short_is_found(length: int) -> None:
    with pytest.raises(CorruptShare):
        verify(SHARE[:length])


def test_another_share_in_its_place_is_found() -> None:
    with pytest.raises(CorruptShare, match="share hash chain"):
        verify(SHARES[2])


def test_a_share_that_the_file_does_not_have_is_refused_at_once() -> None:
    with pytest.raises(CorruptShare, match="not below 4"):
        ShareVerifier(CAP, 4)


def test_large_shares_are_read_in_pieces() -> None:
    content = repeated(b"not the same everywhere", 10_000_000)
    cap, shares = encode([content], needed=1, total=1, max_segment_size=400_000, size=len(content))
    verifier = ShareVerifier(cap, 0)
    lengths = []
    while (span := verifier.wanted()) is not None:
        lengths.append(span.length)
        verifier.received(fetch(shares[0], span))
    assert max(lengths) == 800_000
    assert sum(lengths) >= len(content)
