"""Writers that come together share a commit, and nothing else."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from threading import Event
from time import sleep

import pytest
from sqlalchemy import Connection, Engine, event, make_url, text
from sqlalchemy.exc import DatabaseError, OperationalError

from tahoeish.namespace.group_commit import GroupCommit
from tahoeish.namespace.sqlite import Kind


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    kind = Kind(make_url(f"sqlite:///{tmp_path / 'numbers.sqlite'}"))
    _, engine, writer = kind.engines()
    writer.write(lambda connection: connection.execute(text("CREATE TABLE numbers (number INTEGER UNIQUE)")))
    yield engine
    engine.dispose()


class Group:
    """Six writers that come while a commit is under way."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._writer = GroupCommit(engine)
        self.commits = 0
        event.listen(engine, "commit", self._committed)

    def _committed(self, _connection: Connection) -> None:
        self.commits += 1

    def run(self, work: Callable[[Connection, int], int]) -> list[Future[int]]:
        leading, follow = Event(), Event()

        def lead(connection: Connection) -> int:
            leading.set()
            assert follow.wait(10)
            return -1

        with ThreadPoolExecutor(8) as threads:
            leader = threads.submit(self._writer.write, lead)
            assert leading.wait(10)
            followers = [
                threads.submit(self._writer.write, lambda connection, number=number: work(connection, number))
                for number in range(6)
            ]
            while self._writer.waiting < 6:
                sleep(0.001)
            follow.set()
        assert leader.result() == -1
        return followers

    def numbers(self) -> list[int]:
        with self._engine.begin() as connection:
            return list(connection.execute(text("SELECT number FROM numbers ORDER BY number")).scalars())


def add(connection: Connection, number: int) -> int:
    connection.execute(text("INSERT INTO numbers VALUES (:number)"), {"number": number})
    return number * 10


def test_who_waited_together_is_committed_together(engine: Engine) -> None:
    group = Group(engine)
    followers = group.run(add)
    assert [one.result() for one in followers] == [0, 10, 20, 30, 40, 50]
    assert group.commits == 2
    assert group.numbers() == [0, 1, 2, 3, 4, 5]


def test_one_failure_is_its_own(engine: Engine) -> None:
    def work(connection: Connection, number: int) -> int:
        result = add(connection, number)
        if number % 2:
            raise LookupError(f"{number}")
        return result

    group = Group(engine)
    followers = group.run(work)
    assert [one.result() for one in followers[::2]] == [0, 20, 40]
    for number, one in list(enumerate(followers))[1::2]:
        with pytest.raises(LookupError, match=f"{number}"):
            one.result()
    assert group.numbers() == [0, 2, 4]


def test_when_the_transaction_is_lost_all_of_it_is_lost(engine: Engine) -> None:
    """As when the disk is full: SQLite rolls back by itself, and what comes after must not be half of it."""

    def work(connection: Connection, number: int) -> int:
        result = add(connection, number)
        if number == 3:
            connection.execute(text("INSERT OR ROLLBACK INTO numbers VALUES (3)"))
        return result

    group = Group(engine)
    for one in group.run(work):
        with pytest.raises(DatabaseError):
            one.result()
    assert group.numbers() == []


def test_when_the_commit_fails_everybody_is_told(engine: Engine) -> None:
    group = Group(engine)

    @event.listens_for(engine, "commit")
    def fail(_connection: Connection) -> None:
        if group.commits == 2:
            raise OperationalError("COMMIT", None, sqlite3.OperationalError("disk I/O error"))

    for one in group.run(add):
        with pytest.raises(OperationalError, match="disk I/O error"):
            one.result()
    assert group.numbers() == []


def test_writing_goes_on_after_a_failure(engine: Engine) -> None:
    writer = GroupCommit(engine)
    with pytest.raises(DatabaseError):
        writer.write(lambda connection: connection.execute(text("nonsense")))
    assert writer.write(lambda connection: add(connection, 1)) == 10
