"""Where the programs are, and running them."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

PATIENCE = 120.0
"""Seconds after which a program is given up."""


def program(name: str, package: str) -> str:
    """
    The program's path, or what a variable like `TAHOEISH_RCLONE` says. Without it, the test is skipped.

    `/usr/sbin` is where mount helpers are, and not on everybody's path.
    """
    variable = f"TAHOEISH_{name.upper().replace('.', '_')}"
    found = os.environ.get(variable) or shutil.which(name) or shutil.which(name, path="/usr/sbin:/sbin")
    if found is None:
        pytest.skip(
            f"NOT TESTED: the program {name} is missing. Install it (apt-get install {package}), or set {variable}"
        )
    return found


def run(
    *command: str | Path, stdin: bytes = b"", environment: Mapping[str, str] | None = None, cwd: Path | None = None
) -> str:
    """What the program says; fails if it fails."""
    done = finished(command, stdin=stdin, environment=environment, cwd=cwd)
    assert done.returncode == 0, said(done)
    return said(done)


def finished(
    command: Sequence[str | Path],
    *,
    stdin: bytes = b"",
    environment: Mapping[str, str] | None = None,
    cwd: Path | None = None,
) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        command,
        input=stdin,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env={**os.environ, **(environment or {})},
        cwd=cwd,
        timeout=PATIENCE,
        check=False,
    )


def said(done: subprocess.CompletedProcess[bytes]) -> str:
    return done.stdout.decode(errors="replace")
