"""What can be seen of an upload from outside, while it is under way."""

from __future__ import annotations

from tahoeish.client.errors import ClientError


class Watcher:
    """Sees nothing; those who want to see something override what they need. None of it can stop the upload."""

    def passed(self, done: int, total: int | None) -> None:
        """So many bytes of the file are sent."""

    def goes_on(self, done: int, total: int) -> None:
        """So many are there already, so they needn't be sent."""

    def waits(self, seconds: float, error: ClientError) -> None:
        """It is tried again after a pause."""

    def begins_anew(self, reason: str) -> None:
        """What is there already is of no use."""

    def not_remembered(self, error: OSError) -> None:
        """It goes its way, but another process couldn't go on with it."""

    def left(self, done: int | None, total: int) -> None:
        """It has ended early, with so much there to go on with; None if nobody knows how much."""
