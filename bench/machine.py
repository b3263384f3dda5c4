"""What all of this ran on."""

from __future__ import annotations

import os
import platform
import re
import subprocess
from importlib.metadata import version
from pathlib import Path
from time import perf_counter

from bench.sizes import GIB, KIB, MB, MIB
from tahoeish.chk.erasure import best_codec

PACKAGES = ("tahoeish", "twisted", "zfec", "cryptography")


def describe(scratch: Path) -> dict[str, str]:
    """Facts by their names."""
    return {
        "processor": f"{_in('/proc/cpuinfo', r'model name')}, {os.cpu_count()} cores",
        "memory": f"{int(_in('/proc/meminfo', r'MemTotal').split()[0]) * KIB / GIB:.1f} GiB",
        "disk": f"{_file_system(scratch)}; one file of 1 GiB written and synced at {_disk_rate(scratch):.0f} MB/s",
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


def _disk_rate(scratch: Path) -> float:
    """What the disk takes from a program that does nothing but write, in MB/s."""
    piece = os.urandom(MIB)
    path = scratch / "disk-rate"
    begun = perf_counter()
    with path.open("wb", buffering=0) as file:
        for _ in range(GIB // MIB):
            file.write(piece)
        os.fdatasync(file.fileno())
    seconds = perf_counter() - begun
    path.unlink()
    return GIB / MB / seconds


def _commit() -> str:
    def git(*arguments: str) -> str:
        return subprocess.run(
            ["git", "-C", str(Path(__file__).parent), *arguments], capture_output=True, text=True, check=True
        ).stdout.strip()

    try:
        return git("rev-parse", "--short", "HEAD") + (" with changes" if git("status", "--porcelain") else "")
    except (OSError, subprocess.CalledProcessError):
        return "not a git checkout"
