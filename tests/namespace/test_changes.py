"""Names come, go, and stand for something else."""

from __future__ import annotations

import pytest

from tahoeish.namespace.catalogue import Catalogue
from tahoeish.namespace.conditions import ANY, Conditions
from tahoeish.namespace.database import Database
from tahoeish.namespace.entries import Content, Kind
from tahoeish.namespace.errors import (
    AlreadyExists,
    ConditionFailed,
    Forbidden,
    IntoItself,
    IsAFolder,
    NoSuchEntry,
    NoSuchParent,
    NotAFolder,
)
from tahoeish.namespace.intent import Reading, Writing
from tahoeish.namespace.names import Path
from tahoeish.namespace.properties import RemoveProperty, SetProperty
from tests.namespace.conftest import Clock
from tests.namespace.states import ANN, BOB, assert_sound, content, tree


def test_the_top_of_a_tree_is_there_before_anything_is_in_it(catalogue: Catalogue) -> None:
    top = catalogue.find(ANN, ())
    assert (top.kind, top.name, top.owner, top.path, top.size) == (Kind.FOLDER, "", "ann", (), 0)
    assert catalogue.children(ANN, ()) == []


def test_a_file_is_found_as_it_was_put(catalogue: Catalogue, clock: Clock) -> None:
    catalogue.make_folder(ANN, ("letters",))
    outcome = catalogue.put(ANN, ("letters", "one"), content("1"), modified=12.5)
    found = catalogue.find(ANN, ("letters", "one"))
    assert outcome.created and outcome.entry == found
    assert (found.name, found.kind, found.content) == ("one", Kind.FILE, content("1"))
    assert (found.created, found.modified) == (clock(), 12.5)
    assert found.parent == catalogue.find(ANN, ("letters",)).id


def test_a_put_without_a_time_is_of_now(catalogue: Catalogue, clock: Clock) -> None:
    assert catalogue.put(ANN, ("one",), content("1")).entry.modified == clock()


def test_two_spellings_are_one_name(catalogue: Catalogue) -> None:
    catalogue.put(ANN, ("Zoe\u0308",), content("1"))
    assert catalogue.find(ANN, ("Zo\u00eb",)).name == "Zo\u00eb"
    assert not catalogue.put(ANN, ("Zo\u00eb",), content("2")).created


def test_case_makes_different_names(catalogue: Catalogue) -> None:
    for name in ("a", "A"):
        assert catalogue.put(ANN, (name,), content(name)).created


def test_members_come_in_the_order_of_their_bytes(catalogue: Catalogue) -> None:
    names = ["b", "B", "a b", "ab", "_", "é", "z", "Ω", "10", "9", "\U0001f600", "\uffee", "ß"]
    for name in names:
        catalogue.put(ANN, (name,), content(name))
    assert list(tree(catalogue, ANN)) == sorted(names, key=str.encode)


def test_a_replaced_file_keeps_its_identity_and_gets_another_tag(catalogue: Catalogue, clock: Clock) -> None:
    before = catalogue.put(ANN, ("one",), content("1", 10)).entry
    clock.advance(5)
    outcome = catalogue.put(ANN, ("one",), content("2", 30))
    assert not outcome.created
    assert (outcome.entry.id, outcome.entry.created) == (before.id, before.created)
    assert outcome.entry.modified == clock()
    assert outcome.entry.etag != before.etag


def test_a_tag_tells_the_content_and_not_the_cap(catalogue: Catalogue) -> None:
    one = catalogue.put(ANN, ("one",), content("same")).entry
    two = catalogue.put(ANN, ("two",), content("same"), modified=1.0).entry
    assert one.etag == two.etag
    assert one.etag[0] == one.etag[-1] == '"'
    assert "same" not in one.etag


def test_a_folder_has_another_tag_when_its_members_change(catalogue: Catalogue) -> None:
    def tag() -> str:
        return catalogue.find(ANN, ("f",)).etag

    seen = [catalogue.make_folder(ANN, ("f",)).etag]
    catalogue.put(ANN, ("f", "a"), content("1"))
    seen.append(tag())
    catalogue.put(ANN, ("f", "a"), content("2"))
    seen.append(tag())
    catalogue.move(ANN, ("f", "a"), ("f", "b"), overwrite=False)
    seen.append(tag())
    catalogue.remove(ANN, ("f", "b"))
    seen.append(tag())
    assert len(set(seen)) == len(seen)


def test_a_folder_is_modified_when_a_name_comes_or_goes(catalogue: Catalogue, clock: Clock) -> None:
    catalogue.make_folder(ANN, ("f",))
    clock.advance(1)
    catalogue.put(ANN, ("f", "a"), content("1"))
    assert catalogue.find(ANN, ("f",)).modified == clock()
    clock.advance(1)
    catalogue.put(ANN, ("f", "a"), content("2"))
    assert catalogue.find(ANN, ("f",)).modified == clock() - 1
    catalogue.remove(ANN, ("f", "a"))
    assert catalogue.find(ANN, ("f",)).modified == clock()


@pytest.mark.parametrize("path", [("f", "file", "x"), ("f", "file", "x", "y")])
def test_who_wants_something_below_a_file_is_told_that_it_is_one(catalogue: Catalogue, path: Path) -> None:
    catalogue.make_folder(ANN, ("f",))
    catalogue.put(ANN, ("f", "file"), content("1"))
    with pytest.raises(NoSuchParent, match=r"^/f/file is a file, not a folder$"):
        catalogue.put(ANN, path, content("1"))
    with pytest.raises(NoSuchParent, match=r"^there is no folder /f/none; make it first$"):
        catalogue.put(ANN, ("f", "none", "x"), content("1"))


def test_nothing_is_made_without_its_parent(catalogue: Catalogue) -> None:
    catalogue.put(ANN, ("file",), content("1"))
    catalogue.make_folder(ANN, ("other",))
    for parent in ("none", "file"):
        with pytest.raises(NoSuchParent):
            catalogue.put(ANN, (parent, "x"), content("1"))
        with pytest.raises(NoSuchParent):
            catalogue.make_folder(ANN, (parent, "x"))
        with pytest.raises(NoSuchParent):
            catalogue.copy(ANN, ("other",), (parent, "x"), overwrite=True)
        with pytest.raises(NoSuchParent):
            catalogue.move(ANN, ("other",), (parent, "x", "y"), overwrite=True)
    assert tree(catalogue, ANN) == {"file": "URI:CHK:1", "other": {}}


def test_a_folder_does_not_become_a_file(catalogue: Catalogue) -> None:
    catalogue.make_folder(ANN, ("f",))
    for path in (("f",), ()):
        with pytest.raises(IsAFolder):
            catalogue.put(ANN, path, content("1"))


def test_a_folder_is_made_once(catalogue: Catalogue) -> None:
    catalogue.make_folder(ANN, ("f",))
    catalogue.put(ANN, ("file",), content("1"))
    for path in (("f",), ("file",), ()):
        with pytest.raises(AlreadyExists):
            catalogue.make_folder(ANN, path)


def test_a_file_has_no_members(catalogue: Catalogue) -> None:
    catalogue.put(ANN, ("file",), content("1"))
    with pytest.raises(NotAFolder):
        catalogue.children(ANN, ("file",))
    with pytest.raises(NoSuchEntry):
        catalogue.find(ANN, ("file", "x"))


def test_what_is_removed_is_gone_with_all_below_it(catalogue: Catalogue, database: Database) -> None:
    catalogue.make_folder(ANN, ("f",))
    catalogue.put(ANN, ("f", "a"), content("1"))
    catalogue.remove(ANN, ("f",))
    for path in (("f",), ("f", "a")):
        with pytest.raises(NoSuchEntry):
            catalogue.find(ANN, path)
    with pytest.raises(NoSuchEntry):
        catalogue.remove(ANN, ("f",))
    assert_sound(database)


def test_the_top_stays_where_it_is(catalogue: Catalogue) -> None:
    catalogue.make_folder(ANN, ("f",))
    with pytest.raises(Forbidden):
        catalogue.remove(ANN, ())
    with pytest.raises(Forbidden):
        catalogue.move(ANN, (), ("f", "x"), overwrite=True)
    with pytest.raises(IntoItself):
        catalogue.copy(ANN, ("f",), (), overwrite=True)


def test_a_moved_folder_takes_everything_along(catalogue: Catalogue, clock: Clock, database: Database) -> None:
    catalogue.make_folder(ANN, ("f",))
    catalogue.make_folder(ANN, ("g",))
    catalogue.put(ANN, ("f", "a"), content("1"))
    catalogue.change_properties(ANN, ("f",), [SetProperty(("n:", "p"), "<p/>")])
    before = catalogue.find(ANN, ("f",))
    clock.advance(1)
    outcome = catalogue.move(ANN, ("f",), ("g", "h"), overwrite=False)
    assert outcome.created
    assert (outcome.entry.id, outcome.entry.modified) == (before.id, before.modified)
    assert tree(catalogue, ANN) == {"g": {"h": {"a": "URI:CHK:1"}}}
    assert catalogue.properties(ANN, [outcome.entry]) == {before.id: {("n:", "p"): "<p/>"}}
    assert_sound(database)


def test_a_copied_folder_is_another_one(catalogue: Catalogue, clock: Clock, database: Database) -> None:
    catalogue.make_folder(ANN, ("f",))
    catalogue.make_folder(ANN, ("f", "inner"))
    catalogue.put(ANN, ("f", "inner", "a"), content("1"), modified=7.0)
    catalogue.change_properties(ANN, ("f",), [SetProperty(("n:", "p"), "<p/>")])
    catalogue.change_properties(ANN, ("f", "inner", "a"), [SetProperty(("n:", "p"), "<q/>")])
    clock.advance(1)
    outcome = catalogue.copy(ANN, ("f",), ("g",), overwrite=False)
    catalogue.remove(ANN, ("f", "inner", "a"))
    assert tree(catalogue, ANN) == {"f": {"inner": {}}, "g": {"inner": {"a": "URI:CHK:1"}}}
    copied = catalogue.find(ANN, ("g", "inner", "a"))
    assert (copied.modified, copied.created, copied.content) == (7.0, clock(), content("1"))
    assert catalogue.properties(ANN, [outcome.entry, copied]) == {
        outcome.entry.id: {("n:", "p"): "<p/>"},
        copied.id: {("n:", "p"): "<q/>"},
    }
    assert_sound(database)


def test_a_shallow_copy_is_only_the_folder(catalogue: Catalogue) -> None:
    catalogue.make_folder(ANN, ("f",))
    catalogue.put(ANN, ("f", "a"), content("1"))
    catalogue.change_properties(ANN, ("f",), [SetProperty(("n:", "p"), "<p/>")])
    copied = catalogue.copy(ANN, ("f",), ("f", "g"), overwrite=False, shallow=True).entry
    assert tree(catalogue, ANN) == {"f": {"a": "URI:CHK:1", "g": {}}}
    assert catalogue.properties(ANN, [copied]) == {copied.id: {("n:", "p"): "<p/>"}}


@pytest.mark.parametrize("what", ["copy", "move"])
def test_what_is_overwritten_is_replaced_not_merged(catalogue: Catalogue, database: Database, what: str) -> None:
    for name in ("f", "g"):
        catalogue.make_folder(ANN, (name,))
        catalogue.put(ANN, (name, name), content(name))
    act = catalogue.copy if what == "copy" else catalogue.move
    with pytest.raises(AlreadyExists):
        act(ANN, ("f",), ("g",), overwrite=False)
    assert not act(ANN, ("f",), ("g",), overwrite=True, modified=3.0).created
    assert tree(catalogue, ANN, ("g",)) == {"f": "URI:CHK:f"}
    assert catalogue.find(ANN, ("g",)).modified == 3.0
    assert_sound(database)


@pytest.mark.parametrize("what", ["copy", "move"])
def test_a_file_takes_a_folders_place_and_the_other_way_round(catalogue: Catalogue, what: str) -> None:
    catalogue.make_folder(ANN, ("f",))
    catalogue.make_folder(ANN, ("g",))
    catalogue.put(ANN, ("a",), content("1"))
    act = catalogue.copy if what == "copy" else catalogue.move
    act(ANN, ("a",), ("f",), overwrite=True)
    act(ANN, ("g",), ("f",), overwrite=True)
    assert tree(catalogue, ANN, ("f",)) == {}


@pytest.mark.parametrize("what", ["copy", "move"])
def test_nothing_goes_into_itself(catalogue: Catalogue, what: str) -> None:
    catalogue.make_folder(ANN, ("f",))
    catalogue.make_folder(ANN, ("f", "g"))
    act = catalogue.copy if what == "copy" else catalogue.move
    for source, destination in [
        (("f",), ("f",)),
        (("f",), ("f", "g", "h")),
        (("f", "g"), ("f",)),
        (("f",), ("f", "x")),
    ]:
        with pytest.raises(IntoItself):
            act(ANN, source, destination, overwrite=True)
    assert tree(catalogue, ANN) == {"f": {"g": {}}}


def test_conditions_decide_in_the_transaction_that_changes(catalogue: Catalogue) -> None:
    one = catalogue.put(ANN, ("one",), content("1"), conditions=Conditions(if_none_match=(ANY,))).entry
    with pytest.raises(ConditionFailed):
        catalogue.put(ANN, ("one",), content("2"), conditions=Conditions(if_none_match=(ANY,)))
    with pytest.raises(ConditionFailed):
        catalogue.put(ANN, ("two",), content("2"), conditions=Conditions(if_match=(ANY,)))
    two = catalogue.put(ANN, ("one",), content("2"), conditions=Conditions(if_match=('"x"', one.etag))).entry
    stale = Conditions(if_match=(one.etag,))
    for refused in (
        lambda: catalogue.put(ANN, ("one",), content("3"), conditions=stale),
        lambda: catalogue.remove(ANN, ("one",), stale),
        lambda: catalogue.move(ANN, ("one",), ("x",), overwrite=True, conditions=stale),
        lambda: catalogue.copy(ANN, ("one",), ("x",), overwrite=True, conditions=stale),
        lambda: catalogue.change_properties(ANN, ("one",), [SetProperty(("", "p"), "<p/>")], stale),
    ):
        with pytest.raises(ConditionFailed):
            refused()
    assert catalogue.find(ANN, ("one",)) == two


def test_a_check_tells_what_a_request_would(catalogue: Catalogue) -> None:
    assert catalogue.check(ANN, ("one",), Conditions(), Writing(5)) is None
    with pytest.raises(NoSuchEntry):
        catalogue.check(ANN, ("one",), Conditions(), Reading())
    with pytest.raises(NoSuchParent):
        catalogue.check(ANN, ("f", "one"), Conditions(), Writing())
    with pytest.raises(IsAFolder):
        catalogue.check(ANN, (), Conditions(), Writing())
    one = catalogue.put(ANN, ("one",), content("1")).entry
    assert catalogue.check(ANN, ("one",), Conditions(if_match=(one.etag,)), Writing()) == one
    with pytest.raises(ConditionFailed):
        catalogue.check(ANN, ("one",), Conditions(if_none_match=(one.etag,)), Reading())
    assert tree(catalogue, ANN) == {"one": "URI:CHK:1"}


def test_properties_are_kept_verbatim_and_changed_in_order(catalogue: Catalogue) -> None:
    entry = catalogue.put(ANN, ("one",), content("1")).entry
    value = '<x:p xmlns:x="n:" xml:lang="de">  \U00010000 <y xmlns=""/></x:p>'
    catalogue.change_properties(
        ANN,
        ("one",),
        [
            SetProperty(("n:", "p"), "<old/>"),
            SetProperty(("n:", "p"), value),
            SetProperty(("", "p"), "<p/>"),
            SetProperty(("n:", "gone"), "<gone/>"),
            RemoveProperty(("n:", "gone")),
            RemoveProperty(("n:", "back")),
            SetProperty(("n:", "back"), "<back/>"),
            RemoveProperty(("n:", "never")),
        ],
        modified=4.0,
    )
    expected = {("n:", "p"): value, ("", "p"): "<p/>", ("n:", "back"): "<back/>"}
    assert catalogue.properties(ANN, [entry]) == {entry.id: expected}
    assert catalogue.find(ANN, ("one",)).modified == 4.0
    catalogue.put(ANN, ("one",), content("2"))
    assert catalogue.properties(ANN, [entry]) == {entry.id: expected}
    catalogue.change_properties(ANN, ("one",), [RemoveProperty(("n:", "p")), RemoveProperty(("", "p"))])
    assert catalogue.properties(ANN, [entry]) == {entry.id: {("n:", "back"): "<back/>"}}


def test_users_have_trees_of_their_own(catalogue: Catalogue) -> None:
    catalogue.put(ANN, ("one",), content("1"))
    assert tree(catalogue, BOB) == {}


def test_a_content_needs_neither_type_nor_checksums(catalogue: Catalogue) -> None:
    bare = Content("URI:CHK:x", 2**40)
    catalogue.put(ANN, ("one",), bare)
    assert catalogue.find(ANN, ("one",)).content == bare
