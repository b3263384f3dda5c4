"""
A storage node's key and certificate: made once, kept in one file, and known to clients by the hash of the key.

Clients look at nothing else: no name, no date, no authority. So the certificate signs itself, names nobody and never
expires.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha1

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePrivateKey, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.x509.oid import NameOID
from twisted.internet.ssl import CertificateOptions, TLSVersion

_NAME = "tahoeish storage node"
_ALWAYS = datetime(2000, 1, 1, tzinfo=UTC)
_FOREVER = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)
"""RFC 5280, 4.1.2.5: the date of a certificate that has no good expiration date."""


PrivateKey = EllipticCurvePrivateKey | RSAPrivateKey | Ed25519PrivateKey


class BadCertificate(ValueError):
    """A file that doesn't hold a key and the certificate that belongs to it."""


@dataclass(frozen=True, slots=True)
class ServerCertificate:
    """A private key and the one certificate for it."""

    key: PrivateKey = field(repr=False)
    certificate: x509.Certificate

    @classmethod
    def generate(cls) -> ServerCertificate:
        key = generate_private_key(SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, _NAME)])
        certificate = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(_ALWAYS)
            .not_valid_after(_FOREVER)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .sign(key, hashes.SHA256())
        )
        return cls(key, certificate)

    @classmethod
    def from_pem(cls, pem: bytes) -> ServerCertificate:
        """
        From a file with a key and a certificate, such as a Tahoe-LAFS node's `private/node.pem`. Raises
        `BadCertificate`.
        """
        try:
            key = serialization.load_pem_private_key(pem, password=None)
            certificate = x509.load_pem_x509_certificate(pem)
        except (ValueError, TypeError) as error:
            raise BadCertificate("not a private key and a certificate in PEM form") from error
        if not isinstance(key, PrivateKey):
            raise BadCertificate("the key must be one of RSA, ECDSA or Ed25519")
        if key.public_key() != certificate.public_key():
            raise BadCertificate("the certificate is not that of the private key")
        return cls(key, certificate)

    def to_pem(self) -> bytes:
        key = self.key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        return key + self.certificate.public_bytes(serialization.Encoding.PEM)

    @property
    def tub_id(self) -> bytes:
        """
        20 bytes that clients derive their lease secrets and write enablers from.

        Computed as a Tahoe-LAFS node computes its own, so that with its certificate one takes its place.
        """
        return sha1(self.certificate.public_bytes(serialization.Encoding.DER), usedforsecurity=False).digest()


def tls_options(server: ServerCertificate) -> CertificateOptions:
    """TLS 1.2 or better with this certificate. The site that is served says which protocol is spoken inside."""
    # Twisted hands these on to pyOpenSSL, which wants no wrappers of its own around them any more.
    return CertificateOptions(
        privateKey=server.key,  # type: ignore[arg-type]
        certificate=server.certificate,  # type: ignore[arg-type]
        raiseMinimumTo=TLSVersion.TLSv1_2,
    )
