"""What is shared between users is what was shared, and nothing else."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from tahoeish.namespace.catalogue import Catalogue
from tahoeish.namespace.conditions import ConditionList, Conditions, HasTag
from tahoeish.namespace.database import Database
from tahoeish.namespace.errors import (
    AlreadyExists,
    BadName,
    ConditionFailed,
    Forbidden,
    NoSuchEntry,
    NoSuchShare,
    NoSuchUser,
    NotAFolder,
)
from tahoeish.namespace.intent import Reading, Writing
from tahoeish.namespace.locks import Depth, LockWish, Scope
from tahoeish.namespace.names import Path
from tahoeish.namespace.properties import SetProperty
from tahoeish.namespace.shares import Share
from tahoeish.namespace.trees import discard, hand_over
from tahoeish.namespace.viewer import Viewer
from tests.namespace.states import ANN, BOB, CAROL, assert_sound, content, tree

WISH = LockWish(Scope.SHARED, Depth.ZERO, None, 60)

pytestmark = pytest.mark.usefixtures("users", "folders")


@pytest.fixture
def folders(catalogue: Catalogue, users: list[str]) -> None:
    """Ann has /secret, /open/in/a and /open/b; Bob and Carol have a file each."""
    for path in [("open",), ("open", "in")]:
        catalogue.make_folder(ANN, path)
    for path in [("secret",), ("open", "in", "a"), ("open", "b")]:
        catalogue.put(ANN, path, content(path[-1]))
    for viewer in (BOB, CAROL):
        catalogue.put(viewer, ("own",), content(viewer.user))


def reading(catalogue: Catalogue, viewer: Viewer, path: Path) -> list[Callable[[], object]]:
    return [
        lambda: catalogue.find(viewer, path),
        lambda: catalogue.children(viewer, path),
        lambda: catalogue.check(viewer, path, Conditions(), Reading()),
        lambda: catalogue.usage(viewer, path),
        lambda: catalogue.copy(viewer, path, ("taken",), overwrite=True),
        lambda: catalogue.copy(viewer, path, ("taken",), overwrite=True, shallow=True),
    ]


def remembering(catalogue: Catalogue, viewer: Viewer, path: Path) -> list[Callable[[], object]]:
    return [lambda: catalogue.versions(viewer, path), lambda: catalogue.removed(viewer, path)]


def writing(catalogue: Catalogue, viewer: Viewer, path: Path) -> list[Callable[[], object]]:
    return [
        lambda: catalogue.put(viewer, path, content("x")),
        lambda: catalogue.check(viewer, path, Conditions(), Writing()),
        lambda: catalogue.make_folder(viewer, path),
        lambda: catalogue.remove(viewer, path),
        lambda: catalogue.copy(viewer, ("own",), path, overwrite=True),
        lambda: catalogue.move(viewer, ("own",), path, overwrite=True),
        lambda: catalogue.move(viewer, path, ("taken",), overwrite=True),
        lambda: catalogue.change_properties(viewer, path, [SetProperty(("", "p"), "<p/>")]),
        lambda: catalogue.lock(viewer, path, WISH),
        lambda: catalogue.refresh(viewer, path, Conditions(), None),
        lambda: catalogue.unlock(viewer, path, "urn:uuid:x"),
        lambda: catalogue.restore(viewer, path, 1),
    ]


def walk(catalogue: Catalogue, viewer: Viewer, path: Path) -> list[Callable[[], object]]:
    return [
        *reading(catalogue, viewer, path),
        *remembering(catalogue, viewer, path),
        *writing(catalogue, viewer, path),
        lambda: catalogue.share(viewer, path, "bob", "x", writable=True),
        lambda: catalogue.share(viewer, path, "carol", "x", writable=True),
    ]


NEIGHBOURS = [
    ("@ann",),
    ("@ann", "secret"),
    ("@ann", "open"),
    ("@ann", "open", "in", "a"),
    ("@ann", "new"),
    ("@nobody",),
    ("@nobody", "x"),
    ("@",),
    ("@", "x"),
]


@pytest.mark.parametrize("path", NEIGHBOURS)
def test_nothing_of_a_neighbour_can_be_reached(catalogue: Catalogue, database: Database, path: Path) -> None:
    before = tree(catalogue, ANN), tree(catalogue, BOB)
    for attempt in walk(catalogue, BOB, path):
        with pytest.raises((NoSuchEntry, Forbidden)):
            attempt()
    assert (tree(catalogue, ANN), tree(catalogue, BOB)) == before
    assert catalogue.all_locks() == []
    assert_sound(database)


@pytest.mark.parametrize(
    "path", [("@ann", "theirs"), ("@ann", "theirs", "secret"), ("@ann", "open"), ("@ann", "secret"), ("@ann", "in")]
)
def test_what_is_shared_with_one_is_not_shared_with_another(catalogue: Catalogue, path: Path) -> None:
    catalogue.share(ANN, ("open",), "carol", "theirs", writable=True)
    for attempt in walk(catalogue, BOB, path):
        with pytest.raises((NoSuchEntry, Forbidden)):
            attempt()
    assert tree(catalogue, BOB) == {"own": "URI:CHK:bob"}


def test_a_neighbours_tag_or_lock_is_no_condition(catalogue: Catalogue) -> None:
    tag = catalogue.find(ANN, ("secret",)).etag
    for path in [("@ann", "secret"), ("@ann",), ("@ann", "open", "b")]:
        with pytest.raises(ConditionFailed):
            catalogue.put(BOB, ("own",), content("2"), conditions=Conditions((ConditionList((HasTag(tag),), path),)))


def test_a_shared_folder_shows_under_its_owner(catalogue: Catalogue) -> None:
    catalogue.put(BOB, ("Z",), content("Z"))
    catalogue.put(BOB, ("1",), content("1"))
    catalogue.share(ANN, ("open",), "bob", "for bob", writable=False)
    catalogue.share(CAROL, (), "bob", "all", writable=False)
    assert tree(catalogue, BOB) == {
        "1": "URI:CHK:1",
        "@ann": {"for bob": {"b": "URI:CHK:b", "in": {"a": "URI:CHK:a"}}},
        "@carol": {"all": {"own": "URI:CHK:carol"}},
        "Z": "URI:CHK:Z",
        "own": "URI:CHK:bob",
    }
    assert list(tree(catalogue, BOB)) == ["1", "@ann", "@carol", "Z", "own"]
    found = catalogue.find(BOB, ("@ann", "for bob", "in"))
    assert (found.owner, found.path, found.place) == ("ann", ("@ann", "for bob", "in"), ("open", "in"))
    assert found.id == catalogue.find(ANN, ("open", "in")).id
    assert catalogue.find(BOB, ("@ann",)).owner == "ann"
    assert tree(catalogue, CAROL) == {"own": "URI:CHK:carol"}


def test_what_is_shared_for_reading_is_read(catalogue: Catalogue) -> None:
    catalogue.share(ANN, ("open",), "bob", "ours", writable=False)
    before = tree(catalogue, ANN)
    for path in [("@ann", "ours"), ("@ann", "ours", "in"), ("@ann", "ours", "in", "a"), ("@ann", "ours", "new")]:
        for attempt in [*writing(catalogue, BOB, path), *remembering(catalogue, BOB, path)]:
            with pytest.raises(Forbidden):
                attempt()
    for attempt in reading(catalogue, BOB, ("@ann", "ours", "in")):
        attempt()
    assert tree(catalogue, ANN) == before
    assert tree(catalogue, BOB, ("taken",)) == {}


def test_what_is_shared_for_writing_is_written(catalogue: Catalogue, database: Database) -> None:
    catalogue.share(ANN, ("open",), "bob", "ours", writable=True)
    ours = ("@ann", "ours")
    catalogue.put(BOB, (*ours, "new"), content("new", 7))
    catalogue.make_folder(BOB, (*ours, "f"))
    catalogue.move(BOB, (*ours, "b"), (*ours, "f", "b"), overwrite=False)
    catalogue.remove(BOB, (*ours, "in", "a"))
    (version,) = catalogue.versions(BOB, (*ours, "in", "a"))
    assert [one.name for one in catalogue.removed(BOB, (*ours, "in"))] == ["a"]
    catalogue.restore(BOB, (*ours, "in", "a"), version.id)
    assert tree(catalogue, ANN, ("open",)) == {"f": {"b": "URI:CHK:b"}, "in": {"a": "URI:CHK:a"}, "new": "URI:CHK:new"}
    assert catalogue.usage(ANN, ()).used == catalogue.usage(BOB, ours).used == 307
    assert catalogue.usage(BOB, ()).used == 100
    assert_sound(database)


def test_a_move_between_owners_takes_the_space_along(catalogue: Catalogue, database: Database) -> None:
    catalogue.share(ANN, ("open",), "bob", "ours", writable=True)
    catalogue.move(BOB, ("@ann", "ours", "in"), ("in",), overwrite=False)
    assert catalogue.usage(ANN, ()).used == 200
    assert catalogue.usage(BOB, ()).used == 200
    catalogue.set_quota("ann", 250)
    assert tree(catalogue, ANN) == {"open": {"b": "URI:CHK:b"}, "secret": "URI:CHK:secret"}
    assert_sound(database)


def test_the_top_of_a_share_is_its_owners(catalogue: Catalogue) -> None:
    catalogue.share(ANN, ("open",), "bob", "ours", writable=True)
    ours = ("@ann", "ours")
    for attempt in (
        lambda: catalogue.remove(BOB, ours),
        lambda: catalogue.move(BOB, ours, ("mine",), overwrite=False),
        lambda: catalogue.copy(BOB, ("own",), ours, overwrite=True),
    ):
        with pytest.raises(Forbidden):
            attempt()
    with pytest.raises(AlreadyExists):
        catalogue.make_folder(BOB, ours)
    catalogue.change_properties(BOB, ours, [SetProperty(("", "p"), "<p/>")])


def test_a_share_follows_its_folder_and_ends_with_it(catalogue: Catalogue) -> None:
    catalogue.share(ANN, ("open", "in"), "bob", "ours", writable=True)
    catalogue.make_folder(ANN, ("other",))
    catalogue.move(ANN, ("open",), ("other", "place"), overwrite=False)
    assert catalogue.find(BOB, ("@ann", "ours", "a")).place == ("other", "place", "in", "a")
    catalogue.remove(ANN, ("other",))
    for attempt in walk(catalogue, BOB, ("@ann", "ours", "a")):
        with pytest.raises((NoSuchEntry, Forbidden)):
            attempt()
    assert tree(catalogue, BOB) == {"own": "URI:CHK:bob"}
    assert catalogue.shares(ANN) == catalogue.shares(BOB) == []


def test_a_folder_that_another_user_took_is_shared_no_longer(catalogue: Catalogue) -> None:
    catalogue.share(ANN, ("open",), "bob", "ours", writable=True)
    catalogue.share(ANN, ("open", "in"), "carol", "inner", writable=True)
    catalogue.move(BOB, ("@ann", "ours", "in"), ("in",), overwrite=False)
    with pytest.raises(NoSuchEntry):
        catalogue.find(CAROL, ("@ann", "inner"))


def test_a_share_is_changed_and_ended_by_its_owner(catalogue: Catalogue) -> None:
    share = catalogue.share(ANN, ("open",), "bob", "ours", writable=False)
    assert share == Share("ann", "bob", "ours", False, ("open",))
    catalogue.share(ANN, ("open",), "bob", "ours", writable=True)
    assert catalogue.shares(ANN) == [replace(share, writable=True)]
    assert catalogue.shares(BOB) == [replace(share, writable=True, path=("@ann", "ours"))]
    with pytest.raises(AlreadyExists):
        catalogue.share(ANN, ("open", "in"), "bob", "ours", writable=True)
    with pytest.raises(NoSuchShare):
        catalogue.unshare(BOB, "ann", "ours")
    catalogue.unshare(ANN, "bob", "ours")
    with pytest.raises(NoSuchEntry):
        catalogue.find(BOB, ("@ann", "ours"))


def test_only_a_folder_is_shared_and_only_with_a_user(catalogue: Catalogue) -> None:
    with pytest.raises(NotAFolder):
        catalogue.share(ANN, ("secret",), "bob", "x", writable=True)
    with pytest.raises(NoSuchUser, match="nobody"):
        catalogue.share(ANN, ("open",), "nobody", "x", writable=True)
    with pytest.raises(NoSuchUser, match="nobody"):
        catalogue.share(Viewer("nobody"), ("open",), "ann", "x", writable=True)
    with pytest.raises(Forbidden, match="it is ann's own"):
        catalogue.share(ANN, ("open",), "ann", "x", writable=True)
    catalogue.share(ANN, ("open",), "bob", "ours", writable=True)
    with pytest.raises(Forbidden):
        catalogue.share(BOB, ("@ann", "ours"), "carol", "x", writable=True)


@pytest.mark.parametrize("name", ["@ann", "@", "@x"])
def test_names_at_the_top_do_not_look_like_users(catalogue: Catalogue, name: str) -> None:
    with pytest.raises(Forbidden, match="names that begin with @"):
        catalogue.put(BOB, (name,), content("1"))
    with pytest.raises(Forbidden, match="names that begin with @"):
        catalogue.move(BOB, ("own",), (name,), overwrite=True)
    catalogue.make_folder(BOB, ("f",))
    catalogue.put(BOB, ("f", name), content("1"))


def test_a_token_for_reading_reads(catalogue: Catalogue) -> None:
    viewer = Viewer("ann", read_only=True)
    before = tree(catalogue, ANN)
    for path in [(), ("open",), ("open", "b"), ("new",)]:
        for attempt in [
            *writing(catalogue, viewer, path),
            lambda: catalogue.share(viewer, ("open",), "bob", "x", writable=False),
        ]:
            with pytest.raises(Forbidden):
                attempt()
    assert tree(catalogue, viewer) == before
    assert catalogue.versions(viewer, ("open", "b")) == []


def test_a_token_for_a_folder_gets_nowhere_else(catalogue: Catalogue) -> None:
    viewer = Viewer("ann", below=("open", "in"))
    for path in [("secret",), ("open", "b"), ("new",), ("@bob",), ("@bob", "x")]:
        for attempt in walk(catalogue, viewer, path):
            with pytest.raises(Forbidden):
                attempt()
    for path in [(), ("open",)]:
        for attempt in [*writing(catalogue, viewer, path), *remembering(catalogue, viewer, path)]:
            with pytest.raises(Forbidden):
                attempt()
        with pytest.raises(Forbidden):
            catalogue.copy(viewer, path, ("open", "in", "copy"), overwrite=False)
    assert tree(catalogue, viewer) == {"open": {"in": {"a": "URI:CHK:a"}}}
    catalogue.put(viewer, ("open", "in", "new"), content("1"))
    with pytest.raises(Forbidden):
        catalogue.share(viewer, ("open", "in"), "bob", "x", writable=False)


def test_a_token_for_a_folder_that_is_gone_sees_nothing(catalogue: Catalogue) -> None:
    catalogue.remove(ANN, ("open",))
    assert catalogue.children(Viewer("ann", below=("open", "in")), ()) == []


def test_a_token_for_a_share_gets_into_it(catalogue: Catalogue) -> None:
    catalogue.share(ANN, ("open",), "bob", "ours", writable=True)
    viewer = Viewer("bob", below=("@ann", "ours", "in"))
    assert tree(catalogue, viewer) == {"@ann": {"ours": {"in": {"a": "URI:CHK:a"}}}}
    with pytest.raises(Forbidden):
        catalogue.find(viewer, ("@ann", "ours", "b"))


def test_a_tree_is_handed_over_whole(catalogue: Catalogue, database: Database) -> None:
    eve = Viewer("eve")
    catalogue.put(eve, ("a",), content("1"))
    lock, _ = catalogue.lock(eve, ("a",), WISH)
    database.write(lambda connection: hand_over(connection, "eve", "dora"))
    dora = Viewer("dora")
    assert tree(catalogue, dora) == {"a": "URI:CHK:1"}
    catalogue.put(dora, ("a",), content("2"), conditions=Conditions(tokens=frozenset([lock.token])))
    assert tree(catalogue, eve) == {}


def test_a_discarded_tree_cannot_be_reached_and_is_purged(catalogue: Catalogue, database: Database) -> None:
    catalogue.share(ANN, ("open",), "bob", "ours", writable=True)
    catalogue.lock(BOB, ("@ann", "ours", "b"), WISH)
    database.write(lambda connection: discard(connection, "ann"))
    with pytest.raises(NoSuchEntry):
        catalogue.find(BOB, ("@ann", "ours"))
    assert catalogue.all_locks() == []
    assert tree(catalogue, ANN) == {}
    while catalogue.purge(older_than=0.0, limit=2):
        assert_sound(database)
    assert tree(catalogue, BOB) == {"own": "URI:CHK:bob"}


@pytest.mark.parametrize("up", [("..",), (".",), ("ours/..",), ("ours", ".."), ("ours", "..", "b"), ("ours", "../b")])
def test_no_name_leads_up_and_out_of_a_share(catalogue: Catalogue, up: Path) -> None:
    catalogue.share(ANN, ("open", "in"), "bob", "ours", writable=True)
    for attempt in walk(catalogue, BOB, ("@ann", *up)):
        with pytest.raises(BadName):
            attempt()
