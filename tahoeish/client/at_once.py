"""Several pieces of work at the same time, but not all of them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from itertools import chain, islice
from typing import TypeVar

from twisted.internet.defer import Deferred, DeferredList
from twisted.python.failure import Failure

T = TypeVar("T")


async def at_once(most: int, pieces: Iterable[T], work: Callable[[T], Awaitable[None]]) -> None:
    """
    Do all pieces, `most` of them at the same time. The first one that fails ends the others, and its error is raised
    when all have come to an end.
    """
    waiting = iter(pieces)
    workers: list[Deferred[None]] = []
    failures: list[Failure] = []

    async def work_on(first: T) -> None:
        for piece in chain([first], waiting):
            if failures:
                return
            await work(piece)

    def failed(failure: Failure) -> None:
        failures.append(failure)
        for worker in workers:
            worker.cancel()

    # No more workers than pieces, however many there may be.
    for first in islice(waiting, most):
        workers.append(Deferred.fromCoroutine(work_on(first)))
        workers[-1].addErrback(failed)
    await DeferredList(workers)
    if failures:
        failures[0].raiseException()
