"""What the commands have in common: whom they ask, what a person sees of them, and how they end."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from twisted.internet.task import LoopingCall

from tahoeish.client import address
from tahoeish.client.backup import TreeProgress
from tahoeish.client.client import Client
from tahoeish.client.credentials import CredentialTrouble, ask_terminal, chosen_credentials
from tahoeish.client.errors import ClientError
from tahoeish.client.exchange import Progress
from tahoeish.client.exits import EXIT_DONE, EXIT_FAILED, EXIT_MISUSED, EXIT_SIGNAL, drop_output
from tahoeish.client.foreground import Interrupted
from tahoeish.client.local_tree import shown
from tahoeish.client.progress import REDRAW_SECONDS, ProgressLine, StatusLine

STANDARD_STREAM = "-"
_USUAL_COLUMNS = 80


class FileTrouble(Exception):
    """A local file can't be read or written."""

    def __init__(self, name: str, error: OSError) -> None:
        super().__init__(f"{shown(name)}: {error.strerror or error}")


@dataclass(frozen=True, slots=True)
class Where:
    """What the command line says of the node to ask, and of who asks."""

    node_url: str | None = None
    user: str | None = None


Connect = Callable[[Any], Client]
"""A client for the reactor that it is given."""


def exit_status(command: str, where: Where, transfer: Callable[[Connect], int | None]) -> int:
    """Do it, and tell a person who waits what went wrong. Raises only `BrokenPipeError`."""
    status = EXIT_FAILED
    try:
        url = address.node_url(where.node_url, os.environ)
        url, credentials = chosen_credentials(url, where.user, os.environ, ask_terminal)
        return transfer(lambda reactor: Client.connect(reactor, url, credentials)) or EXIT_DONE
    except Interrupted as error:
        problem: Exception = error
        status = EXIT_SIGNAL + error.signal_number
    except (address.BadNodeURL, CredentialTrouble) as error:
        problem = error
        status = EXIT_MISUSED
    except (ClientError, FileTrouble) as error:
        problem = error
    complain(command, str(problem))
    return status


def complain(command: str, words: str) -> None:
    print(f"tahoeish: {command}: {words}", file=sys.stderr)


def refuse_empty(command: str, what: str) -> int:
    """
    For a name that is empty, as a shell's variable is that was never set. Gives the exit status.

    As a path it would be the folder where we are, and all names as a folder of the node.
    """
    complain(command, f"the name of the {what} is empty")
    return EXIT_MISUSED


@contextmanager
def shown_progress(reactor: Any, *, wanted: bool) -> Iterator[Progress | None]:
    """Tells a progress line, while a person watches."""
    with progress_line(reactor, wanted=wanted) as line:
        yield None if line is None else line.passed


@contextmanager
def progress_line(reactor: Any, *, wanted: bool) -> Iterator[ProgressLine | None]:
    """A progress line, while a person watches."""
    if not wanted or not sys.stderr.isatty():
        yield None
        return
    line = ProgressLine(sys.stderr, reactor.seconds, terminal_columns)
    redrawing = LoopingCall(line.draw)
    redrawing.clock = reactor
    # A terminal that went away is no reason to give up the transfer.
    redrawing.start(REDRAW_SECONDS).addErrback(lambda failure: failure.trap(OSError))
    try:
        yield line
    except BaseException:
        line.erase()
        raise
    else:
        line.finish()
    finally:
        if redrawing.running:
            redrawing.stop()


@contextmanager
def shown_words(*, wanted: bool) -> Iterator[TreeProgress | None]:
    """How far it is, while a person watches."""
    if not wanted or not sys.stderr.isatty():
        yield None
        return
    line = StatusLine(sys.stderr, terminal_columns)
    try:
        yield line.show
    finally:
        line.erase()


def terminal_columns() -> int:
    return os.get_terminal_size(sys.stderr.fileno()).columns or _USUAL_COLUMNS


def print_result(text: str) -> None:
    with named(STANDARD_STREAM, "standard output"):
        try:
            print(text, flush=True)
        except OSError:
            drop_output()
            raise


@contextmanager
def named(file: str, standard_stream: str) -> Iterator[None]:
    """Says which file an operating system's error is about."""
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        raise FileTrouble(standard_stream if file == STANDARD_STREAM else file, error) from error
