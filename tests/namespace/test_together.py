"""Calls that are made together come out as if each had been made by itself."""

from __future__ import annotations

from functools import partial

from tahoeish.namespace.catalogue import Catalogue
from tahoeish.namespace.conditions import ANY, UNCONDITIONAL, Conditions
from tahoeish.namespace.entries import Entry, Outcome
from tahoeish.namespace.errors import ConditionFailed, NoSuchEntry, NoSuchParent
from tahoeish.namespace.intent import Writing
from tests.namespace.states import ANN, BOB, content, tree

NEW = Conditions(if_none_match=(ANY,))


def put(*path: str, conditions: Conditions = UNCONDITIONAL) -> partial[Outcome]:
    return partial(Catalogue.put, viewer=ANN, path=path, content=content("/".join(path)), conditions=conditions)


def test_changes_see_those_before_them(catalogue: Catalogue) -> None:
    first, second = catalogue.change_together([put("a", conditions=NEW), put("a")])
    assert (first.created, second.created) == (True, False)


def test_one_that_is_refused_leaves_the_others_alone(catalogue: Catalogue) -> None:
    made, refused, also_made, lost = catalogue.change_together(
        [put("a"), put("a", conditions=NEW), put("b"), put("nowhere", "c")]
    )
    assert made.created and also_made.created
    assert isinstance(refused, ConditionFailed) and isinstance(lost, NoSuchParent)
    assert tree(catalogue, ANN) == {"a": "URI:CHK:a", "b": "URI:CHK:b"}


def test_looks_answer_each_for_itself(catalogue: Catalogue) -> None:
    catalogue.put(ANN, ("a",), content("a"))
    there, missing = catalogue.look_together([partial(Catalogue.find, viewer=ANN, path=(name,)) for name in ("a", "b")])
    assert isinstance(there, Entry) and isinstance(missing, NoSuchEntry)


def test_who_looks_for_the_first_time_may_come_with_others(catalogue: Catalogue) -> None:
    checking = [
        partial(Catalogue.check, viewer=viewer, path=("a",), conditions=UNCONDITIONAL, intent=Writing(1))
        for viewer in (ANN, BOB)
    ]
    assert catalogue.look_together(checking) == [None, None]
