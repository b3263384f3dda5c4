"""A process, looked at from outside, through /proc."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Callable, Collection, Iterator
from contextlib import suppress
from pathlib import Path
from signal import SIGCONT, SIGSTOP, Signals

from bench.sizes import KIB

_TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")


class Process:
    """What a running process uses, with all those that it has started. Sizes in bytes, times in seconds."""

    def __init__(self, pid: int) -> None:
        self.pid = pid

    def resident(self) -> int:
        """The memory that it has now."""
        return self._sum(lambda proc: _status(proc, "VmRSS"))

    def most_resident(self) -> int:
        """
        The most that it ever had since `forget_most_resident`; the kernel keeps count, so no peak is missed.

        Of several processes, the sum of what each had at most.
        """
        return self._sum(lambda proc: _status(proc, "VmHWM"))

    def forget_most_resident(self) -> None:
        for proc in self._each():
            (proc / "clear_refs").write_text("5")

    def processor_seconds(self) -> float:
        """In all their threads, in user mode and in the kernel, with those of processes that have ended."""
        return self._sum(_ticks) / _TICKS_PER_SECOND

    def open_files(self) -> Iterator[tuple[str, int]]:
        """Each regular file that is open, by the name it has or had, with its size."""
        for proc in self._each():
            for descriptor in os.scandir(proc / "fd"):
                try:
                    name = os.readlink(descriptor.path)
                    about = os.stat(descriptor.path)
                except FileNotFoundError:
                    continue  # It was closed while we were looking.
                if stat.S_ISREG(about.st_mode):
                    yield name, max(about.st_size, about.st_blocks * 512)

    def pause(self) -> None:
        """It takes no processor until `resume`."""
        self._tell(SIGSTOP)

    def resume(self) -> None:
        self._tell(SIGCONT)

    def _tell(self, signal: Signals) -> None:
        for proc in self._each():
            with suppress(ProcessLookupError):
                os.kill(int(proc.name), signal)

    def _sum(self, gauge: Callable[[Path], int]) -> int:
        total = gauge(Path("/proc") / str(self.pid))
        for proc in self._each():
            if proc.name != str(self.pid):
                # One that ends meanwhile is no reason to stop looking at the others.
                with suppress(FileNotFoundError, ProcessLookupError):
                    total += gauge(proc)
        return total

    def _each(self) -> Iterator[Path]:
        known = [str(self.pid)]
        for pid in known:
            proc = Path("/proc") / pid
            yield proc
            for children in proc.glob("task/*/children"):
                with suppress(FileNotFoundError, ProcessLookupError):
                    known += children.read_text().split()


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


def _ticks(proc: Path) -> int:
    fields = (proc / "stat").read_text().rpartition(")")[2].split()
    # Its own, and those of its children that have ended and were waited for.
    return sum(map(int, fields[11:15]))


def _status(proc: Path, field: str) -> int:
    text = (proc / "status").read_text()
    match = re.search(rf"^{field}:\s+(\d+) kB$", text, re.MULTILINE)
    if match is None:
        assert "State:\tZ" in text, f"this kernel's /proc has no {field}"
        return 0
    return int(match[1]) * KIB


def _size(path: Path) -> int:
    try:
        about = path.lstat()
    except FileNotFoundError:
        return 0
    # A folder says nothing of the room that it takes, but its being there does.
    return max(about.st_size, about.st_blocks * 512)
