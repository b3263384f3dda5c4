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
from twisted.internet.interfaces import IOpenSSLClientConnectionCreator
from twisted.internet.ssl import CertificateOptions, TLSVersion
from twisted.python.failure import Failure
from zope.interface import implementer


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
class PinnedTLS:
    """
    Makes TLS connections that end when the handshake has shown another key than that with the hash `key_hash`.

    They tell no server name.
    """

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
