"""Locks keep others out, and nobody for longer than their time."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tahoeish.namespace.catalogue import Catalogue
from tahoeish.namespace.conditions import ConditionList, Conditions, HasTag, HasToken
from tahoeish.namespace.database import Database
from tahoeish.namespace.entries import NOTHING
from tahoeish.namespace.errors import (
    ConditionFailed,
    Forbidden,
    Locked,
    NoSuchLock,
    NoSuchParent,
    TooManyLocks,
)
from tahoeish.namespace.locks import Depth, Lock, LockWish, Scope
from tahoeish.namespace.names import Path
from tahoeish.namespace.properties import SetProperty
from tests.namespace.conftest import Clock
from tests.namespace.states import ANN, BOB, CAROL, content, tree

ALONE = LockWish(Scope.EXCLUSIVE, Depth.INFINITY, "<D:owner>ann</D:owner>", 600)
ALONE_HERE = LockWish(Scope.EXCLUSIVE, Depth.ZERO, None, 600)
TOGETHER = LockWish(Scope.SHARED, Depth.INFINITY, None, 600)


def having(*locks: Lock) -> Conditions:
    return Conditions(tokens=frozenset(lock.token for lock in locks))


@pytest.fixture
def folders(catalogue: Catalogue) -> None:
    """/f/g/a and /h"""
    catalogue.make_folder(ANN, ("f",))
    catalogue.make_folder(ANN, ("f", "g"))
    catalogue.put(ANN, ("f", "g", "a"), content("1"))
    catalogue.make_folder(ANN, ("h",))


def changes_of(catalogue: Catalogue, path: Path, conditions: Conditions) -> list[Callable[[], object]]:
    """All that changes the file there. The last one takes it away."""
    return [
        lambda: catalogue.put(ANN, path, content("2"), conditions=conditions),
        lambda: catalogue.change_properties(ANN, path, [SetProperty(("", "p"), "<p/>")], conditions),
        lambda: catalogue.copy(ANN, ("h",), path, overwrite=True, conditions=conditions),
        lambda: catalogue.move(ANN, ("h",), path, overwrite=True, conditions=conditions),
        lambda: catalogue.move(ANN, path, ("x",), overwrite=True, conditions=conditions),
        lambda: catalogue.remove(ANN, path, conditions),
    ]


@pytest.mark.usefixtures("folders")
@pytest.mark.parametrize("locked", [("f", "g", "a"), ("f", "g"), ("f",), ()])
def test_without_the_token_nothing_changes(catalogue: Catalogue, locked: Path) -> None:
    before = tree(catalogue, ANN)
    lock, _ = catalogue.lock(ANN, locked, ALONE)
    for change in changes_of(catalogue, ("f", "g", "a"), Conditions()):
        with pytest.raises(Locked) as refusal:
            change()
        assert [one.token for one in refusal.value.locks] == [lock.token]
        assert refusal.value.locks[0].path == locked
    assert tree(catalogue, ANN) == before


@pytest.mark.usefixtures("folders")
def test_with_the_token_everything_changes(catalogue: Catalogue) -> None:
    put, proppatch, *_, remove = changes_of(catalogue, ("f", "g", "a"), having(catalogue.lock(ANN, ("f",), ALONE)[0]))
    put()
    proppatch()
    remove()
    assert tree(catalogue, ANN, ("f",)) == {"g": {}}


@pytest.mark.usefixtures("folders")
def test_a_lock_does_not_keep_from_looking(catalogue: Catalogue) -> None:
    catalogue.lock(ANN, ("f",), ALONE)
    catalogue.find(ANN, ("f", "g", "a"))
    catalogue.children(ANN, ("f",))
    catalogue.copy(ANN, ("f",), ("copy",), overwrite=False)
    assert catalogue.locks_on(ANN, [catalogue.find(ANN, ("copy",))]) == {}


@pytest.mark.usefixtures("folders")
def test_a_locked_member_keeps_its_folder_in_place(catalogue: Catalogue) -> None:
    lock, _ = catalogue.lock(ANN, ("f", "g", "a"), ALONE)
    for taking_away in (
        lambda: catalogue.remove(ANN, ("f",)),
        lambda: catalogue.move(ANN, ("f",), ("x",), overwrite=False),
        lambda: catalogue.move(ANN, ("h",), ("f",), overwrite=True),
    ):
        with pytest.raises(Locked):
            taking_away()
    catalogue.make_folder(ANN, ("f", "new"))
    catalogue.put(ANN, ("f", "g", "b"), content("2"))
    catalogue.remove(ANN, ("f",), having(lock))


@pytest.mark.usefixtures("folders")
def test_a_lock_on_a_folder_alone_is_about_its_names(catalogue: Catalogue) -> None:
    lock, _ = catalogue.lock(ANN, ("f", "g"), ALONE_HERE)
    catalogue.put(ANN, ("f", "g", "a"), content("2"))
    for listing in (
        lambda: catalogue.put(ANN, ("f", "g", "b"), content("3")),
        lambda: catalogue.make_folder(ANN, ("f", "g", "b")),
        lambda: catalogue.lock(ANN, ("f", "g", "b"), ALONE),
        lambda: catalogue.remove(ANN, ("f", "g", "a")),
        lambda: catalogue.move(ANN, ("f", "g", "a"), ("x",), overwrite=False),
        lambda: catalogue.copy(ANN, ("h",), ("f", "g", "b"), overwrite=False),
    ):
        with pytest.raises(Locked):
            listing()
    catalogue.put(ANN, ("f", "g", "b"), content("3"), conditions=having(lock))


@pytest.mark.usefixtures("folders")
def test_names_that_begin_alike_are_not_below(catalogue: Catalogue) -> None:
    for name in ("f0", "f.", "f-", "f "):
        catalogue.make_folder(ANN, (name,))
        catalogue.lock(ANN, (name,), ALONE)
    catalogue.remove(ANN, ("f",))


@pytest.mark.usefixtures("folders")
@pytest.mark.parametrize(
    ("first", "second", "fits"),
    [
        (ALONE, ALONE, False),
        (ALONE, TOGETHER, False),
        (TOGETHER, ALONE, False),
        (TOGETHER, TOGETHER, True),
    ],
)
@pytest.mark.parametrize("below", [False, True])
def test_only_shared_locks_go_together(
    catalogue: Catalogue, first: LockWish, second: LockWish, fits: bool, below: bool
) -> None:
    one, other = (("f",), ("f", "g")) if below else (("f", "g"), ("f",))
    catalogue.lock(ANN, one, first)
    if fits:
        catalogue.lock(BOB if one == other else ANN, other, second)
    else:
        with pytest.raises(Locked):
            catalogue.lock(ANN, other, second)


@pytest.mark.usefixtures("folders")
def test_a_lock_on_a_folder_alone_leaves_its_members_free(catalogue: Catalogue) -> None:
    catalogue.lock(ANN, ("f",), ALONE_HERE)
    catalogue.lock(ANN, ("f", "g"), ALONE)
    with pytest.raises(Locked):
        catalogue.lock(ANN, (), ALONE)


@pytest.mark.usefixtures("folders")
def test_of_several_shared_locks_one_token_is_enough(catalogue: Catalogue) -> None:
    lock, _ = catalogue.lock(ANN, ("f",), TOGETHER)
    other, _ = catalogue.lock(ANN, ("f",), TOGETHER)
    catalogue.put(ANN, ("f", "b"), content("2"), conditions=having(other))
    catalogue.put(ANN, ("f", "b"), content("3"), conditions=having(lock))
    with pytest.raises(Locked):
        catalogue.put(ANN, ("f", "b"), content("4"))


def test_locking_what_is_not_there_makes_an_empty_file(catalogue: Catalogue) -> None:
    lock, created = catalogue.lock(ANN, ("new",), ALONE)
    assert created
    assert catalogue.find(ANN, ("new",)).content == NOTHING
    with pytest.raises(Locked):
        catalogue.put(ANN, ("new",), content("1"))
    catalogue.put(ANN, ("new",), content("1"), conditions=having(lock))
    catalogue.unlock(ANN, ("new",), lock.token)
    assert tree(catalogue, ANN) == {"new": "URI:CHK:1"}
    with pytest.raises(NoSuchParent):
        catalogue.lock(ANN, ("none", "new"), ALONE)


def test_a_lock_is_told_as_it_was_wished(catalogue: Catalogue, clock: Clock) -> None:
    lock, created = catalogue.lock(ANN, ("new",), ALONE)
    expected = Lock("urn:uuid:0", ("new",), "ann", Scope.EXCLUSIVE, Depth.INFINITY, ALONE.owner_xml, 600, clock() + 600)
    assert lock == expected and created
    entry = catalogue.find(ANN, ("new",))
    assert catalogue.locks_on(ANN, [entry, catalogue.find(ANN, ())]) == {entry.id: [expected]}


@pytest.mark.usefixtures("folders")
def test_a_lock_shows_on_all_that_it_covers(catalogue: Catalogue) -> None:
    lock, _ = catalogue.lock(ANN, ("f",), ALONE)
    entries = [catalogue.find(ANN, path) for path in [(), ("f",), ("f", "g"), ("f", "g", "a"), ("h",)]]
    assert catalogue.locks_on(ANN, entries) == {entry.id: [lock] for entry in entries[1:4]}


@pytest.mark.parametrize(("wished", "granted"), [(None, 3600), (4_100_000_000, 3600), (10, 10), (0, 1)])
def test_no_lock_lasts_longer_than_is_allowed(catalogue: Catalogue, wished: int | None, granted: int) -> None:
    lock, _ = catalogue.lock(ANN, ("a",), LockWish(Scope.EXCLUSIVE, Depth.ZERO, None, wished))
    assert lock.seconds == granted


@pytest.mark.usefixtures("folders")
def test_a_lock_that_has_run_out_stands_in_nobodys_way(catalogue: Catalogue, clock: Clock) -> None:
    lock, _ = catalogue.lock(ANN, ("f",), ALONE)
    clock.advance(600)
    assert catalogue.locks_on(ANN, [catalogue.find(ANN, ("f",))]) == {}
    catalogue.put(ANN, ("f", "x"), content("2"))
    with pytest.raises(NoSuchLock):
        catalogue.unlock(ANN, ("f",), lock.token)
    with pytest.raises(ConditionFailed):
        catalogue.refresh(ANN, ("f",), having(lock), None)
    catalogue.lock(ANN, ("f",), ALONE)


@pytest.mark.usefixtures("folders")
def test_a_refreshed_lock_begins_anew(catalogue: Catalogue, clock: Clock) -> None:
    lock, _ = catalogue.lock(ANN, ("f",), ALONE)
    clock.advance(599)
    refreshed = catalogue.refresh(ANN, ("f", "g", "a"), having(lock), 700)
    assert (refreshed.token, refreshed.path, refreshed.seconds) == (lock.token, ("f",), 700)
    clock.advance(699)
    with pytest.raises(Locked):
        catalogue.put(ANN, ("f", "x"), content("2"))
    with pytest.raises(ConditionFailed):
        catalogue.refresh(ANN, ("h",), having(lock), 700)
    with pytest.raises(ConditionFailed):
        catalogue.refresh(ANN, ("f",), Conditions(), 700)


@pytest.mark.usefixtures("folders")
def test_locks_end_with_what_they_are_on(catalogue: Catalogue) -> None:
    lock, _ = catalogue.lock(ANN, ("f", "g"), ALONE)
    catalogue.move(ANN, ("f",), ("x",), overwrite=False, conditions=having(lock))
    assert catalogue.all_locks() == []
    lock, _ = catalogue.lock(ANN, ("x", "g"), ALONE)
    catalogue.copy(ANN, ("h",), ("x",), overwrite=True, conditions=having(lock))
    assert catalogue.all_locks() == []


@pytest.mark.usefixtures("folders")
def test_what_comes_into_a_locked_folder_is_locked(catalogue: Catalogue) -> None:
    lock, _ = catalogue.lock(ANN, ("f",), ALONE)
    with pytest.raises(Locked):
        catalogue.move(ANN, ("h",), ("f", "h"), overwrite=False)
    moved = catalogue.move(ANN, ("h",), ("f", "h"), overwrite=False, conditions=having(lock)).entry
    assert list(catalogue.locks_on(ANN, [moved])) == [moved.id]


def test_a_token_in_an_if_header_is_condition_and_key(catalogue: Catalogue) -> None:
    """The cases that litmus tries."""
    entry = catalogue.put(ANN, ("a",), content("1")).entry
    lock, _ = catalogue.lock(ANN, ("a",), ALONE)
    token, tag, bad = HasToken(lock.token), HasTag(entry.etag), HasTag('"bad"')
    always, never, corrupt = HasToken("DAV:no-lock", negated=True), HasToken("DAV:no-lock"), HasToken(lock.token + "x")

    def put(*lists: tuple[HasToken | HasTag, ...]) -> None:
        conditions = Conditions(tuple(ConditionList(one) for one in lists))
        catalogue.put(ANN, ("a",), content("1"), conditions=conditions)

    put((token, tag))
    put((token,), (always,))
    put((token, tag), (always, tag))
    with pytest.raises(ConditionFailed):
        put((never, tag))
    with pytest.raises(Locked):
        put((corrupt,), (always,))
    with pytest.raises(ConditionFailed):
        put((token, bad), (always, bad))
    catalogue.unlock(ANN, ("a",), lock.token)
    with pytest.raises(ConditionFailed):
        put((never,))


def test_the_token_of_a_locked_folder_is_one_of_its_new_members_too(catalogue: Catalogue) -> None:
    catalogue.make_folder(ANN, ("f",))
    lock, _ = catalogue.lock(ANN, ("f",), ALONE)
    conditions = Conditions((ConditionList((HasToken(lock.token),)),))
    catalogue.put(ANN, ("f", "new"), content("1"), conditions=conditions)


def test_a_lock_ends_only_where_it_is_and_once(catalogue: Catalogue) -> None:
    catalogue.make_folder(ANN, ("f",))
    lock, _ = catalogue.lock(ANN, ("a",), ALONE)
    with pytest.raises(NoSuchLock):
        catalogue.unlock(ANN, ("f",), lock.token)
    catalogue.unlock(ANN, ("a",), lock.token)
    with pytest.raises(NoSuchLock):
        catalogue.unlock(ANN, ("a",), lock.token)


def test_nobody_holds_more_locks_than_allowed(catalogue: Catalogue, clock: Clock) -> None:
    for number in range(5):
        catalogue.lock(ANN, (f"{number}",), ALONE)
    with pytest.raises(TooManyLocks, match="ann holds 5 locks already"):
        catalogue.lock(ANN, ("one more",), ALONE)
    assert "one more" not in tree(catalogue, ANN)
    catalogue.lock(BOB, ("mine",), ALONE)
    clock.advance(601)
    catalogue.lock(ANN, ("one more",), ALONE)


def test_the_administrator_sees_and_breaks_locks(catalogue: Catalogue) -> None:
    lock, _ = catalogue.lock(ANN, ("a",), ALONE)
    assert [(one.token, one.path) for one in catalogue.all_locks()] == [(lock.token, ("@ann", "a"))]
    catalogue.break_lock(lock.token)
    catalogue.put(ANN, ("a",), content("1"))
    with pytest.raises(NoSuchLock):
        catalogue.break_lock(lock.token)


@pytest.mark.usefixtures("folders", "users")
def test_a_token_is_of_use_to_its_holder_alone(catalogue: Catalogue) -> None:
    for user in ("bob", "carol"):
        catalogue.share(ANN, ("f",), user, "ours", writable=True)
    shared = ("@ann", "ours")
    lock, _ = catalogue.lock(BOB, (*shared, "g"), ALONE)
    assert lock.path == (*shared, "g")
    with pytest.raises(Forbidden, match="of bob, not of carol"):
        catalogue.put(CAROL, (*shared, "g", "a"), content("2"), conditions=having(lock))
    with pytest.raises(Forbidden, match="of bob, not of carol"):
        catalogue.refresh(CAROL, (*shared, "g"), having(lock), 5)
    with pytest.raises(Forbidden, match="of bob, not of carol"):
        catalogue.unlock(CAROL, (*shared, "g"), lock.token)
    with pytest.raises(Locked, match="/f/g/a is locked by bob") as refusal:
        catalogue.put(ANN, ("f", "g", "a"), content("2"))
    assert refusal.value.locks[0].path == ("f", "g")
    catalogue.unlock(ANN, ("f", "g"), lock.token)


@pytest.mark.usefixtures("folders", "users")
def test_a_lock_above_a_share_shows_at_its_top(catalogue: Catalogue) -> None:
    catalogue.share(ANN, ("f", "g"), "bob", "ours", writable=True)
    lock, _ = catalogue.lock(ANN, (), ALONE)
    entry = catalogue.find(BOB, ("@ann", "ours", "a"))
    assert [one.path for one in catalogue.locks_on(BOB, [entry])[entry.id]] == [("@ann", "ours")]
    with pytest.raises(Locked) as refusal:
        catalogue.put(BOB, ("@ann", "ours", "a"), content("2"))
    assert [(one.token, one.path) for one in refusal.value.locks] == [(lock.token, ("@ann", "ours"))]


def test_locks_outlive_the_process(fresh_url: str, clock: Clock) -> None:
    for restart in range(2):
        database = Database.open(fresh_url)
        catalogue = Catalogue(database, clock)
        if restart:
            with pytest.raises(Locked):
                catalogue.put(ANN, ("a",), content("1"))
        else:
            catalogue.lock(ANN, ("a",), ALONE)
        database.close()
