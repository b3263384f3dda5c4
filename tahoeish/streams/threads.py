"""
Threads do what takes the processor or waits for a disk.

Everybody else knows them as one callable, a `ThreadRunner`: the node hands out its `WorkerPool`, tests hand
out `direct`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from queue import SimpleQueue
from threading import Thread
from typing import Any, Protocol, TypeAlias, TypeVar

from twisted.internet.defer import Deferred, execute
from twisted.internet.interfaces import IReactorFromThreads
from twisted.logger import Logger
from twisted.python.failure import Failure

T = TypeVar("T")

_Job: TypeAlias = tuple[Deferred[Any], Callable[..., Any], tuple[object, ...]]

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
        self._waiting: deque[tuple[Deferred[Any], Callable[[], Deferred[Any]]]] = deque()
        self._busy = False

    def __call__(self, work: Callable[..., T], /, *args: object) -> Deferred[T]:
        return self.of(lambda: self._run_in_thread(work, *args))

    def of(self, begin: Callable[[], Deferred[T]]) -> Deferred[T]:
        """A piece that is done elsewhere: `begin` is called when it is its turn, which lasts until that has fired."""
        claim: Deferred[T] = Deferred()
        self._waiting.append((claim, begin))
        if not self._busy:
            self._begin_next()
        return claim

    def _begin_next(self) -> None:
        if not self._waiting:
            self._busy = False
            return
        self._busy = True
        claim, begin = self._waiting.popleft()
        begin().addBoth(self._ended, claim)

    def _ended(self, result: Any, claim: Deferred[Any]) -> None:
        # The next one first: whoever gets this result may take long over it.
        self._begin_next()
        if not claim.called:
            claim.callback(result)
        elif isinstance(result, Failure):
            _log.info("work that nobody waits for any more failed: {reason}", reason=result.value)


class WorkerPool:
    """
    A runner with at most so many threads of its own, which begin when they are needed first.

    Results come back together, all that are there at one turn of the reactor: under load, waking it is what costs most.
    Twisted's own pool wakes it for each, and does more in between, for things that nobody here asks of it.
    """

    def __init__(self, reactor: IReactorFromThreads, threads: int, name: str) -> None:
        self._reactor = reactor
        self._most = threads
        self._name = name
        self._threads: list[Thread] = []
        self._jobs: SimpleQueue[_Job | None] = SimpleQueue()
        self._unfinished = 0
        self._done: deque[tuple[Deferred[Any], object]] = deque()
        self._woken = False

    def stop(self) -> None:
        """Wait, blocking, until all that was given to the pool has been done. Results that nobody took are lost."""
        for _ in self._threads:
            self._jobs.put(None)
        for thread in self._threads:
            thread.join()
        self._threads.clear()

    def __call__(self, work: Callable[..., T], /, *args: object) -> Deferred[T]:
        result: Deferred[T] = Deferred()
        self._unfinished += 1
        if len(self._threads) < min(self._unfinished, self._most):
            self._begin_thread()
        self._jobs.put((result, work, args))
        return result

    def _begin_thread(self) -> None:
        thread = Thread(target=self._work, name=f"{self._name}-{len(self._threads)}")
        self._threads.append(thread)
        thread.start()

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            result, work, args = job
            outcome: object
            try:
                outcome = work(*args)
            except BaseException:
                outcome = Failure()
            self._done.append((result, outcome))
            # What the work was about must not live on until the next job comes.
            del job, result, work, args, outcome
            if not self._woken:
                self._woken = True
                self._reactor.callFromThread(self._deliver)

    def _deliver(self) -> None:
        # Before the first result is taken: what comes from now on needs another waking.
        self._woken = False
        # Only what is there now: those who get a result give out more work, and the reactor has sockets to see to.
        for _ in range(len(self._done)):
            result, outcome = self._done.popleft()
            self._unfinished -= 1
            # It may have been cancelled, which Deferred itself sees to.
            if isinstance(outcome, Failure):
                result.errback(outcome)
            else:
                result.callback(outcome)
