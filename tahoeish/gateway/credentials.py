"""What a client says about who it is: the `Authorization` header, read."""

from __future__ import annotations

import binascii
import unicodedata
from base64 import b64decode
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Password:
    """A user's name and a password, or an app token in its place. The secret isn't shown when this is."""

    user: str
    secret: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Bearer:
    """An app token, which tells itself whose it is."""

    secret: str = field(repr=False)


class Unreadable(ValueError):
    """A header that makes no claim that anybody could check. The message doesn't show it."""


def claim_in(header: bytes | None) -> Password | Bearer | None:
    """Who an `Authorization` header claims to be. Raises `Unreadable`."""
    if header is None or not header.strip():
        return None
    scheme, _, rest = header.strip().partition(b" ")
    match scheme.lower():
        case b"basic":
            return _password(rest.strip())
        case b"bearer":
            return Bearer(_text(rest.strip()))
    raise Unreadable("only Basic and Bearer are understood here")


def _password(encoded: bytes) -> Password:
    try:
        decoded = b64decode(encoded, validate=True)
    except binascii.Error:
        raise Unreadable("what follows Basic is not base64") from None
    name, colon, secret = _text(decoded).partition(":")
    if not colon:
        raise Unreadable("what follows Basic is no name and password with a colon between them")
    # Windows puts the name of a domain or of the machine in front.
    name = name.rpartition("\\")[2]
    return Password(unicodedata.normalize("NFC", name), secret)


def _text(data: bytes) -> str:
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        # Older clients don't heed the charset that the challenge asks for.
        return data.decode("latin-1")
