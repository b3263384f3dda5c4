"""A request in the portions in which it is sent."""

from __future__ import annotations

import pytest

from tahoeish.streams.exchange.message import batches

HEAD = b"head"


def sizes(*body: int) -> list[int]:
    """Of the batches, where 100 bytes go at once, with a rest of 10."""
    buffers = [bytes([number + 1]) * length for number, length in enumerate(body)]
    sent = [b"".join(batch) for batch in batches(HEAD, buffers, 100, 10)]
    assert b"".join(sent) == b"".join([HEAD, *buffers])
    return [len(batch) for batch in sent]


def test_all_but_the_last_have_the_same_size() -> None:
    assert sizes(250) == [100, 100, 54]
    assert sizes(196) == [100, 100]


@pytest.mark.parametrize("rest", [1, 10])
def test_a_small_rest_goes_with_the_last(rest: int) -> None:
    assert sizes(196 + rest) == [100, 100 + rest]
    assert sizes(96 + rest) == [100 + rest]


def test_a_larger_rest_goes_by_itself() -> None:
    assert sizes(196 + 11) == [100, 100, 11]


@pytest.mark.parametrize("body", [[], [0], [3, 0, 4], [40] * 9, [96, 0, 100, 1], [5, 300, 5]])
def test_the_buffers_may_have_any_size(body: list[int]) -> None:
    largest, *rest = sorted(sizes(*body), reverse=True)
    assert largest <= 110 and all(size <= 100 for size in rest)
