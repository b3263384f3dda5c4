"""Base32 as caps spell it: lower case, unpadded, and only one way to write each value."""

import base64
import re

_ALPHABET = re.compile(r"[a-z2-7]*")


def encode(data: bytes) -> str:
    return base64.b32encode(data).decode("ascii").rstrip("=").lower()


def decode(text: str) -> bytes:
    """Raises ValueError for any text that `encode` would not have written."""
    if not _ALPHABET.fullmatch(text):
        raise ValueError("base32 text may hold only a-z and 2-7")
    if len(text) % 8 in (1, 3, 6):
        raise ValueError(f"base32 text can't be {len(text)} characters long")
    data = base64.b32decode(text.upper() + "=" * (-len(text) % 8))
    if encode(data) != text:
        raise ValueError("the last character of the base32 text has bits that belong to no byte")
    return data
