"""
TLS whose work is done for many records at once.

A TLS record holds 16 KiB at the most. Twisted hands each of them through all layers by itself, and each costs more
there than its cipher does. Here the records of one read are handed on together, and those of one write are taken
from OpenSSL together. Nothing else differs: `BufferingTLSTransport` has the handshake, the shutdown, and the rest.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
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

if TYPE_CHECKING:
    from typing_extensions import Buffer

RECORD = 16 * 1024
"""What a record holds, by TLS's own rules."""

AT_ONCE = 512 * 1024
"""
The most that is given to the socket in one go: each costs both sides a turn of their reactors. A client takes as much
from it, a server what the request says.
"""

_OVERHEAD = 64
"""What a record adds to its content, or a little more; too much costs nothing, too little another call."""

IN_OPENSSL = 2 * RECORD
"""
What OpenSSL is given at a time, either way. It never gives back the memory that a connection's records have once taken,
which hundreds of connections would keep, most of them idle.
"""


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
        self._unopened: Iterator[memoryview] = iter(())
        self._write_small = self.write
        self.write = self._write_any  # type: ignore[method-assign]

    def makeConnection(self, transport: Any) -> None:
        # Else the last few bytes would have to wait for the socket once more.
        transport.SEND_LIMIT = _sealed_size(AT_ONCE + RECORD)
        super().makeConnection(transport)

    @property
    def bufferSize(self) -> int:
        """What is taken from the socket at once."""
        return int(self.transport.bufferSize)

    @bufferSize.setter
    def bufferSize(self, size: int) -> None:
        self.transport.bufferSize = size

    def dataReceived(self, data: bytes) -> None:
        # Before the handshake is done, nothing may be asked for that would make room for the rest.
        if self._handshakeDone and len(data) > IN_OPENSSL:
            self._unopened = _pieces(data)
            super().dataReceived(next(self._unopened))
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
        self._aggregator.flush()
        content = sum([memoryview(buffer).nbytes for buffer in buffers])
        # So few bytes are copied sooner than sealed in several goes.
        self._seal([b"".join(buffers)] if content <= IN_OPENSSL else buffers)

    def _write_any(self, data: bytes | memoryview) -> None:
        if len(data) <= RECORD:
            self._write_small(bytes(data))
        else:
            self._aggregator.flush()
            TLSMemoryBIOProtocol.write(self, data)

    def _write(self, data: bytes | memoryview) -> None:
        if self._lostTLSConnection:
            return
        if not self._handshakeDone:
            # Then OpenSSL takes nothing, and all of it waits.
            super()._write(bytes(data))
        else:
            self._seal([data])

    def _seal(self, buffers: Sequence[Buffer]) -> None:
        room = IN_OPENSSL
        try:
            for buffer in buffers:
                octets = memoryview(buffer).cast("B")
                while octets:
                    self._tlsConnection.sendall(octets[:room])
                    octets, room = octets[room:], room - len(octets)
                    if room <= 0:
                        self._flush_records(IN_OPENSSL)
                        room = IN_OPENSSL
        except SSL.Error:
            self._tlsShutdownFinished(Failure())
        else:
            if room < IN_OPENSSL:
                self._flush_records(IN_OPENSSL - room)

    def _flush_records(self, content: int) -> None:
        """Hand everything to the transport that OpenSSL has made of so many bytes."""
        room = _sealed_size(content)
        try:
            while True:
                produced = self._tlsConnection.bio_read(room)
                self.transport.write(produced)
                if len(produced) < room:
                    return
        except SSL.WantReadError:
            pass

    def _checkHandshakeStatus(self) -> None:
        super()._checkHandshakeStatus()
        if self._handshakeDone:
            self._flushSendBIO()

    def _flushReceiveBIO(self) -> None:
        ended: Failure | None = None
        closed = False
        records: list[bytes] = []
        connection = self._tlsConnection
        try:
            while True:
                try:
                    records.append(connection.recv(RECORD))
                except SSL.WantReadError:
                    if (piece := next(self._unopened, None)) is None:
                        break
                    connection.bio_write(piece)
        except SSL.ZeroReturnError:
            closed = True
        except SSL.Error:
            ended = Failure()
        if records and not self._aborted:
            ProtocolWrapper.dataReceived(self, records[0] if len(records) == 1 else b"".join(records))
        # The wrapped protocol may have ended the connection by now.
        if self._lostTLSConnection or self._tlsConnection is None:
            return
        if closed:
            self._shutdownTLS()
            self._tlsShutdownFinished(None)
        elif ended is not None:
            self._tlsShutdownFinished(ended)
        elif records:
            # What TLS itself may have to say now goes with what is written next, as it may.
            return
        self._flushSendBIO()


def _pieces(data: bytes) -> Iterator[memoryview]:
    octets = memoryview(data)
    for begin in range(0, len(octets), IN_OPENSSL):
        yield octets[begin : begin + IN_OPENSSL]


def _sealed_size(content: int) -> int:
    """At the most, when it goes in a few pieces."""
    return content + (content // RECORD + 8) * _OVERHEAD


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
