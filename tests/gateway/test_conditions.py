"""`If-None-Match` and `If-Range`."""

from __future__ import annotations

from time import process_time

from hypothesis import given, settings
from hypothesis import strategies as st

from tahoeish.gateway.conditions import entity_tags, listed, unchanged

TAGS = st.text(st.characters(codec="ascii", min_codepoint=0x21, exclude_characters='"'), max_size=8).map('"{}"'.format)


@settings(deadline=None)
@given(st.lists(TAGS), TAGS, st.lists(TAGS), st.sampled_from([",", ", ", " ,\t", ",,"]), st.sampled_from(["", "W/"]))
def test_a_tag_is_found_wherever_it_stands(
    before: list[str], tag: str, after: list[str], comma: str, weak: str
) -> None:
    assert listed(comma.join([*before, weak + tag, *after]), tag)


@settings(deadline=None)
@given(st.lists(TAGS), TAGS)
def test_a_tag_that_is_not_there_is_not_found(others: list[str], tag: str) -> None:
    assert listed(", ".join(others), tag) == (tag in others)


@settings(deadline=None)
@given(st.text(), TAGS)
def test_any_text_is_an_answer(text: str, tag: str) -> None:
    assert listed(text, tag) in (True, False)


def test_a_star_is_any() -> None:
    assert listed("*", '"a"') and listed(" * ", '"a"')


def test_what_is_quoted_may_hold_commas() -> None:
    assert listed('"a,b", "c"', '"c"') and not listed('"a,"c","b"', '"c"')


def test_quotes_belong_to_a_tag() -> None:
    assert not listed("a", '"a"') and not listed("", '"a"')


def test_a_range_is_served_for_the_very_same_bytes_only() -> None:
    assert unchanged('"a"', '"a"') and unchanged(' "a" ', '"a"')
    for other in ('"b"', 'W/"a"', "a", "*", '"a", "b"', "Sat, 29 Oct 1994 19:43:31 GMT"):
        assert not unchanged(other, '"a"')


def test_a_long_list_takes_no_longer_than_it_is_long() -> None:
    # Where each blank were to begin a look at all that follow it, this would take hours.
    began = process_time()
    blanks = " " * 1_000_000
    assert entity_tags(f'"a",{blanks}x') is None
    assert entity_tags(f'"a"{blanks}x') is None
    assert entity_tags(f'"{blanks}') is None
    assert entity_tags(f'"a"{blanks},{blanks}"b"') == ('"a"', '"b"')
    assert process_time() - began < 10
