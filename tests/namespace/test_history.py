"""What a name stood for before can be had back, until it is purged."""

from __future__ import annotations

import pytest

from tahoeish.namespace.catalogue import Catalogue
from tahoeish.namespace.conditions import ANY, Conditions
from tahoeish.namespace.database import Database
from tahoeish.namespace.entries import NOTHING, Kind
from tahoeish.namespace.errors import ConditionFailed, Forbidden, Locked, NoSuchParent, NoSuchVersion
from tahoeish.namespace.locks import Depth, LockWish, Scope
from tahoeish.namespace.properties import SetProperty
from tests.namespace.conftest import Clock
from tests.namespace.states import ANN, BOB, assert_sound, content, tree


def test_what_was_replaced_is_a_version(catalogue: Catalogue, clock: Clock) -> None:
    for number in range(3):
        clock.advance(1)
        catalogue.put(ANN, ("a",), content(f"{number}"), modified=float(number))
    versions = catalogue.versions(ANN, ("a",))
    assert [(one.content, one.modified, one.replaced) for one in versions] == [
        (content("1"), 1.0, clock()),
        (content("0"), 0.0, clock() - 1),
    ]
    assert {(one.name, one.kind) for one in versions} == {("a", Kind.FILE)}
    assert catalogue.versions(ANN, ("a",), limit=1) == versions[:1]


def test_an_old_content_comes_back(catalogue: Catalogue, database: Database, clock: Clock) -> None:
    before = catalogue.put(ANN, ("a",), content("1", 10), modified=5.0).entry
    catalogue.change_properties(ANN, ("a",), [SetProperty(("", "p"), "<p/>")])
    catalogue.put(ANN, ("a",), content("2", 20))
    (version,) = catalogue.versions(ANN, ("a",))
    outcome = catalogue.restore(ANN, ("a",), version.id)
    assert not outcome.created
    assert (outcome.entry.id, outcome.entry.content, outcome.entry.modified) == (before.id, content("1", 10), 5.0)
    assert catalogue.properties(ANN, [before]) == {before.id: {("", "p"): "<p/>"}}
    assert [one.content for one in catalogue.versions(ANN, ("a",))] == [content("2", 20)]
    assert catalogue.usage(ANN, ()).used == 10
    with pytest.raises(NoSuchVersion):
        catalogue.restore(ANN, ("a",), version.id)
    assert_sound(database)


def test_a_removed_folder_comes_back_as_it_was(catalogue: Catalogue, database: Database) -> None:
    catalogue.make_folder(ANN, ("f",))
    catalogue.put(ANN, ("f", "a"), content("1"))
    catalogue.put(ANN, ("f", "a"), content("2"))
    catalogue.change_properties(ANN, ("f", "a"), [SetProperty(("", "p"), "<p/>")])
    before = catalogue.find(ANN, ("f", "a"))
    catalogue.remove(ANN, ("f",))
    assert catalogue.usage(ANN, ()).used == 0
    (version,) = catalogue.versions(ANN, ("f",))
    assert (version.kind, version.content, version.size) == (Kind.FOLDER, None, 100)
    assert catalogue.restore(ANN, ("f",), version.id).created
    assert catalogue.find(ANN, ("f", "a")) == before
    assert catalogue.properties(ANN, [before]) == {before.id: {("", "p"): "<p/>"}}
    assert [one.content for one in catalogue.versions(ANN, ("f", "a"))] == [content("1")]
    assert catalogue.usage(ANN, ()).used == 100
    assert_sound(database)


def test_what_is_in_the_way_of_a_version_becomes_one(catalogue: Catalogue, database: Database) -> None:
    catalogue.make_folder(ANN, ("f",))
    catalogue.put(ANN, ("f", "a"), content("1"))
    catalogue.remove(ANN, ("f",))
    catalogue.put(ANN, ("f",), content("2", 7))
    (version,) = catalogue.versions(ANN, ("f",))
    assert not catalogue.restore(ANN, ("f",), version.id).created
    assert tree(catalogue, ANN) == {"f": {"a": "URI:CHK:1"}}
    (version,) = catalogue.versions(ANN, ("f",))
    catalogue.restore(ANN, ("f",), version.id)
    assert tree(catalogue, ANN) == {"f": "URI:CHK:2"}
    assert_sound(database)


def test_the_client_that_deletes_after_a_failed_overwrite_loses_nothing(catalogue: Catalogue) -> None:
    catalogue.put(ANN, ("a",), content("precious"))
    catalogue.remove(ANN, ("a",))
    assert [one.content for one in catalogue.versions(ANN, ("a",))] == [content("precious")]
    assert [(one.name, one.content) for one in catalogue.removed(ANN, ())] == [("a", content("precious"))]


def test_of_removed_names_the_newest_is_listed(catalogue: Catalogue) -> None:
    for name in ("b", "a", "c"):
        catalogue.put(ANN, (name,), content(name + "1"))
        catalogue.put(ANN, (name,), content(name + "2"))
    catalogue.remove(ANN, ("b",))
    catalogue.remove(ANN, ("a",))
    assert [one.content for one in catalogue.removed(ANN, ())] == [content("a2"), content("b2")]
    assert len(catalogue.removed(ANN, (), limit=1)) == 1
    catalogue.put(ANN, ("a",), content("a3"))
    assert [one.name for one in catalogue.removed(ANN, ())] == ["b"]


@pytest.mark.parametrize("what", ["copy", "move"])
def test_what_was_overwritten_is_a_version(catalogue: Catalogue, what: str) -> None:
    catalogue.put(ANN, ("a",), content("a"))
    catalogue.put(ANN, ("b",), content("b"))
    act = catalogue.copy if what == "copy" else catalogue.move
    act(ANN, ("a",), ("b",), overwrite=True)
    assert [one.content for one in catalogue.versions(ANN, ("b",))] == [content("b")]
    assert catalogue.versions(ANN, ("a",)) == []


def test_nothing_is_kept_of_an_empty_file_or_the_same_again(catalogue: Catalogue) -> None:
    catalogue.put(ANN, ("a",), NOTHING)
    catalogue.put(ANN, ("a",), content("1"))
    catalogue.put(ANN, ("a",), content("1"))
    assert catalogue.versions(ANN, ("a",)) == []


def test_versions_stay_with_the_name_in_its_folder(catalogue: Catalogue) -> None:
    catalogue.make_folder(ANN, ("f",))
    catalogue.put(ANN, ("f", "a"), content("1"))
    catalogue.put(ANN, ("f", "a"), content("2"))
    catalogue.move(ANN, ("f",), ("g",), overwrite=False)
    (version,) = catalogue.versions(ANN, ("g", "a"))
    catalogue.put(ANN, ("b",), content("3"))
    for path in [("b",), ("g", "b")]:
        with pytest.raises(NoSuchVersion):
            catalogue.restore(ANN, path, version.id)
    with pytest.raises(NoSuchVersion):
        catalogue.restore(BOB, ("a",), version.id)
    with pytest.raises(NoSuchParent):
        catalogue.versions(ANN, ("f", "a"))
    with pytest.raises(Forbidden):
        catalogue.restore(ANN, (), version.id)
    assert catalogue.versions(ANN, ()) == []


def test_conditions_and_locks_hold_for_a_restore_too(catalogue: Catalogue) -> None:
    catalogue.put(ANN, ("a",), content("1"))
    catalogue.put(ANN, ("a",), content("2"))
    (version,) = catalogue.versions(ANN, ("a",))
    with pytest.raises(ConditionFailed):
        catalogue.restore(ANN, ("a",), version.id, Conditions(if_none_match=(ANY,)))
    catalogue.lock(ANN, ("a",), LockWish(Scope.EXCLUSIVE, Depth.ZERO, None, None))
    with pytest.raises(Locked):
        catalogue.restore(ANN, ("a",), version.id)


def test_a_purge_takes_what_is_older_in_small_steps(catalogue: Catalogue, database: Database, clock: Clock) -> None:
    catalogue.make_folder(ANN, ("f",))
    catalogue.make_folder(ANN, ("f", "g"))
    for number in range(5):
        catalogue.put(ANN, ("f", f"{number}"), content("old"))
        catalogue.put(ANN, ("f", f"{number}"), content("new"))
        catalogue.put(ANN, ("f", "g", f"{number}"), content("x"))
    catalogue.put(ANN, ("a",), content("1"))
    catalogue.remove(ANN, ("f",))
    clock.advance(10)
    catalogue.put(ANN, ("a",), content("2"))
    steps = 0
    while step := catalogue.purge(older_than=clock(), limit=3):
        assert step <= 3
        assert_sound(database)
        steps += step
    # Two folders, five files in each, and five versions; each folder in a folder is met twice.
    assert steps == 18
    assert [one.content for one in catalogue.versions(ANN, ("a",))] == [content("1")]
    assert catalogue.removed(ANN, ()) == []
    assert tree(catalogue, ANN) == {"a": "URI:CHK:2"}


def test_half_a_folder_is_not_restored(catalogue: Catalogue, clock: Clock) -> None:
    catalogue.make_folder(ANN, ("f",))
    for number in range(5):
        catalogue.put(ANN, ("f", f"{number}"), content("1"))
    catalogue.remove(ANN, ("f",))
    (version,) = catalogue.versions(ANN, ("f",))
    assert catalogue.purge(older_than=clock() + 1, limit=3) == 3
    assert catalogue.versions(ANN, ("f",)) == []
    with pytest.raises(NoSuchVersion):
        catalogue.restore(ANN, ("f",), version.id)


def test_a_purge_leaves_what_is_younger(catalogue: Catalogue, clock: Clock) -> None:
    catalogue.put(ANN, ("a",), content("1"))
    catalogue.remove(ANN, ("a",))
    assert catalogue.purge(older_than=clock()) == 0
    assert len(catalogue.versions(ANN, ("a",))) == 1
    assert catalogue.purge(older_than=clock() + 1) == 1
    assert catalogue.versions(ANN, ("a",)) == []


def test_a_purge_clears_away_locks_that_have_run_out(catalogue: Catalogue, database: Database, clock: Clock) -> None:
    catalogue.lock(ANN, ("a",), LockWish(Scope.EXCLUSIVE, Depth.ZERO, None, 10))
    clock.advance(10)
    catalogue.purge(older_than=0.0)
    clock.advance(-10)
    assert catalogue.all_locks() == []
