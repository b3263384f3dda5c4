"""
For a while, whoever has completed a share may take it back.

An upload of many shares fails as a whole, and then nothing of it should stay. What is remembered is in memory only, and
no more than `MOST` of it.
"""

from __future__ import annotations

from hmac import compare_digest

from twisted.internet.interfaces import IReactorTime

UNDO_SECONDS = 300.0
MOST = 16 * 1024

ShareKey = tuple[bytes, int]
"""Storage index and number."""


class NoSuchUpload(Exception):
    """The share isn't being uploaded: it never was, or the upload has ended."""


class WrongUploadSecret(Exception):
    """Somebody else uploads this share."""


class Undoing:
    """Which shares may be taken back, and by whom."""

    def __init__(self, clock: IReactorTime) -> None:
        self._clock = clock
        # In the order in which they came, which is that in which they go.
        self._allowed: dict[ShareKey, tuple[bytes, float]] = {}

    def allow(self, share: ShareKey, secret: bytes) -> None:
        self._allowed.pop(share, None)
        self._allowed[share] = (secret, self._clock.seconds() + UNDO_SECONDS)
        self._clear()

    def allows(self, share: ShareKey, secret: bytes) -> bool:
        self._clear()
        known = self._allowed.get(share)
        return known is not None and compare_digest(known[0], secret)

    def expect(self, share: ShareKey, secret: bytes) -> None:
        """Raises `NoSuchUpload` or `WrongUploadSecret`."""
        self._clear()
        if share not in self._allowed:
            raise NoSuchUpload("it is too late to take this share back, or there never was one")
        if not self.allows(share, secret):
            raise WrongUploadSecret("somebody else has uploaded this share")

    def forget(self, share: ShareKey) -> None:
        self._allowed.pop(share, None)

    def _clear(self) -> None:
        now = self._clock.seconds()
        while self._allowed:
            oldest = next(iter(self._allowed))
            if len(self._allowed) <= MOST and self._allowed[oldest][1] > now:
                return
            del self._allowed[oldest]
