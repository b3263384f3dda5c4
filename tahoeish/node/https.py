"""
`ssl:` endpoints: HTTPS with a certificate and a key from files, and HTTP/2 for the clients that can.

Twisted's own endpoint of that name takes the same text. But what it listens with can't be shared by several processes,
it reads one certificate of a file that has a chain, and it keeps that for ever; certificates last a few weeks.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from OpenSSL import SSL
from twisted.internet.interfaces import IOpenSSLServerConnectionCreator, IProtocolFactory, IReactorTime
from twisted.internet.ssl import CertificateOptions, TLSVersion
from twisted.logger import Logger
from zope.interface import implementer

from tahoeish.streams.records import BatchingTLSFactory

log = Logger()

_UNESCAPED_COLON = re.compile(r"(?<!\\):")
_FILES = ("privateKey", "certKey", "extraCertChain")


class BadCertificate(Exception):
    """The files have no certificate and key in them, or not one that belongs to the other."""


@dataclass(frozen=True)
class HttpsEndpoint:
    """Where to listen, as a `tcp:` endpoint, and the files to show."""

    tcp: str
    files: Mapping[str, Path]

    @classmethod
    def parse(cls, endpoint: str) -> HttpsEndpoint | None:
        """None if it isn't an `ssl:` endpoint."""
        kind, *arguments = _UNESCAPED_COLON.split(endpoint)
        if kind != "ssl":
            return None
        others, files = [], {"privateKey": Path("server.pem")}
        for argument in arguments:
            name, _, value = argument.partition("=")
            if name in _FILES:
                files[name] = Path(re.sub(r"\\(.)", r"\1", value))
            else:
                others.append(argument)
        return cls(":".join(["tcp", *others]), files)

    def secured(self, factory: IProtocolFactory, clock: IReactorTime) -> IProtocolFactory:
        """What the site says, in TLS. Raises `BadCertificate`."""
        return BatchingTLSFactory(RenewedCertificate(self.files), False, factory, clock)


@implementer(IOpenSSLServerConnectionCreator)
class RenewedCertificate:
    """A key and a certificate, which are read anew for the next client when their files have changed."""

    def __init__(self, files: Mapping[str, Path]) -> None:
        self._key = files["privateKey"]
        self._chain = [files.get("certKey", self._key)]
        if "extraCertChain" in files:
            self._chain.append(files["extraCertChain"])
        self._stamp = self._stamp_now()
        self._context = self._read()

    def serverConnectionForTLS(self, tlsProtocol: Any) -> SSL.Connection:
        stamp = self._stamp_now()
        if stamp != self._stamp:
            self._stamp = stamp
            try:
                self._context = self._read()
            except BadCertificate as error:
                # It may be half-way there.
                log.error("the certificate stays the old one: {problem}", problem=str(error))
        return SSL.Connection(self._context, None)

    def _stamp_now(self) -> list[object]:
        return [_stamp(path) for path in (self._key, *self._chain)]

    def _read(self) -> SSL.Context:
        try:
            key = load_pem_private_key(self._key.read_bytes(), None)
            own, *others = [
                certificate
                for path in self._chain
                for certificate in x509.load_pem_x509_certificates(path.read_bytes())
            ]
            # Twisted hands these on to pyOpenSSL, which wants no wrappers of its own around them any more.
            options = CertificateOptions(
                privateKey=key,  # type: ignore[arg-type]
                certificate=own,  # type: ignore[arg-type]
                extraCertChain=others,  # type: ignore[arg-type]
                raiseMinimumTo=TLSVersion.TLSv1_2,
            )
            context: SSL.Context = options.getContext()
        except OSError as error:
            raise BadCertificate(f"{error.filename}: {error.strerror}") from error
        except (ValueError, TypeError, SSL.Error) as error:
            names = ", ".join(dict.fromkeys(str(path) for path in (self._key, *self._chain)))
            raise BadCertificate(f"no key without a password and its certificate in {names}") from error
        return context


def _stamp(path: Path) -> tuple[int, int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_ino, status.st_size
