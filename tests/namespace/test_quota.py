"""Nobody stores more than their quota, and what they store is counted right."""

from __future__ import annotations

import pytest

from tahoeish.namespace.catalogue import Catalogue
from tahoeish.namespace.conditions import Conditions
from tahoeish.namespace.database import Database
from tahoeish.namespace.entries import Usage
from tahoeish.namespace.errors import NoSuchUser, OverQuota
from tahoeish.namespace.intent import Writing
from tests.namespace.states import ANN, BOB, assert_sound, content, tree

pytestmark = pytest.mark.usefixtures("users")


def test_without_a_quota_there_is_no_bound(catalogue: Catalogue) -> None:
    catalogue.put(ANN, ("a",), content("1", 2**45))
    assert catalogue.usage(ANN, ()) == Usage(2**45, None)


def test_what_is_used_and_free_is_told(catalogue: Catalogue) -> None:
    catalogue.set_quota("ann", 1000)
    catalogue.make_folder(ANN, ("f",))
    catalogue.put(ANN, ("f", "a"), content("1", 300))
    assert catalogue.usage(ANN, ("f",)) == Usage(300, 700)
    catalogue.put(ANN, ("f", "a"), content("2", 50))
    assert catalogue.usage(ANN, ()) == Usage(50, 950)
    catalogue.set_quota("ann", 20)
    assert catalogue.usage(ANN, ()) == Usage(50, 0)
    catalogue.set_quota("ann", None)
    assert catalogue.usage(ANN, ()) == Usage(50, None)


def test_a_folder_knows_the_size_of_all_below_it(catalogue: Catalogue, database: Database) -> None:
    catalogue.make_folder(ANN, ("f",))
    catalogue.make_folder(ANN, ("f", "g"))
    catalogue.put(ANN, ("f", "g", "a"), content("1", 30))
    catalogue.put(ANN, ("f", "b"), content("1", 4))
    assert [catalogue.find(ANN, path).size for path in [(), ("f",), ("f", "g")]] == [34, 34, 30]
    assert_sound(database)


def test_what_does_not_fit_is_refused_and_changes_nothing(catalogue: Catalogue, database: Database) -> None:
    catalogue.set_quota("ann", 100)
    catalogue.make_folder(ANN, ("f",))
    catalogue.put(ANN, ("f", "a"), content("1", 60))
    for refused in (
        lambda: catalogue.put(ANN, ("b",), content("2", 41)),
        lambda: catalogue.put(ANN, ("f", "a"), content("2", 101)),
        lambda: catalogue.check(ANN, ("b",), Conditions(), Writing(41)),
        lambda: catalogue.copy(ANN, ("f",), ("g",), overwrite=False),
        lambda: catalogue.copy(ANN, ("f", "a"), ("b",), overwrite=False),
    ):
        with pytest.raises(OverQuota, match="ann has a quota of 100 bytes, of which 60 are used") as refusal:
            refused()
        assert refusal.value.available == 40
    assert tree(catalogue, ANN) == {"f": {"a": "URI:CHK:1"}}
    catalogue.check(ANN, ("b",), Conditions(), Writing(40))
    catalogue.check(ANN, ("f", "a"), Conditions(), Writing(100))
    catalogue.check(ANN, ("b",), Conditions(), Writing())
    catalogue.put(ANN, ("f", "a"), content("2", 100))
    catalogue.move(ANN, ("f",), ("g",), overwrite=False)
    catalogue.copy(ANN, ("g",), ("f",), overwrite=False, shallow=True)
    assert_sound(database)


def test_whoever_is_over_quota_can_still_shrink(catalogue: Catalogue) -> None:
    catalogue.put(ANN, ("a",), content("1", 100))
    catalogue.set_quota("ann", 10)
    catalogue.put(ANN, ("a",), content("2", 90))
    catalogue.make_folder(ANN, ("f",))
    catalogue.remove(ANN, ("a",))
    assert catalogue.usage(ANN, ()) == Usage(0, 10)


def test_versions_do_not_count_until_they_are_restored(catalogue: Catalogue) -> None:
    catalogue.set_quota("ann", 100)
    catalogue.put(ANN, ("a",), content("1", 90))
    catalogue.put(ANN, ("a",), content("2", 20))
    catalogue.put(ANN, ("b",), content("3", 80))
    (version,) = catalogue.versions(ANN, ("a",))
    with pytest.raises(OverQuota):
        catalogue.restore(ANN, ("a",), version.id)
    assert len(catalogue.versions(ANN, ("a",))) == 1
    catalogue.remove(ANN, ("b",))
    catalogue.restore(ANN, ("a",), version.id)
    assert catalogue.usage(ANN, ()).used == 90


def test_what_is_put_into_a_share_counts_against_its_owner(catalogue: Catalogue) -> None:
    catalogue.set_quota("ann", 100)
    catalogue.set_quota("bob", 10)
    catalogue.make_folder(ANN, ("f",))
    catalogue.share(ANN, ("f",), "bob", "f", writable=True)
    catalogue.put(BOB, ("@ann", "f", "a"), content("1", 100))
    with pytest.raises(OverQuota, match="ann has a quota"):
        catalogue.put(BOB, ("@ann", "f", "b"), content("1", 1))
    for act in (catalogue.move, catalogue.copy):
        with pytest.raises(OverQuota, match="bob has a quota of 10 bytes"):
            act(BOB, ("@ann", "f", "a"), ("a",), overwrite=False)
    assert catalogue.usage(BOB, ("@ann",)) == Usage(100, 0)
    assert catalogue.usage(BOB, ()) == Usage(0, 10)


def test_only_users_have_a_quota(catalogue: Catalogue) -> None:
    with pytest.raises(NoSuchUser):
        catalogue.set_quota("nobody", 5)
