"""
A folder as a directory in the grid.

    catalogue --one transaction--> scratch file --folder by folder, from the bottom up--> directories --> a cap

The transaction takes as long as it takes to read the names, and not as long as it takes to store them. A folder's cap
is part of its parent's table, so what is stored of a tree that has hardly changed is hardly anything: the folders on
the way to what has.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path as FilePath
from types import TracebackType
from typing import Any

from twisted.internet.defer import Deferred, DeferredList
from twisted.python.failure import Failure

from tahoeish.chk.directory import Child, ChildCap, pack_entry, parse_child_cap
from tahoeish.chk.directory_caps import DirectoryCap
from tahoeish.chk.errors import BadDirectory
from tahoeish.gateway.backup.metadata import metadata_of
from tahoeish.gateway.backup.scratch import ScratchFile, scratch_file
from tahoeish.gateway.dav.visit import Names
from tahoeish.gateway.errors import Refused
from tahoeish.grid.directories import MAX_TABLE, Directories
from tahoeish.namespace.errors import shown
from tahoeish.namespace.names import Path
from tahoeish.namespace.snapshots import Item
from tahoeish.namespace.viewer import Viewer
from tahoeish.streams.budget import ByteBudget, Lease

TABLES = MAX_TABLE
"""Bytes of directories that are being stored at the same time."""

_LEAST_LEASE = TABLES // 8
"""Which bounds their number, too."""


@dataclass
class Counts:
    """How much of a tree; the folder at its top doesn't count."""

    folders: int = 0
    files: int = 0
    size: int = 0


@dataclass
class Progress:
    """How far it is: `done` of `total`, once that is known."""

    done: Counts = field(default_factory=Counts)
    total: Counts | None = None


class Snapshots:
    """Takes snapshots. As long as nothing changes in a folder, it is the same cap."""

    def __init__(
        self, names: Names, directories: Directories, convergence_secret: bytes, scratch_directory: FilePath
    ) -> None:
        self._names = names
        self._directories = directories
        self._convergence_secret = convergence_secret
        self._scratch_directory = scratch_directory

    async def take(self, viewer: Viewer, path: Path, progress: Progress) -> DirectoryCap:
        """
        Store what is in the folder at the moment. Raises as `Catalogue.walk` and uploads do.

        When it is cancelled or fails, directories that have been stored stay in the grid, for another attempt to find.
        """
        async with scratch_file(self._scratch_directory, self._names.run_in_thread) as (file, run):
            recorder = _Recorder(file)
            await run(self._names.catalogue.walk, viewer, path, recorder)
            progress.total = recorder.counts
            folders = _complete_folders(file)
            budget = ByteBudget(TABLES)
            async with _UnderWay() as under_way:
                while True:
                    folder = await run(next, folders)
                    await folder.all_there()
                    table = await run(folder.table)
                    lease = await budget.lease(max(len(table), _LEAST_LEASE))
                    storing = Deferred.fromCoroutine(self._store(path, folder, table, lease, progress.done))
                    if folder.above is None:
                        return await storing
                    folder.above.expect(folder, storing)
                    under_way.add(storing)

    async def _store(self, top: Path, folder: _Folder, table: bytes, lease: Lease, done: Counts) -> DirectoryCap:
        with lease:
            try:
                cap = await self._directories.store_table(table, self._convergence_secret)
            except BadDirectory as error:
                raise Refused(413, f"{shown((*top, *folder.path))}: {error}") from error
        done.folders += folder.above is not None
        done.files += folder.files
        return cap


class _Recorder:
    """Writes down what it is told of a tree."""

    def __init__(self, file: ScratchFile) -> None:
        self.counts = Counts(folders=-1)
        self._file = file

    def enter(self, folder: Item) -> None:
        self.counts.folders += 1
        self._file.append(["folder", folder.name, metadata_of(folder)])

    def files(self, files: Sequence[Item]) -> None:
        for file in files:
            assert file.content is not None
            self.counts.files += 1
            self.counts.size += file.content.size
            self._file.append(["file", file.name, file.content.cap, metadata_of(file)])

    def leave(self) -> None:
        self._file.append(["end"])


class _Folder:
    """One that is being put together."""

    def __init__(self, name: str, metadata: dict[str, Any], above: _Folder | None) -> None:
        self.above = above
        self.files = 0
        self._name = name
        self._metadata = metadata
        self._entries: list[tuple[str, bytes]] = []
        self._expected: set[Deferred[DirectoryCap]] = set()

    @property
    def path(self) -> Path:
        """From the top of the snapshot."""
        names: list[str] = []
        folder = self
        while folder.above is not None:
            names.append(folder._name)
            folder = folder.above
        return tuple(reversed(names))

    def add_file(self, name: str, cap: str, metadata: dict[str, Any]) -> None:
        self.files += 1
        self._add(name, parse_child_cap(cap), metadata)

    def expect(self, folder: _Folder, storing: Deferred[DirectoryCap]) -> None:
        """A folder in this one, which is on its way."""

        def stored(cap: DirectoryCap) -> DirectoryCap:
            self._expected.discard(storing)
            self._add(folder._name, cap, folder._metadata)
            return cap

        self._expected.add(storing)
        storing.addCallback(stored)

    async def all_there(self) -> None:
        """Raises what has kept one of them from being stored."""
        for storing in list(self._expected):
            await storing

    def table(self) -> bytes:
        """Of all that is in it, which is forgotten."""
        self._entries.sort()
        table = b"".join(packed for _, packed in self._entries)
        self._entries.clear()
        return table

    def _add(self, name: str, cap: ChildCap, metadata: dict[str, Any]) -> None:
        self._entries.append((name, pack_entry(name, Child(cap, metadata))))


def _complete_folders(file: ScratchFile) -> Iterator[_Folder]:
    """Each when all that is in it has been seen; the top comes last. Blocks."""
    innermost: _Folder | None = None
    for row in file:
        match row:
            case ["folder", name, metadata]:
                innermost = _Folder(name, metadata, innermost)
            case ["file", name, cap, metadata]:
                assert innermost is not None
                innermost.add_file(name, cap, metadata)
            case ["end"]:
                assert innermost is not None
                complete, innermost = innermost, innermost.above
                yield complete


class _UnderWay:
    """What is being stored. Cancelled, and waited for, when the block is left early."""

    def __init__(self) -> None:
        self._storing: set[Deferred[DirectoryCap]] = set()
        self._failure: Failure | None = None

    def add(self, storing: Deferred[DirectoryCap]) -> None:
        """Raises what another one has failed with, rather than to go on until somebody waits for that."""
        self._storing.add(storing)
        storing.addBoth(self._ended, storing)
        if self._failure is not None:
            self._failure.raiseException()

    def _ended(self, outcome: DirectoryCap | Failure, storing: Deferred[DirectoryCap]) -> DirectoryCap | Failure:
        if isinstance(outcome, Failure):
            self._failure = self._failure or outcome
        else:
            self._storing.discard(storing)
        return outcome

    async def __aenter__(self) -> _UnderWay:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        rest = list(self._storing)
        for storing in rest:
            storing.cancel()
        await DeferredList(rest, consumeErrors=True)
