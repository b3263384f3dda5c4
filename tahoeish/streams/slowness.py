"""Whether a client that says nothing reads slowly, or not at all."""

from __future__ import annotations

from fcntl import ioctl
from struct import unpack
from termios import TIOCOUTQ
from typing import Any

from twisted.internet.tcp import Connection


def unsent(transport: Any) -> int:
    """
    How much of what was written to it the other side hasn't got yet; 0 where that can't be told.

    Most of it lies in the socket, which is dropped with all that it has when a connection is aborted.
    """
    connection = getattr(transport, "transport", transport)
    if not isinstance(connection, Connection) or not connection.connected:
        return 0
    waiting: int = len(connection.dataBuffer) - connection.offset + connection._tempDataLen
    try:
        (in_the_socket,) = unpack("i", ioctl(connection.fileno(), TIOCOUTQ, bytes(4)))
    except OSError:
        return waiting
    return waiting + int(in_the_socket)


class Patience:
    """With a client that has to read what was written, and takes its time."""

    def __init__(self) -> None:
        self._before: int | None = None

    def renew(self, waiting: int | None = None) -> None:
        """Something new was written, or asked. `waiting`: how much waits for the client now, if that is known."""
        self._before = waiting

    def lasts(self, waiting: int) -> bool:
        """It does while what waits for the client has become less since the last time, or this is the first time."""
        before, self._before = self._before, waiting
        return waiting > 0 and (before is None or waiting < before)
