"""What a node says while it takes a snapshot of a folder, or brings one back, and when it has."""

from __future__ import annotations

import json
from collections.abc import AsyncIterable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from tahoeish.client.errors import Refused, TransferBroken
from tahoeish.client.progress import amount

LINES = "application/x-ndjson"
_LONGEST_LINE = 8 * 1024 * 1024

TreeProgress: TypeAlias = Callable[[str], object]
"""Is told, in words, how far it is."""


@dataclass(frozen=True)
class SnapshotReport:
    cap: str
    folders: int
    files: int
    size: int

    @classmethod
    def parse(cls, result: Mapping[str, Any]) -> SnapshotReport:
        try:
            return cls(str(result["cap"]), *_counts(result))
        except (KeyError, TypeError, ValueError) as error:
            raise _not_understood(error) from None

    def __str__(self) -> str:
        return _told(self.folders, self.files, self.size)


@dataclass(frozen=True)
class RestoreReport:
    folders: int
    files: int
    size: int
    left_out: int
    """How many things could not be brought back."""
    reasons: Sequence[tuple[str, str]]
    """The first of these, with why."""

    @classmethod
    def parse(cls, result: Mapping[str, Any]) -> RestoreReport:
        try:
            reasons = [(str(each["path"]), str(each["reason"])) for each in result["reasons"]]
            return cls(*_counts(result), int(result["left_out"]), reasons)
        except (KeyError, TypeError, ValueError) as error:
            raise _not_understood(error) from None

    def __str__(self) -> str:
        lines = [_told(self.folders, self.files, self.size)]
        if self.left_out:
            lines.append(f"{self.left_out} could not be brought back:")
            lines += [f"- {path}: {reason}" for path, reason in self.reasons]
        if self.left_out > len(self.reasons):
            lines.append(f"- and {self.left_out - len(self.reasons)} more")
        return "\n".join(lines)


async def result_in(pieces: AsyncIterable[bytes], progress: TreeProgress | None) -> Mapping[str, Any]:
    """
    Listen to a node's lines of JSON. Raises `Refused` for a problem, and `TransferBroken` where the lines end without a
    result.
    """
    pending = b""
    async for piece in pieces:
        *lines, pending = (pending + piece).split(b"\n")
        if len(pending) > _LONGEST_LINE:
            raise TransferBroken("the node sends a line that doesn't end")
        for line in lines:
            told = _parsed(line)
            match told:
                case {"result": dict(result)}:
                    return result
                case {"problem": {"status": int(status), "title": title, "detail": detail}}:
                    raise Refused(status, str(title), str(detail))
            if progress is not None:
                progress(_progress(told))
    raise TransferBroken("the node has ended its answer before it was done")


def _parsed(line: bytes) -> Any:
    try:
        return json.loads(line)
    except ValueError as error:
        raise _not_understood(error) from None


def _progress(told: Any) -> str:
    match told:
        case {"done": {"folders": int(folders), "files": int(files)}, "total": {"folders": int(all_folders)}}:
            return f"{folders} of {all_folders} folders, {files} files"
        case {"done": {"folders": int(folders), "files": int(files)}}:
            return f"{folders} folders, {files} files"
    raise _not_understood(ValueError("no line of progress"))


def _counts(result: Mapping[str, Any]) -> tuple[int, int, int]:
    return int(result["folders"]), int(result["files"]), int(result["size"])


def _told(folders: int, files: int, size: int) -> str:
    return f"{folders} folders, {files} files, {amount(size)}"


def _not_understood(error: Exception) -> TransferBroken:
    return TransferBroken(f"what was answered can't be understood, so this is not a storage node: {error!r}")
