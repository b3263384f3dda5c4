"""Work that goes to threads in batches, because many small pieces cost less together than one after the other."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Generic, TypeVar

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from tahoeish.streams.threads import ThreadRunner

W = TypeVar("W")


class Together(Generic[W]):
    """
    Does what comes while other work is under way in one go, as soon as a thread is free for it.

    `do_all` blocks, and gives the result of each piece, or the exception or `Failure` that ended it. What it raises
    itself has ended all of them. `at_once` batches, of `most` pieces each, may be under way.
    """

    def __init__(
        self,
        run_in_thread: ThreadRunner,
        do_all: Callable[[Sequence[W]], Sequence[Any]],
        *,
        most: int,
        at_once: int,
    ) -> None:
        self._run_in_thread = run_in_thread
        self._do_all = do_all
        self._most = most
        self._at_once = at_once
        self._waiting: deque[tuple[Deferred[Any], W]] = deque()
        self._under_way = 0

    def __call__(self, piece: W) -> Deferred[Any]:
        """Fires when it has been done. Cancelling it loses the result, but doesn't stop the work."""
        done: Deferred[Any] = Deferred()
        self._waiting.append((done, piece))
        if self._under_way < self._at_once:
            self._begin()
        return done

    def _begin(self) -> None:
        self._under_way += 1
        batch: list[tuple[Deferred[Any], W]] = []
        self._run_in_thread(self._do_waiting, batch).addBoth(self._ended, batch)

    def _do_waiting(self, batch: list[tuple[Deferred[Any], W]]) -> Sequence[Any]:
        # Not chosen before the thread is there: until then, more may have come.
        while self._waiting and len(batch) < self._most:
            try:
                batch.append(self._waiting.popleft())
            except IndexError:
                # Another batch has got it.
                break
        return self._do_all([piece for _, piece in batch]) if batch else ()

    def _ended(self, outcomes: Sequence[Any] | Failure, batch: Sequence[tuple[Deferred[Any], W]]) -> None:
        self._under_way -= 1
        if self._waiting:
            self._begin()
        results = [outcomes] * len(batch) if isinstance(outcomes, Failure) else outcomes
        for (done, _), result in zip(batch, results, strict=True):
            # One that was cancelled swallows it.
            if isinstance(result, BaseException | Failure):
                done.errback(result)
            else:
                done.callback(result)
