"""
Files in pieces, as programs did it before there was a protocol: `Content-Range` on PUT, POST or PATCH, and PATCH with
plain bytes, which go to the end.

There is no session's address to know: the pieces of a file all go to where the file goes. So the client may name the
session itself (`X-Session-Id`), and otherwise the target, or the file's name, has to do.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import unquote

from tahoeish.gateway.uploads.asked import (
    Answer,
    Append,
    Fields,
    Query,
    UploadRefused,
    is_verified,
    media_type,
    number_in,
)
from tahoeish.gateway.uploads.decisions import Continue, Reason, Refuse, Tell
from tahoeish.streams.structured import LARGEST_INTEGER, boolean, parse_boolean

PLAIN_BYTES = "application/octet-stream"

_RANGE = re.compile(r"bytes[ \t=]+(?:([0-9]{1,19})-([0-9]{1,19})|\*)/([0-9]{1,19}|\*)", re.ASCII | re.IGNORECASE)
_SESSION_NAME = re.compile(r"[A-Za-z0-9._~+/=-]{1,200}", re.ASCII)
_PARAMETER = re.compile(r""";\s*([^\s=;"]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^";\s]+))""")
_NOT_STORED = {"Cache-Control": "no-store"}


@dataclass(frozen=True, slots=True)
class ContentRange:
    """`first` to `last`, both included, of `total` bytes, as far as that is known."""

    first: int
    last: int
    total: int | None

    @property
    def length(self) -> int:
        return self.last - self.first + 1


@dataclass(frozen=True, slots=True)
class Whereabouts:
    """`bytes */TOTAL`: not a piece, but the question how far the file is."""

    total: int | None


def parse_content_range(header: str) -> ContentRange | Whereabouts:
    """Raises `UploadRefused`."""
    match = _RANGE.fullmatch(header.strip())
    if match is None:
        raise UploadRefused(
            400, f"Content-Range is: bytes FIRST-LAST/TOTAL, or * for an unknown total; not {header[:80]!r}"
        )
    total = None if match[3] == "*" else int(match[3])
    if match[1] is None:
        return Whereabouts(total)
    first, last = int(match[1]), int(match[2])
    if last < first or (total is not None and last >= total) or max(last, total or 0) > LARGEST_INTEGER:
        raise UploadRefused(400, f"there is no such range: {header[:80]!r}")
    return ContentRange(first, last, total)


def read_piece(fields: Fields, content_length: int | None) -> Append | Query:
    """
    A request with a `Content-Range`; `content_length`: of the piece itself, None where a form is around it. Raises
    `UploadRefused`.
    """
    piece = parse_content_range(fields.get("content-range", ""))
    if isinstance(piece, Whereabouts):
        if content_length:
            raise UploadRefused(
                400, "Content-Range: bytes */TOTAL asks how far the file is, and has no content with it"
            )
        return Query()
    if content_length not in (None, piece.length):
        raise UploadRefused(
            400, f"Content-Range says that {piece.length} bytes come, and Content-Length that {content_length} do"
        )
    completes = parse_boolean(fields.get("upload-complete"))
    if piece.total is not None:
        completes = piece.last == piece.total - 1
    return Append(piece.first, bool(completes), piece.length, piece.total, verified=is_verified(fields))


def read_plain(fields: Fields, content_length: int | None) -> Append:
    """
    A PATCH of a file with plain bytes, which belong behind what is there; who says `Upload-Offset` makes sure of that.
    Raises `UploadRefused`.
    """
    if media_type(fields) != PLAIN_BYTES:
        raise UploadRefused(415, f"PATCH needs the Content-Type {PLAIN_BYTES}", {"Accept-Patch": PLAIN_BYTES})
    completes = parse_boolean(fields.get("upload-complete"))
    offset = number_in(fields, "upload-offset", "Upload-Offset")
    return Append(offset, bool(completes), content_length, verified=is_verified(fields))


def is_piece(fields: Fields) -> bool:
    return "content-range" in fields


def session_name(fields: Fields) -> str | None:
    """What the client calls the session. Raises `UploadRefused`."""
    name = fields.get("x-session-id", fields.get("session-id"))
    if name is None:
        return None
    if not _SESSION_NAME.fullmatch(name.strip()):
        raise UploadRefused(400, "X-Session-Id has up to 200 letters, digits and . _ ~ + / = -")
    return name.strip()


def file_name(fields: Fields) -> str | None:
    """
    The request's own `Content-Disposition`: jQuery File Upload names the file there, percent-encoded. Who says
    `filename*` too says it for those who understand that.
    """
    names: dict[str, str] = {}
    for parameter, quoted, bare in _PARAMETER.findall(fields.get("content-disposition", "")):
        text = re.sub(r"\\(.)", r"\1", quoted) if quoted else bare.rpartition("'")[2]
        names.setdefault(parameter.lower(), unquote(text))
    return names.get("filename*") or names.get("filename") or None


def begins_anew(append: Append, ended: bool) -> bool:
    """
    The first piece of the next file, where the last one has ended.

    Without an offset nobody can tell it from one whose answer the client hasn't got, so it isn't taken for one.
    """
    return ended and append.offset == 0


def continued(decision: Continue) -> Answer:
    """
    The piece is in, and more is to come.

    No 308: browsers would take it for a redirection. `Range` is where jQuery File Upload looks for what is there.
    """
    return Answer(202, stands_at(decision.offset))


def told(decision: Tell) -> Answer:
    length = {} if decision.length is None else {"Upload-Length": str(decision.length)}
    complete = {"Upload-Complete": boolean(decision.complete)}
    return Answer(200, stands_at(decision.offset) | length | complete | _NOT_STORED)


def completed(offset: int) -> dict[str, str]:
    """What is added to the target's own answer, when all the pieces were there."""
    return stands_at(offset) | {"Upload-Complete": boolean(True)}


def refusal(decision: Refuse) -> UploadRefused:
    offset, given = decision.offset, decision.given
    there = stands_at(offset)
    match decision.reason:
        case Reason.MISMATCH if given is not None and given > offset:
            detail = f"bytes {offset} to {given - 1} are missing: the next piece has to begin at {offset}"
            return UploadRefused(409, detail, there, members={"expected-offset": offset})
        case Reason.MISMATCH:
            detail = (
                f"the first {offset} bytes are here already: the next piece has to begin at {offset}, or another file"
                " after a DELETE of the address in Location"
            )
            return UploadRefused(409, detail, there, members={"expected-offset": offset})
        case Reason.COMPLETE:
            detail = "the file is complete already; the first piece of a new one begins at 0"
            return UploadRefused(409, detail, there | {"Upload-Complete": boolean(True)})
        case Reason.PREEMPTED:
            return UploadRefused(409, "a newer request for this file has taken over", there)
        case Reason.GONE:
            return UploadRefused(410, "the earlier pieces were given up; send the file from its beginning")
        case Reason.INCONSISTENT_LENGTH:
            return UploadRefused(400, "the total in Content-Range isn't that of earlier pieces, or of the last one")
        case Reason.TOO_SMALL:
            return UploadRefused(400, "the file, or the piece, is smaller than is taken here")
        case Reason.TOO_LARGE | Reason.TOO_LONG:
            return UploadRefused(413, decision.reason.value)


def stands_at(offset: int) -> dict[str, str]:
    """Nothing has no last byte, so it has no range either."""
    reached = {"Range": f"bytes=0-{offset - 1}"} if offset else {}
    return {"Upload-Offset": str(offset)} | reached
