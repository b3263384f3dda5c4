"""Letting clients in from a socket that several processes listen at."""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Any

from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IAddress, IDelayedCall, IListeningPort, IProtocolFactory, IReadDescriptor
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

log = Logger()

GIVE_WAY_SECONDS = 0.001
"""What others get to come first: enough for one that has nothing to do, little for whoever has to wait for it."""

RECOVERY_SECONDS = 1.0
"""What passes after the system had no more descriptors."""


@implementer(IListeningPort, IReadDescriptor)
class SharedListener:
    """
    A port at a socket that other processes have open, too.

    Twisted's own takes as many clients at once as are there, which are all when a crowd comes, and leaves the other
    processes nothing to do. This one takes one at a time, and while it `gives_way`, others come first.
    """

    def __init__(self, reactor: Any, descriptor: int, factory: IProtocolFactory, gives_way: Callable[[], bool]) -> None:
        self._reactor = reactor
        self._socket = socket.socket(fileno=descriptor)
        self._socket.setblocking(False)
        self._factory = factory
        self._gives_way = gives_way
        self._waiting: IDelayedCall | None = None
        self._listening = False

    def startListening(self) -> None:
        self._factory.doStart()
        self._listening = True
        self.resumeProducing()

    def pauseProducing(self) -> None:
        self._reactor.removeReader(self)
        if self._waiting is not None:
            self._waiting.cancel()
            self._waiting = None

    def resumeProducing(self) -> None:
        if self._listening and self._waiting is None:
            self._reactor.addReader(self)

    def stopListening(self) -> Deferred[None]:
        if self._listening:
            self.pauseProducing()
            self._listening = False
            # The socket itself stays open: it is not only ours.
            self._socket.close()
            self._factory.doStop()
        return succeed(None)

    def getHost(self) -> IAddress:
        address = self._socket.getsockname()
        match self._socket.family:
            case socket.AF_UNIX:
                return UNIXAddress(address)
            case socket.AF_INET6:
                return IPv6Address("TCP", *address)
            case _:
                return IPv4Address("TCP", *address)

    # What the reactor calls.

    def fileno(self) -> int:
        return self._socket.fileno()

    def logPrefix(self) -> str:
        return type(self).__name__

    def doRead(self) -> None:
        if self._gives_way():
            self._rest(GIVE_WAY_SECONDS)
        else:
            self._accept()

    def connectionLost(self, reason: Failure) -> None:
        self.stopListening()

    # Inside.

    def _rest(self, seconds: float) -> None:
        self._reactor.removeReader(self)
        self._waiting = self._reactor.callLater(seconds, self._rested)

    def _rested(self) -> None:
        self._waiting = None
        self._reactor.addReader(self)
        self._accept()

    def _accept(self) -> None:
        try:
            client, _ = self._socket.accept()
        except (BlockingIOError, ConnectionAbortedError):
            # Somebody else was quicker, or the client has left.
            return
        except OSError as error:
            log.error("can't let a client in: {reason}", reason=error.strerror)
            self._rest(RECOVERY_SECONDS)
            return
        with client:
            client.setblocking(False)
            try:
                # It duplicates the descriptor.
                self._reactor.adoptStreamConnection(client.fileno(), client.family, self._factory)
            except OSError as error:
                log.info("a client has left before it was let in: {reason}", reason=error.strerror)
