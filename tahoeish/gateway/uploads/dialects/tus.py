"""tus 1.0.0 (https://tus.io/protocols/resumable-upload): its headers, read and written."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import formatdate
from typing import TypeAlias
from urllib.parse import urlsplit

from tahoeish.gateway.uploads.asked import (
    Answer,
    Append,
    Cancel,
    Create,
    Fields,
    Options,
    Query,
    UploadRefused,
    is_verified,
    media_type,
    number_in,
)
from tahoeish.gateway.uploads.decisions import Continue, Reason, Refuse, Tell
from tahoeish.streams.digests import TUS_ALGORITHMS, BadDigest, DigestError

VERSION = "1.0.0"
EXTENSIONS = ",".join(
    (
        "creation",
        "creation-with-upload",
        "creation-defer-length",
        "expiration",
        "checksum",
        "checksum-trailer",
        "termination",
        "concatenation",
    )
)
CHUNK_TYPE = "application/offset+octet-stream"

_STAMP = {"Tus-Resumable": VERSION}
_NOT_STORED = {"Cache-Control": "no-store"}
_METADATA_KEY = re.compile(r"[!-+\--~]+", re.ASCII)
_CREATION_KEY = re.compile(r"[!#-~]{16,200}", re.ASCII)
_OVERRIDABLE = {"PATCH", "DELETE", "HEAD"}


@dataclass(frozen=True, slots=True)
class Metadata:
    """`text` as the client wrote it, for it to be told again; `values` may be any bytes, of any length."""

    text: str
    values: Mapping[str, bytes]

    def name(self) -> str | None:
        """Of the file, as far as the client has given it one that is text; no more is known of it."""
        return self.text_of("filename", "name")

    def text_of(self, *keys: str) -> str | None:
        """The first of these that says something; None if that isn't text."""
        try:
            return next(filter(None, (self.values.get(key) for key in keys)), b"").decode() or None
        except UnicodeDecodeError:
            return None


@dataclass(frozen=True, slots=True)
class CreateOne:
    """An upload of its own, or a part of one that is put together later."""

    create: Create
    metadata: Metadata
    is_part: bool
    verified: bool


@dataclass(frozen=True, slots=True)
class CreateFromParts:
    """A file made of complete parts, in this order; what the client calls their addresses."""

    parts: tuple[str, ...]
    metadata: Metadata
    text: str
    """What `Upload-Concat` said."""


UploadRequest: TypeAlias = Append | Query | Cancel | Options


def speaks(fields: Fields) -> bool:
    return "tus-resumable" in fields


def method_of(method: str, fields: Fields) -> str:
    """What is meant, where a client can't say PATCH or DELETE."""
    meant = fields.get("x-http-method-override", "").strip().upper()
    return meant if method == "POST" and meant in _OVERRIDABLE else method


def creation_key(fields: Fields) -> str | None:
    """
    What tells a creation that is asked for again from another one (draft-ietf-httpapi-idempotency-key-header). Raises
    `UploadRefused`.
    """
    value = fields.get("idempotency-key")
    if value is None:
        return None
    key = value.strip().strip('"')
    if not _CREATION_KEY.fullmatch(key):
        raise _refused(400, "Idempotency-Key is random, so that nobody else has it: 16 to 200 plain characters")
    return key


def read_creation(fields: Fields, content_length: int | None) -> CreateOne | CreateFromParts:
    """A POST to where uploads are made. Raises `UploadRefused`."""
    _expect_version(fields)
    metadata = parse_metadata(fields.get("upload-metadata", ""))
    concat = fields.get("upload-concat", "").strip()
    if concat.startswith("final;"):
        if fields.get("upload-length") is not None or _brings_content(fields, content_length):
            raise _refused(400, "a final upload is made of its parts: it has no Upload-Length, and no content")
        parts = tuple(concat.removeprefix("final;").split())
        if not parts:
            raise _refused(400, "Upload-Concat: final; needs the addresses of the parts behind it")
        return CreateFromParts(parts, metadata, concat)
    if concat not in ("", "partial"):
        raise _refused(400, f"Upload-Concat is partial, or final;ADDRESS ADDRESS, not {concat[:80]!r}")
    # Some clients can't but send a content type; without the right one, there is no content.
    brings_content = _brings_content(fields, content_length)
    return CreateOne(
        Create(_length_of_new(fields), None, content_length if brings_content else 0),
        metadata,
        is_part=concat == "partial",
        verified=_is_verified(fields),
    )


def read_upload(method: str, fields: Fields, content_length: int | None) -> UploadRequest:
    """A request for an upload that there is. Raises `UploadRefused`, for methods that tus hasn't, with 405."""
    method = method_of(method, fields)
    if method == "OPTIONS":
        return Options()
    if method in ("HEAD", "GET"):
        # Somebody may visit it with a browser.
        return Query()
    _expect_version(fields)
    match method:
        case "DELETE":
            return Cancel()
        case "PATCH":
            return _read_append(fields, content_length)
    raise _refused(405, f"an upload knows HEAD, PATCH and DELETE, not {method[:20]}", {"Allow": "HEAD, PATCH, DELETE"})


def parse_metadata(header: str) -> Metadata:
    """Raises `UploadRefused`."""
    values: dict[str, bytes] = {}
    for pair in filter(None, (pair.strip() for pair in header.split(","))):
        key, _, value = pair.partition(" ")
        if not _METADATA_KEY.fullmatch(key) or key in values:
            raise _refused(400, f"Upload-Metadata has keys of plain characters, each once, unlike {key[:40]!r}")
        try:
            values[key] = base64.b64decode(value.strip().encode("ascii"), validate=True)
        except (binascii.Error, UnicodeEncodeError):
            raise _refused(400, f"Upload-Metadata has values in base64, and {key[:40]} hasn't") from None
    return Metadata(header, values)


def upload_id(address: str, base: str) -> str | None:
    """What names the upload in an address below the path `base`; None for what is elsewhere."""
    try:
        path = urlsplit(address).path
    except ValueError:
        return None
    if path.startswith(base):
        path = path.removeprefix(base)
    elif path.startswith("/"):
        return None
    name = path.strip("/")
    return name if name and "/" not in name else None


def offers(max_size: int) -> Answer:
    """To OPTIONS. Some browsers take no 204 for that."""
    headers = _STAMP | {
        "Tus-Version": VERSION,
        "Tus-Extension": EXTENSIONS,
        "Tus-Checksum-Algorithm": TUS_ALGORITHMS,
    }
    return Answer(200, headers | ({"Tus-Max-Size": str(max_size)} if max_size else {}))


def created(location: str, offset: int | None, deadline: float | None) -> Answer:
    """`offset` when content came with the creation."""
    told = {} if offset is None else {"Upload-Offset": str(offset)}
    return Answer(201, _STAMP | {"Location": location} | told | _expires(deadline))


def continued(decision: Continue, deadline: float | None) -> Answer:
    return Answer(204, _STAMP | {"Upload-Offset": str(decision.offset)} | _expires(deadline))


def completed(offset: int) -> Answer:
    """tus has no answer of the file's own: that it is complete says the offset. More headers do no harm."""
    return Answer(204, _STAMP | {"Upload-Offset": str(offset)})


def told(decision: Tell, metadata: str, concat: str, deadline: float | None) -> Answer:
    length = {"Upload-Defer-Length": "1"} if decision.length is None else {"Upload-Length": str(decision.length)}
    more = {name: value for name, value in (("Upload-Metadata", metadata), ("Upload-Concat", concat)) if value}
    headers = _STAMP | _NOT_STORED | {"Upload-Offset": str(decision.offset)} | length | more
    return Answer(200, headers | ({} if decision.complete else _expires(deadline)))


def cancelled() -> Answer:
    return Answer(204, _STAMP)


def refusal(decision: Refuse) -> UploadRefused:
    stands_at = {"Upload-Offset": str(decision.offset)}
    match decision.reason:
        case Reason.MISMATCH:
            return _refused(409, f"the upload stands at {decision.offset}, not at {decision.given}", stands_at)
        case Reason.COMPLETE:
            return _refused(409, "the upload is complete", stands_at)
        case Reason.GONE:
            told = "the upload was cancelled, or has expired, or has failed; begin a new one"
            return _refused(410, told, members={"reason": "gone"})
        case Reason.PREEMPTED:
            return _refused(409, "a newer request for this upload has taken over", members={"reason": "preempted"})
        case Reason.INCONSISTENT_LENGTH:
            return _refused(400, "Upload-Length contradicts what is known of the upload")
        case Reason.TOO_SMALL:
            return _refused(400, "the upload, or what was sent of it at once, is smaller than is taken here")
        case Reason.TOO_LARGE | Reason.TOO_LONG:
            return _refused(413, decision.reason.value)


def of_digest(error: DigestError) -> UploadRefused:
    """tus has a status of its own for bytes that arrived damaged."""
    return _refused(400 if isinstance(error, BadDigest) else 460, str(error))


def another_creation() -> UploadRefused:
    return _refused(422, "another upload was begun with this Idempotency-Key")


def modifies_final() -> UploadRefused:
    return _refused(403, "an upload that is made of others can't be written to")


def stamped(error: UploadRefused) -> UploadRefused:
    """The same, as every answer of tus has to be."""
    return UploadRefused(
        error.status,
        str(error),
        _STAMP | dict(error.headers),
        problem_type=error.problem_type,
        members=error.members,
    )


def _read_append(fields: Fields, content_length: int | None) -> Append:
    if media_type(fields) != CHUNK_TYPE:
        raise _refused(415, f"PATCH needs the Content-Type {CHUNK_TYPE}", {"Accept-Patch": CHUNK_TYPE})
    offset = _number(fields, "upload-offset", "Upload-Offset")
    if offset is None:
        raise _refused(400, "PATCH needs the header Upload-Offset")
    return Append(
        offset,
        completes=None,
        content_length=content_length,
        length=_number(fields, "upload-length", "Upload-Length"),
        verified=_is_verified(fields),
    )


def _expect_version(fields: Fields) -> None:
    if fields.get("tus-resumable", "").strip() != VERSION:
        raise _refused(
            412, f"this is tus {VERSION}: say so in the header Tus-Resumable: {VERSION}", {"Tus-Version": VERSION}
        )


def _length_of_new(fields: Fields) -> int | None:
    length = _number(fields, "upload-length", "Upload-Length")
    deferred = fields.get("upload-defer-length")
    if deferred is not None and deferred.strip() != "1":
        raise _refused(400, f"Upload-Defer-Length is 1 or isn't there; it isn't {deferred[:40]!r}")
    if (length is None) == (deferred is None):
        raise _refused(400, "a new upload needs either Upload-Length, or Upload-Defer-Length: 1")
    return length


def _brings_content(fields: Fields, content_length: int | None) -> bool:
    return media_type(fields) == CHUNK_TYPE and content_length != 0


def _is_verified(fields: Fields) -> bool:
    try:
        return is_verified(fields)
    except UploadRefused as error:
        raise stamped(error) from None


def _number(fields: Fields, name: str, title: str) -> int | None:
    try:
        return number_in(fields, name, title)
    except UploadRefused as error:
        raise stamped(error) from None


def _expires(deadline: float | None) -> dict[str, str]:
    return {} if deadline is None else {"Upload-Expires": formatdate(deadline, usegmt=True)}


def _refused(
    status: int,
    detail: str,
    headers: Mapping[str, str] | None = None,
    *,
    members: Mapping[str, object] | None = None,
) -> UploadRefused:
    return UploadRefused(status, detail, _STAMP | dict(headers or {}), members=members)
