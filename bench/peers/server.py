"""Processes of other programs, while a block lasts."""

from __future__ import annotations

import os
import socket
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from time import monotonic, sleep

from bench.client import Address
from bench.process import Process

START_SECONDS = 60
STOP_SECONDS = 10


class DoesNotStart(Exception):
    """Says what the program has said."""


@contextmanager
def running(
    command: Sequence[str | Path], log: Path, *, variables: Mapping[str, str] | None = None, directory: Path
) -> Iterator[Process]:
    """It is ended at the end, with all that it has started."""
    with log.open("wb") as said:
        popen = subprocess.Popen(
            command,
            cwd=directory,
            env={**os.environ, **(variables or {})},
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=said,
            # So that Ctrl-C reaches them when it's their turn.
            process_group=0,
        )
    process = Process(popen.pid)
    try:
        yield process
    finally:
        # Who is paused can't be told to end.
        if popen.poll() is None:
            process.resume()
        popen.terminate()
        try:
            popen.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            popen.kill()
            popen.wait()


def until(ready: Callable[[], object], what: str, log: Path) -> None:
    """Wait for it. Raises `DoesNotStart`, with the end of the log."""
    give_up_at = monotonic() + START_SECONDS
    while not ready():
        if monotonic() > give_up_at:
            said = " / ".join(log.read_text(errors="replace").splitlines()[-5:])
            raise DoesNotStart(f"{what} doesn't start; its log ends: {said}")
        sleep(0.05)


def accepts(address: Address) -> bool:
    try:
        socket.create_connection(address, 1).close()
    except OSError:
        return False
    return True


def free_ports(count: int) -> Sequence[int]:
    """Ports of loopback that nobody listens at now. Programs that can't say which one they took need that."""
    with ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
