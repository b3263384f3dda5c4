"""Structured fields: what is written right is read, everything else isn't there."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tahoeish.streams.structured import (
    LARGEST_INTEGER,
    boolean,
    byte_sequence,
    integers,
    parse_boolean,
    parse_dictionary,
    parse_integer,
)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("0", 0),
        (" 42 ", 42),
        ("007", 7),
        ("5;unit=bytes", 5),
        ("999999999999999", LARGEST_INTEGER),
        ("1000000000000000", None),
        ("-1", None),
        ("1.0", None),
        ("1, 2", None),
        ('"1"', None),
        ("?1", None),
        ("one", None),
        ("1 2", None),
        ("१", None),
        ("", None),
        (None, None),
    ],
)
def test_integers(field: str | None, value: int | None) -> None:
    assert parse_integer(field) == value


@pytest.mark.parametrize(
    ("field", "value"),
    [("?1", True), ("?0", False), ("?1;why", True), ("1", None), ("?2", None), ("true", None), ("?1, ?0", None)],
)
def test_booleans(field: str, value: bool | None) -> None:
    assert parse_boolean(field) is value


def test_dictionaries_have_bare_values() -> None:
    parsed = parse_dictionary('a=1;q=2, b=:YWJj:, c, d=(1 2);x, a=3, e="t"')
    assert parsed is not None
    assert {key: parsed[key] for key in "abce"} == {"a": 3, "b": b"abc", "c": True, "e": "t"}
    assert isinstance(parsed["d"], list)
    assert parse_dictionary("") == {}
    for field in ("a=1,", "A=1", "a=1 b=2", "a=\xe9", "=", None):
        assert parse_dictionary(field) is None


@settings(deadline=None)
@given(st.text(max_size=40) | st.text('?10-.:;,=()"@% aZ9*', max_size=25))
def test_noise_is_nothing_but_never_a_crash(field: str) -> None:
    for parse in (parse_integer, parse_boolean, parse_dictionary):
        parse(field)


@settings(deadline=None)
@given(st.integers(0, LARGEST_INTEGER), st.booleans(), st.binary(max_size=70))
def test_what_is_written_is_read_again(number: int, flag: bool, data: bytes) -> None:
    assert parse_integer(str(number)) == number
    assert parse_boolean(boolean(flag)) is flag
    assert parse_dictionary(f"{integers({'a': number, 'b': 0})}, c={byte_sequence(data)}") == {
        "a": number,
        "b": 0,
        "c": data,
    }
