"""Opening a database, whatever state it is in, and transactions on it."""

from __future__ import annotations

import multiprocessing
import stat
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from threading import Event, Thread

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Update, delete, func, insert, make_url, select, text, update
from sqlalchemy.exc import IntegrityError, InternalError

import tahoeish.namespace
from tahoeish.namespace import postgresql, schema, sqlite
from tahoeish.namespace.catalogue import Catalogue
from tahoeish.namespace.database import Database, sqlite_url
from tahoeish.namespace.errors import CatalogueUnavailable, SchemaTooNew
from tests.namespace.conftest import Clock
from tests.namespace.states import ANN, content
from tests.postgresql import Server

MIGRATIONS = Path(tahoeish.namespace.__file__).parent / "migrations"
A_USER = {"name": "ann", "password_hash": None, "created": 1.0, "disabled": False}
NEW_USER = insert(schema.users).values(A_USER)
COUNT_USERS = select(func.count()).select_from(schema.users)


@pytest.fixture
def opened(fresh_url: str) -> Iterator[Database]:
    database = Database.open(fresh_url)
    yield database
    database.close()


def test_the_migrations_make_the_schema(opened: Database) -> None:
    assert (
        opened.read(lambda connection: compare_metadata(MigrationContext.configure(connection), schema.metadata)) == []
    )


def test_the_schema_is_that_of_the_last_migration() -> None:
    scripts = ScriptDirectory(str(MIGRATIONS))
    assert scripts.get_heads() == [schema.REVISION]


def test_what_is_there_is_there_when_it_is_opened_again(opened: Database, fresh_url: str, clock: Clock) -> None:
    Catalogue(opened, clock).put(ANN, ("a",), content("1"))
    again = Database.open(fresh_url)
    assert Catalogue(again, clock).find(ANN, ("a",)).content == content("1")
    again.close()


def test_a_newer_schema_is_refused(opened: Database, fresh_url: str) -> None:
    opened.write(lambda connection: connection.execute(text("UPDATE alembic_version SET version_num = '9999'")))
    known = f"has the schema 9999, and this release knows only those up to {schema.REVISION}"
    with pytest.raises(SchemaTooNew, match=known):
        Database.open(fresh_url)


def test_the_schema_of_an_earlier_release_is_brought_up_to_date_and_keeps_what_is_there(
    fresh_url: str, clock: Clock
) -> None:
    old = _open_as_of("0001", fresh_url)
    Catalogue(old, clock).put(ANN, ("a",), content("1"))
    old.close()

    new = Database.open(fresh_url)
    assert Catalogue(new, clock).find(ANN, ("a",)).content == content("1")
    assert new.read(lambda connection: compare_metadata(MigrationContext.configure(connection), schema.metadata)) == []
    new.close()


def _open_as_of(revision: str, url: str) -> Database:
    parsed = make_url(url)
    kind = sqlite.Kind(parsed) if parsed.get_backend_name() == "sqlite" else postgresql.Kind(parsed)
    kind.prepare()
    reading, writing, writer = kind.engines()
    with writing.begin() as connection:
        config = Config(attributes={"connection": connection})
        config.set_main_option("script_location", str(MIGRATIONS))
        command.upgrade(config, revision)
    return Database(reading, writing, writer)


def _open(url: str) -> None:
    Database.open(url).close()


def test_processes_that_start_together_make_one_schema(fresh_url: str) -> None:
    with ProcessPoolExecutor(3, multiprocessing.get_context("spawn")) as processes:
        assert list(processes.map(_open, [fresh_url] * 6)) == [None] * 6
    database = Database.open(fresh_url)
    assert database.read(lambda connection: connection.execute(COUNT_USERS).scalar()) == 0
    database.close()


def test_what_raises_changes_nothing(database: Database) -> None:
    def work(connection: Connection) -> None:
        connection.execute(NEW_USER)
        raise LookupError("stop")

    with pytest.raises(LookupError, match="stop"):
        database.write(work)
    assert database.read(lambda connection: connection.execute(COUNT_USERS).scalar()) == 0


def test_a_reader_changes_nothing(database: Database) -> None:
    with pytest.raises((CatalogueUnavailable, InternalError)):
        database.read(lambda connection: connection.execute(NEW_USER))


def test_a_reader_sees_one_moment(database: Database) -> None:
    def work(connection: Connection) -> tuple[object, object]:
        before = connection.execute(COUNT_USERS).scalar()
        database.write(lambda other: other.execute(NEW_USER))
        return before, connection.execute(COUNT_USERS).scalar()

    assert database.read(work) == (0, 0)
    assert database.read(lambda connection: connection.execute(COUNT_USERS).scalar()) == 1


def test_readers_do_not_wait_for_a_writer(database: Database) -> None:
    writing, read = Event(), Event()

    def work(connection: Connection) -> bool:
        connection.execute(NEW_USER)
        writing.set()
        return read.wait(10)

    results: list[bool] = []
    writer = Thread(target=lambda: results.append(database.write(work)))
    writer.start()
    assert writing.wait(10)
    assert database.read(lambda connection: connection.execute(COUNT_USERS).scalar()) == 0
    read.set()
    writer.join()
    assert results == [True]


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("sqlite://", "the catalogue can be in"),
        ("sqlite:///:memory:", "the catalogue can be in"),
        ("mysql://ann:secret@host/x", r"mysql://ann:\*\*\*@host/x: the catalogue can be in"),
        ("no url", "not given as a URL"),
        ("sqlite:////nowhere/at/all/catalogue.sqlite", "No such file or directory"),
        ("postgresql://ann:secret@/x?host=/nowhere/at/all", "No such file or directory"),
    ],
)
def test_what_cannot_be_opened_says_why_and_keeps_the_password(url: str, reason: str) -> None:
    with pytest.raises(CatalogueUnavailable, match=reason) as refusal:
        Database.open(url)
    assert "secret" not in str(refusal.value)


def test_what_is_no_database_is_not_touched(tmp_path: Path) -> None:
    file = tmp_path / "catalogue.sqlite"
    file.write_bytes(b"something else entirely" * 100)
    with pytest.raises(CatalogueUnavailable, match="file is not a database"):
        Database.open(sqlite_url(file))
    assert file.read_bytes() == b"something else entirely" * 100


def test_a_database_of_sqlite_is_for_its_owner_alone(tmp_path: Path, clock: Clock) -> None:
    database = Database.open(sqlite_url(tmp_path / "catalogue.sqlite"))
    Catalogue(database, clock).put(ANN, ("a",), content("1"))
    modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in tmp_path.iterdir()}
    database.close()
    assert modes == dict.fromkeys(("catalogue.sqlite", "catalogue.sqlite-wal", "catalogue.sqlite-shm"), 384)


def test_sqlite_loses_nothing_that_was_acknowledged(tmp_path: Path) -> None:
    database = Database.open(sqlite_url(tmp_path / "catalogue.sqlite"))
    settings = [("journal_mode", "wal"), ("synchronous", 2), ("foreign_keys", 1)]
    found = database.write(lambda c: [(name, c.execute(text(f"PRAGMA {name}")).scalar()) for name, _ in settings])
    assert found == settings
    database.close()


def test_postgresql_must_be_in_utf8(postgresql: Server) -> None:
    postgresql.execute("CREATE DATABASE old ENCODING 'LATIN1' LOCALE_PROVIDER libc LOCALE 'C' TEMPLATE template0")
    with pytest.raises(CatalogueUnavailable, match="the database old is encoded in LATIN1"):
        Database.open(postgresql.url("old"))


def test_transactions_that_get_in_each_others_way_are_tried_again(shared_postgresql: Database) -> None:
    """Each holds what the other wants: PostgreSQL ends one of them."""
    shared_postgresql.write(lambda c: c.execute(delete(schema.users)))
    rows = [{**A_USER, "name": name, "quota": 0} for name in ("ann", "bob")]
    shared_postgresql.write(lambda c: c.execute(insert(schema.users), rows))
    first_held = {"ann": Event(), "bob": Event()}
    attempts: list[str] = []

    def work(mine: str, other: str) -> Callable[[Connection], None]:
        def quota(name: str) -> Update:
            return update(schema.users).where(schema.users.c.name == name).values(quota=schema.users.c.quota + 1)

        def change(connection: Connection) -> None:
            attempts.append(mine)
            connection.execute(quota(mine))
            first_held[mine].set()
            assert first_held[other].wait(10)
            connection.execute(quota(other))

        return change

    other = Thread(target=shared_postgresql.write, args=(work("bob", "ann"),))
    other.start()
    shared_postgresql.write(work("ann", "bob"))
    other.join()
    assert len(attempts) >= 3
    quotas = shared_postgresql.read(lambda c: c.execute(select(schema.users.c.quota)).scalars().all())
    assert quotas == [2, 2]


def test_a_mistake_of_ours_is_not_tried_again(database: Database) -> None:
    attempts = []

    def work(connection: Connection) -> None:
        attempts.append(1)
        connection.execute(insert(schema.trees).values(owner="ann", root=12345))

    with pytest.raises(IntegrityError):
        database.write(work)
    assert len(attempts) == 1
