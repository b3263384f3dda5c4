"""
Connections to a server that is known by its public key and by nothing else.

No name, no date, no authority is looked at: the server shows one certificate, whose key has the hash that we know, and
proves in TLS's handshake that the key is its own. Nothing of a request is sent before that.
"""

from __future__ import annotations

from hashlib import sha256
from hmac import compare_digest
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from OpenSSL import SSL
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import HostnameEndpoint
from twisted.internet.interfaces import IOpenSSLClientConnectionCreator, IReactorTime, IStreamClientEndpoint
from twisted.internet.ssl import CertificateOptions, TLSVersion
from twisted.python.failure import Failure
from twisted.web.client import URI, Agent, HTTPConnectionPool
from twisted.web.iweb import IAgent, IAgentEndpointFactory, IBodyProducer, IResponse
from zope.interface import implementer

from tahoeish.streams.attentive import AttentiveEndpoint
from tahoeish.streams.records import BatchingTLSEndpoint


class WrongKey(Exception):
    """The server isn't the one that it should be."""


def spki_hash(certificate: x509.Certificate) -> bytes:
    """What a server is known by: the SHA-256 of its public key, as its certificate spells it."""
    return sha256(certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).digest()


def expect_key(chain: list[x509.Certificate], wanted: bytes) -> None:
    """Raises `WrongKey` unless this is one certificate, and its key the one that is `wanted`."""
    if len(chain) != 1:
        raise WrongKey(f"the server shows {len(chain)} certificates instead of the one that is expected")
    try:
        shown = spki_hash(chain[0])
    except ValueError as error:
        raise WrongKey("the server's certificate has a key of an unknown kind") from error
    if not compare_digest(shown, wanted):
        raise WrongKey("the server has another key than the one that is expected")


@implementer(IOpenSSLClientConnectionCreator)
class _PinnedConnections:
    """Makes TLS connections that end when the handshake has shown another key. They tell no server name."""

    def __init__(self, key_hash: bytes) -> None:
        self._key_hash = key_hash
        # Without a trust root, OpenSSL verifies nothing but that the key is the server's own.
        self._options = CertificateOptions(raiseMinimumTo=TLSVersion.TLSv1_2, acceptableProtocols=[b"http/1.1"])

    def clientConnectionForTLS(self, tlsProtocol: Any) -> SSL.Connection:
        def look(connection: SSL.Connection, where: int, result: int) -> None:
            if where & SSL.SSL_CB_HANDSHAKE_DONE:
                # What is raised here would get lost in OpenSSL.
                try:
                    expect_key(connection.get_peer_cert_chain(as_cryptography=True) or [], self._key_hash)
                except Exception:
                    tlsProtocol.failVerification(Failure())

        connection = self._options.clientConnectionForTLS(tlsProtocol)
        connection.set_info_callback(look)
        return connection


@implementer(IAgentEndpointFactory)
class _PinnedEndpoints:
    def __init__(self, reactor: IReactorTime, key_hash: bytes, connect_timeout: float) -> None:
        self._reactor = reactor
        self._creator = _PinnedConnections(key_hash)
        self._connect_timeout = connect_timeout
        # It is asked for with every request, also where a connection has been kept.
        self._made: dict[tuple[bytes, int], IStreamClientEndpoint] = {}

    def endpointForURI(self, uri: URI) -> IStreamClientEndpoint:
        if uri.scheme != b"https":
            raise ValueError("there is a key to be checked only in https")
        address = (uri.host, uri.port)
        if address not in self._made:
            self._made = {address: self._make(uri)}
        return self._made[address]

    def _make(self, uri: URI) -> IStreamClientEndpoint:
        endpoint = HostnameEndpoint(self._reactor, uri.host.decode("ascii"), uri.port, timeout=self._connect_timeout)
        return AttentiveEndpoint(BatchingTLSEndpoint(self._creator, endpoint, self._reactor))


@implementer(IAgent)
class PinnedAgent:
    """
    An Agent for one server, which it knows by the hash of its key. It hears early answers early, and keeps up to
    `connections` of them for the next requests, each for `idle_timeout` seconds, which has to be less than the server
    lets them be idle.

    It repeats no request by itself. A request that fails on a kept connection may have come too late for it.
    """

    def __init__(
        self,
        reactor: IReactorTime,
        key_hash: bytes,
        *,
        connections: int = 16,
        idle_timeout: int = 50,
        connect_timeout: float = 30.0,
    ) -> None:
        self._pool = HTTPConnectionPool(reactor, persistent=True)
        self._pool.maxPersistentPerHost = connections
        self._pool.cachedConnectionTimeout = idle_timeout
        self._pool.retryAutomatically = False
        endpoints = _PinnedEndpoints(reactor, key_hash, connect_timeout)
        self._agent: IAgent = Agent.usingEndpointFactory(reactor, endpoints, self._pool)

    def request(
        self, method: bytes, uri: bytes, headers: Any = None, bodyProducer: IBodyProducer | None = None
    ) -> Deferred[IResponse]:
        return self._agent.request(method, uri, headers, bodyProducer)

    def close(self) -> Deferred[None]:
        """Close the connections that are idle, and from now on each that becomes idle."""
        self._pool.cachedConnectionTimeout = 0
        closing: Deferred[None] = self._pool.closeCachedConnections()
        return closing
