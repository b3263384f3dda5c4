"""Passwords: kept as argon2id hashes, and recollected for a while once they were checked."""

from __future__ import annotations

import unicodedata
from base64 import b64encode
from collections import OrderedDict
from collections.abc import Callable
from hashlib import blake2b

from cryptography.exceptions import InvalidKey
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

from tahoeish.namespace.errors import NamespaceError

PASSES = 2
MEMORY_KIB = 19 * 1024
"""With two passes and one lane, the least memory that OWASP advises. A node must afford it for each check."""

LENGTH = 32
SALT_LENGTH = 16
SHORTEST = 8
LONGEST_BYTES = 1024

_GENERATED_BYTES = 15
_ALPHABET = "abcdefghijkmnpqrstuvwxyz23456789"
"""32 characters, without those that look like others."""


class BadPassword(NamespaceError):
    """A password that nobody may have, and why. The message doesn't show it."""


class Passwords:
    """
    Makes and checks hashes of passwords. Either takes about 50 ms and 19 MiB and holds no lock of the interpreter:
    call it in a thread, and in few at a time.
    """

    def __init__(self, random_bytes: Callable[[int], bytes]) -> None:
        self._random_bytes = random_bytes
        # Nobody's password gives this; it takes as long to find out as for a real one.
        salt, digest = (_in_phc(random_bytes(length)) for length in (SALT_LENGTH, LENGTH))
        self._nobodys = f"$argon2id$v=19$m={MEMORY_KIB},t={PASSES},p=1${salt}${digest}"

    def hashed(self, password: str) -> str:
        """A salted hash, as text that says how it was made."""
        kdf = Argon2id(
            salt=self._random_bytes(SALT_LENGTH), length=LENGTH, iterations=PASSES, lanes=1, memory_cost=MEMORY_KIB
        )
        return kdf.derive_phc_encoded(_prepared(password))

    def match(self, password: str, password_hash: str | None) -> bool:
        """
        Whether the hash is that of the password. Where there is no hash, as for a user that doesn't exist, it isn't,
        but that takes as long to find out.
        """
        try:
            Argon2id.verify_phc_encoded(_prepared(password), password_hash or self._nobodys)
        except InvalidKey:
            return False
        return password_hash is not None


class Recollection:
    """
    Which claims were right or wrong a while ago, as digests under a key that never leaves this object.

    Clients that send the password with every request pay for argon2 only the first time; and one that was left with an
    old password goes on being wrong without being taken for somebody who guesses. A digest covers the hash that the
    user's password has now: when that changes, what was remembered counts no longer.
    """

    def __init__(self, key: bytes, *, seconds: float = 300.0, most: int = 1000) -> None:
        self._key = key
        self._seconds = seconds
        self._most = most
        # Apart, so that many wrong ones don't push out those that are right.
        self._until: dict[bool, OrderedDict[bytes, float]] = {True: OrderedDict(), False: OrderedDict()}

    def digest(self, user: str, secret: str, password_hash: str | None) -> bytes:
        """What stands for this claim. Nobody without the key can tell what it is of."""
        keyed = blake2b(key=self._key, digest_size=32)
        for part in (user.encode(), _prepared(secret), (password_hash or "").encode()):
            keyed.update(len(part).to_bytes(8, "big"))
            keyed.update(part)
        return keyed.digest()

    def verdict(self, digest: bytes, now: float) -> bool | None:
        """Whether the claim was right; None if it isn't known."""
        for right, known in self._until.items():
            if now < known.get(digest, 0.0):
                return right
        return None

    def remember(self, digest: bytes, right: bool, now: float) -> None:
        """So it was found just now."""
        known = self._until[right]
        known[digest] = now + self._seconds
        known.move_to_end(digest)
        while len(known) > self._most:
            known.popitem(last=False)


def checked_password(password: str) -> str:
    """The password, if it may be one. Raises `BadPassword`."""
    if len(password) < SHORTEST:
        raise BadPassword(f"a password has at least {SHORTEST} characters")
    if password.startswith("tahoeish_"):
        raise BadPassword("a password can't begin as app tokens do")
    if not password.isprintable():
        raise BadPassword("a password has no control characters or line ends")
    if len(_prepared(password)) > LONGEST_BYTES:
        raise BadPassword(f"a password has at most {LONGEST_BYTES} bytes")
    return password


def generated(random_bytes: Callable[[int], bytes]) -> str:
    """A password that nobody guesses: 75 bits, in groups that can be read out."""
    letters = [_ALPHABET[byte % len(_ALPHABET)] for byte in random_bytes(_GENERATED_BYTES)]
    return "-".join("".join(letters[start : start + 5]) for start in range(0, len(letters), 5))


def _prepared(password: str) -> bytes:
    # One keyboard composes an umlaut that another one sends in two pieces.
    return unicodedata.normalize("NFC", password).encode("utf-8", "surrogatepass")


def _in_phc(data: bytes) -> str:
    return b64encode(data).decode().rstrip("=")
