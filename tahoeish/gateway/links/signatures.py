"""Signatures as OpenStack Swift writes them: HMACs in hexadecimal, or in base64 behind the digest's name."""

from __future__ import annotations

import hmac
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as NoBase64
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field

_SIZES = {"sha1": 20, "sha256": 32, "sha512": 64}
_BY_SIZE = {size: name for name, size in _SIZES.items()}
_HEX = re.compile(r"(?:[0-9A-Fa-f]{2})+", re.ASCII)

DIGESTS = ("sha256", "sha512")
"""Those that are taken where nobody has said otherwise."""


@dataclass(frozen=True, slots=True)
class Signature:
    """What somebody claims to have computed with a key. It isn't shown where the object is: it lets people in."""

    digest: str
    code: bytes = field(repr=False)

    def is_of(self, messages: Iterable[bytes], keys: Collection[str]) -> bool:
        """Whether it signs one of the messages with one of the keys. Takes as long whichever that is."""
        right = False
        for message in messages:
            for key in keys:
                right |= hmac.compare_digest(self.code, _code(key, message, self.digest))
        return right


def parse_signature(text: str, allowed: Collection[str] = DIGESTS) -> Signature | None:
    """None for anything that isn't one, or has another digest than is allowed."""
    digest, separator, coded = text.partition(":")
    if separator:
        code = _from_base64(coded)
        well_formed = code is not None and _SIZES.get(digest) == len(code)
    else:
        code = bytes.fromhex(text) if _HEX.fullmatch(text) else None
        digest = _BY_SIZE.get(len(code or b""), "")
        well_formed = bool(digest)
    return Signature(digest, code) if code is not None and well_formed and digest in allowed else None


def sign(key: str, message: bytes, digest: str = "sha256") -> str:
    """In the form that every version of Swift understands for this digest."""
    code = _code(key, message, digest)
    if digest == "sha512":
        return f"{digest}:{urlsafe_b64encode(code).decode()}"
    return code.hex()


def _code(key: str, message: bytes, digest: str) -> bytes:
    return hmac.digest(key.encode(), message, digest)


def _from_base64(text: str) -> bytes | None:
    """In either alphabet, with padding or without; but no two texts for the same bytes otherwise."""
    bare = text.rstrip("=").replace("+", "-").replace("/", "_")
    try:
        data = urlsafe_b64decode(bare + "=" * (-len(bare) % 4))
    except (NoBase64, ValueError):
        return None
    return data if urlsafe_b64encode(data).decode().rstrip("=") == bare else None
