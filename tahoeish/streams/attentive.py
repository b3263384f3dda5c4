"""
Connections on which an answer is heard while we still send.

Twisted's HTTP client stops reading as soon as it has the head of an answer, and goes on when somebody takes
its body. While a request is being sent nobody can: the answer is handed out only when it is whole. So an
early `413` would be heard after the last byte of a body that the other side no longer reads, which is never. And
when the answer has come, the client closes the connection after that same last byte.

The transport here puts off that pause until the request is out. And it drops a connection that is to be
closed while either direction is stuck, instead of waiting for a good order that will not come.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IProducer, IProtocol, IProtocolFactory, IStreamClientEndpoint
from twisted.protocols.policies import ProtocolWrapper, WrappingFactory
from zope.interface import implementer

LONGEST_EARLY_ANSWER = 1024 * 1024
"""What may be answered, in bytes, while we send: it has to be kept in memory."""


class _AttentiveTransport(ProtocolWrapper):
    """Goes on reading while it sends."""

    # Declared as less than it is: a TCP or TLS connection, which can also be paused and aborted.
    transport: Any

    def __init__(self, factory: Any, wrapped: IProtocol) -> None:
        super().__init__(factory, wrapped)
        self._sending = False
        self._paused = False
        self._heard_early = 0

    def registerProducer(self, producer: IProducer, streaming: bool) -> None:
        self._sending = True
        self._heard_early = 0
        super().registerProducer(producer, streaming)

    def unregisterProducer(self) -> None:
        self._sending = False
        super().unregisterProducer()
        if self._paused:
            self.transport.pauseProducing()

    def pauseProducing(self) -> None:
        self._paused = True
        if not self._sending:
            self.transport.pauseProducing()

    def resumeProducing(self) -> None:
        self._paused = False
        self.transport.resumeProducing()

    def loseConnection(self) -> None:
        if self._sending or self._paused:
            self.transport.abortConnection()
        else:
            super().loseConnection()

    def dataReceived(self, data: bytes) -> None:
        if self._sending:
            self._heard_early += len(data)
            if self._heard_early > LONGEST_EARLY_ANSWER:
                self.transport.abortConnection()
                return
        super().dataReceived(data)


class _AttentiveFactory(WrappingFactory[_AttentiveTransport]):
    protocol = _AttentiveTransport
    noisy = False

    def __init__(self, wrapped: Any) -> None:
        # Nobody wants to read in the log of each connection that comes and goes.
        wrapped.noisy = False
        super().__init__(wrapped)


@implementer(IStreamClientEndpoint)
class AttentiveEndpoint:
    """Another endpoint, whose connections hear early answers early."""

    def __init__(self, endpoint: IStreamClientEndpoint) -> None:
        self._endpoint = endpoint

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[IProtocol]:
        return Deferred.fromCoroutine(self._connect(protocolFactory))

    async def _connect(self, protocol_factory: IProtocolFactory) -> IProtocol:
        transport = await self._endpoint.connect(_AttentiveFactory(protocol_factory))
        assert isinstance(transport, _AttentiveTransport)
        return transport.wrappedProtocol
