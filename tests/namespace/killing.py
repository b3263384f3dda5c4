"""
A program that changes names in processes that it kills, and looks at what they leave behind.

    python -m tests.namespace.killing URL TIMES SEED

It has no threads, so it can fork: starting a process anew each time would take most of the time.
"""

from __future__ import annotations

import os
import random
import signal
import sys
import time
from collections.abc import Callable
from contextlib import suppress

from tahoeish.namespace.catalogue import Catalogue
from tahoeish.namespace.database import Database
from tahoeish.namespace.entries import Content
from tahoeish.namespace.errors import Locked
from tahoeish.namespace.locks import Depth, LockWish, Scope
from tests.namespace.states import ANN, assert_sound, tree

_FILES = 20
_LONGEST_LIFE = 0.1


def prepare(url: str) -> None:
    database = Database.open(url)
    catalogue = Catalogue(database, time.time)
    catalogue.make_folder(ANN, ("f",))
    for number in range(_FILES):
        catalogue.put(ANN, ("f", f"{number}"), Content("0", 0))
    database.close()


def change_for_ever(url: str, acknowledge: Callable[[int], object]) -> None:
    """
    /f or /g is a folder in which each file has a generation, which is its cap and its size. It moves to and fro, and is
    copied to /copy.
    """
    database = Database.open(url)
    catalogue = Catalogue(database, time.time)
    generation = max(_generations(catalogue))
    while True:
        generation += 1
        home = "f" if "f" in tree_names(catalogue) else "g"
        for number in range(_FILES):
            catalogue.put(ANN, (home, f"{number}"), Content(f"{generation}", generation))
        acknowledge(generation)
        catalogue.copy(ANN, (home,), ("copy",), overwrite=True)
        catalogue.move(ANN, (home,), ("g" if home == "f" else "f",), overwrite=False)
        with suppress(Locked):
            catalogue.lock(ANN, ("locked",), LockWish(Scope.EXCLUSIVE, Depth.ZERO, None, 1))
        catalogue.purge(older_than=time.time() + 1, limit=30)


def tree_names(catalogue: Catalogue) -> list[str]:
    return [entry.name for entry in catalogue.children(ANN, ())]


def _generations(catalogue: Catalogue) -> list[int]:
    home = "f" if "f" in tree_names(catalogue) else "g"
    return [int(str(cap)) for cap in tree(catalogue, ANN, (home,)).values()]


def check(url: str, acknowledged: int) -> None:
    database = Database.open(url)
    catalogue = Catalogue(database, time.time)
    assert_sound(database)
    names = set(tree_names(catalogue))
    assert names - {"copy", "locked"} in ({"f"}, {"g"}), names
    found = _generations(catalogue)
    assert len(found) == _FILES
    assert min(found) >= acknowledged, (found, acknowledged)
    assert max(found) - min(found) <= 1
    for entry in catalogue.children(ANN, ("f" if "f" in names else "g",)):
        assert entry.content is not None
        assert entry.content.cap == f"{entry.content.size}"
    if "copy" in names:
        copied = tree(catalogue, ANN, ("copy",))
        assert len(copied) == _FILES
        assert len(set(copied.values())) == 1, copied
    database.close()


def live_and_die(url: str, seconds: float) -> int:
    """Returns the last generation that was acknowledged."""
    told, tell = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(told)
        try:
            change_for_ever(url, lambda generation: os.write(tell, b"%d\n" % generation))
        finally:
            # Only an error gets here.
            os._exit(1)
    os.close(tell)
    with open(told) as told_file:
        # Its life begins when it has done something.
        first = told_file.readline()
        time.sleep(seconds)
        os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        assert os.WIFSIGNALED(status), status
        generations = [first, *told_file.read().splitlines()]
    return int(generations[-1])


def main(url: str, times: int, seed: int) -> None:
    moments = random.Random(seed)
    prepare(url)
    for _ in range(times):
        check(url, live_and_die(url, moments.uniform(0, _LONGEST_LIFE)))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
