"""What `tahoeish get`, `check`, `snapshot` and `restore` do: a node, a progress line, and an exit status."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from tahoeish.client.address import CapPath
from tahoeish.client.backup import RestoreReport, SnapshotReport
from tahoeish.client.client import Client
from tahoeish.client.descriptors import DescriptorWriter, must_be_waited_for
from tahoeish.client.exits import EXIT_DONE, EXIT_FAILED
from tahoeish.client.foreground import run_to_end
from tahoeish.client.report import CheckReport
from tahoeish.client.terminal import (
    STANDARD_STREAM,
    Connect,
    Where,
    exit_status,
    named,
    print_result,
    refuse_empty,
    shown_progress,
    shown_words,
)


def get(wanted: CapPath, file: str, *, where: Where, quiet: bool) -> int:
    """Write the file that is wanted to `file`. Returns the exit status."""
    if not file:
        return refuse_empty("get", "file")
    from twisted.internet import reactor

    # On a terminal, the file itself is what there is to see.
    told = not quiet and not (file == STANDARD_STREAM and sys.stdout.isatty())

    async def work(connect: Connect, output: Path | BinaryIO) -> None:
        client = connect(reactor)
        cap = await _file(client, wanted)
        with shown_progress(reactor, wanted=told) as progress:
            if isinstance(output, Path) or not must_be_waited_for(output.fileno()):
                await client.get_to_file(cap, output, progress=progress)
                return
            async with await client.get(cap, progress=progress) as download:
                with DescriptorWriter(reactor, output.fileno()) as writer:
                    while pieces := await download.batch():
                        await writer.write(pieces)

    def transfer(connect: Connect) -> None:
        # Opened before the reactor runs, as a named pipe waits there for its reader.
        with named(file, "standard output"), _opened_output(file) as output:
            run_to_end(reactor, lambda: work(connect, output))

    return exit_status("get", where, transfer)


def check(wanted: CapPath, *, verify: bool, repair: bool, where: Where) -> int:
    """Print how the file is that is wanted. Returns the exit status: the file's health."""
    from twisted.internet import reactor

    async def work(connect: Connect) -> CheckReport:
        client = connect(reactor)
        return await client.check(await _file(client, wanted), verify=verify, repair=repair)

    def examine(connect: Connect) -> int:
        report = run_to_end(reactor, lambda: work(connect))
        print_result(str(report))
        return EXIT_DONE if report.healthy else EXIT_FAILED

    return exit_status("check", where, examine)


def snapshot(folder: str, *, where: Where, quiet: bool) -> int:
    """Print the cap of a directory with all names in the folder. Returns the exit status."""
    if not folder:
        return refuse_empty("snapshot", "folder")
    from twisted.internet import reactor

    async def work(connect: Connect) -> SnapshotReport:
        with shown_words(wanted=not quiet) as progress:
            return await connect(reactor).snapshot(folder, progress=progress)

    def take(connect: Connect) -> None:
        report = run_to_end(reactor, lambda: work(connect))
        print_result(report.cap)
        if not quiet:
            print(report, file=sys.stderr)

    return exit_status("snapshot", where, take)


def restore(wanted: CapPath, folder: str, *, overwrite: bool, where: Where, quiet: bool) -> int:
    """Bring back what a snapshot holds, or a folder in it. Returns the exit status: whether it was all."""
    if not folder:
        return refuse_empty("restore", "folder")
    from twisted.internet import reactor

    async def work(connect: Connect) -> RestoreReport:
        client = connect(reactor)
        cap = await client.directory_in(wanted.cap, wanted.path) if wanted.path else wanted.cap
        with shown_words(wanted=not quiet) as progress:
            return await client.restore(cap, folder, overwrite=overwrite, progress=progress)

    def bring_back(connect: Connect) -> int:
        report = run_to_end(reactor, lambda: work(connect))
        print_result(str(report))
        return EXIT_FAILED if report.left_out else EXIT_DONE

    return exit_status("restore", where, bring_back)


async def _file(client: Client, wanted: CapPath) -> str:
    return await client.file_in(wanted.cap, wanted.path) if wanted.path else wanted.cap


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
