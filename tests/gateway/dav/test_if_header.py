"""`If`, `If-Match` and `If-None-Match`, and what they let through."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tahoeish.gateway.dav.if_header import parse_conditions, parse_if
from tahoeish.gateway.errors import Refused
from tahoeish.namespace.conditions import NOWHERE, ConditionList, HasTag, HasToken, State
from tahoeish.namespace.names import Path

T, E = "urn:uuid:1", '"tag"'


def path_of(address: str) -> Path | None:
    return tuple(address.removeprefix("/files/").split("/")) if address.startswith("/files/") else None


def test_lists_apply_to_the_address_of_the_request() -> None:
    assert parse_if(f"(<{T}> [{E}]) (Not <DAV:no-lock>)", path_of) == (
        ConditionList((HasToken(T), HasTag(E))),
        ConditionList((HasToken("DAV:no-lock", negated=True),)),
    )


def test_a_tag_applies_to_all_lists_up_to_the_next_one() -> None:
    assert parse_if(f"</files/a> (<{T}>) ([{E}]) </files/b/c>(not[{E}])", path_of) == (
        ConditionList((HasToken(T),), ("a",)),
        ConditionList((HasTag(E),), ("a",)),
        ConditionList((HasTag(E, negated=True),), ("b", "c")),
    )


def test_what_is_not_here_is_nowhere() -> None:
    assert parse_if(f"<http://elsewhere/x> (<{T}>)", path_of) == (ConditionList((HasToken(T),), NOWHERE),)


def test_weak_and_unquoted_tags_are_taken_as_they_are() -> None:
    assert parse_if('([W/"a"] [b])', path_of) == (ConditionList((HasTag('W/"a"'), HasTag("b"))),)


@pytest.mark.parametrize(
    "header",
    ["", " ", "()", "(", "(<a>", "<a>", "a", "(<a>) <b>", "(Not)", "(Not Not <a>)", "([)", "(<a> b)", "((<a>))", ")",
     "(<a>))", "([\"a)", "(<a b>)", "(Not)(<a>)", "Not (<a>)", "[\"a\"]"],
)  # fmt: skip
def test_what_is_not_written_as_it_should_be_is_refused(header: str) -> None:
    with pytest.raises(Refused) as caught:
        parse_if(header, path_of)
    assert caught.value.status == 400


@given(st.text(st.sampled_from('()<>[]" \tNotab:/W'), max_size=30))
def test_any_header_is_understood_or_refused(header: str) -> None:
    try:
        lists = parse_if(header, path_of)
    except Refused:
        return
    assert all(each.conditions for each in lists)


BAD = '"other"'


# litmus's, with an exclusive lock T and the tag E on the file. The third column: whether T counts as submitted.
@pytest.mark.parametrize(
    ("header", "holds", "submitted"),
    [
        (f"(<{T}> [{E}])", True, True),
        (f"(<DAV:no-lock> [{E}])", False, False),
        (f"(<{T}>) (Not <DAV:no-lock>)", True, True),
        (f"(<{T}x>) (Not <DAV:no-lock>)", True, False),
        (f"(<{T}> [{E}]) (Not <DAV:no-lock> [{E}])", True, True),
        (f"(<{T}> [{BAD}]) (Not <DAV:no-lock> [{BAD}])", False, True),
        ("(<DAV:no-lock>)", False, False),
        (f"(Not <{T}>)", False, True),
        (f"(Not [{BAD}])", True, False),
    ],
)
def test_conditions_hold_as_litmus_has_them(header: str, holds: bool, submitted: bool) -> None:
    conditions = parse_conditions(header, None, None, path_of=path_of)
    assert conditions.holds(("file",), lambda path: State(E, frozenset({T}))) == holds
    assert (T in conditions.submitted) == submitted


def test_tags_in_the_other_headers() -> None:
    conditions = parse_conditions(None, f'{E}, W/"weak"', "*", path_of=path_of)
    assert (conditions.if_match, conditions.if_none_match) == ((E, 'W/"weak"'), ("*",))
    assert parse_conditions(None, None, None, path_of=path_of).demand_nothing


@pytest.mark.parametrize("header", ["tag", '"a" "b"', '"a', "* x"])
def test_other_than_tags_in_them_are_refused(header: str) -> None:
    with pytest.raises(Refused, match="If-Match"):
        parse_conditions(None, header, None, path_of=path_of)
