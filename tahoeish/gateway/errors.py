"""Each error's status, title and words, in one place; for programs as `application/problem+json`, else as text."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from twisted.internet.defer import CancelledError
from twisted.logger import Logger
from twisted.python.failure import Failure

from tahoeish.chk.errors import BadCap, BadDirectory, CorruptFile, WrongLength
from tahoeish.grid.errors import FileTooLarge, GridFull, NotEnoughShares, UploadUnhappy
from tahoeish.streams.body import BodyError
from tahoeish.streams.forms import BadForm
from tahoeish.streams.request import BadHead, StreamingRequest

log = Logger()

TITLES = {
    400: "Bad request",
    404: "Not found",
    405: "Method not allowed",
    408: "Too slow",
    410: "Not enough shares",
    413: "Too large",
    415: "Unsupported media type",
    416: "Range not satisfiable",
    500: "The node failed",
    501: "Not implemented",
    503: "The grid is not available",
    507: "The grid is full",
}


class Refused(Exception):
    """A request that makes no sense, or isn't served: the status and what the client can do about it."""

    def __init__(self, status: int, detail: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(detail)
        self.status = status
        self.headers = headers or {}


@dataclass(frozen=True)
class Problem:
    """What is told to the client."""

    status: int
    detail: str
    title: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    more: Mapping[str, object] = field(default_factory=dict)

    def as_json(self) -> dict[str, object]:
        title = self.title or TITLES.get(self.status, "Error")
        return {
            "type": "about:blank",
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
            return Problem(error.status, detail, headers=error.headers)
        case BodyError() | BadHead():
            return Problem(error.http_status, detail)
        case BadCap() | BadDirectory() | BadForm() | WrongLength():
            return Problem(400, detail)
        case FileTooLarge():
            return Problem(413, detail)
        case NotEnoughShares():
            found = {str(number): peers for number, peers in error.found.items()}
            return Problem(410, detail, more={"needed": error.needed, "found": found, "reasons": error.reasons})
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


def answer_failure(request: StreamingRequest, failure: Failure) -> None:
    """Write the answer to a request that failed."""
    problem = problem_of(failure.value)
    if problem.status == 500:
        log.failure("{method} failed", failure, method=request.method.decode("ascii", "replace"))
    write_problem(request, problem)


def write_problem(request: StreamingRequest, problem: Problem) -> None:
    for name, value in problem.headers.items():
        request.setHeader(name, value)
    if prefers_json(request):
        write_text(request, problem.status, json.dumps(problem.as_json()) + "\n", "application/problem+json")
    else:
        write_text(request, problem.status, problem.detail + "\n")


def write_text(
    request: StreamingRequest, status: int, text: str, content_type: str = "text/plain; charset=utf-8"
) -> None:
    """A short response, whole."""
    body = text.encode()
    request.setResponseCode(status)
    request.setHeader(b"Content-Type", content_type.encode())
    request.setHeader(b"Content-Length", b"%d" % len(body))
    request.write(body)


def prefers_json(request: StreamingRequest) -> bool:
    """The client has said that it is a program."""
    accepted = request.getHeader(b"Accept") or b""
    return b"json" in accepted.lower()


def prefers_html(request: StreamingRequest) -> bool:
    """The client has said that it is a browser."""
    return b"text/html" in (request.getHeader(b"Accept") or b"").lower()
