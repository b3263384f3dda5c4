"""Taking the addresses where a node is to be reached."""

from __future__ import annotations

from typing import Any

from twisted.internet.endpoints import serverFromString
from twisted.internet.interfaces import IListeningPort, IProtocolFactory, IReactorTime

from tahoeish.node.https import HttpsEndpoint


class CannotListen(Exception):
    """An address can't be listened at: another program does, or it isn't ours."""


BACKLOG = 1024
"""Clients that may knock at the same time. Twisted's own 50 makes the others of a crowd wait, or turns them away."""


async def listen(reactor: Any, endpoint: str, factory: IProtocolFactory) -> Any:
    """A port, on which nobody is let in before its `resumeProducing`. Raises `CannotListen`."""
    try:
        https = HttpsEndpoint.parse(endpoint)
        place = _with_backlog(endpoint if https is None else https.tcp)
        port: Any = await serverFromString(reactor, place).listen(secured(endpoint, factory, reactor))
    except Exception as error:
        raise CannotListen(f"can't listen at {endpoint}: {error}") from error
    port.pauseProducing()
    return port


def secured(endpoint: str, factory: IProtocolFactory, clock: IReactorTime) -> IProtocolFactory:
    """What is spoken at this address, with TLS around it where the address says so."""
    https = HttpsEndpoint.parse(endpoint)
    return factory if https is None else https.secured(factory, clock)


def url_of(endpoint: str, port: IListeningPort) -> str:
    """Where clients on this machine find it."""
    address: Any = port.getHost()
    host = getattr(address, "host", None)
    if host is None:
        return str(address)
    if host in ("0.0.0.0", "::"):
        host = "127.0.0.1"
    scheme = "http" if HttpsEndpoint.parse(endpoint) is None else "https"
    return f"{scheme}://[{host}]:{address.port}" if ":" in host else f"{scheme}://{host}:{address.port}"


def _with_backlog(endpoint: str) -> str:
    kind, _, arguments = endpoint.partition(":")
    if kind in ("tcp", "tcp4", "tcp6", "unix") and "backlog=" not in arguments:
        return f"{endpoint}:backlog={BACKLOG}"
    return endpoint
