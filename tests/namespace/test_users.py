"""Users come and go, and what is theirs stays or goes with them."""

from __future__ import annotations

import pytest

from tahoeish.namespace.catalogue import Catalogue
from tahoeish.namespace.database import Database
from tahoeish.namespace.entries import Content
from tahoeish.namespace.errors import Forbidden, NoSuchEntry, NoSuchUser
from tahoeish.namespace.users import BadUserName, HasFiles, UserExists, Users, checked_name
from tahoeish.namespace.viewer import LOCAL, Viewer
from tests.namespace.conftest import Clock

FILE = Content("URI:LIT:me", 1)
ALICE, BOB = Viewer("alice"), Viewer("bob")


@pytest.fixture
def people(database: Database, clock: Clock) -> Users:
    return Users(database, clock)


def test_at_first_there_are_none(people: Users) -> None:
    assert not people.there_are_any()
    assert people.all() == [] and people.find("alice") is None


def test_who_was_added_is_there(people: Users, clock: Clock) -> None:
    people.add("bob", "hash of bob", quota=100)
    people.add("alice", None)
    alice, bob = people.all()
    assert (alice.name, alice.password_hash, alice.quota, alice.disabled, alice.used) == ("alice", None, None, False, 0)
    assert (bob.name, bob.password_hash, bob.quota, bob.created) == ("bob", "hash of bob", 100, clock())
    assert people.find("bob") == bob and people.there_are_any()


def test_nobody_is_added_twice(people: Users) -> None:
    people.add("alice", "hash")
    with pytest.raises(UserExists, match="user passwd alice"):
        people.add("alice", "other")
    found = people.find("alice")
    assert found is not None and found.password_hash == "hash"


def test_only_those_who_were_made_operators_are(people: Users) -> None:
    people.add("alice", None, operator=True)
    people.add("bob", None)
    assert [(user.name, user.operator) for user in people.all()] == [("alice", True), ("bob", False)]
    people.set_operator("bob", True)
    people.set_operator("alice", False)
    assert people.is_operator("bob") and not people.is_operator("alice") and not people.is_operator("carol")
    people.remove("bob", keep_files=True)
    assert not people.is_operator("bob")
    people.add("bob", None)
    assert not people.is_operator("bob"), "who comes back is what they are made now"
    with pytest.raises(NoSuchUser):
        people.set_operator("carol", True)


def test_without_users_whoever_is_here_is_the_operator(people: Users) -> None:
    assert people.is_operator(LOCAL)


@pytest.mark.parametrize("had_something", [True, False])
def test_whoever_was_here_before_there_were_users_starts_no_tree_beside_theirs(
    people: Users, catalogue: Catalogue, had_something: bool
) -> None:
    local = Viewer(LOCAL)
    if had_something:
        catalogue.put(local, ("a",), FILE)
    people.add("alice", None)
    with pytest.raises(Forbidden, match="by now this node has users"):
        catalogue.put(local, ("b",), FILE)
    with pytest.raises(Forbidden, match="by now this node has users"):
        catalogue.find(local, ())
    assert [entry.name for entry in catalogue.children(ALICE, ())] == ["a"] * had_something


def test_the_first_user_takes_over_what_was_stored_before(people: Users, catalogue: Catalogue) -> None:
    catalogue.put(Viewer(LOCAL), ("file",), FILE)
    assert people.add("alice", None) is True
    assert people.add("bob", None) is False
    assert catalogue.find(ALICE, ("file",)).owner == "alice"
    with pytest.raises(NoSuchEntry):
        catalogue.find(BOB, ("file",))


def test_a_password_can_be_changed(people: Users) -> None:
    people.add("alice", "hash")
    people.set_password("alice", "other")
    found = people.find("alice")
    assert found is not None and found.password_hash == "other"
    with pytest.raises(NoSuchUser):
        people.set_password("bob", "hash")


def test_a_hash_is_not_shown(people: Users) -> None:
    people.add("alice", "hash of alice")
    assert "hash of" not in repr(people.find("alice"))


def test_who_has_nothing_is_simply_removed(people: Users) -> None:
    people.add("alice", None)
    people.add("bob", None)
    assert people.remove("bob") is True
    assert people.find("bob") is None
    assert people.remove("alice") is False
    with pytest.raises(NoSuchUser):
        people.remove("alice")


def test_who_has_files_is_removed_only_with_a_word_about_them(people: Users, catalogue: Catalogue) -> None:
    people.add("alice", None)
    catalogue.put(ALICE, ("empty",), Content("URI:LIT:", 0))
    with pytest.raises(HasFiles, match="--keep-files"):
        people.remove("alice")
    assert people.find("alice") is not None


def test_kept_files_stay_also_for_others_and_come_back(people: Users, catalogue: Catalogue) -> None:
    people.add("alice", "hash")
    people.add("bob", None)
    catalogue.make_folder(ALICE, ("folder",))
    catalogue.put(ALICE, ("folder", "file"), FILE)
    catalogue.share(ALICE, ("folder",), "bob", "shared", writable=False)

    people.remove("alice", keep_files=True)

    alice = people.find("alice")
    assert alice is not None and alice.disabled and alice.password_hash is None and alice.used == 1
    assert catalogue.find(BOB, ("@alice", "shared", "file")).content == FILE
    with pytest.raises(NoSuchUser):
        people.set_password("alice", "hash")
    assert people.add("alice", "new hash", quota=5) is False
    alice = people.find("alice")
    assert alice is not None and not alice.disabled and (alice.password_hash, alice.quota) == ("new hash", 5)
    assert catalogue.find(ALICE, ("folder", "file")).content == FILE


def test_whoever_shuts_everybody_out_does_not_let_everybody_in(people: Users) -> None:
    people.add("alice", None)
    assert people.remove("alice", keep_files=True) is True
    assert people.there_are_any()


def test_deleted_files_are_gone_also_for_others(people: Users, catalogue: Catalogue) -> None:
    people.add("alice", None)
    people.add("bob", None)
    catalogue.make_folder(ALICE, ("folder",))
    catalogue.put(ALICE, ("folder", "file"), FILE)
    catalogue.share(ALICE, ("folder",), "bob", "shared", writable=False)

    people.remove("alice", keep_files=False)

    assert people.find("alice") is None
    with pytest.raises(NoSuchEntry):
        catalogue.find(BOB, ("@alice", "shared", "file"))
    people.add("alice", None)
    assert catalogue.children(ALICE, ()) == []


@pytest.mark.parametrize("name", ["alice", "Alice", "a", "alice@example.net", "j.r-r_t+1", "Ju\u0308rgen", "7"])
def test_a_name_can_be(name: str) -> None:
    assert checked_name(name) == name.replace("u\u0308", "\u00fc")


@pytest.mark.parametrize(
    "name", ["", "@alice", ".", "..", "-a", "a b", "a/b", "a:b", "DOM\\a", "a\n", "a\0", "x" * 65, LOCAL, "\ud800"]
)
def test_a_name_can_not_be(name: str) -> None:
    with pytest.raises(BadUserName):
        checked_name(name)
