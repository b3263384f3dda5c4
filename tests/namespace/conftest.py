"""A catalogue, empty, in each kind of database."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import pytest
from sqlalchemy import Connection, delete

from tahoeish.namespace import schema
from tahoeish.namespace.catalogue import Catalogue
from tahoeish.namespace.database import Database, sqlite_url
from tahoeish.namespace.locks import LockLimits
from tests.namespace.states import add_users
from tests.postgresql import NoPostgreSQL, Server, running_server

_numbers = count()


@dataclass
class Clock:
    now: float = 1_000_000.0

    def __call__(self) -> float:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture(scope="session")
def postgresql() -> Iterator[Server]:
    try:
        with running_server() as server:
            yield server
    except NoPostgreSQL as why:
        pytest.skip(str(why))


@pytest.fixture(params=["sqlite", "postgresql"])
def kind(request: pytest.FixtureRequest) -> str:
    parameter: str = request.param
    return parameter


@pytest.fixture
def fresh_url(request: pytest.FixtureRequest, tmp_path: Path, kind: str) -> str:
    """Of a database that has no tables yet."""
    if kind == "sqlite":
        return sqlite_url(tmp_path / "catalogue.sqlite")
    server: Server = request.getfixturevalue("postgresql")
    name = f"test_{next(_numbers)}"
    server.execute(f"CREATE DATABASE {name}")
    return server.url(name)


@pytest.fixture(scope="session")
def shared_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    database = Database.open(sqlite_url(tmp_path_factory.mktemp("shared") / "catalogue.sqlite"))
    yield database
    database.close()


@pytest.fixture(scope="session")
def shared_postgresql(postgresql: Server) -> Iterator[Database]:
    postgresql.execute("CREATE DATABASE shared")
    database = Database.open(postgresql.url("shared"))
    yield database
    database.close()


@pytest.fixture
def database(request: pytest.FixtureRequest, kind: str) -> Database:
    """Without anything in it. It is one for all tests, as making another takes longer than most of them."""
    shared: Database = request.getfixturevalue(f"shared_{kind}")
    shared.write(_empty)
    return shared


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def catalogue(database: Database, clock: Clock) -> Catalogue:
    tokens = count()
    return Catalogue(database, clock, lock_limits=LockLimits(5, 3600), new_token=lambda: f"urn:uuid:{next(tokens)}")


@pytest.fixture
def users(database: Database) -> list[str]:
    """Ann, Bob and Carol."""
    names = ["ann", "bob", "carol"]
    add_users(database, *names)
    return names


def _empty(connection: Connection) -> None:
    for table in reversed(schema.metadata.sorted_tables):
        connection.execute(delete(table))
