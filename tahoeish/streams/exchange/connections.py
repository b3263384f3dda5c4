"""All connections to one server."""

from __future__ import annotations

from collections.abc import Sequence

from twisted.internet.defer import CancelledError, Deferred, DeferredList
from twisted.internet.endpoints import HostnameEndpoint
from twisted.internet.interfaces import IProtocol, IReactorTime
from twisted.internet.protocol import Factory
from twisted.python.failure import Failure

from tahoeish.streams.exchange.connection import Connection, Limits, Overdue
from tahoeish.streams.exchange.message import Answer, Request, header_lines
from tahoeish.streams.records import AT_ONCE, BatchingTLSEndpoint
from tahoeish.streams.tls import PinnedTLS

SMALLEST_BATCH = 128 * 1024
SEALED = 2 * 1024 * 1024
"""What all requests to one server may have sealed together, as long as each may have its smallest batch."""


class Connections:
    """
    Up to `keep` of them are kept for the next requests, each for `idle_timeout` seconds, which has to be less than the
    server lets them be idle. The server is known by the hash of its key; `headers` are sent with each request.
    """

    def __init__(
        self,
        reactor: IReactorTime,
        key_hash: bytes,
        host: str,
        port: int,
        headers: Sequence[tuple[str, str]] = (),
        *,
        keep: int = 16,
        idle_timeout: float = 50.0,
        connect_timeout: float = 30.0,
    ) -> None:
        self._clock = reactor
        self._endpoint = BatchingTLSEndpoint(
            PinnedTLS(key_hash), HostnameEndpoint(reactor, host, port, timeout=connect_timeout), reactor
        )
        self._factory = Factory.forProtocol(self._new)
        self._factory.noisy = False
        location = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        self._for_all = header_lines([("Host", location), *headers])
        self._keep = keep
        self._idle_timeout = idle_timeout
        self._asking = 0
        self._idle: list[Connection] = []
        self._ends: dict[Connection, Deferred[None]] = {}

    async def ask(self, request: Request, limits: Limits) -> Answer:
        """
        The whole answer; early, where the server doesn't wait for all of the request.

        Raises what connecting does, and what `Connection.ask` does. A kept connection may turn out to have ended.
        """
        head = request.head(self._for_all)
        self._asking += 1
        try:
            connection = self._idle.pop() if self._idle else await self._connect(limits.answer)
            at_once = max(SMALLEST_BATCH, min(AT_ONCE, SEALED // self._asking))
            return await connection.ask(request, head, limits, at_once)
        finally:
            self._asking -= 1

    async def close(self) -> None:
        """Close the connections that are idle, and from now on each that becomes idle."""
        self._keep = 0
        idle, self._idle = self._idle, []
        ends = [self._ends[connection] for connection in idle]
        for connection in idle:
            connection.close()
        await DeferredList(ends)

    async def _connect(self, patience: float) -> Connection:
        def give_up(wanted: Deferred[Connection]) -> None:
            # Not with what connecting says to that, which may be that the server has no address.
            wanted.errback(CancelledError())
            connecting.cancel()

        def connected(outcome: IProtocol | Failure) -> None:
            if not wanted.called:
                wanted.callback(outcome)  # type: ignore[arg-type]
            elif isinstance(outcome, Connection):
                outcome.close()

        wanted: Deferred[Connection] = Deferred(give_up)
        connecting = self._endpoint.connect(self._factory)
        connecting.addBoth(connected)
        return await wanted.addTimeout(patience, self._clock, _too_late)

    def _new(self) -> Connection:
        connection = Connection(self._clock, self._idle_timeout, self._free, self._gone)
        self._ends[connection] = Deferred()
        return connection

    def _free(self, connection: Connection) -> None:
        if len(self._idle) < self._keep:
            self._idle.append(connection)
        else:
            connection.close()

    def _gone(self, connection: Connection) -> None:
        if connection in self._idle:
            self._idle.remove(connection)
        self._ends.pop(connection).callback(None)


def _too_late(_: object, seconds: float) -> Connection:
    raise Overdue(seconds)
