"""The `Range` header."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tahoeish.gateway.ranges import ByteRange, Unsatisfiable, parse_range

SIZES = st.integers(1, 10**15)


@settings(deadline=None)
@given(st.data(), SIZES)
def test_from_to(data: st.DataObject, size: int) -> None:
    first = data.draw(st.integers(0, size - 1))
    last = data.draw(st.integers(first, 2 * size))
    assert parse_range(f"bytes={first}-{last}", size) == ByteRange(first, min(last, size - 1))
    assert parse_range(f"bytes={first}-", size) == ByteRange(first, size - 1)


@settings(deadline=None)
@given(SIZES, st.integers(1, 10**15))
def test_the_last_bytes(size: int, wanted: int) -> None:
    part = parse_range(f"bytes=-{wanted}", size)
    assert part is not None
    assert part.last == size - 1 and part.length == min(wanted, size)


@settings(deadline=None)
@given(st.integers(0, 10**15), st.integers(0, 10**15))
def test_from_the_end_on_there_is_nothing(size: int, beyond: int) -> None:
    with pytest.raises(Unsatisfiable):
        parse_range(f"bytes={size + beyond}-", size)


def test_no_last_bytes_are_nothing() -> None:
    with pytest.raises(Unsatisfiable):
        parse_range("bytes=-0", 10)
    with pytest.raises(Unsatisfiable):
        parse_range("bytes=-5", 0)


@settings(deadline=None)
@given(st.text(), st.integers(0, 100))
def test_any_text_is_a_range_or_is_not(text: str, size: int) -> None:
    for header in (text, f"bytes={text}"):
        try:
            part = parse_range(header, size)
        except Unsatisfiable:
            continue
        assert part is None or 0 <= part.first <= part.last < size


@pytest.mark.parametrize(
    "header", ["bytes", "bytes:0-1", "bytes=1-0", "bytes=+1-2", "bytes=1 - 2", "bytes=0x1-2", "bytes=\u0661-2"]
)
def test_what_is_almost_a_range(header: str) -> None:
    assert parse_range(header, 10) is None
