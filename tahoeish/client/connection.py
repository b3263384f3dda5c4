"""How the client gets to a node: over connections on which an early answer is heard early."""

from __future__ import annotations

from twisted.internet.endpoints import HostnameEndpoint, wrapClientTLS
from twisted.internet.interfaces import IReactorTime, IStreamClientEndpoint
from twisted.web.client import URI, Agent, BrowserLikePolicyForHTTPS
from twisted.web.iweb import IAgent, IAgentEndpointFactory
from zope.interface import implementer

from tahoeish.streams.attentive import AttentiveEndpoint

CONNECT_TIMEOUT_SECONDS = 30


@implementer(IAgentEndpointFactory)
class _AttentiveEndpoints:
    def __init__(self, reactor: IReactorTime) -> None:
        self._reactor = reactor
        self._tls_policy = BrowserLikePolicyForHTTPS()

    def endpointForURI(self, uri: URI) -> IStreamClientEndpoint:
        endpoint: IStreamClientEndpoint = HostnameEndpoint(
            self._reactor, uri.host.decode("ascii"), uri.port, timeout=CONNECT_TIMEOUT_SECONDS
        )
        if uri.scheme == b"https":
            creator = self._tls_policy.creatorForNetloc(uri.host, uri.port)
            endpoint = wrapClientTLS(creator, endpoint, self._reactor)
        return AttentiveEndpoint(endpoint)


def attentive_agent(reactor: IReactorTime) -> IAgent:
    """
    An Agent that delivers early answers early.

    It makes a connection of its own for each request: on one that was kept, and that the node closes at that
    moment, an upload would fail and couldn't be repeated.
    """
    agent: IAgent = Agent.usingEndpointFactory(reactor, _AttentiveEndpoints(reactor))
    return agent
