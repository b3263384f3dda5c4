"""
Threads do what takes the processor or waits for a disk.

Everybody else knows them as one callable, a `ThreadRunner`: the node hands out its `WorkerPool`, tests hand
out `direct`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeVar

from twisted.internet.defer import Deferred, DeferredLock, execute
from twisted.internet.interfaces import IReactorFromThreads
from twisted.internet.threads import deferToThreadPool
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.python.threadpool import ThreadPool

T = TypeVar("T")

_log = Logger()


class ThreadRunner(Protocol):
    """
    Calls `work(*args)` where it may block.

    The Deferred fires in the reactor's thread. Cancelling it loses the result but doesn't stop the work, so
    whoever has something made in a thread asks for it through `claimed`, and whoever works on it, through
    `Turns`.
    """

    def __call__(self, work: Callable[..., T], /, *args: object) -> Deferred[T]: ...


def direct(work: Callable[..., T], /, *args: object) -> Deferred[T]:
    """A runner without threads, for tests: the work is done before the Deferred is there."""
    return execute(work, *args)


def claimed(making: Deferred[T], unclaimed: Callable[[T], object]) -> Deferred[T]:
    """
    Wait for what `making` brings, on a Deferred that can be cancelled without cancelling the making.

    When that has happened, `unclaimed` gets what was made, and gives it back. It may return a Deferred.
    """
    claim: Deferred[T] = Deferred()

    def made(thing: T) -> object:
        if claim.called:
            return unclaimed(thing)
        claim.callback(thing)
        return None

    def failed(reason: Failure) -> None:
        if claim.called:
            _log.info("work that nobody waits for any more failed: {reason}", reason=reason.value)
        else:
            claim.errback(reason)

    making.addCallback(made).addErrback(failed)
    return claim


class Turns:
    """
    A runner for all the blocking work on one thing: a piece at a time, each ended before the next begins.

    Whoever waits for a piece may be cancelled; the piece still runs to its end, and the next one still waits
    for it. So nobody closes a file that a thread is writing to.
    """

    def __init__(self, run_in_thread: ThreadRunner) -> None:
        self._run_in_thread = run_in_thread
        self._turn = DeferredLock()

    def __call__(self, work: Callable[..., T], /, *args: object) -> Deferred[T]:
        running: Deferred[T] = self._turn.run(self._run_in_thread, work, *args)
        return claimed(running, lambda result: None)


class WorkerPool:
    """A runner with at most so many threads of its own. They begin with the first work after `start`."""

    def __init__(self, reactor: IReactorFromThreads, threads: int, name: str) -> None:
        self._reactor = reactor
        self._pool = ThreadPool(minthreads=0, maxthreads=threads, name=name)

    def start(self) -> None:
        self._pool.start()

    def stop(self) -> None:
        """Wait, blocking, until all that was given to the pool has been done. The pool takes no more then."""
        self._pool.stop()

    def __call__(self, work: Callable[..., T], /, *args: object) -> Deferred[T]:
        return deferToThreadPool(self._reactor, self._pool, work, *args)
