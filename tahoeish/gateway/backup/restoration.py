"""
A directory in the grid as a folder.

    a cap --directory by directory, from the top down--> scratch file --one transaction--> catalogue

Nothing changes in the catalogue before all directories have been read. No file's content is: its cap is all it takes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path as FilePath
from typing import Any

from twisted.logger import Logger

from tahoeish.chk.caps import LiteralCap, ReadCap
from tahoeish.chk.directory import Children
from tahoeish.chk.directory_caps import DirectoryCap
from tahoeish.chk.errors import BadDirectory
from tahoeish.gateway.backup.metadata import item_of
from tahoeish.gateway.backup.scratch import ScratchFile, scratch_file
from tahoeish.gateway.backup.snapshot import Progress
from tahoeish.gateway.dav.visit import Names
from tahoeish.gateway.errors import Refused
from tahoeish.grid.directories import Directories
from tahoeish.grid.errors import NotEnoughShares
from tahoeish.namespace.catalogue import Catalogue
from tahoeish.namespace.conditions import Conditions
from tahoeish.namespace.entries import Content
from tahoeish.namespace.errors import BadName, shown
from tahoeish.namespace.names import Path, check_name
from tahoeish.namespace.places import SHARED
from tahoeish.namespace.snapshots import Item
from tahoeish.namespace.viewer import Viewer
from tahoeish.streams.tasks import together
from tahoeish.streams.threads import ThreadRunner

log = Logger()

AT_ONCE = 8
"""Directories that are read at the same time."""

MOST_ENTRIES = 2_000_000
"""
In one restoration. A small directory can hold another one many times over, and that one another, so there are caps of
trees that have no end.
"""

_LARGEST = 2**63 - 1
_MOST_TOLD = 1000
_LONGEST_TOLD = 500


@dataclass
class LeftOut:
    """What could not be restored: how much, and the first of it with reasons."""

    count: int = 0
    told: list[tuple[str, str]] = field(default_factory=list)

    def add(self, path: Path, reason: str) -> None:
        self.count += 1
        if len(self.told) < _MOST_TOLD:
            self.told.append((shown(path)[:_LONGEST_TOLD], reason))


class Restorations:
    """Brings back what snapshots hold, and other directories, too."""

    def __init__(self, names: Names, directories: Directories, scratch_directory: FilePath) -> None:
        self._names = names
        self._directories = directories
        self._scratch_directory = scratch_directory

    async def check(self, viewer: Viewer, path: Path, *, overwrite: bool, conditions: Conditions) -> None:
        """Whether it would be refused, whatever the directory is: raises what `bring_back` would raise in the end."""
        await self._names.ask(Catalogue.check_plant, viewer, path, overwrite=overwrite, conditions=conditions)

    async def bring_back(
        self,
        cap: DirectoryCap,
        viewer: Viewer,
        path: Path,
        *,
        overwrite: bool,
        conditions: Conditions,
        progress: Progress,
    ) -> LeftOut:
        """
        Put what is in the directory into the folder. Raises as `Catalogue.plant` does, and `Refused`.

        It happens at the end, in one step. If it fails, or is cancelled before that, nothing has changed.
        """
        async with scratch_file(self._scratch_directory, self._names.run_in_thread) as (file, run):
            tree = _Tree(file, self._names.now(), progress, is_top=not path)
            waiting = [_Found(0, cap, path)]
            while waiting:
                batch = [waiting.pop() for _ in range(min(AT_ONCE, len(waiting)))]
                for more in await together(self._read(found, tree, run) for found in batch):
                    waiting += more
            tree.sum_up()
            plant = partial(self._names.catalogue.plant, overwrite=overwrite, conditions=conditions)
            await run(plant, viewer, path, tree)
        if tree.left_out.count:
            log.warn("{count} things were left out of a restoration", count=tree.left_out.count)
        return tree.left_out

    async def _read(self, found: _Found, tree: _Tree, run: ThreadRunner) -> list[_Found]:
        """The directories in it."""
        mutable: list[str] = []
        try:
            async with self._directories.opened(found.cap, mutable.append) as children:
                return await run(tree.add, found, children, mutable)
        except NotEnoughShares as error:
            raise Refused(410, f"{shown(found.path)}: {error}") from error
        except BadDirectory as error:
            raise Refused(400, f"{shown(found.path)}: {error}") from error


@dataclass(frozen=True, slots=True)
class _Found:
    """A directory that is to be read. `path` is where it goes."""

    number: int
    cap: DirectoryCap
    path: Path


class _Tree:
    """What has been read so far: a `Planting`, once it is summed up. Blocks, and serves one thread at a time."""

    def __init__(self, file: ScratchFile, now: float, progress: Progress, *, is_top: bool) -> None:
        self.sizes: Sequence[int] = ()
        self.left_out = LeftOut()
        self._file = file
        self._now = now
        self._progress = progress
        self._is_top = is_top
        self._own_sizes = [0]
        self._above = [0]

    def add(self, found: _Found, children: Children, mutable: Sequence[str]) -> list[_Found]:
        """All that is in one directory. Returns the directories among it."""
        for name in mutable:
            self.left_out.add((*found.path, name), "it can change, and what is in the catalogue can't")
        folders: list[_Found] = []
        for name, child in children.items():
            path = (*found.path, name)
            complain = partial(self.left_out.add, path)
            try:
                check_name(name)
            except BadName as error:
                complain(error.reason)
                continue
            if self._is_top and found.number == 0 and name.startswith(SHARED):
                complain(f"names that begin with {SHARED} at the top stand for what other users share")
                continue
            match child.cap:
                case DirectoryCap():
                    self._append(found.number, item_of(name, None, child.metadata, self._now, complain))
                    folders.append(_Found(len(self._above), child.cap, path))
                    self._above.append(found.number)
                    self._own_sizes.append(0)
                    self._progress.done.folders += 1
                case ReadCap() | LiteralCap():
                    size = child.cap.size
                    if size > _LARGEST - self._progress.done.size:
                        complain("it is larger than any file can be")
                        continue
                    self._append(
                        found.number, item_of(name, (str(child.cap), size), child.metadata, self._now, complain)
                    )
                    self._own_sizes[found.number] += size
                    self._progress.done.files += 1
                    self._progress.done.size += size
                case _:
                    complain("its cap is of a kind that is not known here")
        return folders

    def sum_up(self) -> None:
        """All has been read: the sizes of folders can be told."""
        sizes = self._own_sizes
        # A folder has a higher number than the one that it is in.
        for number in range(len(sizes) - 1, 0, -1):
            sizes[self._above[number]] += sizes[number]
        self.sizes = sizes

    def __iter__(self) -> Iterator[tuple[int, Item]]:
        return map(_planted, self._file)

    def _append(self, within: int, item: Item) -> None:
        done = self._progress.done
        if done.folders + done.files >= MOST_ENTRIES:
            raise Refused(413, f"there are more than {MOST_ENTRIES} files and folders in it; bring back parts of it")
        content = item.content
        file = None if content is None else [content.cap, content.size, content.content_type, content.checksums]
        properties = [[*name, text] for name, text in item.properties.items()]
        self._file.append([within, item.name, file, item.created, item.modified, properties])


def _planted(row: list[Any]) -> tuple[int, Item]:
    within, name, file, created, modified, properties = row
    content = None
    if file is not None:
        cap, size, content_type, checksums = file
        content = Content(cap, size, content_type, tuple((algorithm, digest) for algorithm, digest in checksums))
    dead = {(namespace, local): text for namespace, local, text in properties}
    return within, Item(name, content, created, modified, dead)
