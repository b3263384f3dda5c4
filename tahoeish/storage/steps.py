"""
Work on many shares, with one trip to the disk for what they have in common.

A *step* is a generator. It does something, yields what has to be safe on the disk before it may go on, and so on to its
end. Steps that wait at the same time are taken together: what several of them need, as a folder of many shares, is
synced once, and one after the other they find it done.
"""

from __future__ import annotations

import os
from collections.abc import Generator, Iterable, Sequence
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from tahoeish.storage.writeback import begin_writing
from tahoeish.streams.threads import ThreadRunner
from tahoeish.streams.together import Together

T = TypeVar("T")

Unsafe: TypeAlias = int | Path
"""An open file, or a folder."""

Step: TypeAlias = Generator[Iterable[Unsafe], None, T]

MOST_TOGETHER = 64
"""Steps in one batch: the first has to wait for what the last one does."""

BATCHES = 2
"""At a time, so that a large file's last bytes don't hold up everybody else."""


def take(step: Step[T]) -> T:
    """One step by itself. Blocks."""
    (outcome,) = take_together([step])
    if isinstance(outcome, Failure):
        outcome.raiseException()
    return outcome  # type: ignore[no-any-return]


def take_together(steps: Sequence[Step[Any]]) -> list[Any]:
    """The result of each, or the `Failure` that ended it. Blocks."""
    outcomes: list[Any] = [None] * len(steps)
    going = dict(enumerate(steps))
    faults: dict[int, OSError] = {}
    while going:
        unsafe: dict[Unsafe, list[int]] = {}
        for index, step in list(going.items()):
            fault = faults.get(index)
            try:
                needed = next(step) if fault is None else step.throw(fault)
            except StopIteration as end:
                outcomes[index] = end.value
                del going[index]
            except BaseException:
                outcomes[index] = Failure()
                del going[index]
            else:
                for thing in needed:
                    unsafe.setdefault(thing, []).append(index)
        faults = _sync_all(unsafe)
    return outcomes


def _sync_all(unsafe: dict[Unsafe, list[int]]) -> dict[int, OSError]:
    """Which of the steps can't be told that all is safe, and why."""
    faults: dict[int, OSError] = {}
    files = [thing for thing in unsafe if isinstance(thing, int)]
    if len(files) > 1:
        # Otherwise each file gets its place on the disk when it is its turn, and needs a commit of the file system's
        # journal for itself.
        for file in files:
            begin_writing(file)
    for thing, steps in unsafe.items():
        try:
            sync(thing)
        except OSError as error:
            faults.update(dict.fromkeys(steps, error))
    return faults


def sync(thing: Unsafe) -> None:
    if isinstance(thing, int):
        os.fsync(thing)
        return
    fd = os.open(thing, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


class Steps:
    """Takes steps in threads; those that come while others are under way go together."""

    def __init__(self, run_in_thread: ThreadRunner) -> None:
        self._take: Together[Step[Any]] = Together(run_in_thread, take_together, most=MOST_TOGETHER, at_once=BATCHES)

    def __call__(self, step: Step[T]) -> Deferred[T]:
        """Fires when it has been taken to its end. Cancelling it loses the result, but doesn't stop the step."""
        return self._take(step)


class StepsOfDisks:
    """For several folders on one disk: what they have to do goes together, too."""

    def __init__(self, run_in_thread: ThreadRunner) -> None:
        self._run_in_thread = run_in_thread
        self._steps: dict[int, Steps] = {}

    def __call__(self, disk: int) -> Steps:
        """Of the disk with this device number."""
        if disk not in self._steps:
            self._steps[disk] = Steps(self._run_in_thread)
        return self._steps[disk]
