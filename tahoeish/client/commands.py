"""What `tahoeish put`, `get`, `check`, `snapshot` and `restore` do: a node, a progress line, and an exit status."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import FileIO
from pathlib import Path
from typing import Any, BinaryIO

from twisted.internet.task import LoopingCall

from tahoeish.client import address
from tahoeish.client.backup import RestoreReport, SnapshotReport, TreeProgress
from tahoeish.client.client import Client, Progress
from tahoeish.client.credentials import CredentialTrouble, ask_terminal, chosen_credentials
from tahoeish.client.descriptors import DescriptorReader, DescriptorWriter, must_be_waited_for
from tahoeish.client.errors import ClientError
from tahoeish.client.foreground import Interrupted, run_to_end
from tahoeish.client.progress import REDRAW_SECONDS, ProgressLine, StatusLine
from tahoeish.client.report import CheckReport

EXIT_DONE = 0
EXIT_FAILED = 1
EXIT_MISUSED = 2
EXIT_SIGNAL = 128
EXIT_BROKEN_PIPE = 141
"""What a shell says of a program that SIGPIPE has ended, as it ends most of them."""

STANDARD_STREAM = "-"
_USUAL_COLUMNS = 80


class FileTrouble(Exception):
    """A local file can't be read or written."""

    def __init__(self, name: str, error: OSError) -> None:
        super().__init__(f"{name}: {error.strerror or error}")


@dataclass(frozen=True, slots=True)
class Where:
    """What the command line says of the node to ask, and of who asks."""

    node_url: str | None = None
    user: str | None = None


Connect = Callable[[Any], Client]
"""A client for the reactor that it is given."""


def put(file: str, *, where: Where, quiet: bool) -> int:
    """Store `file` and print its cap. Returns the exit status."""
    from twisted.internet import reactor

    async def work(connect: Connect) -> str:
        with (
            _named(file, "standard input"),
            _opened_input(file, reactor) as source,
            _shown_progress(reactor, wanted=not quiet) as progress,
        ):
            return await connect(reactor).put(source, progress=progress)

    return _exit_status("put", where, lambda connect: _print(run_to_end(reactor, lambda: work(connect))))


def get(cap: str, file: str, *, where: Where, quiet: bool) -> int:
    """Write the file that `cap` names to `file`. Returns the exit status."""
    from twisted.internet import reactor

    # On a terminal, the file itself is what there is to see.
    wanted = not quiet and not (file == STANDARD_STREAM and sys.stdout.isatty())

    async def work(connect: Connect, output: Path | BinaryIO) -> None:
        client = connect(reactor)
        with _shown_progress(reactor, wanted=wanted) as progress:
            if isinstance(output, Path) or not must_be_waited_for(output.fileno()):
                await client.get_to_file(cap, output, progress=progress)
                return
            async with await client.get(cap, progress=progress) as download:
                with DescriptorWriter(reactor, output.fileno()) as writer:
                    while pieces := await download.batch():
                        await writer.write(pieces)

    def transfer(connect: Connect) -> None:
        # Opened before the reactor runs, as a named pipe waits there for its reader.
        with _named(file, "standard output"), _opened_output(file) as output:
            run_to_end(reactor, lambda: work(connect, output))

    return _exit_status("get", where, transfer)


def check(cap: str, *, verify: bool, repair: bool, where: Where) -> int:
    """Print how the file is that `cap` names. Returns the exit status: the file's health."""
    from twisted.internet import reactor

    async def work(connect: Connect) -> CheckReport:
        return await connect(reactor).check(cap, verify=verify, repair=repair)

    def examine(connect: Connect) -> int:
        report = run_to_end(reactor, lambda: work(connect))
        _print(str(report))
        return EXIT_DONE if report.healthy else EXIT_FAILED

    return _exit_status("check", where, examine)


def snapshot(folder: str, *, where: Where, quiet: bool) -> int:
    """Print the cap of a directory with all names in the folder. Returns the exit status."""
    from twisted.internet import reactor

    async def work(connect: Connect) -> SnapshotReport:
        with _shown_words(wanted=not quiet) as progress:
            return await connect(reactor).snapshot(folder, progress=progress)

    def take(connect: Connect) -> None:
        report = run_to_end(reactor, lambda: work(connect))
        _print(report.cap)
        if not quiet:
            print(report, file=sys.stderr)

    return _exit_status("snapshot", where, take)


def restore(cap: str, folder: str, *, overwrite: bool, where: Where, quiet: bool) -> int:
    """Bring back what a snapshot holds, and print how much that is. Returns the exit status: whether it was all."""
    from twisted.internet import reactor

    async def work(connect: Connect) -> RestoreReport:
        with _shown_words(wanted=not quiet) as progress:
            return await connect(reactor).restore(cap, folder, overwrite=overwrite, progress=progress)

    def bring_back(connect: Connect) -> int:
        report = run_to_end(reactor, lambda: work(connect))
        _print(str(report))
        return EXIT_FAILED if report.left_out else EXIT_DONE

    return _exit_status("restore", where, bring_back)


def _exit_status(command: str, where: Where, transfer: Callable[[Connect], int | None]) -> int:
    """Do it, and tell a person who waits what went wrong."""
    status = EXIT_FAILED
    try:
        url = address.node_url(where.node_url, os.environ)
        url, credentials = chosen_credentials(url, where.user, os.environ, ask_terminal)
        return transfer(lambda reactor: Client.connect(reactor, url, credentials)) or EXIT_DONE
    except BrokenPipeError:
        # Whoever read our output has had enough, and knows it.
        return EXIT_BROKEN_PIPE
    except Interrupted as error:
        problem: Exception = error
        status = EXIT_SIGNAL + error.signal_number
    except (address.BadNodeURL, CredentialTrouble) as error:
        problem = error
        status = EXIT_MISUSED
    except (ClientError, FileTrouble) as error:
        problem = error
    print(f"tahoeish: {command}: {problem}", file=sys.stderr)
    return status


@contextmanager
def _opened_input(file: str, reactor: Any) -> Iterator[FileIO | DescriptorReader]:
    if file == STANDARD_STREAM:
        opened = FileIO(0, closefd=False)
    else:
        # Without O_NONBLOCK, opening a named pipe would wait for somebody to write to it.
        opened = FileIO(file, opener=lambda path, flags: os.open(path, flags | os.O_NONBLOCK))
    with opened:
        if must_be_waited_for(opened.fileno()):
            yield DescriptorReader(reactor, opened.fileno())
        else:
            yield opened


@contextmanager
def _opened_output(file: str) -> Iterator[Path | BinaryIO]:
    """A path under which a new file may appear, or, for what can't be replaced, like a device, an open file."""
    path = Path(file)
    if file == STANDARD_STREAM:
        with open(1, "wb", closefd=False) as output:
            yield output
    elif path.exists() and not path.is_file():
        with path.open("wb") as output:
            yield output
    else:
        yield path


@contextmanager
def _shown_progress(reactor: Any, *, wanted: bool) -> Iterator[Progress | None]:
    """A progress line while a person watches."""
    if not wanted or not sys.stderr.isatty():
        yield None
        return
    line = ProgressLine(sys.stderr, reactor.seconds, _terminal_columns)
    redrawing = LoopingCall(line.draw)
    redrawing.clock = reactor
    # A terminal that went away is no reason to give up the transfer.
    redrawing.start(REDRAW_SECONDS).addErrback(lambda failure: failure.trap(OSError))
    try:
        yield line.passed
    except BaseException:
        line.erase()
        raise
    else:
        line.finish()
    finally:
        if redrawing.running:
            redrawing.stop()


@contextmanager
def _shown_words(*, wanted: bool) -> Iterator[TreeProgress | None]:
    """How far it is, while a person watches."""
    if not wanted or not sys.stderr.isatty():
        yield None
        return
    line = StatusLine(sys.stderr, _terminal_columns)
    try:
        yield line.show
    finally:
        line.erase()


def _terminal_columns() -> int:
    return os.get_terminal_size(sys.stderr.fileno()).columns or _USUAL_COLUMNS


def _print(text: str) -> None:
    with _named(STANDARD_STREAM, "standard output"):
        try:
            print(text, flush=True)
        except OSError:
            # The interpreter would try it again when it exits, and complain.
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
            raise


@contextmanager
def _named(file: str, standard_stream: str) -> Iterator[None]:
    """Says which file an operating system's error is about."""
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        raise FileTrouble(standard_stream if file == STANDARD_STREAM else file, error) from error
