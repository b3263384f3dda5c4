from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tahoeish.chk.buffers import Pieces

SIZES = st.one_of(st.integers(0, 100), st.integers(16_000, 17_000), st.integers(60_000, 70_000))


@given(st.lists(SIZES, max_size=30))
def test_pieces_come_out_as_they_went_in(sizes: list[int]) -> None:
    pieces = Pieces()
    content = [bytes([number]) * size for number, size in enumerate(sizes)]
    for piece in content:
        pieces.add(memoryview(piece))
    assert pieces.size == sum(sizes)
    assert b"".join(pieces.take()) == b"".join(content)
    assert (pieces.size, pieces.take()) == (0, [])


def test_single_bytes_are_gathered() -> None:
    pieces = Pieces()
    for _ in range(200_000):
        pieces.add(memoryview(b"x"))
    assert len(pieces.take()) == 4


def test_big_pieces_are_kept_uncopied() -> None:
    pieces = Pieces()
    small, big = memoryview(bytes(100)), memoryview(bytes(100_000))
    for piece in (small, big, small, big):
        pieces.add(piece)
    first, second, third, fourth = pieces.take()
    assert second is big
    assert fourth is big
    assert (len(first), len(third)) == (100, 100)


def test_what_was_taken_no_longer_grows() -> None:
    pieces = Pieces()
    pieces.add(memoryview(b"before"))
    taken = pieces.take()
    pieces.add(memoryview(b"after"))
    assert [bytes(piece) for piece in taken] == [b"before"]
