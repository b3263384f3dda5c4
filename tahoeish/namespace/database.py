"""One database, whichever it is: opening it, and running transactions."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol, TypeVar

from sqlalchemy import Connection, Engine, make_url
from sqlalchemy.exc import ArgumentError, DatabaseError, OperationalError

from tahoeish.namespace import migrate, postgresql, sqlite
from tahoeish.namespace.errors import CatalogueUnavailable
from tahoeish.namespace.group_commit import GroupCommit

T = TypeVar("T")


def sqlite_url(file: Path) -> str:
    """The URL of a database in this file."""
    return f"sqlite:///{file}"


class Writer(Protocol):
    """Runs transactions that change something, in the way that suits the database."""

    def write(self, work: Callable[[Connection], T]) -> T: ...

    def write_together(self, works: Sequence[Callable[[Connection], Any]]) -> list[Any]: ...


class Transactions(Protocol):
    """Whatever runs transactions. Every method blocks."""

    def read(self, work: Callable[[Connection], T]) -> T: ...

    def write(self, work: Callable[[Connection], T]) -> T: ...


class Database:
    """Transactions on the catalogue's database. Every method blocks, and may be called from any thread."""

    def __init__(self, reading: Engine, writing: Engine, writer: Writer) -> None:
        self.one_writer = isinstance(writer, GroupCommit)
        """Those who write wait for each other, so they had better come together."""
        self._reading = reading
        self._writing = writing
        self._writer = writer

    @classmethod
    def open(cls, url: str) -> Database:
        """
        `sqlite:///absolute/or/relative/file` or `postgresql://user:password@host/name`.

        The schema is brought up to date first. Raises `SchemaTooNew`, `CatalogueUnavailable`.
        """
        try:
            parsed = make_url(url)
        except ArgumentError as error:
            raise CatalogueUnavailable("the catalogue's database is not given as a URL") from error
        shown = parsed.render_as_string(hide_password=True)
        match parsed.get_backend_name():
            case "sqlite" if parsed.database and parsed.database != ":memory:":
                kind: sqlite.Kind | postgresql.Kind = sqlite.Kind(parsed)
            case "postgresql":
                kind = postgresql.Kind(parsed)
            case _:
                raise CatalogueUnavailable(f"{shown}: the catalogue can be in sqlite:///FILE or postgresql://…")
        with _errors_told(shown):
            kind.prepare()
            reading, writing, writer = kind.engines()
            try:
                migrate.bring_up_to_date(writing)
            except BaseException:
                reading.dispose()
                writing.dispose()
                raise
        return cls(reading, writing, writer)

    def read(self, work: Callable[[Connection], T]) -> T:
        """Let `work` look at the database as it is at one moment. It can't change anything."""
        with _errors_told("the catalogue's database"), self._reading.begin() as connection:
            return work(connection)

    def write(self, work: Callable[[Connection], T]) -> T:
        """
        Let `work` change the database: all of it, durably, or nothing if it raises.

        It may be called again from the start when another transaction got in its way, so it must have no other effects.
        """
        with _errors_told("the catalogue's database"):
            return self._writer.write(work)

    def write_together(self, works: Sequence[Callable[[Connection], Any]]) -> list[Any]:
        """The same for several who needn't wait for each other. Of each its result, or what it raised."""
        with _errors_told("the catalogue's database"):
            return [_told(outcome) for outcome in self._writer.write_together(works)]

    def close(self) -> None:
        """Let go of all connections. No other call may be under way."""
        self._reading.dispose()
        self._writing.dispose()


class Within:
    """A transaction that is under way, for work that thinks it has one of its own."""

    def __init__(self, connection: Connection, *, may_write: bool) -> None:
        self._connection = connection
        self._may_write = may_write

    def read(self, work: Callable[[Connection], T]) -> T:
        return work(self._connection)

    def write(self, work: Callable[[Connection], T]) -> T:
        """Raises `OnlyLooking`."""
        if not self._may_write:
            raise OnlyLooking
        return work(self._connection)


class OnlyLooking(Exception):
    """Nothing can be changed in this transaction."""


def _told(outcome: Any) -> Any:
    if not isinstance(outcome, DatabaseError):
        return outcome
    try:
        with _errors_told("the catalogue's database"):
            raise outcome
    except (CatalogueUnavailable, DatabaseError) as error:
        return error


@contextmanager
def _errors_told(about: str) -> Iterator[None]:
    try:
        yield
    except DatabaseError as error:
        # The bare class is SQLite's for a file that is damaged. The others are mistakes of whoever wrote the statement.
        if type(error) not in (DatabaseError, OperationalError):
            raise
        raise CatalogueUnavailable(f"{about}: {error.orig}") from error
