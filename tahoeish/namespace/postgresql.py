"""PostgreSQL: a server that several gateways can share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from sqlalchemy import URL, Connection, Engine, create_engine
from sqlalchemy.exc import DBAPIError

from tahoeish.namespace.errors import CatalogueUnavailable

T = TypeVar("T")

_CONNECT_SECONDS = 10
_CONNECTIONS_KEPT = 8
_ATTEMPTS = 10

# Two transactions got in each other's way, and PostgreSQL ended one: serialisation failure, deadlock, and a row that
# both wanted to be the first to make.
_WORTH_ANOTHER_TRY = frozenset(("40001", "40P01", "23505"))


class Kind:
    def __init__(self, url: URL) -> None:
        self._url = url.set(drivername="postgresql+psycopg")

    def prepare(self) -> None:
        engine = self._engine()
        try:
            with engine.connect() as connection:
                encoding = connection.exec_driver_sql("SHOW server_encoding").scalar_one()
        finally:
            engine.dispose()
        if encoding != "UTF8":
            raise CatalogueUnavailable(
                f"the database {self._url.database} is encoded in {encoding}; names need one that is made with "
                "ENCODING 'UTF8'"
            )

    def engines(self) -> tuple[Engine, Engine, RetryingWriter]:
        engine = self._engine()
        reading = engine.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
        return reading, engine, RetryingWriter(engine)

    def _engine(self) -> Engine:
        return create_engine(
            self._url,
            connect_args={"connect_timeout": _CONNECT_SECONDS},
            pool_size=_CONNECTIONS_KEPT,
            max_overflow=-1,
            # The server may have been restarted since.
            pool_pre_ping=True,
        )


class RetryingWriter:
    """Plain transactions. Who changes a tree holds its row, so they rarely meet; when they do, one is tried again."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def write(self, work: Callable[[Connection], T]) -> T:
        for _ in range(_ATTEMPTS - 1):
            try:
                return self._attempt(work)
            except DBAPIError as error:
                if getattr(error.orig, "sqlstate", None) not in _WORTH_ANOTHER_TRY:
                    raise
        return self._attempt(work)

    def write_together(self, works: Sequence[Callable[[Connection], Any]]) -> list[Any]:
        """Of each its result or what it raised. Each in a transaction of its own: they may want the same rows."""
        outcomes: list[Any] = []
        for work in works:
            try:
                outcomes.append(self.write(work))
            except Exception as error:
                outcomes.append(error)
        return outcomes

    def _attempt(self, work: Callable[[Connection], T]) -> T:
        with self._engine.begin() as connection:
            return work(connection)
