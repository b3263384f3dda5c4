"""When an If header is true, and which tokens it submits."""

from __future__ import annotations

import pytest

from tahoeish.namespace.conditions import (
    ANY,
    NOWHERE,
    Condition,
    ConditionList,
    Conditions,
    HasTag,
    HasToken,
    State,
)
from tahoeish.namespace.names import Path

LOCK, NO_LOCK, CORRUPT = "urn:uuid:lock", "DAV:no-lock", "urn:uuid:lockx"
TAG, BAD_TAG = '"tag"', '"bad"'

LOCKED = State(TAG, frozenset([LOCK]), 1000.9)
FREE = State(TAG, frozenset(), 1000.9)
MISSING = State(None, frozenset())


def one_of(*lists: list[Condition], on: Path | None = None) -> Conditions:
    return Conditions(tuple(ConditionList(tuple(conditions), on) for conditions in lists))


@pytest.mark.parametrize(
    ("conditions", "state", "holds"),
    [
        (one_of([HasToken(LOCK), HasTag(TAG)]), LOCKED, True),
        (one_of([HasToken(NO_LOCK), HasTag(TAG)]), LOCKED, False),
        (one_of([HasToken(LOCK)], [HasToken(NO_LOCK, negated=True)]), LOCKED, True),
        (one_of([HasToken(CORRUPT)], [HasToken(NO_LOCK, negated=True)]), LOCKED, True),
        (one_of([HasToken(LOCK), HasTag(TAG)], [HasToken(NO_LOCK, negated=True), HasTag(TAG)]), LOCKED, True),
        (one_of([HasToken(LOCK), HasTag(BAD_TAG)], [HasToken(NO_LOCK, negated=True), HasTag(BAD_TAG)]), LOCKED, False),
        (one_of([HasToken(NO_LOCK)]), FREE, False),
        (one_of([HasToken(LOCK)]), FREE, False),
        (one_of([HasTag(TAG, negated=True)]), FREE, False),
        (one_of([HasTag(BAD_TAG, negated=True)]), FREE, True),
        (one_of([HasTag(TAG)]), MISSING, False),
        (one_of([HasTag(TAG, negated=True)]), MISSING, True),
        (one_of([HasTag('W/"tag"')]), FREE, False),
        (one_of([HasTag(TAG)], on=NOWHERE), FREE, False),
        (one_of([HasTag(TAG)], on=("elsewhere",)), FREE, False),
        (Conditions(if_match=(TAG,)), FREE, True),
        (Conditions(if_match=(BAD_TAG, TAG)), FREE, True),
        (Conditions(if_match=(f"W/{TAG}",)), FREE, False),
        (Conditions(if_match=(ANY,)), FREE, True),
        (Conditions(if_match=(ANY,)), MISSING, False),
        (Conditions(if_match=()), FREE, False),
        (Conditions(if_none_match=(TAG,)), FREE, False),
        (Conditions(if_none_match=(f"W/{TAG}",)), FREE, False),
        (Conditions(if_none_match=(BAD_TAG,)), FREE, True),
        (Conditions(if_none_match=(ANY,)), FREE, False),
        (Conditions(if_none_match=(ANY,)), MISSING, True),
        (Conditions(if_match=(TAG,), lists=one_of([HasToken(LOCK)]).lists), FREE, False),
        (Conditions(unmodified_since=1000), FREE, True),
        (Conditions(unmodified_since=999), FREE, False),
        (Conditions(unmodified_since=999), MISSING, True),
        (Conditions(unmodified_since=999, if_match=(TAG,)), FREE, True),
        (Conditions(unmodified_since=1000, if_none_match=(ANY,)), FREE, False),
        (Conditions(unmodified_since=999, lists=one_of([HasToken(LOCK)]).lists), LOCKED, False),
        (Conditions(), MISSING, True),
    ],
)
def test_a_request_goes_on_when_its_conditions_hold(conditions: Conditions, state: State, holds: bool) -> None:
    states: dict[Path, State] = {("own",): state, ("elsewhere",): State('"other"', frozenset())}
    assert conditions.holds(("own",), states.get) is holds
    assert conditions.demand_nothing is (conditions == Conditions())


def test_a_list_is_about_what_it_is_tagged_with() -> None:
    conditions = one_of([HasTag('"other"')], on=("elsewhere",))
    states: dict[Path, State] = {("elsewhere",): State('"other"', frozenset())}
    assert conditions.holds(("own",), states.get)


def test_every_token_that_is_mentioned_is_submitted() -> None:
    conditions = Conditions(
        (
            ConditionList((HasToken("a"), HasTag(TAG))),
            ConditionList((HasToken("b", negated=True),), on=("x",)),
        ),
        tokens=frozenset(["c"]),
    )
    assert conditions.submitted == {"a", "b", "c"}
