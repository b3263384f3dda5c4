"""A time by which something should have happened, for what happens often and is hardly ever late."""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.interfaces import IDelayedCall, IReactorTime


class Deadline:
    """
    Calls `over` when the time has come.

    It can be put off again and again, which costs nothing: the reactor's timer goes off at the old time, and is set
    anew.
    """

    def __init__(self, clock: IReactorTime, over: Callable[[], object]) -> None:
        self._clock = clock
        self._over = over
        self._time: float | None = None
        self._call: IDelayedCall | None = None
        self._call_time = 0.0

    def put(self, seconds: float) -> None:
        """So long from now."""
        now = self._clock.seconds()
        self._time = now + seconds
        if self._call is None or self._call_time > self._time:
            if self._call is not None:
                self._call.cancel()
            self._set(seconds)

    def stop(self) -> None:
        self._time = None
        if self._call is not None:
            self._call.cancel()
            self._call = None

    def _set(self, seconds: float) -> None:
        assert self._time is not None
        self._call_time = self._time
        self._call = self._clock.callLater(seconds, self._look)

    def _look(self) -> None:
        self._call = None
        if self._time is None:
            return
        left = self._time - self._clock.seconds()
        if left > 0:
            self._set(left)
        else:
            self._time = None
            self._over()
