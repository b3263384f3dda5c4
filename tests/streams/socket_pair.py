"""A transport on one of two sockets that are connected, with time and the reactor's turns in a test's hands."""

from __future__ import annotations

import socket
from types import TracebackType
from typing import Any, Self

from twisted.internet.address import IPv4Address
from twisted.internet.interfaces import IProtocol
from twisted.internet.task import Clock
from twisted.internet.tcp import Connection


class SocketReactor(Clock):
    """What a transport asks of one, besides the time."""

    def __init__(self) -> None:
        super().__init__()
        self.writers: set[Any] = set()

    def addWriter(self, writer: Any) -> None:
        self.writers.add(writer)

    def removeWriter(self, writer: Any) -> None:
        self.writers.discard(writer)

    def addReader(self, reader: Any) -> None:
        """Nothing is read in here."""

    def removeReader(self, reader: Any) -> None:
        """It never was one."""


class _Transport(Connection):
    def getPeer(self) -> IPv4Address:
        return IPv4Address("TCP", "127.0.0.1", 1)

    getHost = getPeer


class Pair:
    """`transport` is for the protocol, `theirs` is the other end."""

    def __init__(self, protocol: IProtocol, reactor: SocketReactor | None = None) -> None:
        self.reactor = reactor or SocketReactor()
        self._ours, self.theirs = socket.socketpair()
        self._ours.setblocking(False)
        self.transport: Any = _Transport(self._ours, protocol, self.reactor)  # type: ignore[arg-type]
        self.transport.connected = True
        self.transport.SEND_LIMIT = 1 << 24

    def drink(self, size: int) -> bytes:
        """Take so many bytes, or all if there are fewer, and let the transport write whatever has room then."""
        taken = b""
        while len(taken) < size:
            self._write()
            self.theirs.setblocking(False)
            try:
                piece = self.theirs.recv(size - len(taken))
            except BlockingIOError:
                break
            finally:
                self.theirs.setblocking(True)
            if not piece:
                break
            taken += piece
        self._write()
        return taken

    def _write(self) -> None:
        for writer in list(self.reactor.writers):
            ended = writer.doWrite()
            if ended is not None:
                writer.connectionLost(ended)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ours.close()
        self.theirs.close()
