"""What has gone wrong lately, as far as the log says so."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

from twisted.logger import ILogObserver, LogEvent, LogLevel, formatEvent
from zope.interface import implementer

MOST_KEPT = 50
_LONGEST = 500


@dataclass(frozen=True, slots=True)
class Incident:
    """`when` is in Unix seconds."""

    when: float
    level: str
    text: str


@implementer(ILogObserver)
class Trouble:
    """Observes the log; give it to `globalLogPublisher`. Iterates over what is worth knowing, the newest first."""

    def __init__(self) -> None:
        self._incidents: deque[Incident] = deque(maxlen=MOST_KEPT)

    def __call__(self, event: LogEvent) -> None:
        level = event.get("log_level")
        if level is None or level < LogLevel.warn:
            return
        text = formatEvent(event)
        failure = event.get("log_failure")
        if failure is not None:
            text = f"{text}: {failure.getErrorMessage()}"
        self._incidents.append(Incident(event["log_time"], level.name, text[:_LONGEST]))

    def __iter__(self) -> Iterator[Incident]:
        return reversed(self._incidents)

    def __len__(self) -> int:
        return len(self._incidents)
