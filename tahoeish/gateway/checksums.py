"""A file's checksums, as they are kept with its name and told to clients."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeAlias

from tahoeish.streams.digests import Claim, claims_of
from tahoeish.streams.verifier import Verifier

Checksums: TypeAlias = tuple[tuple[str, str], ...]
"""Pairs of an algorithm's name in capitals and a digest in hexadecimal, in lower case."""

ALWAYS_COMPUTED = ("sha-1", "md5")
"""Beside what a client claims: of the two, clients send one and may ask for the other one."""

KEPT = ("sha-1", "md5", "sha-256", "sha-512", "adler32")
"""Those that have a name among clients that read them, as they are told."""


def parse_checksums(header: str | None) -> tuple[Claim, ...]:
    """What `OC-Checksum` says: `SHA1:DIGEST`, or several with spaces between them. Raises `BadDigest`."""
    return claims_of({"oc-checksum": header or ""})


def checksums_of(claims: Iterable[Claim]) -> Checksums:
    """Of a file that is known to be what the claims say."""
    digests = {claim.algorithm: claim.digest for claim in claims if claim.algorithm in KEPT}
    return tuple((_spelled(algorithm), digest.hex()) for algorithm, digest in digests.items())


def computed_checksums(verifier: Verifier) -> Checksums:
    """What a verifier knows of a file, once all has settled."""
    algorithms = [algorithm for algorithm in KEPT if algorithm in verifier.algorithms]
    return tuple((_spelled(algorithm), verifier.digest(algorithm).hex()) for algorithm in algorithms)


def kept_digest(checksums: Checksums, algorithm: str) -> bytes | None:
    """By the name that the algorithm has in digests."""
    digits = dict(checksums).get(_spelled(algorithm))
    return None if digits is None else bytes.fromhex(digits)


def checksums_text(checksums: Checksums) -> str:
    """As the property has them, and the header when a file is read."""
    return " ".join(f"{algorithm}:{digest}" for algorithm, digest in checksums)


def _spelled(algorithm: str) -> str:
    return algorithm.upper().replace("-", "")
