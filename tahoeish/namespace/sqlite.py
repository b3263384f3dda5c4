"""SQLite: a file that one process at a time writes to, while any number of readers see it as it was before."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, QueuePool, create_engine, event

from tahoeish.namespace.errors import CatalogueUnavailable
from tahoeish.namespace.group_commit import GroupCommit

# How long to wait for another process, such as a command beside the running node.
_BUSY_SECONDS = 30
_READERS_KEPT = 8

_PRAGMAS = (
    # A write-ahead log is what lets readers and a writer leave each other alone.
    "PRAGMA journal_mode = WAL",
    # With NORMAL, a power failure could take back what was acknowledged.
    "PRAGMA synchronous = FULL",
    "PRAGMA foreign_keys = ON",
    "PRAGMA temp_store = MEMORY",
    "PRAGMA cache_size = -32000",
)


class Kind:
    def __init__(self, url: URL) -> None:
        self._url = url

    def prepare(self) -> None:
        """Whoever can read the file can read everything that is stored, so it is made for its owner alone."""
        assert self._url.database is not None
        try:
            os.close(os.open(Path(self._url.database), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        except OSError as error:
            raise CatalogueUnavailable(f"{self._url.database}: {error.strerror}") from error

    def engines(self) -> tuple[Engine, Engine, GroupCommit]:
        reading = self._engine("BEGIN", "PRAGMA query_only = ON")
        # The lock is taken at once: a transaction that reads first and writes later can find that somebody was quicker.
        writing = self._engine("BEGIN IMMEDIATE")
        return reading, writing, GroupCommit(writing)

    def _engine(self, begin: str, *more_pragmas: str) -> Engine:
        engine = create_engine(
            self._url,
            connect_args={"timeout": _BUSY_SECONDS, "check_same_thread": False},
            poolclass=QueuePool,
            pool_size=_READERS_KEPT,
            max_overflow=-1,
        )

        @event.listens_for(engine, "connect")
        def connected(connection: Any, _record: object) -> None:
            # Python's sqlite3 would begin and end transactions by its own rules otherwise.
            connection.isolation_level = None
            for pragma in (*_PRAGMAS, *more_pragmas):
                connection.execute(pragma)

        @event.listens_for(engine, "begin")
        def begun(connection: Connection) -> None:
            connection.exec_driver_sql(begin)

        return engine
