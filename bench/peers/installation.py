"""What other programs are made of: Python environments, and programs of Debian, in folders of their own."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

PLACE = Path(__file__).parents[2] / ".venv-peers"

_LAST_LINES = 2
_LED_ASTRAY = ("PYTHONHOME", "PYTHONPATH", "PIP_TARGET", "PIP_PREFIX", "PIP_ROOT", "PIP_USER")
"""These would point Python or pip away from an environment."""


class NotInstalled(Exception):
    """Says what was tried and what came of it."""


@dataclass(frozen=True)
class Program:
    """A command, and the variables that it needs to find what belongs to it."""

    path: Path
    variables: Mapping[str, str]


def python_environment(name: str, *requirements: str) -> Path:
    """The folder of its commands. It is made once and kept. Raises `NotInstalled`."""
    place = PLACE / name
    commands = place / "bin"
    # An environment that was moved, or whose Python was, is no longer one.
    wanted = "\n".join((str(place), sys.version, *requirements))
    if not _is_ready(place, wanted):
        _run(sys.executable, "-m", "venv", "--clear", str(place))
        pip = (str(commands / "python"), "-m", "pip", "--disable-pip-version-check", "--no-input")
        _run(*pip, "install", "--quiet", "--progress-bar", "off", *requirements)
        (place / ".ready").write_text(wanted)
    return commands


def debian_program(name: str, *packages: str) -> Program:
    """
    The program, as the system has it, or else out of these packages. Raises `NotInstalled`.

    They are unpacked, not installed: nothing is set up or started, and nobody has to be root.
    """
    # Where programs of the system are that nobody but root is supposed to start.
    path = os.pathsep.join((os.environ.get("PATH", os.defpath), "/usr/sbin"))
    if (found := shutil.which(name, path=path)) is not None:
        return Program(Path(found), {})
    place = PLACE / name
    if not _is_ready(place, "\n".join(packages)):
        if shutil.which("apt-get") is None or shutil.which("dpkg-deb") is None:
            raise NotInstalled(f"there is no {name} here, and no apt-get that could bring it")
        shutil.rmtree(place, ignore_errors=True)
        (place / "packages").mkdir(parents=True)
        _run("apt-get", "download", *packages, directory=place / "packages")
        for package in (place / "packages").glob("*.deb"):
            _run("dpkg-deb", "-x", str(package), str(place))
        (place / ".ready").write_text("\n".join(packages))
    programs = [place / folder / name for folder in ("usr/bin", "usr/sbin", "bin", "sbin")]
    libraries = {str(library.parent) for library in place.rglob("*.so.*")}
    for program in programs:
        if program.exists():
            return Program(program, {"LD_LIBRARY_PATH": os.pathsep.join(sorted(libraries))} if libraries else {})
    raise NotInstalled(f"there is no program {name} in {', '.join(packages)}")


def _is_ready(place: Path, wanted: str) -> bool:
    stamp = place / ".ready"
    return stamp.exists() and stamp.read_text() == wanted


def _run(*command: str, directory: Path | None = None) -> None:
    variables = {name: value for name, value in os.environ.items() if name not in _LED_ASTRAY}
    done = subprocess.run(
        command,
        cwd=directory,
        env=variables,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode:
        last = " / ".join(done.stdout.strip().splitlines()[-_LAST_LINES:])
        raise NotInstalled(f"`{' '.join(command)}` ended with status {done.returncode}: {last}")
