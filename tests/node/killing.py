"""
Kills a node again and again, while clients change files and folders, and looks at what it leaves behind.

    python -m tests.node.killing DIRECTORY TIMES SEED
"""

from __future__ import annotations

import random
import signal
import sys
import tempfile
import time
from pathlib import Path
from threading import Event, Thread

from tahoeish.namespace.database import Database, sqlite_url
from tests.namespace.states import assert_sound
from tests.node.restless_clients import Client, Connection, Died, all_clients
from tests.nodes import NodeProcess

LONGEST_LIFE = 0.8
"""Seconds after which the node is killed at the latest, from when clients have begun."""


class Life:
    """The clients of one life of a node, from its start to its sudden end."""

    def __init__(self, url: str, clients: list[Client]) -> None:
        self._url = url
        self._killed = Event()
        self._errors: list[BaseException] = []
        self._threads = [Thread(target=self._live, args=(client,)) for client in clients]

    def begin(self) -> None:
        for thread in self._threads:
            thread.start()

    def end(self, node: NodeProcess) -> None:
        self._killed.set()
        assert node.stop(signal.SIGKILL) == -signal.SIGKILL, node.said
        for thread in self._threads:
            thread.join()
        if self._errors:
            raise self._errors[0]

    def _live(self, client: Client) -> None:
        connection = Connection(self._url)
        try:
            while True:
                client.change_something(connection)
        except Died as error:
            if not self._killed.is_set():
                self._errors.append(error)
        except BaseException as error:
            self._errors.append(error)
        finally:
            connection.close()


def kill_again_and_again(directory: Path, times: int, seed: int) -> None:
    """Raises `AssertionError` if anything is by half, lost or in the way."""
    chance = random.Random(seed)
    clients = all_clients(chance)
    with NodeProcess(directory) as node:
        node.start()
        connection = Connection(node.url)
        for client in clients:
            client.prepare(connection)
        connection.close()
        for _ in range(times):
            life = Life(node.url, clients)
            life.begin()
            time.sleep(chance.uniform(0, LONGEST_LIFE))
            life.end(node)
            node.start()
            check(node, clients)
        assert "Traceback" not in node.said, node.said


def check(node: NodeProcess, clients: list[Client]) -> None:
    assert node.incoming() == []
    assert not any((node.directory / "spool").glob("*"))
    connection = Connection(node.url)
    for client in clients:
        client.check(connection)
    connection.close()
    database = Database.open(sqlite_url(node.directory / "catalogue.sqlite"))
    try:
        assert_sound(database)
    finally:
        database.close()


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(dir=sys.argv[1]) as scratch:
        kill_again_and_again(Path(scratch) / "node", int(sys.argv[2]), int(sys.argv[3]))
