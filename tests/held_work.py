"""Threads that do nothing until they are told to."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import TypeVar

from twisted.internet.defer import Deferred, execute

T = TypeVar("T")


class HeldWork:
    """A `ThreadRunner` whose work begins and ends when a test says so: in `do_next`."""

    def __init__(self) -> None:
        self._waiting: deque[Callable[[], object]] = deque()

    def __len__(self) -> int:
        return len(self._waiting)

    def __call__(self, work: Callable[..., T], /, *args: object) -> Deferred[T]:
        done: Deferred[T] = Deferred()
        self._waiting.append(lambda: execute(work, *args).chainDeferred(done))
        return done

    def do_next(self) -> None:
        self._waiting.popleft()()

    def do_all(self) -> None:
        while self._waiting:
            self.do_next()
