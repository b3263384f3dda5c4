"""`OC-Checksum`: what a client has computed over a file, verified while the file comes in."""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import AsyncIterable, AsyncIterator, Callable, Mapping
from typing import Any, Protocol, TypeAlias

from twisted.internet.defer import Deferred

from tahoeish.chk.buffers import Buffer
from tahoeish.gateway.errors import Refused
from tahoeish.streams.threads import ThreadRunner

Checksums: TypeAlias = tuple[tuple[str, str], ...]
"""Pairs of an algorithm's name in capitals and a digest in hexadecimal, in lower case."""

LITTLE_TO_HASH = 16 * 1024
"""Bytes that are hashed sooner than a thread is found for them."""


class _Hasher(Protocol):
    def update(self, data: Any, /) -> None: ...

    def hexdigest(self) -> str: ...


class _Adler32:
    def __init__(self) -> None:
        self._value = 1

    def update(self, data: Buffer) -> None:
        self._value = zlib.adler32(data, self._value)

    def hexdigest(self) -> str:
        return f"{self._value:08x}"


_ALGORITHMS: Mapping[str, tuple[Callable[[], _Hasher], int]] = {
    "SHA1": (lambda: hashlib.sha1(usedforsecurity=False), 40),
    "MD5": (lambda: hashlib.md5(usedforsecurity=False), 32),
    "SHA256": (hashlib.sha256, 64),
    "ADLER32": (_Adler32, 8),
}


def parse_checksums(header: str | None) -> Checksums:
    """`SHA1:DIGEST`, or several with spaces between them. Raises `Refused`."""
    return tuple(_parse(text) for text in (header or "").split())


def checksums_text(checksums: Checksums) -> str:
    """As the property has them, and the header when a file is read."""
    return " ".join(f"{algorithm}:{digest}" for algorithm, digest in checksums)


class Verification:
    """
    Computes checksums of a file while it passes through.

    Beside what is wanted, MD5 and SHA-1 are computed: of the two, clients send one and may ask for the other one.
    """

    def __init__(self, wanted: Checksums, run_in_thread: ThreadRunner) -> None:
        self._wanted = wanted
        self._run_in_thread = run_in_thread
        algorithms = dict.fromkeys(["SHA1", "MD5", *(algorithm for algorithm, _ in wanted)])
        self._hashers = {algorithm: _ALGORITHMS[algorithm][0]() for algorithm in algorithms}

    @property
    def checksums(self) -> Checksums:
        """Of what has passed."""
        return tuple((algorithm, hasher.hexdigest()) for algorithm, hasher in self._hashers.items())

    async def passing(self, source: AsyncIterable[Buffer]) -> AsyncIterator[Buffer]:
        """What `source` brings, at once; instead of its end comes `Refused` if it isn't what was wanted."""
        hashing: Deferred[None] | None = None
        async for piece in source:
            if hashing is not None:
                await hashing
                hashing = None
            if len(piece) < LITTLE_TO_HASH:
                self._update(piece)
            else:
                hashing = self._run_in_thread(self._update, piece)
            yield piece
        if hashing is not None:
            await hashing
        found = dict(self.checksums)
        for algorithm, digest in self._wanted:
            if found[algorithm] != digest:
                raise Refused(
                    400, f"the file arrived damaged: its {algorithm} is {found[algorithm]}, and should be {digest}"
                )

    def _update(self, piece: Buffer) -> None:
        for hasher in self._hashers.values():
            hasher.update(piece)


def _parse(text: str) -> tuple[str, str]:
    name, _, digest = text.partition(":")
    # Some write SHA-1, some Adler32.
    algorithm, digest = name.upper().replace("-", ""), digest.lower()
    if algorithm not in _ALGORITHMS:
        raise Refused(400, f"checksums can be of {', '.join(_ALGORITHMS)}, not of {name[:40]!r}")
    length = _ALGORITHMS[algorithm][1]
    if len(digest) != length or not all(character in "0123456789abcdef" for character in digest):
        raise Refused(400, f"the checksum {algorithm} has {length} hexadecimal digits, not {digest[:80]!r}")
    return algorithm, digest
