"""
A body that gathers in its socket until waking up for it is worth the while.

Where many processes share few processors, each waking costs as much as a hundred kilobytes of work. Linux can be told
to keep still until so many bytes are there (`SO_RCVLOWAT`), and makes room for them.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Any

from twisted.internet.interfaces import IDelayedCall

LONGEST_SECONDS = 0.5
"""What comes slower than a gulp in this time isn't waited for any more, so that it is seen to come."""

_AT_HAND = 32 * 1024
"""TLS may have taken up to a record from the socket that it doesn't understand yet; so much is no longer to come."""

_LITTLE = 16 * 1024


class Gathering:
    """For one body. `connection` is the TCP connection itself, below TLS; `gulp` is what it takes from its socket."""

    def __init__(
        self, connection: Any, gulp: int, call_later: Callable[[float, Callable[[], None]], IDelayedCall]
    ) -> None:
        self._connection = connection
        self._gulp = gulp
        self._call_later = call_later
        self._least = 1
        self._came = False
        self._call: IDelayedCall | None = None

    def expect(self, remaining: int) -> None:
        """More has come, of which so much is still to come, at the least."""
        self._came = True
        least = min(self._gulp, remaining - _AT_HAND)
        self._wake_at(least if least > _LITTLE else 1)
        if self._least > 1 and self._call is None:
            self._call = self._call_later(LONGEST_SECONDS, self._look)

    def stop(self) -> None:
        """From now on, wake up for each byte."""
        self._gulp = 1
        if self._call is not None:
            self._call.cancel()
            self._call = None
        self._wake_at(1)

    def _look(self) -> None:
        self._call = None
        if not self._came:
            self.stop()
        elif self._least > 1:
            self._came = False
            self._call = self._call_later(LONGEST_SECONDS, self._look)

    def _wake_at(self, least: int) -> None:
        # A connection that is lost has no socket any more.
        if least != self._least and hasattr(self._connection, "socket"):
            self._least = least
            self._connection.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, least)
