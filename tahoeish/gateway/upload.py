"""Bodies and forms on their way into the grid."""

from __future__ import annotations

import html
import json
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from urllib.parse import quote, urlsplit

from twisted.logger import Logger

from tahoeish.chk import base32
from tahoeish.chk.buffers import Buffer
from tahoeish.gateway.delivery import Deliveries, Delivery
from tahoeish.gateway.errors import (
    Problem,
    Refused,
    prefers_html,
    prefers_json,
    problem_of,
    write_text,
)
from tahoeish.gateway.page import outcome, page
from tahoeish.gateway.pages import policy
from tahoeish.gateway.pages.names import marked_up
from tahoeish.gateway.pages.sizes import bound_in_words, in_words
from tahoeish.gateway.resource import argument, flag
from tahoeish.grid.errors import GridError
from tahoeish.grid.upload import Uploaded, Uploader
from tahoeish.streams.body import BodyError, BodyStream, BodyTooLong
from tahoeish.streams.digests import DigestError
from tahoeish.streams.expansion import CodingError
from tahoeish.streams.forms import BadForm, FormPart, FormStream
from tahoeish.streams.request import StreamingRequest

log = Logger()

REST = "the rest of the form"
"""What is told of it in place of a file's name."""


@dataclass(frozen=True)
class FormResult:
    """What became of one file of a form."""

    filename: str
    size: int
    cap: str | None
    problem: Problem | None = None

    def as_json(self) -> dict[str, object]:
        if self.problem is None:
            return {"filename": self.filename, "size": self.size, "cap": self.cap}
        return {"filename": self.filename, "error": self.problem.as_json()}


class Receiver:
    """
    Takes uploads of at most `max_size` bytes; 0 is without a bound.

    `convergence_secret` is the node's own, for clients that want the same cap for the same content.
    """

    def __init__(self, uploader: Uploader, deliveries: Deliveries, max_size: int, convergence_secret: bytes) -> None:
        self._uploader = uploader
        self._deliveries = deliveries
        self._max_size = max_size
        self._convergence_secret = convergence_secret

    async def put(self, request: StreamingRequest, body: BodyStream) -> None:
        """The body is the file."""
        _expect_immutable(argument(request, "format"), argument(request, "mutable"))
        delivery = self.delivery(request, body)
        secret = self._secret(request)
        async with delivery.unpacked() as content:
            if secret is None:
                uploaded = await self._uploader.upload(content, delivery.length, size_hint=size_hint(request))
            else:
                uploaded = await self._uploader.upload_convergently(content, delivery.length, secret)
        _note(request, uploaded)
        delivery.answer(request)
        cap = str(uploaded.cap)
        request.setHeader(b"Location", f"/uri/{quote(cap, safe='')}".encode())
        write_text(request, 201, cap)

    def delivery(self, request: StreamingRequest, body: BodyStream, at_most: int = 0) -> Delivery:
        """
        The body as a file, of `at_most` bytes if that isn't 0. What is too long ends in `BodyTooLong`, or
        `ExpandsTooFar`.
        """
        bounds = [bound for bound in (self._max_size, at_most) if bound]
        return self._deliveries.of_request(request, body, min(bounds, default=0))

    def delivery_of_part(self, part: FormPart) -> Delivery:
        """The same for a file in a form, whose length nobody knows."""
        return self._deliveries.of_part(part)

    def expect_size(self, announced: int | None) -> None:
        """Raises `BodyTooLong`."""
        if self._max_size and (announced or 0) > self._max_size:
            raise BodyTooLong(f"the file is {announced} bytes long, but at most {self._max_size} are taken here")

    async def store(
        self, request: StreamingRequest, source: AsyncIterable[Buffer], length: int | None, hint: int | None
    ) -> Uploaded:
        """What `source` makes of a delivery becomes a file, under a key of its own; nothing is answered yet."""
        uploaded = await self._uploader.upload(source, length, size_hint=hint)
        _note(request, uploaded)
        return uploaded

    async def post(self, request: StreamingRequest, body: BodyStream) -> None:
        """The body is a form with files in it, each of which is answered for."""
        fields = {name: argument(request, name) for name in ("t", "format", "mutable", "when_done")}
        _expect_upload(fields)
        # Of a form as a whole, only the single files in it are bounded.
        delivery = self._deliveries.of_request(request, body, 0)
        results: list[FormResult] = []
        try:
            async with delivery.unpacked() as content:
                parts = aiter(FormStream(content, (request.getHeader(b"Content-Type") or b"").decode("latin-1")))
                async for part in parts:
                    if part.filename:
                        rest = partial(_the_rest, parts, fields) if delivery.verified_as_sent else None
                        results.append(await self._store_part(part, rest))
                    else:
                        await _take_field(part, fields)
        except (BadForm, BodyError) as error:
            # The files before are stored, and without an answer nobody would ever know their caps.
            if not results:
                raise
            results.append(FormResult(REST, 0, None, problem_of(error)))
        if not results:
            raise BadForm("the form has no file in it; send it in a field with a filename, as in: curl -F file=@NAME")
        _answer_form(request, results, fields["when_done"])

    async def _store_part(self, part: FormPart, rest: Callable[[], Awaitable[None]] | None) -> FormResult:
        """`rest` takes the rest of the form, where that has to be in order, too, before the file counts."""
        assert part.filename is not None
        size = 0

        async def counted(content: AsyncIterable[Buffer]) -> AsyncIterator[Buffer]:
            nonlocal size
            async for piece in content:
                size += len(piece)
                if self._max_size and size > self._max_size:
                    raise Refused(413, f"it is larger than the {bound_in_words(self._max_size)} that are taken here")
                yield piece
            if rest is not None:
                await rest()

        try:
            async with self._deliveries.of_part(part).unpacked() as content:
                uploaded = await self._uploader.upload(counted(content), None)
        except (GridError, Refused, CodingError, DigestError) as error:
            # One file's misfortune isn't that of those before and after it.
            return FormResult(part.filename, size, None, problem_of(error))
        return FormResult(part.filename, size, str(uploaded.cap))

    def _secret(self, request: StreamingRequest) -> bytes | None:
        given = argument(request, "convergence-secret")
        if given is not None:
            try:
                return base32.decode(given)
            except ValueError as error:
                raise Refused(400, f"convergence-secret is base32 text: {error}") from error
        return self._convergence_secret if flag(argument(request, "convergent"), "convergent") else None


def expect_random_key(request: StreamingRequest) -> None:
    """Raises `Refused` where a file is wanted that is made in another way than most."""
    _expect_immutable(argument(request, "format"), argument(request, "mutable"))
    wanted = argument(request, "convergence-secret") is not None
    if wanted or flag(argument(request, "convergent"), "convergent"):
        raise Refused(400, "a key that comes from the content needs the whole of it first: send it in one request")


def size_hint(request: StreamingRequest) -> int | None:
    """What a client without a Content-Length says beforehand of the most that will come."""
    hint = argument(request, "size-hint")
    return _number_of_bytes(hint) if hint else expected_length(request)


def expected_length(request: StreamingRequest) -> int | None:
    """What macOS's Finder says of the length, which it knows, when it sends a file without a Content-Length."""
    header = request.getHeader(b"X-Expected-Entity-Length")
    return _number_of_bytes(header.decode("latin-1")) if header else None


def _number_of_bytes(hint: str) -> int:
    if not (hint.isascii() and hint.isdigit() and len(hint) < 20):
        raise Refused(400, f"a size hint is a number of bytes, not {hint[:40]!r}")
    return int(hint)


def _note(request: StreamingRequest, uploaded: Uploaded) -> None:
    """What a client may want to know beside the cap."""
    if uploaded.spooled:
        request.setHeader(b"Tahoeish-Spooled", b"true")
    if uploaded.missing:
        missing = ", ".join(map(str, uploaded.missing))
        request.setHeader(b"Tahoeish-Missing-Shares", missing.encode())
        log.warn("stored with shares {missing} missing", missing=missing)


async def _take_field(part: FormPart, fields: dict[str, str | None]) -> None:
    if part.filename is None:
        value = await part.text()
        if part.name in fields:
            fields[part.name] = value
        _expect_upload(fields)


async def _the_rest(parts: AsyncIterator[FormPart], fields: dict[str, str | None]) -> None:
    """What comes behind the one file of a form that has to be right as a whole."""
    async for part in parts:
        if part.filename:
            raise BadForm("a digest of a whole form is taken only if there is one file in it; send it with the parts")
        await _take_field(part, fields)


def _expect_upload(fields: dict[str, str | None]) -> None:
    if fields["t"] not in (None, "", "upload"):
        raise Refused(400, f"what a form can be posted for is t=upload, not t={fields['t']}")
    _expect_immutable(fields["format"], fields["mutable"])
    _expect_web_page(fields["when_done"])


def _expect_immutable(format_: str | None, mutable: str | None) -> None:
    match (format_ or "CHK").upper():
        case "CHK":
            pass
        case "SDMF" | "MDMF":
            raise Refused(501, "this node doesn't make mutable files; leave format out, or say format=CHK")
        case _:
            raise Refused(400, f"unknown format {format_!r}; what there is here is CHK")
    if flag(mutable, "mutable"):
        raise Refused(501, "this node doesn't make mutable files; leave mutable out")


def _expect_web_page(when_done: str | None) -> None:
    try:
        scheme = urlsplit(when_done or "").scheme
    except ValueError as error:
        raise Refused(400, f"when_done is the address of a web page, not {when_done!r}: {error}") from error
    if scheme not in ("", "http", "https"):
        raise Refused(400, f"when_done is the address of a web page, not {when_done!r}")


def _answer_form(request: StreamingRequest, results: list[FormResult], when_done: str | None) -> None:
    problems = [result.problem for result in results if result.problem is not None]
    status = problems[0].status if problems else 201
    if when_done and not problems:
        _redirect(request, when_done, results)
    elif prefers_json(request):
        text = json.dumps([result.as_json() for result in results], indent=1) + "\n"
        write_text(request, status, text, "application/json")
    elif prefers_html(request):
        rows = "".join(_row(result) for result in results)
        title = outcome("stored", len(results) - len(problems), len(results))
        request.setHeader(b"Content-Security-Policy", policy.PLAIN)
        write_text(request, status, page(title, f"<ul>{rows}</ul>"), "text/html; charset=utf-8")
    elif len(results) == 1 and not problems:
        write_text(request, status, str(results[0].cap))
    else:
        write_text(request, status, "".join(_line(result) for result in results))


def _redirect(request: StreamingRequest, when_done: str, results: list[FormResult]) -> None:
    where = when_done.replace("%(uri)s", quote(str(results[-1].cap), safe=""))
    request.setHeader(b"Location", where.encode())
    write_text(request, 302, "")


def _row(result: FormResult) -> str:
    name = marked_up(result.filename)
    if result.problem is not None:
        return f'<li class="failed"><b>{name}</b> was not stored: {html.escape(result.problem.detail)}</li>'
    cap = str(result.cap)
    href = f"/file/{quote(cap, safe='')}/@@named=/{quote(result.filename, safe='')}"
    link = f'<a href="{html.escape(href)}">{name}</a>'
    return f"<li>{link} ({in_words(result.size)})<br><code>{html.escape(cap)}</code></li>"


def _line(result: FormResult) -> str:
    said = result.cap if result.problem is None else f"not stored: {result.problem.detail}"
    return f"{result.filename}\t{said}\n"
