"""What goes back over the wire: messages, and each failure's status and words, in one place."""

from __future__ import annotations

import json
from collections.abc import Mapping

from twisted.internet.defer import CancelledError
from twisted.logger import Logger
from twisted.python.failure import Failure

from tahoeish.storage.errors import (
    BadWriteEnabler,
    NoSuchShare,
    ShareExists,
    ShareInProgress,
    StoreError,
    StoreFull,
)
from tahoeish.storage.undoing import NoSuchUpload, WrongUploadSecret
from tahoeish.storage.upload import DifferentContent
from tahoeish.storage.wire import CBOR, JSON, BadMessage
from tahoeish.streams.body import BodyError
from tahoeish.streams.request import BadHead, StreamingRequest

log = Logger()

_TEXT = "text/plain; charset=utf-8"
_PAGE = "<!DOCTYPE html><html><head><title>{title}</title></head><body><h1>{title}</h1></body></html>\n"


class Refused(Exception):
    """A request that isn't served, with the status that says so."""

    def __init__(self, status: int, detail: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(detail)
        self.status = status
        self.headers = headers or {}


def answer(request: StreamingRequest, status: int, body: bytes = b"", content_type: str = "") -> None:
    """A response that is whole."""
    request.setResponseCode(status)
    if content_type:
        request.setHeader(b"Content-Type", content_type.encode())
    if status != 204:
        request.setHeader(b"Content-Length", b"%d" % len(body))
    request.write(body)


def answer_message(request: StreamingRequest, status: int, message: bytes) -> None:
    """A response in CBOR, for whoever accepts that."""
    if not _accepts_cbor(request.getHeader("Accept")):
        raise Refused(406, f"this is answered in {CBOR} only")
    answer(request, status, message, CBOR)


def answer_json(request: StreamingRequest, status: int, message: object) -> None:
    answer(request, status, json.dumps(message).encode(), JSON)


def answer_page(request: StreamingRequest, status: int, title: str) -> None:
    answer(request, status, _PAGE.format(title=title).encode(), "text/html; charset=utf-8")


def answer_failure(request: StreamingRequest, failure: Failure) -> None:
    """The response to a request that failed."""
    status, detail = status_and_detail(failure, request.method.decode("ascii", "replace"))
    if isinstance(failure.value, Refused):
        for name, value in failure.value.headers.items():
            request.setHeader(name, value)
    if status in (404, 405) and isinstance(failure.value, Refused):
        answer_page(request, status, detail)
    elif status == 500:
        answer_page(request, status, "Processing Failed")
    else:
        answer(request, status, detail.encode(), _TEXT)


def status_and_detail(failure: Failure, what: str) -> tuple[int, str]:
    """What to answer when `what` has failed. A fault of this node goes into its log."""
    status, detail = _status_and_detail(failure.value)
    if isinstance(failure.value, StoreError) and status >= 500:
        log.error("{reason}", reason=failure.getErrorMessage())
    elif status == 500:
        log.failure("{what} failed", failure, what=what)
    return status, detail


def is_mishap(error: BaseException | None) -> bool:
    """Whether the log has to tell of it, because no status says what it is."""
    status, _ = _status_and_detail(error)
    return status == 500


def _status_and_detail(error: BaseException | None) -> tuple[int, str]:
    """The one table of errors and statuses."""
    detail = str(error)
    match error:
        case Refused():
            return error.status, detail
        case BodyError() | BadHead():
            return error.http_status, detail
        case BadMessage():
            return 400, detail
        case WrongUploadSecret():
            return 401, detail
        case BadWriteEnabler():
            return 401, "the share belongs to somebody else"
        case NoSuchShare() | NoSuchUpload():
            # A store's message names a file of ours, which is nobody else's business.
            return 404, "there is no such share"
        case DifferentContent():
            return 409, detail
        case ShareExists() | ShareInProgress():
            return 409, "this share is there already, or is being sent by somebody else"
        case StoreFull():
            return 507, "there is no room for it"
        case CancelledError():
            return 503, "the node is shutting down"
        case _:
            return 500, ""


def _accepts_cbor(accept: str | None) -> bool:
    """The best of what is accepted is CBOR, by name; or nothing is said."""
    if accept is None or not accept.strip():
        return True
    entries = [_media_range(entry) for entry in accept.split(",")]
    return max(entries, key=lambda entry: entry[1])[0] == CBOR


def _media_range(entry: str) -> tuple[str, float]:
    name, *parameters = (part.strip().lower() for part in entry.split(";"))
    quality = next((text.removeprefix("q=") for text in parameters if text.startswith("q=")), "1")
    try:
        return name, float(quality)
    except ValueError:
        return name, 0.0
