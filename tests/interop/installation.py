"""
Tahoe-LAFS from PyPI, in an environment of its own that is made once and kept.

It lies in `.venv-tahoe` of the repository, or where the variable `TAHOEISH_TAHOE_ENV` says.
"""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

REQUIREMENT = "tahoe-lafs==1.20.0"
VARIABLE = "TAHOEISH_TAHOE_ENV"

_ROOT = Path(__file__).parents[2]
_PATIENCE = 600
"""Seconds for one step. It takes a minute, but there are slow networks, and packages that have to be compiled."""


class NotInstalled(Exception):
    """Says in a line what was tried and what came of it."""


def installed() -> Path:
    """The program `tahoe`, installed if it has to be. Raises `NotInstalled`."""
    environment = Path(os.environ.get(VARIABLE) or _ROOT / ".venv-tahoe").absolute()
    program = environment / "bin" / "tahoe"
    stamp = environment / ".ready"
    # An environment that was moved, or whose Python was, is no longer one.
    wanted = f"{environment}\n{sys.version}\n{REQUIREMENT}\n"
    try:
        environment.mkdir(parents=True, exist_ok=True)
        with _locked(environment):
            if not (stamp.exists() and stamp.read_text() == wanted and program.exists()):
                stamp.unlink(missing_ok=True)
                _install(environment)
                stamp.write_text(wanted)
    except OSError as error:
        raise NotInstalled(f"{REQUIREMENT} can't be installed in {environment}: {error}") from error
    return program


def _install(environment: Path) -> None:
    _run(environment, sys.executable, "-m", "venv", "--clear", str(environment))
    pip = (str(environment / "bin" / "python"), "-m", "pip", "--disable-pip-version-check", "--no-input")
    _run(environment, *pip, "install", "--progress-bar", "off", REQUIREMENT)
    _run(environment, str(environment / "bin" / "tahoe"), "--version")


def _run(environment: Path, *command: str) -> None:
    # These would point Python or pip away from the environment.
    led_astray = ("PYTHONHOME", "PYTHONPATH", "PIP_TARGET", "PIP_PREFIX", "PIP_ROOT", "PIP_USER")
    variables = {name: value for name, value in os.environ.items() if name not in led_astray}
    process = subprocess.Popen(
        command, env=variables, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    with process:
        try:
            output, _ = process.communicate(timeout=_PATIENCE)
            end = f"ended with status {process.returncode}"
        except subprocess.TimeoutExpired:
            process.kill()
            output, _ = process.communicate()
            end = f"has not ended after {_PATIENCE} seconds"
    if process.returncode:
        log = environment / "failure.log"
        log.write_bytes(output)
        *_, last = ["no output", *filter(None, output.decode(errors="replace").splitlines())]
        raise NotInstalled(
            f"{REQUIREMENT} can't be installed in {environment}: `{' '.join(command)}` {end}: {last} (more in {log})"
        )


@contextmanager
def _locked(directory: Path) -> Iterator[None]:
    """Alone with it. The directory itself is the lock, so no lock file is left."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
