"""What `tahoeish put` does, with files, folders and pipes."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from io import FileIO
from pathlib import Path
from typing import Any

from tahoeish.client.address import Target
from tahoeish.client.client import Client
from tahoeish.client.defaults import JOBS, RETRIES
from tahoeish.client.descriptors import DescriptorReader, must_be_waited_for
from tahoeish.client.destination import address_of
from tahoeish.client.exits import EXIT_DONE, EXIT_FAILED, EXIT_MISUSED
from tahoeish.client.folders import Folders
from tahoeish.client.foreground import run_to_end
from tahoeish.client.local_tree import shown, trouble_with
from tahoeish.client.patience import Patience
from tahoeish.client.progress import amount
from tahoeish.client.sessions import SessionStore
from tahoeish.client.terminal import (
    STANDARD_STREAM,
    Connect,
    FileTrouble,
    Where,
    complain,
    exit_status,
    named,
    print_result,
    progress_line,
    refuse_empty,
    shown_progress,
)
from tahoeish.client.tree import TreePlan, TreeReport, TreeUploads
from tahoeish.client.uploading import FileUploads
from tahoeish.client.views import FileView, TreeView

_MOST_SKIPPED_SHOWN = 20

_complain = partial(complain, "put")


@dataclass(frozen=True, slots=True)
class How:
    """What the command line says of the way to send something."""

    to: Target | None = None
    resume: bool = True
    retries: int = RETRIES
    jobs: int = JOBS
    dry_run: bool = False
    quiet: bool = False


def put(file: str, *, where: Where, how: How) -> int:
    """Store a file and print its cap, or where it has got its name; or store a folder. Returns the exit status."""
    if not file:
        return refuse_empty("put", "file")
    try:
        mode = _mode_of(file)
        name = _name_to_give(file, mode, how)
    except FileTrouble as error:
        _complain(str(error))
        return EXIT_FAILED
    if trouble := trouble_with(name):
        _complain(f"{shown(file)}: {trouble}; give it another one by --to /files/NAME")
        return EXIT_FAILED
    if stat.S_ISDIR(mode):
        return _put_tree(Path(file), where, how)
    if how.dry_run:
        _complain("--dry-run is for folders")
        return EXIT_MISUSED
    if how.to is not None and how.to.is_folder and file == STANDARD_STREAM:
        _complain("standard input has no name; give one in --to, without a slash behind it")
        return EXIT_MISUSED
    if stat.S_ISREG(mode):
        return _put_file(Path(file), where, how)
    return _put_stream(file, where, how)


def _mode_of(file: str) -> int:
    """What kind of file it is; standard input is a pipe, as far as we care. Raises `FileTrouble`."""
    if file == STANDARD_STREAM:
        return stat.S_IFIFO
    with named(file, ""):
        return os.stat(file).st_mode


def _name_to_give(file: str, mode: int, how: How) -> str:
    """Its own, where that shall be its name on the node, too; else nothing. Raises `FileTrouble`."""
    if stat.S_ISDIR(mode):
        with named(file, ""):
            return Path(file).resolve().name if how.to is None else ""
    return Path(file).name if how.to is not None and how.to.is_folder else ""


def _put_file(file: Path, where: Where, how: How) -> int:
    from twisted.internet import reactor

    hint: str | None = None

    async def work(connect: Connect) -> str:
        nonlocal hint
        client = connect(reactor)
        uploads = _uploads(client, reactor, how)
        with named(str(file), ""), progress_line(reactor, wanted=not how.quiet) as line:
            view = FileView(line, _silence if how.quiet else _complain)
            try:
                if how.to is None:
                    return await uploads.put(file, watcher=view)
                name = how.to.of(file)
                retries = Patience(reactor, how.retries).begin(view.waits, there=lambda: client.exchange.reached)
                await retries.until_done(partial(Folders(client.exchange).make, name[:-1]))
                await uploads.put_as(file, name, watcher=view)
                return client.url + address_of(name)
            finally:
                hint = view.hint

    status = exit_status("put", where, lambda connect: print_result(run_to_end(reactor, lambda: work(connect))))
    if hint is not None:
        _complain(hint)
    return status


def _put_stream(file: str, where: Where, how: How) -> int:
    """What can be read only once can't be resumed."""
    from twisted.internet import reactor

    async def work(connect: Connect) -> str:
        client = connect(reactor)
        with (
            named(file, "standard input"),
            _opened_input(file, reactor) as source,
            shown_progress(reactor, wanted=not how.quiet) as progress,
        ):
            if how.to is None:
                return await client.put(source, progress=progress)
            name = how.to.of(Path(file))
            await Folders(client.exchange).make(name[:-1])
            await client.put_as(source, name, progress=progress)
            return client.url + address_of(name)

    return exit_status("put", where, lambda connect: print_result(run_to_end(reactor, lambda: work(connect))))


def _put_tree(root: Path, where: Where, how: How) -> int:
    from twisted.internet import reactor

    target = (root.resolve().name,) if how.to is None else how.to.path
    if target == ("",):
        _complain("this folder has no name; say with --to /files/FOLDER where its contents shall be")
        return EXIT_MISUSED
    hint: str | None = None

    async def plan_and_do(connect: Connect) -> TreePlan | TreeReport:
        nonlocal hint
        client = connect(reactor)
        trees = TreeUploads(client, _uploads(client, reactor, how), Patience(reactor, how.retries), how.jobs)
        say = _silence if how.quiet else _complain
        with named(str(root), ""):
            plan = await trees.plan(root, target, TreeView(None, say))
        if how.dry_run:
            return plan
        if not how.quiet:
            _tell_skipped(plan)
        with progress_line(reactor, wanted=not how.quiet) as line:
            view = TreeView(line, say)
            try:
                return await trees.carry_out(plan, view)
            except BaseException:
                hint = view.hint
                raise

    def send(connect: Connect) -> int:
        outcome = run_to_end(reactor, lambda: plan_and_do(connect))
        for trouble in outcome.troubles:
            _complain(str(trouble))
        print_result(_told(outcome) if isinstance(outcome, TreePlan) else str(outcome))
        return EXIT_FAILED if outcome.troubles else EXIT_DONE

    status = exit_status("put", where, send)
    if hint is not None:
        _complain(hint)
    return status


def _uploads(client: Client, reactor: Any, how: How) -> FileUploads:
    store = SessionStore.of_user(os.environ) if how.resume else None
    return FileUploads(client, Patience(reactor, how.retries), store)


def _tell_skipped(plan: TreePlan) -> None:
    for remark in plan.skipped[:_MOST_SKIPPED_SHOWN]:
        _complain(f"skipped {remark}")
    if (more := len(plan.skipped) - _MOST_SKIPPED_SHOWN) > 0:
        _complain(f"skipped {more} more")


def _told(plan: TreePlan) -> str:
    lines = [f"{shown(file.path)}  {amount(file.size)}" for file in plan.files]
    counts = f"{len(plan.files)} files to send, {amount(plan.size)}; {plan.unchanged} unchanged"
    return "\n".join([*lines, counts + (f"; {len(plan.skipped)} skipped" if plan.skipped else "")])


def _silence(words: str) -> None:
    """For those who want none."""


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
