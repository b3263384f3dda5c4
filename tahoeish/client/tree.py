"""A folder with all that is in it, on its way to a node's folder; what is there unchanged stays as it is."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TypeVar

from tahoeish.client.at_once import at_once
from tahoeish.client.client import Client
from tahoeish.client.defaults import JOBS
from tahoeish.client.errors import (
    CertificateRefused,
    ClientError,
    CredentialsRefused,
    GivenUp,
    NodeUnreachable,
    Refused,
    TransferBroken,
)
from tahoeish.client.folders import FolderPath, Folders, Listed
from tahoeish.client.local_tree import LocalFile, LocalTree, RelativePath, Remark, walk
from tahoeish.client.patience import Patience
from tahoeish.client.progress import amount
from tahoeish.client.uploading import FileUploads
from tahoeish.client.watching import Watcher

T = TypeVar("T")


@dataclass
class TreePlan:
    """What has to be done, folders before what is in them."""

    root: Path
    target: FolderPath
    folders: list[RelativePath] = field(default_factory=list)
    files: list[LocalFile] = field(default_factory=list)
    unchanged: int = 0
    skipped: list[Remark] = field(default_factory=list)
    troubles: list[Remark] = field(default_factory=list)

    @property
    def size(self) -> int:
        return sum(file.size for file in self.files)


@dataclass
class TreeReport:
    """What has been done."""

    files: int = 0
    size: int = 0
    unchanged: int = 0
    skipped: int = 0
    troubles: list[Remark] = field(default_factory=list)

    def __str__(self) -> str:
        parts = [f"{_files(self.files)} sent, {amount(self.size)}", f"{self.unchanged} unchanged"]
        if self.skipped:
            parts.append(f"{self.skipped} skipped")
        if self.troubles:
            parts.append(f"{len(self.troubles)} failed")
        return "; ".join(parts)


class TreeWatcher:
    """Sees nothing; override what is needed."""

    def waits(self, seconds: float, error: ClientError) -> None:
        """Something with the folders is tried again after a pause."""

    def planned(self, plan: TreePlan) -> None:
        """This is what is going to be done."""

    def passed(self, done: int, total: int) -> None:
        """So many bytes of all files are sent."""

    def of_file(self, file: LocalFile) -> Watcher:
        """Who sees what else becomes of this file."""
        return Watcher()


class TreeUploads:
    """
    Uploads of folders to one node, `jobs` files at a time.

    What is wrong with a file is reported; what would be the same for all of them is raised.
    """

    def __init__(self, client: Client, uploads: FileUploads, patience: Patience, jobs: int = JOBS) -> None:
        self._run_in_thread = client.run_in_thread
        self._reached = lambda: client.exchange.reached
        self._folders = Folders(client.exchange)
        self._uploads = uploads
        self._patience = patience
        self._jobs = jobs

    async def plan(self, root: Path, target: FolderPath, watcher: TreeWatcher | None = None) -> TreePlan:
        """Compare what is in `root` with what is in the node's folder `target`, by size and time."""
        local = await self._run_in_thread(walk, root)
        there = await self._listings(local, target, watcher or TreeWatcher())
        plan = TreePlan(root, target, skipped=local.skipped, troubles=list(local.troubles))
        blocked: set[RelativePath] = set()
        for folder in local.folders:
            entry = there.get(folder[:-1], {}).get(folder[-1])
            if folder[:-1] in blocked:
                blocked.add(folder)
            elif entry is not None and not entry.is_folder:
                blocked.add(folder)
                plan.troubles.append(Remark(root.joinpath(*folder), "the node has a file of this name"))
            elif entry is None:
                plan.folders.append(folder)
        if () not in there:
            plan.folders.insert(0, ())
        for file in local.files:
            entry = there.get(file.name[:-1], {}).get(file.name[-1])
            if file.name[:-1] in blocked:
                plan.troubles.append(Remark(file.path, "its folder can't be made"))
            elif entry is not None and entry.is_like(file.size, file.modified):
                plan.unchanged += 1
            else:
                plan.files.append(file)
        return plan

    async def carry_out(self, plan: TreePlan, watcher: TreeWatcher | None = None) -> TreeReport:
        watcher = watcher or TreeWatcher()
        watcher.planned(plan)
        report = TreeReport(unchanged=plan.unchanged, skipped=len(plan.skipped), troubles=list(plan.troubles))
        missing = await self._make_folders(plan, report, watcher)
        passing = _Passing(plan.size, watcher)

        async def send(file: LocalFile) -> None:
            trouble = "its folder can't be made" if file.name[:-1] in missing else await self._send(file, plan, passing)
            if trouble is not None:
                report.troubles.append(Remark(file.path, trouble))
                return
            report.files += 1
            report.size += file.size

        await at_once(self._jobs, plan.files, send)
        report.troubles.sort(key=lambda remark: remark.path)
        return report

    async def _make_folders(self, plan: TreePlan, report: TreeReport, watcher: TreeWatcher) -> set[RelativePath]:
        """Gives those that can't be made."""
        missing: set[RelativePath] = set()
        for folder in plan.folders:
            if folder[:-1] in missing:
                missing.add(folder)
                continue
            try:
                await self._retried(watcher, partial(self._folders.make, (*plan.target, *folder)))
            except ClientError as error:
                if not folder or _concerns_all(error):
                    raise
                missing.add(folder)
                report.troubles.append(Remark(plan.root.joinpath(*folder), str(error)))
        return missing

    async def _send(self, file: LocalFile, plan: TreePlan, passing: _Passing) -> str | None:
        """Gives what is wrong with it."""
        counted = _CountedFile(passing, passing.watcher.of_file(file))
        try:
            await self._uploads.put_as(file.path, (*plan.target, *file.name), watcher=counted)
        except (ClientError, OSError) as error:
            if _concerns_all(error):
                raise
            # It isn't waited for any more.
            counted.passed(file.size, file.size)
            return (error.strerror or str(error)) if isinstance(error, OSError) else str(error)
        return None

    async def _listings(
        self, local: LocalTree, target: FolderPath, watcher: TreeWatcher
    ) -> dict[RelativePath, dict[str, Listed]]:
        """By the folders that are on both sides."""
        there: dict[RelativePath, dict[str, Listed]] = {}
        below: defaultdict[RelativePath, list[RelativePath]] = defaultdict(list)
        for folder in local.folders:
            below[folder[:-1]].append(folder)

        async def look(folder: RelativePath) -> None:
            listing = await self._retried(watcher, partial(self._folders.list, (*target, *folder)))
            if listing is not None:
                there[folder] = listing

        level: list[RelativePath] = [()]
        while level:
            await at_once(self._jobs, level, look)
            level = [
                folder
                for above in level
                for folder in below[above]
                if (entry := there.get(above, {}).get(folder[-1])) is not None and entry.is_folder
            ]
        return there

    async def _retried(self, watcher: TreeWatcher, work: Callable[[], Awaitable[T]]) -> T:
        retries = self._patience.begin(watcher.waits, there=self._reached)
        return await retries.until_done(work)


class _Passing:
    """Adds up what passes of all files."""

    def __init__(self, total: int, watcher: TreeWatcher) -> None:
        self.watcher = watcher
        self._total = total
        self._done = 0

    def add(self, size: int) -> None:
        self._done += size
        self.watcher.passed(self._done, self._total)


class _CountedFile(Watcher):
    """Hands on what happens to one file, and counts its bytes among all."""

    def __init__(self, passing: _Passing, watcher: Watcher) -> None:
        self._passing = passing
        self._watcher = watcher
        self._done = 0

    def passed(self, done: int, total: int | None) -> None:
        self._passing.add(done - self._done)
        self._done = done
        self._watcher.passed(done, total)

    def goes_on(self, done: int, total: int) -> None:
        self._passing.add(done - self._done)
        self._done = done
        self._watcher.goes_on(done, total)

    def waits(self, seconds: float, error: ClientError) -> None:
        self._watcher.waits(seconds, error)

    def begins_anew(self, reason: str) -> None:
        self._watcher.begins_anew(reason)

    def not_remembered(self, error: OSError) -> None:
        self._watcher.not_remembered(error)

    def left(self, done: int | None, total: int) -> None:
        self._watcher.left(done, total)


def _concerns_all(error: Exception) -> bool:
    """Whether the other files would fare no better."""
    last = error.last if isinstance(error, GivenUp) else error
    if isinstance(last, Refused):
        return isinstance(last, CredentialsRefused) or last.status == 507
    return isinstance(last, NodeUnreachable | CertificateRefused) or (
        isinstance(error, GivenUp) and isinstance(last, TransferBroken)
    )


def _files(count: int) -> str:
    return "1 file" if count == 1 else f"{count} files"
