"""
Large pieces straight to the socket.

A transport keeps what it is given until its reactor's next turn, joins it with what came before, and cuts it up for the
socket: for what the socket would take at once, that is two copies and a turn too many.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.tcp import Connection

WORTH_IT = 64 * 1024
"""Smaller pieces go together with what follows them: each send wakes the other side."""


def send_now(transport: Any, data: memoryview) -> int:
    """
    How many bytes of it are on their way; the rest is for the transport. It takes none while something waits in there,
    nor when something is wrong with the socket, which the transport will find out by itself.
    """
    # What lies around a socket, TLS above all, may look like one, but must not be passed by.
    if len(data) < WORTH_IT or not isinstance(transport, Connection) or transport.TLS:
        return 0
    if transport.dataBuffer or transport._tempDataBuffer or not transport.connected:
        return 0
    taken = transport.writeSomeData(data)  # type: ignore[arg-type]
    return taken if isinstance(taken, int) else 0
