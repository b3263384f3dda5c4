"""
TLS whose work is done for many records at once.

A TLS record holds 16 KiB at the most. Twisted hands each of them through all layers by itself, and each costs more
there than its cipher does. Here the records of one read are handed on together, and those of one write are taken
from OpenSSL together. Nothing else differs: `BufferingTLSTransport` has the handshake, the shutdown, and the rest.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from OpenSSL import SSL
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import (
    IOpenSSLClientConnectionCreator,
    IProtocol,
    IProtocolFactory,
    IReactorTime,
    IStreamClientEndpoint,
)
from twisted.internet.protocol import connectionDone
from twisted.protocols.policies import ProtocolWrapper
from twisted.protocols.tls import BufferingTLSTransport, TLSMemoryBIOFactory, TLSMemoryBIOProtocol
from twisted.python.failure import Failure
from zope.interface import implementer

from tahoeish.streams.openssl import IN_OPENSSL, RECORD, SEALED_AT_ONCE, Records
from tahoeish.streams.straight import send_now

if TYPE_CHECKING:
    from typing_extensions import Buffer

AT_ONCE = 512 * 1024
"""
The most that is given to the socket in one go: each costs both sides a turn of their reactors. A client takes as much
from it, a server what the request says.
"""

WORTH_A_VIEW = 64 * 1024
"""Content of this size isn't copied for a protocol that `takes_views`, but handed on as a memoryview."""


class BatchingTLSTransport(BufferingTLSTransport):
    """One connection. Large writes may be memoryviews, too; they are not copied before they are encrypted."""

    # The base classes aren't annotated, or declare less than there is.
    transport: Any
    _tlsConnection: Any
    _handshakeDone: bool
    _lostTLSConnection: bool
    _aborted: bool

    def __init__(self, factory: TLSMemoryBIOFactory, wrapped: IProtocol, _connectWrapped: bool = True) -> None:
        super().__init__(factory, wrapped, _connectWrapped)
        self._records_made: Records | None = None
        self._aside: list[Buffer] | None = None
        self._write_small = self.write
        self.write = self._write_any  # type: ignore[method-assign]

    def makeConnection(self, transport: Any) -> None:
        # Else the last few bytes would have to wait for the socket once more.
        transport.SEND_LIMIT = SEALED_AT_ONCE
        super().makeConnection(transport)

    @property
    def bufferSize(self) -> int:
        """What is taken from the socket at once."""
        return int(self.transport.bufferSize)

    @bufferSize.setter
    def bufferSize(self, size: int) -> None:
        self.transport.bufferSize = size

    def dataReceived(self, data: bytes) -> None:
        # Before the handshake is done, and while something waits for OpenSSL, there is more to see to.
        if self._handshakeDone and not self._appSendBuffer:
            self._open(data)
        else:
            super().dataReceived(data)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        super().connectionLost(reason)
        self._write_small = self.write

    def flush(self) -> None:
        """What has been written is all for now, and needn't wait for more."""
        # This, unlike its `flush`, also spares the reactor the turn that it has asked for.
        self._aggregator.close()

    def write_together(self, buffers: Sequence[Buffer]) -> None:
        """Once the handshake is done, and without waiting for more."""
        if self.disconnecting or self._lostTLSConnection:
            return
        buffers = [*self._small_writes(), *buffers]
        content = sum([memoryview(buffer).nbytes for buffer in buffers])
        # So few bytes are copied sooner than sealed in several goes.
        self._seal([b"".join(buffers)] if content <= IN_OPENSSL else buffers)

    def _write_any(self, data: bytes | memoryview) -> None:
        if len(data) <= RECORD:
            self._write_small(bytes(data))
        elif self._handshakeDone:
            self.write_together([data])
        else:
            self._aggregator.flush()
            TLSMemoryBIOProtocol.write(self, data)

    def _write(self, data: bytes | memoryview) -> None:
        if self._lostTLSConnection:
            return
        if not self._handshakeDone:
            # Then OpenSSL takes nothing, and all of it waits.
            super()._write(bytes(data))
        elif self._aside is not None:
            self._aside.append(data)
        else:
            self._seal([data])

    def _small_writes(self) -> Sequence[Buffer]:
        """Those that wait for more, and needn't any longer."""
        aside: list[Buffer] = []
        self._aside = aside
        self._aggregator.flush()
        self._aside = None
        return aside

    def _seal(self, buffers: Sequence[Buffer]) -> None:
        try:
            for sealed in self._records.seal(buffers):
                sealed = sealed[send_now(self.transport, sealed) :]
                if sealed:
                    # The transport keeps it.
                    self.transport.write(bytes(sealed))
        except SSL.Error:
            self._tlsShutdownFinished(Failure())

    def _checkHandshakeStatus(self) -> None:
        super()._checkHandshakeStatus()
        if self._handshakeDone:
            self._flushSendBIO()

    def _flushReceiveBIO(self) -> None:
        self._open(b"")

    def _open(self, sealed: bytes) -> None:
        opened, ended = self._records.open(sealed)
        if opened and not self._aborted:
            ProtocolWrapper.dataReceived(self, self._handed_on(opened))
        # The wrapped protocol may have ended the connection by now.
        if self._lostTLSConnection or self._tlsConnection is None:
            return
        if isinstance(ended, SSL.ZeroReturnError):
            self._shutdownTLS()
            self._tlsShutdownFinished(None)
        elif ended is not None:
            self._tlsShutdownFinished(Failure(ended))
        elif opened:
            # What TLS itself may have to say now goes with what is written next, as it may.
            return
        self._flushSendBIO()

    def _handed_on(self, opened: Sequence[memoryview]) -> bytes:
        if len(opened) > 1:
            return b"".join(opened)
        if len(opened[0]) >= WORTH_A_VIEW and getattr(self.wrappedProtocol, "takes_views", False):
            return opened[0]  # type: ignore[return-value]
        return bytes(opened[0])

    @property
    def _records(self) -> Records:
        if self._records_made is None:
            self._records_made = Records(self._tlsConnection)
        return self._records_made


class BatchingTLSFactory(TLSMemoryBIOFactory):
    """Wraps connections in TLS of this kind."""

    protocol = BatchingTLSTransport


@implementer(IStreamClientEndpoint)
class BatchingTLSEndpoint:
    """Another endpoint, whose connections speak TLS of this kind as soon as they are there."""

    def __init__(
        self, creator: IOpenSSLClientConnectionCreator, endpoint: IStreamClientEndpoint, clock: IReactorTime
    ) -> None:
        self._creator = creator
        self._endpoint = endpoint
        self._clock = clock

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[IProtocol]:
        return Deferred.fromCoroutine(self._connect(protocolFactory))

    async def _connect(self, protocol_factory: IProtocolFactory) -> IProtocol:
        factory = BatchingTLSFactory(self._creator, True, protocol_factory, self._clock)
        transport = await self._endpoint.connect(factory)
        assert isinstance(transport, BatchingTLSTransport)
        transport.bufferSize = AT_ONCE
        return transport.wrappedProtocol
