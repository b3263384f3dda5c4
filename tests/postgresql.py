"""A PostgreSQL server for as long as a test session takes, from the machine's own programs."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from pwd import getpwnam, struct_passwd
from time import monotonic, sleep

import psycopg

_START_SECONDS = 60

# It holds nothing that anybody will miss.
_SETTINGS = ("fsync=off", "synchronous_commit=off", "full_page_writes=off", "shared_buffers=16MB", "max_wal_size=256MB")


class NoPostgreSQL(Exception):
    """Why no server can be started, and what would help."""


class Server:
    """Reached through a socket in its own folder, so nobody else finds it and no port is taken."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def url(self, database: str) -> str:
        return f"postgresql://postgres@/{database}?host={self._folder}"

    def execute(self, statement: str) -> None:
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            connection.execute(statement.encode())


@contextmanager
def running_server() -> Iterator[Server]:
    """Started here and stopped at the end, even if this process is killed."""
    programs = _programs()
    # Not pytest's own folder: PostgreSQL doesn't run as root, and another user can't get in there.
    folder = Path(tempfile.mkdtemp(prefix="pg-"))
    try:
        user: list[str] = []
        if os.getuid() == 0:
            owner = _unprivileged()
            os.chown(folder, owner.pw_uid, owner.pw_gid)
            user = [f"--reuid={owner.pw_uid}", f"--regid={owner.pw_gid}", "--clear-groups"]
        as_user = ["setpriv", *user, "--pdeathsig=QUIT", "--"]
        data = folder / "data"
        # A locale whose order isn't that of bytes shows who relies on the default.
        order = ["--locale-provider=icu", "--icu-locale=en-US"] if _release(programs) >= 15 else []
        initialise = ["initdb", "--no-sync", "--auth=trust", "--username=postgres", "--encoding=UTF8", *order]
        _run([*as_user, programs / initialise[0], *initialise[1:], "--locale=C.UTF-8", f"--pgdata={data}"], folder)
        settings = [
            f"--{setting}" for setting in (*_SETTINGS, "listen_addresses=", f"unix_socket_directories={folder}")
        ]
        with open(folder / "log", "wb") as log:
            process = subprocess.Popen(
                [*as_user, programs / "postgres", "-D", data, *settings], cwd=folder, stdout=log, stderr=log
            )
        try:
            server = Server(folder)
            _wait(server, process, folder / "log")
            yield server
        finally:
            process.send_signal(signal.SIGQUIT)
            process.wait()
    finally:
        shutil.rmtree(folder)


def _programs() -> Path:
    versions = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda found: int(found.parts[-3]))
    on_path = shutil.which("initdb")
    for found in [*reversed(versions), *([Path(on_path)] if on_path else [])]:
        if found.resolve().with_name("postgres").exists():
            return found.resolve().parent
    raise NoPostgreSQL("no PostgreSQL on this machine: nothing is tested with it. Debian's package is `postgresql`")


def _unprivileged() -> struct_passwd:
    for name in ("postgres", "nobody"):
        try:
            return getpwnam(name)
        except KeyError:
            continue
    raise NoPostgreSQL("PostgreSQL doesn't run as root, and there is neither a user postgres nor nobody")


def _release(programs: Path) -> int:
    output = subprocess.run([programs / "postgres", "--version"], capture_output=True, text=True, check=True).stdout
    match = re.search(r"\d+", output)
    assert match is not None, output
    return int(match[0])


def _run(command: list[str | Path], folder: Path) -> None:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        raise NoPostgreSQL(f"initdb: {done.stdout}{done.stderr}")


def _wait(server: Server, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = monotonic() + _START_SECONDS
    while True:
        try:
            server.execute("SELECT 1")
            return
        except psycopg.OperationalError:
            if process.poll() is not None or monotonic() > deadline:
                raise NoPostgreSQL(f"PostgreSQL didn't start: {log.read_text(errors='replace')}") from None
            sleep(0.05)
