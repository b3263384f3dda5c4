"""What a client may say without asking for anything, and how much of that."""

from __future__ import annotations

from h2.events import (
    DataReceived,
    Event,
    PingAckReceived,
    PingReceived,
    PriorityUpdated,
    RemoteSettingsChanged,
    SettingsAcknowledged,
    UnknownFrameReceived,
    WindowUpdated,
)

_IDLE = (
    PingReceived,
    PingAckReceived,
    PriorityUpdated,
    RemoteSettingsChanged,
    SettingsAcknowledged,
    UnknownFrameReceived,
    WindowUpdated,
)


def is_idle(event: Event) -> bool:
    """It asks for nothing, and brings nothing."""
    return isinstance(event, _IDLE) or (
        isinstance(event, DataReceived) and not event.data and event.stream_ended is None
    )


class TalkAllowance:
    """
    How much a client may still say that is no request.

    Each such frame costs us more than it costs the client. Whoever gets content has reason to say something about it.
    """

    MOST = 1000
    PER_SECOND = 100
    PER_FRAME_SENT = 4

    def __init__(self, now: float) -> None:
        self._left: float = self.MOST
        self._last = now

    def take(self, now: float) -> bool:
        """Whether there was any left."""
        self._left = min(self.MOST, self._left + max(0.0, now - self._last) * self.PER_SECOND)
        self._last = now
        self._left -= 1
        return self._left >= 0

    def earn(self) -> None:
        """A frame of content went out."""
        self._left = min(self.MOST, self._left + self.PER_FRAME_SENT)
