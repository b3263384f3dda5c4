"""Many threads, and several processes' worth of connections, change one catalogue at the same time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest

from tahoeish.namespace.catalogue import Catalogue
from tahoeish.namespace.conditions import ANY, Conditions
from tahoeish.namespace.database import Database
from tahoeish.namespace.errors import AlreadyExists, ConditionFailed, NoSuchEntry, NoSuchParent
from tests.namespace.conftest import Clock
from tests.namespace.states import ANN, BOB, Tree, add_users, assert_sound, content, tree

THREADS = 8


@pytest.fixture
def gateways(fresh_url: str, clock: Clock) -> Iterator[list[Catalogue]]:
    """Two that share one database."""
    databases = [Database.open(fresh_url) for _ in range(2)]
    yield [Catalogue(database, clock) for database in databases]
    assert_sound(databases[0])
    for database in databases:
        database.close()


def together(gateways: list[Catalogue], work: Callable[[Catalogue, int], None]) -> None:
    with ThreadPoolExecutor(THREADS) as threads:
        for one in [threads.submit(work, gateways[number % 2], number) for number in range(THREADS)]:
            one.result()


def test_everything_that_is_put_is_there(gateways: list[Catalogue]) -> None:
    def put(catalogue: Catalogue, thread: int) -> None:
        for number in range(10):
            catalogue.put(ANN, (f"{thread} {number}",), content("1", 10))

    together(gateways, put)
    assert len(tree(gateways[0], ANN)) == THREADS * 10
    assert gateways[1].usage(ANN, ()).used == THREADS * 100


def test_a_name_is_created_once(gateways: list[Catalogue]) -> None:
    created: list[int] = []

    def put(catalogue: Catalogue, thread: int) -> None:
        with suppress(ConditionFailed):
            catalogue.put(ANN, ("a",), content(f"{thread}"), conditions=Conditions(if_none_match=(ANY,)))
            created.append(thread)

    together(gateways, put)
    assert tree(gateways[0], ANN) == {"a": f"URI:CHK:{created[0]}"}
    assert len(created) == 1


def test_whoever_looks_first_makes_no_second_tree(gateways: list[Catalogue]) -> None:
    tops: set[int] = set()
    together(gateways, lambda catalogue, _: tops.add(catalogue.find(ANN, ()).id))
    assert len(tops) == 1


def test_folders_change_places_without_losing_anything(gateways: list[Catalogue]) -> None:
    first = gateways[0]
    for name in ("a", "b"):
        first.make_folder(ANN, (name,))
        first.put(ANN, (name, name), content(name, 7))

    def shuffle(catalogue: Catalogue, thread: int) -> None:
        for number in range(6):
            source, destination = ("a", "b") if (thread + number) % 2 else ("b", "a")
            with suppress(NoSuchEntry, NoSuchParent, AlreadyExists):
                catalogue.move(ANN, (source,), (destination, source), overwrite=False)
            with suppress(NoSuchEntry, NoSuchParent, AlreadyExists):
                catalogue.move(ANN, (destination, source), (source,), overwrite=False)

    together(gateways, shuffle)
    assert sorted(caps(tree(first, ANN))) == ["URI:CHK:a", "URI:CHK:b"]


def test_two_owners_get_in_nobodys_way(fresh_url: str, gateways: list[Catalogue]) -> None:
    database = Database.open(fresh_url)
    add_users(database, "ann", "bob")
    database.close()
    first = gateways[0]
    for viewer, other in [(ANN, "bob"), (BOB, "ann")]:
        first.make_folder(viewer, ("f",))
        first.share(viewer, ("f",), other, "f", writable=True)

    def exchange(catalogue: Catalogue, thread: int) -> None:
        viewer, other = (ANN, "@bob") if thread % 2 else (BOB, "@ann")
        for number in range(6):
            name = f"{thread} {number}"
            catalogue.put(viewer, ("f", name), content("1", 10))
            catalogue.move(viewer, ("f", name), (other, "f", name), overwrite=False)

    together(gateways, exchange)
    assert {first.usage(viewer, ()).used for viewer in (ANN, BOB)} == {THREADS * 6 * 10 // 2}


def caps(what: str | Tree) -> list[str]:
    """The caps of all files."""
    return [what] if isinstance(what, str) else [cap for one in what.values() for cap in caps(one)]
