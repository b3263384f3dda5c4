"""Looking at gauges all the time while something else happens."""

from __future__ import annotations

from collections.abc import Callable
from threading import Event, Thread
from types import TracebackType

PAUSE = 0.05


class Watch:
    """Reads a gauge twenty times a second while its block lasts; `peak` is the highest reading."""

    def __init__(self, gauge: Callable[[], int]) -> None:
        self.peak = gauge()
        self.readings = 1
        self._gauge = gauge
        self._over = Event()
        self._thread = Thread(target=self._look, name="watch")

    def __enter__(self) -> Watch:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._over.wait(PAUSE):
            self.peak = max(self.peak, self._gauge())
            self.readings += 1
