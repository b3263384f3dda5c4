"""
NURLs: where a storage node listens, how it is recognised, and what lets a client in.

    pb://<hash of its public key>@<host>:<port>/<swissnum>#v=1
"""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass, field

_SPKI_HASH_LENGTH = 32
_SCHEME = "pb"
_VERSION = "v=1"
_HOST = re.compile(r"[^\s@/:?#\[\]]+|\[[0-9A-Fa-f:.]+\]", re.ASCII)
_SWISSNUM = re.compile(r"[A-Za-z0-9._~-]+", re.ASCII)


class BadNurl(ValueError):
    """A text that is no NURL that we could use. The message may be shown: it never holds the swissnum."""


@dataclass(frozen=True, slots=True)
class Nurl:
    """
    `spki_hash` is the SHA-256 of the public key in the node's certificate, `swissnum` what the node wants to see
    in each request. `str()` gives the text, which is as secret as the swissnum; `repr()` doesn't show that.
    """

    spki_hash: bytes
    host: str
    port: int
    swissnum: str = field(repr=False)

    def __post_init__(self) -> None:
        if len(self.spki_hash) != _SPKI_HASH_LENGTH:
            raise BadNurl(f"the hash of the public key has {len(self.spki_hash)} bytes instead of {_SPKI_HASH_LENGTH}")
        if not _HOST.fullmatch(_bracketed(self.host)):
            raise BadNurl(f"{self.host!r} is no host name")
        if not 1 <= self.port <= 65535:
            raise BadNurl(f"{self.port} is no port")
        if not _SWISSNUM.fullmatch(self.swissnum):
            raise BadNurl("the swissnum, which follows the port, is missing or has characters that no swissnum has")

    @classmethod
    def parse(cls, text: str) -> Nurl:
        """Raises `BadNurl`."""
        scheme, separator, rest = text.strip().partition("://")
        if not separator or scheme != _SCHEME:
            raise BadNurl(f"a NURL begins with {_SCHEME}://" + _about_tor(scheme))
        place, _, version = rest.partition("#")
        if version != _VERSION:
            raise BadNurl(f"a NURL ends in #{_VERSION}; other versions are not known")
        authority, slash, swissnum = place.partition("/")
        key, at, address = authority.partition("@")
        if not at or not slash:
            raise BadNurl("a NURL looks like pb://KEY-HASH@HOST:PORT/SWISSNUM#v=1")
        host, _, port = address.rpartition(":")
        if not re.fullmatch(r"[0-9]{1,5}", port, re.ASCII):
            raise BadNurl(f"after the host {host!r} comes a port")
        return cls(_key_hash(key), host.removeprefix("[").removesuffix("]"), int(port), swissnum)

    def __str__(self) -> str:
        return f"{_SCHEME}://{self.key_text}@{self.location}/{self.swissnum}#{_VERSION}"

    @property
    def key_text(self) -> str:
        """The hash of the public key as NURLs spell it."""
        return base64.urlsafe_b64encode(self.spki_hash).decode().rstrip("=")

    @property
    def location(self) -> str:
        """`host:port`, as in addresses."""
        return f"{_bracketed(self.host)}:{self.port}"


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _key_hash(text: str) -> bytes:
    try:
        digest = base64.b64decode(text + "=", altchars=b"-_", validate=True)
    except ValueError:
        digest = b""
    # Only one way to write each hash: the last character has two bits that must be zero.
    if len(digest) != _SPKI_HASH_LENGTH or base64.urlsafe_b64encode(digest).decode() != f"{text}=":
        raise BadNurl("what stands before the @ is not the 43 characters of a public key's hash")
    return digest


def _about_tor(scheme: str) -> str:
    return "; Tor is not supported" if scheme == "pb+tor" else ""
