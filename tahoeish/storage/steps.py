"""
Work on many shares, with one trip to the disk for what they have in common.

A *step* is a generator. It does something, yields what has to be safe on the disk before it may go on, and so on to its
end. Steps that wait at the same time are taken together: what several of them need, as a folder of many shares, is
synced once, and one after the other they find it done.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Sequence
from typing import Any, TypeAlias, TypeVar

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from tahoeish.storage.syncing import Unsafe, sync_all
from tahoeish.streams.threads import ThreadRunner
from tahoeish.streams.together import Together

T = TypeVar("T")

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
        faults = {index: error for thing, error in sync_all(unsafe).items() for index in unsafe[thing]}
    return outcomes


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
