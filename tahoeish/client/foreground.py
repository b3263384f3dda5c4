"""One piece of work in the foreground of a terminal: run the reactor for it, and stop when told to."""

from __future__ import annotations

import signal
from collections.abc import Callable, Coroutine
from types import FrameType
from typing import Any, TypeVar

from twisted.internet.defer import CancelledError, Deferred
from twisted.python.failure import Failure

T = TypeVar("T")


class Interrupted(Exception):
    """A signal came before the work was done. Everything has been cleaned up."""

    def __init__(self, signal_number: int) -> None:
        super().__init__(f"stopped by {signal.Signals(signal_number).name}")
        self.signal_number = signal_number


def run_to_end(reactor: Any, work: Callable[[], Coroutine[Deferred[Any], Any, T]]) -> T:
    """
    Run `reactor` until `work` has ended, and return or raise what it did.

    SIGINT and SIGTERM cancel it and raise `Interrupted`; a second one ends the process where it stands.
    """
    outcomes: list[T | Failure] = []
    interruptions: list[int] = []
    running: Deferred[None] | None = None

    def begin() -> None:
        nonlocal running
        running = Deferred.fromCoroutine(work()).addBoth(end)
        if interruptions:
            running.cancel()

    def end(outcome: T | Failure) -> None:
        outcomes.append(outcome)
        reactor.stop()

    def interrupt(signal_number: int, frame: FrameType | None) -> None:
        interruptions.append(signal_number)
        signal.signal(signal_number, signal.SIG_DFL)
        # Wakes the reactor, too, which sleeps on through a handled signal.
        reactor.callFromThread(cancel)

    def cancel() -> None:
        if running is not None:
            running.cancel()

    reactor.callWhenRunning(begin)
    handlers = {number: signal.signal(number, interrupt) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        reactor.run(installSignalHandlers=False)
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
    [outcome] = outcomes
    if not isinstance(outcome, Failure):
        return outcome
    if interruptions and outcome.check(CancelledError):
        raise Interrupted(interruptions[0])
    outcome.raiseException()
