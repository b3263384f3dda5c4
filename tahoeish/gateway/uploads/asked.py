"""What a request asks of an upload session, the same in every dialect."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TypeAlias

from tahoeish.gateway.errors import Refused
from tahoeish.streams.digests import BadDigest, Claim, Covers, announced_algorithms, claims_of, covering
from tahoeish.streams.structured import LARGEST_INTEGER

Fields: TypeAlias = Mapping[str, str]
"""A request's headers: names in lower case, the values of a repeated one joined by commas."""

_NUMBER = re.compile(r"[0-9]{1,19}", re.ASCII)
_MEDIA_TYPE = re.compile(r"[^;\s]*")


class UploadRefused(Refused):
    """What a dialect refuses in its own words."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What uploads are held to; 0 is without a bound. Sizes in bytes, the age in seconds since the last request."""

    max_size: int = 0
    min_size: int = 0
    max_append_size: int = 0
    min_append_size: int = 0
    max_age: int = 0

    def of_place(self, max_size: int | None) -> Limits:
        """Where a file may be no larger than that, either; 0 or None for any size."""
        return replace(self, max_size=min(max_size, self.max_size or max_size)) if max_size else self


@dataclass(frozen=True, slots=True)
class Create:
    """A new session, whose first bytes may come with it."""

    length: int | None
    """Of the whole upload, as far as that is known yet."""

    completes: bool | None
    """Whether this request's content ends the upload; None: it does when it brings the last of `length` bytes."""

    content_length: int | None
    """How many bytes come with it; None for an unknown number."""

    def first(self, *, verified: bool = False, excess_is_fatal: bool = False) -> Append:
        """What the same request asks of the new session, also if it has no content."""
        return Append(0, self.completes, self.content_length, self.length, verified, excess_is_fatal)


@dataclass(frozen=True, slots=True)
class Append:
    """More bytes for a session."""

    offset: int | None
    """Where they belong; None: wherever it stands."""

    completes: bool | None
    content_length: int | None
    length: int | None = None
    """Of the whole upload, if the request says it."""

    verified: bool = False
    """None of the content may be kept before all of it has been compared with a digest."""

    excess_is_fatal: bool = False
    """By the dialect's rules, an upload that turns out too long is over."""


@dataclass(frozen=True, slots=True)
class Query:
    """How far has it come?"""


@dataclass(frozen=True, slots=True)
class Cancel:
    """It isn't wanted any more."""


@dataclass(frozen=True, slots=True)
class Options:
    """What can be done here?"""


Asked: TypeAlias = Append | Query | Cancel


@dataclass(frozen=True, slots=True)
class Answer:
    """A response without a body."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)


def number_in(fields: Fields, name: str, title: str) -> int | None:
    """A header that is a plain decimal number, None if it isn't there. Raises `UploadRefused`."""
    value = fields.get(name)
    if value is None:
        return None
    text = value.strip()
    if not _NUMBER.fullmatch(text) or int(text) > LARGEST_INTEGER:
        raise UploadRefused(400, f"{title} is a number of bytes, not {value[:40]!r}")
    return int(text)


def media_type(fields: Fields) -> str:
    """Without its parameters, in lower case."""
    match = _MEDIA_TYPE.match(fields.get("content-type", "").strip())
    return match[0].lower() if match else ""


def is_coded(fields: Fields) -> bool:
    """The content is packed."""
    return fields.get("content-encoding", "").strip().lower() not in ("", "identity")


def expect_uncoded(fields: Fields) -> None:
    """Raises `UploadRefused`: where a packed file is broken off, nobody could go on with unpacking it."""
    if is_coded(fields):
        why = "what comes over several requests comes as it is, without Content-Encoding"
        raise UploadRefused(415, why, {"Accept-Encoding": "identity"})


def is_verified(fields: Fields) -> bool:
    """
    The request says what its own content has to be, or will in its trailer; what it says of all of the upload doesn't
    count here. The claims themselves are read where they are verified. Raises `UploadRefused` if that can't be done.
    """
    return bool(covering(_claims_of(fields), Covers.CONTENT) or announced_algorithms(fields, Covers.CONTENT))


def expect_no_claims(fields: Fields, *covers: Covers) -> None:
    """Of a request without content that one of these could be compared with. Raises `UploadRefused`."""
    names = [claim.field for claim in covering(_claims_of(fields), *covers)]
    if names or announced_algorithms(fields, *covers):
        what = names[0] if names else "a digest in the trailer"
        raise UploadRefused(400, f"this request has nothing that {what} could be compared with; leave it out")


def _claims_of(fields: Fields) -> tuple[Claim, ...]:
    try:
        return claims_of(fields)
    except BadDigest as error:
        raise UploadRefused(error.http_status, str(error)) from error
