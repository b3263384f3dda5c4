"""Sizes and durations as people write them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tahoeish.node.config.quantities import format_duration, format_size, parse_duration, parse_size


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("0 B", 0),
        ("64 MiB", 64 * 1024 * 1024),
        ("64MiB", 64 * 1024 * 1024),
        ("64 mib", 64 * 1024 * 1024),
        ("1.5 KiB", 1536),
        ("0.3 B", 0),
        ("2 kB", 2000),
        ("3 GB", 3_000_000_000),
        (" 1 TiB ", 1 << 40),
    ],
)
def test_size(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("30 s", 30.0), ("5 min", 300.0), ("250ms", 0.25), ("1.5 h", 5400.0), ("1 d", 86400.0)],
)
def test_duration(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "MiB", "64", "-1 MiB", "1e3 B", "1 2 B", "1. B", "٣ B", "9" * 5000 + " B"])
def test_what_is_no_quantity_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match='not a number and a unit, such as "64 MiB"'):
        parse_size(text)


def test_an_unknown_unit_is_answered_with_the_known_ones() -> None:
    with pytest.raises(ValueError, match=r"^unknown unit m; one of ms, s, min, h, d$"):
        parse_duration("5 m")


@given(st.integers(0, 1 << 60))
def test_a_size_is_read_as_it_was_written(size: int) -> None:
    text = format_size(size)

    assert text is None or parse_size(text) == size


@given(st.floats(0, 1e8) | st.integers(0, 10**8).map(float) | st.integers(0, 10**6).map(lambda n: n / 1000))
def test_a_duration_is_read_as_it_was_written(seconds: float) -> None:
    text = format_duration(seconds)

    assert text is None or parse_duration(text) == seconds


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (60.0, "60 s"),
        (300.0, "5 min"),
        (1.0, "1 s"),
        (0.25, "250 ms"),
        (86400.0, "24 h"),
        (0.1, None),
        (0.0, None),
    ],
)
def test_a_duration_is_written_as_people_say_it(seconds: float, text: str | None) -> None:
    assert format_duration(seconds) == text
