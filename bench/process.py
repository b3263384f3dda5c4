"""A process, looked at from outside, through /proc."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Collection, Iterator
from pathlib import Path

from bench.sizes import KIB

_TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")


class Process:
    """What a running process uses. Sizes in bytes, times in seconds."""

    def __init__(self, pid: int) -> None:
        self._proc = Path("/proc") / str(pid)

    def resident(self) -> int:
        """The memory that it has now."""
        return self._status("VmRSS")

    def most_resident(self) -> int:
        """The most that it ever had since `forget_most_resident`; the kernel keeps count, so no peak is missed."""
        return self._status("VmHWM")

    def forget_most_resident(self) -> None:
        (self._proc / "clear_refs").write_text("5")

    def processor_seconds(self) -> float:
        """In all its threads, in user mode and in the kernel."""
        fields = (self._proc / "stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / _TICKS_PER_SECOND

    def open_files(self) -> Iterator[tuple[str, int]]:
        """Each regular file that it has open, by the name it has or had, with its size."""
        for descriptor in os.scandir(self._proc / "fd"):
            try:
                name = os.readlink(descriptor.path)
                about = os.stat(descriptor.path)
            except FileNotFoundError:
                continue  # It was closed while we were looking.
            if stat.S_ISREG(about.st_mode):
                yield name, max(about.st_size, about.st_blocks * 512)

    def _status(self, field: str) -> int:
        match = re.search(rf"^{field}:\s+(\d+) kB$", (self._proc / "status").read_text(), re.MULTILINE)
        assert match is not None, f"this kernel's /proc has no {field}"
        return int(match[1]) * KIB


class TemporaryDisk:
    """
    Bytes on disks that a process uses besides what it was asked to keep.

    That is: whatever lies in its temporary directory, and whatever file it holds open that isn't below one of the
    `kept` directories, or is there but has no name any more. What it has open already when this begins doesn't count.
    """

    def __init__(self, process: Process, directory: Path, kept: Collection[Path]) -> None:
        self._process = process
        self._directory = directory
        self._kept = tuple(f"{path.resolve()}/" for path in kept)
        self._open_before = {name for name, _ in process.open_files()}

    def __call__(self) -> int:
        """Now."""
        held = sum(size for name, size in self._process.open_files() if self._is_temporary(name))
        lying = sum(_size(path) for path in self._directory.rglob("*"))
        return held + lying

    def _is_temporary(self, name: str) -> bool:
        if name in self._open_before:
            return False
        return name.endswith(" (deleted)") or not name.startswith(self._kept)


def _size(path: Path) -> int:
    try:
        about = path.lstat()
    except FileNotFoundError:
        return 0
    # A folder says nothing of the room that it takes, but its being there does.
    return max(about.st_size, about.st_blocks * 512)
