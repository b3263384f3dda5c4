"""A process's upload sessions on a grid of folders, with time in a test's hands."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from twisted.internet.defer import Deferred

from tahoeish.gateway.uploads.asked import Append, Limits
from tahoeish.gateway.uploads.decisions import Decision
from tahoeish.gateway.uploads.final import FinalAnswer
from tahoeish.gateway.uploads.keeper import Keeper
from tahoeish.gateway.uploads.live import LiveSession, SessionMeans
from tahoeish.gateway.uploads.targets import CAP
from tahoeish.grid.upload import Uploaded
from tahoeish.namespace.database import Database, sqlite_url
from tahoeish.namespace.uploads import UploadTable
from tahoeish.namespace.viewer import LOCAL, Viewer
from tahoeish.streams.budget import ByteBudget
from tahoeish.streams.threads import ThreadRunner, direct
from tests.grid.gridtools import FolderGrid, content, pieces, succeeded

AGE = 1000.0
DATA = content(50_000)
OWNER = Viewer(LOCAL)


@dataclass
class Shelf:
    """What becomes of whole files."""

    trouble: Exception | None = None
    stored: list[Uploaded] = field(default_factory=list)

    async def complete(self, uploaded: Uploaded) -> FinalAnswer:
        if self.trouble is not None:
            raise self.trouble
        self.stored.append(uploaded)
        return FinalAnswer(201, cap=str(uploaded.cap))


class Processes:
    """Those that share a catalogue and a grid."""

    def __init__(self, grid: FolderGrid, database: Database) -> None:
        self.grid = grid
        self.database = database
        self.shelf = Shelf()
        self.later = 0.0
        self.table = UploadTable(database, self.now)
        self._random = random.Random(9)
        self._keepers: list[Keeper] = []

    def now(self) -> float:
        return 1e9 + self.later + self.grid.clock.seconds()

    def begin(self, ask: ThreadRunner = direct) -> Keeper:
        """Another process."""
        means = SessionMeans(
            self.table,
            ask,
            self.grid.uploader,
            lambda row: self.shelf,
            Limits(max_age=int(AGE)),
            self.grid.clock,
            self.now,
            ByteBudget(1 << 20),
        )
        keeper = Keeper(means, self._random.randbytes)
        self._keepers.append(keeper)
        return keeper

    def stop(self) -> None:
        for keeper in self._keepers:
            succeeded(keeper.stop())

    def phases(self) -> list[str]:
        """Of all uploads that the catalogue knows."""
        return [row.phase for row in self.table.of_owner(OWNER.user)]


@contextmanager
def running_processes(path: Path) -> Iterator[Processes]:
    database = Database.open(sqlite_url(path / "catalogue.sqlite"))
    try:
        with FolderGrid(path) as grid:
            processes = Processes(grid, database)
            yield processes
            processes.stop()
    finally:
        database.close()


def new_upload(keeper: Keeper, key: str | None = None) -> LiveSession:
    return succeeded(keeper.create(OWNER, dialect="tus", target=CAP, key=key))


def append(live: LiveSession, data: bytes, *, length: int | None = None, offset: int = 0) -> Deferred[Decision]:
    asked = Append(offset, None, len(data), length)
    return Deferred.fromCoroutine(live.respond(asked, pieces(data)))
