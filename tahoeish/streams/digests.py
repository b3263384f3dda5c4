"""What clients claim of the bytes they send: the header and trailer fields with digests, in all their spellings."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum

from tahoeish.streams.hashers import DIGEST_SIZES
from tahoeish.streams.structured import byte_sequence, parse_dictionary


class DigestError(Exception):
    """`http_status` is what the client is answered, unless its protocol has a status of its own for this."""

    http_status = 400


class BadDigest(DigestError):
    """A claim that can't be understood, or can't be verified here."""


class DigestMismatch(DigestError):
    """The bytes aren't those that the client has made the digest of."""

    def __init__(self, claim: Claim, found: bytes) -> None:
        super().__init__(
            f"what arrived isn't what was sent: its {claim.algorithm} is {found.hex()}, and should be "
            f"{claim.digest.hex()} according to {claim.field}"
        )
        self.claim = claim
        self.found = found


class Covers(Enum):
    """What a digest was made of."""

    CONTENT = "what one request carries, as it was sent"
    REPRESENTATION = "all that was sent, in however many requests"
    FILE = "what is stored"


WHOLE = (Covers.REPRESENTATION, Covers.FILE)
"""Of all of an upload, and not of what one of its requests brings."""


@dataclass(frozen=True, slots=True)
class Claim:
    algorithm: str
    """One of `DIGEST_SIZES`."""
    digest: bytes
    field: str
    covers: Covers


# The registry's names; only the first two are good against anything but accidents, the others are verified as well.
_REGISTERED = {
    "sha-256": "sha-256",
    "sha-512": "sha-512",
    "md5": "md5",
    "sha": "sha-1",
    "adler": "adler32",
    "crc32c": "crc32c",
}
_TUS = {"sha1": "sha-1", "md5": "md5", "sha256": "sha-256", "sha512": "sha-512", "crc32": "crc32"}
_OWNCLOUD = {"sha1": "sha-1", "md5": "md5", "sha256": "sha-256", "sha512": "sha-512", "adler32": "adler32"}
_AMAZON_PREFIX = "x-amz-checksum-"
_AMAZON = {
    "sha1": "sha-1",
    "sha256": "sha-256",
    "crc32": "crc32",
    "crc32c": "crc32c",
    "crc64nvme": "crc64nvme",
}
# These say something of the other ones.
_NO_AMAZON_DIGESTS = {"x-amz-checksum-type", "x-amz-checksum-algorithm", "x-amz-checksum-mode"}

TUS_ALGORITHMS = ",".join(_TUS)
"""As `Tus-Checksum-Algorithm` lists them."""


def claims_of(fields: Mapping[str, str]) -> tuple[Claim, ...]:
    """
    All that a request's headers, or its trailers, claim. Names are in lower case, a repeated field is joined by commas.

    Raises `BadDigest`. What RFC 9530 tells to ignore, digests of unknown kinds, is.
    """
    return tuple(_claims(fields))


def covering(claims: Iterable[Claim], *covers: Covers) -> tuple[Claim, ...]:
    """Those that cover one of these."""
    return tuple(claim for claim in claims if claim.covers in covers)


def announced_fields(fields: Mapping[str, str]) -> frozenset[str]:
    """The names, in lower case, of what a request's headers announce for its trailer."""
    names = [*fields.get("trailer", "").split(","), *fields.get("x-amz-trailer", "").split(",")]
    return frozenset(name.strip().lower() for name in names) - {""}


def announced_algorithms(fields: Mapping[str, str], *covers: Covers) -> frozenset[str]:
    """What has to be computed for the sake of the announced fields that cover one of these; without any, of all."""
    algorithms: set[str] = set()
    for name in announced_fields(fields):
        covered, of_field = _announced(name)
        if covered in covers or not covers:
            algorithms |= of_field
    return frozenset(algorithms & DIGEST_SIZES.keys())


def wanted_digest(want_repr_digest: str | None) -> str | None:
    """The algorithm that a client would like best, of those that are good for something; None if it wants none."""
    wishes = parse_dictionary(want_repr_digest) or {}
    weights = {
        name: weight for name in ("sha-256", "sha-512") if type(weight := wishes.get(name)) is int and 0 < weight <= 10
    }
    return max(weights, key=lambda name: weights[name], default=None)


def digest_field(algorithm: str, digest: bytes) -> str:
    """What `Repr-Digest` or `Content-Digest` says, `algorithm` being one that `wanted_digest` gives."""
    return f"{algorithm}={byte_sequence(digest)}"


def _announced(name: str) -> tuple[Covers, set[str]]:
    match name:
        case "content-digest":
            # It may be another one, but then nobody has computed it.
            return Covers.CONTENT, {"sha-256", "sha-512"}
        case "repr-digest":
            return Covers.REPRESENTATION, {"sha-256", "sha-512"}
        case "upload-checksum":
            return Covers.CONTENT, set(_TUS.values())
        case "content-md5":
            return Covers.CONTENT, {"md5"}
        case "oc-checksum":
            return Covers.FILE, set(_OWNCLOUD.values())
    is_amazon = name.startswith(_AMAZON_PREFIX)
    return Covers.CONTENT, {_AMAZON.get(name.removeprefix(_AMAZON_PREFIX), "")} if is_amazon else set()


def _claims(fields: Mapping[str, str]) -> Iterator[Claim]:
    if (value := fields.get("content-md5")) is not None:
        yield _claim("md5", _from_base64("Content-MD5", value), "Content-MD5", Covers.CONTENT)
    if (value := fields.get("content-digest")) is not None:
        yield from _registered("Content-Digest", value, Covers.CONTENT)
    if (value := fields.get("repr-digest")) is not None:
        yield from _registered("Repr-Digest", value, Covers.REPRESENTATION)
    if (value := fields.get("upload-checksum")) is not None:
        yield _tus(value)
    if (value := fields.get("oc-checksum")) is not None:
        yield from map(_owncloud, value.split())
    for name, value in fields.items():
        if name.startswith(_AMAZON_PREFIX) and name not in _NO_AMAZON_DIGESTS:
            yield _amazon(name, value)


def _registered(field: str, value: str, covers: Covers) -> Iterator[Claim]:
    digests = parse_dictionary(value)
    if digests is None:
        raise BadDigest(f"{field} is a list like sha-256=:BASE64:, not {value[:80]!r}")
    for name, digest in digests.items():
        algorithm = _REGISTERED.get(name, "")
        if algorithm not in DIGEST_SIZES:
            continue
        if not isinstance(digest, bytes):
            raise BadDigest(f"{field} has digests between colons, like sha-256=:BASE64:, but {name} has none")
        yield _claim(algorithm, digest, field, covers)


def _tus(value: str) -> Claim:
    name, _, text = value.strip().partition(" ")
    algorithm = _TUS.get(name)
    if algorithm is None:
        raise BadDigest(f"Upload-Checksum is one of {TUS_ALGORITHMS}, a space, and BASE64; not {value[:80]!r}")
    return _claim(algorithm, _from_base64("Upload-Checksum", text), "Upload-Checksum", Covers.CONTENT)


def _owncloud(text: str) -> Claim:
    name, _, digits = text.partition(":")
    # Some write SHA-1, some Adler32.
    algorithm = _OWNCLOUD.get(name.lower().replace("-", ""))
    if algorithm is None:
        raise BadDigest(f"OC-Checksum can be of {', '.join(_OWNCLOUD).upper()}, not of {name[:40]!r}")
    try:
        digest = bytes.fromhex(digits) if digits.isascii() and digits.isalnum() else b""
    except ValueError:
        digest = b""
    return _claim(algorithm, digest, "OC-Checksum", Covers.FILE)


def _amazon(name: str, value: str) -> Claim:
    algorithm = _AMAZON.get(name.removeprefix(_AMAZON_PREFIX), "")
    if algorithm not in DIGEST_SIZES:
        raise BadDigest(f"{name[:40]} can't be verified here; leave it out, or send another one")
    return _claim(algorithm, _from_base64(name, value), name, Covers.CONTENT)


def _claim(algorithm: str, digest: bytes, field: str, covers: Covers) -> Claim:
    size = DIGEST_SIZES[algorithm]
    if len(digest) != size:
        raise BadDigest(f"the {algorithm} in {field} has {len(digest)} bytes, and should have {size}")
    return Claim(algorithm, digest, field, covers)


def _from_base64(field: str, text: str) -> bytes:
    try:
        return base64.b64decode(text.strip().encode("ascii"), validate=True)
    except (binascii.Error, UnicodeEncodeError):
        raise BadDigest(f"{field} has a digest in base64, not {text[:80]!r}") from None
