"""What all of this ran on."""

from __future__ import annotations

import os
import platform
import re
import subprocess
from contextlib import ExitStack
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryFile
from time import perf_counter

from bench.sizes import GIB, KIB, MB, MIB
from tahoeish.chk.erasure import best_codec

PACKAGES = ("tahoeish", "twisted", "zfec", "cryptography")


def describe(scratch: Path) -> dict[str, str]:
    """Facts by their names."""
    return {
        "processor": f"{_in('/proc/cpuinfo', r'model name')}, {os.cpu_count()} cores",
        "memory": f"{int(_in('/proc/meminfo', r'MemTotal').split()[0]) * KIB / GIB:.1f} GiB",
        "disk": f"{_file_system(scratch)}; 1 GiB written and synced at {files_rate(scratch, 1, GIB):.0f} MB/s",
        "kernel": f"{platform.system()} {platform.release()}",
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "packages": ", ".join(f"{package} {version(package)}" for package in PACKAGES),
        "erasure code": best_codec().name,
        "commit": _commit(),
        "load before": f"{os.getloadavg()[0]:.2f}",
    }


def _in(file: str, name: str) -> str:
    match = re.search(rf"^{name}\s*:\s*(.+)$", Path(file).read_text(), re.MULTILINE)
    return match[1].strip() if match else "unknown"


def _file_system(path: Path) -> str:
    device = os.stat(path).st_dev
    wanted = f"{os.major(device)}:{os.minor(device)}"
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        if line.split()[2] == wanted:
            return line.partition(" - ")[2].split()[0]
    return "unknown"


def files_rate(scratch: Path, count: int, size: int) -> float:
    """What the disk takes from a program that does nothing but write so many files at once, and sync them, in MB/s."""
    piece = os.urandom(MIB)
    with ExitStack() as opened:
        files = [opened.enter_context(TemporaryFile(dir=scratch, buffering=0)) for _ in range(count)]
        begun = perf_counter()
        for _ in range(size // MIB):
            for file in files:
                file.write(piece)
        for file in files:
            os.fdatasync(file.fileno())
        return count * (size // MIB) * MIB / MB / (perf_counter() - begun)


def _commit() -> str:
    def git(*arguments: str) -> str:
        return subprocess.run(
            ["git", "-C", str(Path(__file__).parent), *arguments], capture_output=True, text=True, check=True
        ).stdout.strip()

    try:
        return git("rev-parse", "--short", "HEAD") + (" with changes" if git("status", "--porcelain") else "")
    except (OSError, subprocess.CalledProcessError):
        return "not a git checkout"
