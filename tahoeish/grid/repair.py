"""
Making a file whole again: it is read from the shares that are left, and encoded as it was.

Only what is missing is stored, next to what is there. Nobody can see any of it before it has turned out that the file
has still the same cap, to the last bit.
"""

from __future__ import annotations

from contextlib import aclosing
from dataclasses import dataclass, replace

from tahoeish.chk.caps import ReadCap
from tahoeish.chk.errors import CorruptFile
from tahoeish.grid.check import Checker, CheckResult
from tahoeish.grid.download import Downloader
from tahoeish.grid.errors import GridError, OtherEncoding
from tahoeish.grid.shareset import IncompleteFile
from tahoeish.grid.upload import Uploader


@dataclass(frozen=True)
class RepairResult:
    """What a check has found, and what was done about it."""

    before: CheckResult
    after: CheckResult
    attempted: bool = False
    problem: str = ""
    """Why not all could be repaired, if so."""

    @property
    def successful(self) -> bool:
        return self.attempted and self.after.healthy


@dataclass(frozen=True)
class Repairer:
    """What all repairs of a node share."""

    checker: Checker
    downloader: Downloader
    uploader: Uploader

    async def check_and_repair(self, cap: ReadCap, *, verify: bool, add_lease: bool = False) -> RepairResult:
        """
        Check the file, and store the shares that nobody holds, or, with `verify`, nobody holds a good one of.

        A repair that fails is part of the result. Raises what `Checker.check` does.
        """
        before = await self.checker.check(cap, verify=verify, add_lease=add_lease)
        if before.healthy:
            return RepairResult(before, before)
        if not before.recoverable:
            problem = f"{len(before.shares)} of the file's shares are left, and it takes {cap.needed} to rebuild it"
            return RepairResult(before, before, problem=problem)
        try:
            after = await self._repaired(cap, before)
        except (GridError, CorruptFile, OtherEncoding) as error:
            return RepairResult(before, before, attempted=True, problem=str(error))
        lacking = ", ".join(map(str, after.missing))
        return RepairResult(
            before, after, attempted=True, problem=lacking and f"the shares {lacking} could not be stored"
        )

    async def _repaired(self, cap: ReadCap, before: CheckResult) -> CheckResult:
        file = await self.downloader.open(cap, avoid=before.useless)
        try:
            incomplete = IncompleteFile(cap, file.segment_size, before.shares, before.useless)
            async with aclosing(file.read(0, cap.size - 1)) as content:
                completed = await self.uploader.complete(incomplete, content)
        finally:
            await file.close()
        return replace(before, shares=completed.shares or {})
