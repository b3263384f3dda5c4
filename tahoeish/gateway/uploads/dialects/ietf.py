"""
Resumable Uploads for HTTP (draft-ietf-httpbis-resumable-upload), in the versions that clients speak.

A request says which one by `Upload-Draft-Interop-Version`, 3 to 8; without that header it speaks what the drafts will
have become. The header fields are structured, so what isn't written right is ignored; but a request that would then
mean something else than its sender thinks is refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias

from tahoeish.gateway.uploads.asked import (
    Answer,
    Append,
    Cancel,
    Create,
    Fields,
    Limits,
    Options,
    Query,
    UploadRefused,
    is_verified,
    media_type,
)
from tahoeish.gateway.uploads.decisions import Continue, Reason, Refuse, Tell
from tahoeish.streams.structured import boolean, integers, parse_boolean, parse_integer

PARTIAL_UPLOAD: Final = "application/partial-upload"

_PROBLEMS: Final = "https://iana.org/assignments/http-problem-types#"
MISMATCHING_OFFSET: Final = _PROBLEMS + "mismatching-upload-offset"
INCONSISTENT_LENGTH: Final = _PROBLEMS + "inconsistent-upload-length"

_OLDEST, _NEWEST = 3, 8
_NOT_STORED = {"Cache-Control": "no-store"}

UploadRequest: TypeAlias = Append | Query | Cancel | Options


@dataclass(frozen=True, slots=True)
class Dialect:
    """`version` is the interop version of a draft, None for the form without one."""

    version: int | None

    @property
    def announces(self) -> bool:
        """Interim responses with status 104 are understood; only who said a version has asked for them."""
        return self.version is not None

    @property
    def has_media_type(self) -> bool:
        return self.version is None or self.version >= 6

    @property
    def has_limits(self) -> bool:
        return self.version is None or self.version >= 6

    def completeness(self, complete: bool) -> dict[str, str]:
        if self.version == 3:
            return {"Upload-Incomplete": boolean(not complete)}
        return {"Upload-Complete": boolean(complete)}

    def completes(self, fields: Fields) -> bool | None:
        """What the request says of its content; None if it says nothing that can be understood."""
        if self.version == 3:
            incomplete = parse_boolean(fields.get("upload-incomplete"))
            return None if incomplete is None else not incomplete
        return parse_boolean(fields.get("upload-complete"))

    def limits(self, limits: Limits) -> dict[str, str]:
        if not self.has_limits:
            return {}
        named = {
            "max-size": limits.max_size,
            "min-size": limits.min_size,
            "max-append-size": limits.max_append_size,
            "min-append-size": limits.min_append_size,
            "expires" if self.version == 6 else "max-age": limits.max_age,
        }
        # The header has to be there even if there are no limits.
        return {"Upload-Limit": integers({name: value for name, value in named.items() if value} or {"min-size": 0})}

    @property
    def stamp(self) -> dict[str, str]:
        return {} if self.version is None else {"Upload-Draft-Interop-Version": str(self.version)}


FINAL: Final = Dialect(None)


def read_creation(fields: Fields, content_length: int | None) -> tuple[Dialect, Create] | None:
    """
    A request with content, for any target; None if it doesn't want to be resumable. Raises `UploadRefused`.
    """
    dialect = _dialect(fields)
    completes = None if dialect is None else dialect.completes(fields)
    if dialect is None or completes is None:
        _expect_no_part(fields)
        return None
    length = parse_integer(fields.get("upload-length"))
    if completes and content_length is not None:
        if length not in (None, content_length):
            raise inconsistent_length(dialect)
        length = content_length
    if length is not None and content_length is not None and content_length > length:
        raise inconsistent_length(dialect)
    return dialect, Create(length, completes, content_length)


def dialect_of(fields: Fields) -> Dialect | None:
    """Of a request for an upload that there is; None if it shows no sign: then it is what the upload began with."""
    dialect = _dialect(fields)
    if dialect is None and "upload-draft-interop-version" in fields:
        # It was told one of our versions with the address that it uses.
        return FINAL
    return dialect


def read_upload(dialect: Dialect, method: str, fields: Fields, content_length: int | None) -> UploadRequest:
    """A request for an upload that there is. Raises `UploadRefused`."""
    match method:
        case "OPTIONS":
            return Options()
        case "HEAD" | "GET":
            return Query()
        case "DELETE":
            return Cancel()
        case "PATCH":
            return _read_append(dialect, fields, content_length)
    raise UploadRefused(
        405, f"an upload knows HEAD, PATCH and DELETE, not {method[:20]}", {"Allow": "HEAD, PATCH, DELETE"}
    )


def announcement(dialect: Dialect, location: str, limits: Limits) -> dict[str, str]:
    """The first 104's headers: now the client can go on from here, whatever happens."""
    return {"Location": location} | dialect.limits(limits) | dialect.stamp


def progress(dialect: Dialect, offset: int) -> dict[str, str]:
    """Another 104's headers, without a `Location`."""
    return {"Upload-Offset": str(offset)} | dialect.stamp


def unfinished(dialect: Dialect, offset: int) -> dict[str, str]:
    """What is added to any answer as long as more may come."""
    return dialect.completeness(False) | {"Upload-Offset": str(offset)} | dialect.stamp


def created(dialect: Dialect, location: str, decision: Continue, limits: Limits) -> Answer:
    """The content of a creation is in, and more is to come."""
    return Answer(201, {"Location": location} | unfinished(dialect, decision.offset) | dialect.limits(limits))


def continued(dialect: Dialect, decision: Continue, limits: Limits) -> Answer:
    return Answer(204, unfinished(dialect, decision.offset) | dialect.limits(limits))


def completed(dialect: Dialect, offset: int) -> dict[str, str]:
    """What is added to the target's own answer, good or bad, when all the bytes were there."""
    return dialect.completeness(True) | {"Upload-Offset": str(offset)} | dialect.stamp


def told(dialect: Dialect, decision: Tell, limits: Limits) -> Answer:
    length = {} if decision.length is None else {"Upload-Length": str(decision.length)}
    headers = dialect.completeness(decision.complete) | {"Upload-Offset": str(decision.offset)} | length
    return Answer(204, headers | dialect.limits(limits) | dialect.stamp | _NOT_STORED)


def cancelled(dialect: Dialect) -> Answer:
    return Answer(204, dialect.stamp)


def possible() -> Answer:
    """With an upload that there is."""
    return Answer(204, {"Allow": "OPTIONS, HEAD, GET, PATCH, DELETE"})


def offers(limits: Limits) -> dict[str, str]:
    """For the answer to OPTIONS, of any target that takes uploads."""
    return FINAL.limits(limits) | {"Accept-Patch": PARTIAL_UPLOAD}


def inconsistent_length(dialect: Dialect) -> UploadRefused:
    return UploadRefused(
        400,
        "what is said of the upload's length in Upload-Length, and in Content-Length together with Upload-Complete, "
        "doesn't agree with each other, or with earlier requests",
        dialect.completeness(False) | dialect.stamp,
        problem_type=INCONSISTENT_LENGTH,
    )


def refusal(dialect: Dialect, decision: Refuse, limits: Limits) -> UploadRefused:
    stands_at = unfinished(dialect, decision.offset)
    match decision.reason:
        case Reason.MISMATCH:
            return UploadRefused(
                409,
                f"the upload stands at {decision.offset}, not at {decision.given}",
                stands_at,
                problem_type=MISMATCHING_OFFSET,
                members={"expected-offset": decision.offset, "provided-offset": decision.given},
            )
        case Reason.PREEMPTED:
            return UploadRefused(409, "a newer request for this upload has taken over", stands_at)
        case Reason.INCONSISTENT_LENGTH:
            return inconsistent_length(dialect)
        case Reason.COMPLETE:
            headers = dialect.completeness(True) | {"Upload-Offset": str(decision.offset)} | dialect.stamp
            return UploadRefused(409, "the upload is complete", headers)
        case Reason.GONE:
            return UploadRefused(410, "the upload was cancelled, or has expired, or has failed; begin a new one")
        case Reason.TOO_LONG:
            return UploadRefused(400, "more was sent than the upload's length; it is over, begin a new one", stands_at)
        case Reason.TOO_LARGE:
            return UploadRefused(413, _held_to(decision, limits), stands_at | dialect.limits(limits))
        case Reason.TOO_SMALL:
            return UploadRefused(400, _held_to(decision, limits), stands_at | dialect.limits(limits))


def _dialect(fields: Fields) -> Dialect | None:
    if "upload-draft-interop-version" in fields:
        version = parse_integer(fields["upload-draft-interop-version"])
        return Dialect(version) if version is not None and _OLDEST <= version <= _NEWEST else None
    return FINAL if parse_boolean(fields.get("upload-complete")) is not None else None


def _expect_no_part(fields: Fields) -> None:
    """Part of a file, taken for the whole of it, would be worse than none."""
    is_part = (
        parse_boolean(fields.get("upload-complete")) is False or parse_boolean(fields.get("upload-incomplete")) is True
    )
    if is_part:
        raise UploadRefused(
            400,
            "this is part of a file, in a version of resumable uploads that isn't spoken here; what is spoken is "
            f"Upload-Draft-Interop-Version {_OLDEST} to {_NEWEST}",
        )


def _read_append(dialect: Dialect, fields: Fields, content_length: int | None) -> Append:
    if dialect.has_media_type and media_type(fields) != PARTIAL_UPLOAD:
        raise UploadRefused(415, f"PATCH needs the Content-Type {PARTIAL_UPLOAD}", {"Accept-Patch": PARTIAL_UPLOAD})
    offset = parse_integer(fields.get("upload-offset"))
    completes = dialect.completes(fields)
    if offset is None or completes is None:
        (flag,) = dialect.completeness(True)
        raise UploadRefused(400, f"PATCH needs the headers Upload-Offset, a number, and {flag}, which is ?1 or ?0")
    return Append(
        offset,
        completes,
        content_length,
        length=parse_integer(fields.get("upload-length")),
        verified=is_verified(fields),
        excess_is_fatal=True,
    )


def _held_to(decision: Refuse, limits: Limits) -> str:
    bounds: Mapping[str, int] = {
        "an upload": limits.max_size or limits.min_size,
        "a request": limits.max_append_size or limits.min_append_size,
    }
    words = ", ".join(f"{size} bytes for {what}" for what, size in bounds.items() if size)
    return f"{decision.reason.value}; the bounds are {words or 'in Upload-Limit'}"
