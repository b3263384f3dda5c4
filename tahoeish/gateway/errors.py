"""Each error's status, title and words, in one place; for programs as `application/problem+json`, else as text."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from twisted.internet.defer import CancelledError

from tahoeish.chk.errors import BadCap, BadCheckpoint, BadDirectory, CorruptFile, WrongLength
from tahoeish.gateway.dav import multistatus
from tahoeish.gateway.dav.elements import BadDocument, escape
from tahoeish.gateway.dav.hrefs import href
from tahoeish.grid.errors import FileTooLarge, GridFull, LengthNeeded, NotEnoughShares, SharesForgotten, UploadUnhappy
from tahoeish.namespace import errors as names
from tahoeish.streams.body import BodyError
from tahoeish.streams.codings import ACCEPTED, UnknownCoding
from tahoeish.streams.digests import DigestError
from tahoeish.streams.expansion import CodingError
from tahoeish.streams.forms import BadForm
from tahoeish.streams.request import BadHead, ClientsFault, StreamingRequest

TITLES = {
    400: "Bad request",
    401: "Credentials needed",
    403: "Not allowed",
    404: "Not found",
    405: "Method not allowed",
    408: "Too slow",
    409: "Conflict",
    410: "Not enough shares",
    411: "Length needed",
    412: "Precondition failed",
    413: "Too large",
    415: "Unsupported media type",
    416: "Range not satisfiable",
    423: "Locked",
    429: "Too many attempts",
    500: "The node failed",
    501: "Not implemented",
    503: "The grid is not available",
    507: "The grid is full",
}


class Refused(ClientsFault):
    """A request that makes no sense, or isn't served: the status and what the client can do about it."""

    def __init__(
        self,
        status: int,
        detail: str,
        headers: Mapping[str, str] | None = None,
        *,
        condition: str = "",
        problem_type: str = "",
        members: Mapping[str, object] | None = None,
    ) -> None:
        """
        `condition`: the XML element, empty for none, by which WebDAV knows the reason. `problem_type`: by what RFC 9457
        knows it, with further `members`.
        """
        super().__init__(detail)
        self.status = status
        self.headers = headers or {}
        self.condition = condition
        self.problem_type = problem_type
        self.members = members or {}


@dataclass(frozen=True)
class Problem:
    """What is told to the client."""

    status: int
    detail: str
    title: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    more: Mapping[str, object] = field(default_factory=dict)
    condition: str = ""
    """The XML element, empty for none, by which WebDAV knows the reason."""
    type: str = ""
    """Of RFC 9457. Whoever knows it has asked for JSON by that."""

    def as_json(self) -> dict[str, object]:
        title = self.title or TITLES.get(self.status, "Error")
        return {
            "type": self.type or "about:blank",
            "title": title,
            "status": self.status,
            "detail": self.detail,
            **self.more,
        }


def problem_of(error: BaseException | None) -> Problem:
    """The one table of errors and statuses."""
    detail = str(error)
    match error:
        case Refused():
            return Problem(
                error.status,
                detail,
                headers=error.headers,
                more=error.members,
                condition=error.condition,
                type=error.problem_type,
            )
        case UnknownCoding():
            return Problem(error.http_status, detail, headers={"Accept-Encoding": ACCEPTED})
        case BodyError() | BadHead() | DigestError() | CodingError():
            return Problem(error.http_status, detail)
        case names.NamespaceError():
            return _problem_of_names(error)
        case BadCap() | BadDirectory() | BadForm() | BadDocument() | WrongLength():
            return Problem(400, detail)
        case FileTooLarge():
            return Problem(413, detail)
        case NotEnoughShares():
            found = {str(number): peers for number, peers in error.found.items()}
            return Problem(410, detail, more={"needed": error.needed, "found": found, "reasons": error.reasons})
        case SharesForgotten():
            return Problem(410, detail, "The upload is lost", more={"reasons": error.reasons})
        case BadCheckpoint():
            return Problem(410, f"this upload can't be gone on with, begin a new one: {detail}", "The upload is lost")
        case LengthNeeded():
            told = "here, the length has to be told first: by Upload-Length, or Content-Length for the whole at once"
            return Problem(411, f"{told}; {detail}", more={"reasons": error.reasons})
        case GridFull():
            return Problem(507, detail, more={"reasons": error.reasons})
        case UploadUnhappy():
            return Problem(503, detail, headers={"Retry-After": "60"}, more={"reasons": error.reasons})
        case CancelledError():
            return Problem(503, "the node is shutting down; try again later", "Shutting down")
        case CorruptFile():
            return Problem(500, detail, "The file is damaged")
        case _:
            return Problem(500, "the node failed to answer this request; its log says more")


def _problem_of_names(error: names.NamespaceError) -> Problem:
    detail = str(error)
    match error:
        case names.BadName() | names.BadContent():
            return Problem(400, detail)
        case names.Forbidden() | names.IntoItself():
            return Problem(403, detail)
        case names.NoSuchEntry() | names.NoSuchVersion() | names.NoSuchUser() | names.NoSuchShare():
            return Problem(404, detail)
        case names.NoSuchUpload():
            return Problem(404, detail, more={"reason": "gone"})
        case names.NoSuchLink():
            return Problem(404, detail)
        case names.LinkOver():
            return Problem(410, detail, "The link is over")
        case names.AlreadyExists() | names.IsAFolder():
            return Problem(405, detail)
        case names.NoSuchParent() | names.NotAFolder() | names.NotEmpty() | names.Superseded():
            return Problem(409, detail)
        case names.NoSuchLock():
            return Problem(409, detail, condition="<D:lock-token-matches-request-uri/>")
        case names.ConditionFailed():
            return Problem(412, detail)
        case names.Locked():
            where = "".join(f"<D:href>{escape(href(lock.path, folder=False))}</D:href>" for lock in error.locks)
            return Problem(423, detail, condition=f"<D:lock-token-submitted>{where}</D:lock-token-submitted>")
        case names.OverQuota():
            return Problem(507, detail, "Over quota", condition="<D:quota-not-exceeded/>")
        case names.TooManyLocks():
            return Problem(507, detail, "Too many locks")
        case names.TooManyProperties():
            return Problem(507, detail, "Too many properties")
        case names.TooManyUploads():
            return Problem(429, detail, "Too many uploads")
        case names.CatalogueUnavailable():
            return Problem(503, detail, "The catalogue is not available", headers={"Retry-After": "10"})
        case _:
            return Problem(500, "the catalogue failed to answer this request; the node's log says more")


def is_mishap(error: BaseException | None) -> bool:
    """Whether the log has to tell of it, because no status says what it is."""
    return problem_of(error).status == 500


def write_problem(request: StreamingRequest, problem: Problem) -> None:
    for name, value in problem.headers.items():
        request.setHeader(name, value)
    if problem.type or prefers_json(request):
        write_text(request, problem.status, json.dumps(problem.as_json()) + "\n", "application/problem+json")
    elif problem.condition:
        text = multistatus.error(problem.condition, problem.detail)
        write_text(request, problem.status, text, multistatus.CONTENT_TYPE)
    else:
        write_text(request, problem.status, problem.detail + "\n")


def write_text(
    request: StreamingRequest, status: int, text: str, content_type: str = "text/plain; charset=utf-8"
) -> None:
    """A short response, whole."""
    # An error may quote what it refuses, such as half of a surrogate pair out of JSON.
    body = text.encode(errors="backslashreplace")
    request.setResponseCode(status)
    request.setHeader(b"Content-Type", content_type.encode())
    request.setHeader(b"Content-Length", b"%d" % len(body))
    request.write(body)


def write_nothing(request: StreamingRequest, status: int) -> None:
    """An answer whose status says it all."""
    request.setResponseCode(status)
    # twisted.web would tell the type of what isn't there.
    request.defaultContentType = None
    if status not in (204, 304):
        request.setHeader(b"Content-Length", b"0")
    request.write(b"")


def prefers_json(request: StreamingRequest) -> bool:
    """The client has said that it is a program."""
    accepted = request.getHeader(b"Accept") or b""
    return b"json" in accepted.lower()


def prefers_html(request: StreamingRequest) -> bool:
    """The client has said that it is a browser."""
    return b"text/html" in (request.getHeader(b"Accept") or b"").lower()
