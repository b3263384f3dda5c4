"""`/drop/SECRET`: where whoever has an upload link brings files, in any way that files can be sent."""

from __future__ import annotations

import html
import json
from collections.abc import AsyncIterator, Iterator, Mapping
from datetime import UTC, datetime
from urllib.parse import quote

from twisted.web.resource import Resource
from zope.interface import implementer

from tahoeish.chk.buffers import Buffer
from tahoeish.gateway.access import let_in
from tahoeish.gateway.dav.headers import parse_mtime, seconds_of
from tahoeish.gateway.errors import Problem, Refused, prefers_html, prefers_json, problem_of, write_nothing, write_text
from tahoeish.gateway.filenames import told_type
from tahoeish.gateway.links.arrivals import Announced, Arrivals
from tahoeish.gateway.page import page
from tahoeish.gateway.pages import policy
from tahoeish.gateway.pages.upload_panel import upload_panel
from tahoeish.gateway.upload import Receiver
from tahoeish.gateway.uploads.asked import media_type, number_in
from tahoeish.gateway.uploads.asking import fields_of
from tahoeish.gateway.uploads.dialects import tus
from tahoeish.gateway.uploads.dialects.tus_server import TusServer
from tahoeish.gateway.uploads.goal import Goal
from tahoeish.gateway.uploads.intake import Intake
from tahoeish.gateway.uploads.room import at_most
from tahoeish.grid.errors import GridError
from tahoeish.namespace.errors import NamespaceError
from tahoeish.namespace.upload_links import UploadLink
from tahoeish.streams.body import BodyStream, BodyTooLong
from tahoeish.streams.digests import DigestError
from tahoeish.streams.expansion import CodingError
from tahoeish.streams.forms import BadForm, FormPart, FormStream
from tahoeish.streams.request import IStreamingResource, StreamingRequest

DROP = "/drop"

_METHODS = "OPTIONS, GET, HEAD, PUT, POST, PATCH"
_FORM = (
    '<form method="post" enctype="multipart/form-data"><label for="file">Files</label>'
    '<input type="file" id="file" name="file" multiple required><button>Send</button></form>'
)


@implementer(IStreamingResource)
class Drop(Resource):
    """Whoever comes here has nothing but the address, and sees nothing but what they bring."""

    isLeaf = True

    def __init__(self, arrivals: Arrivals, receiver: Receiver, intake: Intake, tus: TusServer) -> None:
        super().__init__()
        self._links = arrivals.links
        self._arrivals = arrivals
        self._receiver = receiver
        self._intake = intake
        self._tus = tus

    async def respond(self, request: StreamingRequest, body: BodyStream) -> None:
        request.setHeader(b"Allow", _METHODS.encode())
        if request.method == b"OPTIONS":
            self._intake.offer(request)
            for field, value in self._tus.offers().headers.items():
                request.setHeader(field, value)
            write_nothing(request, 200)
            return
        secret, name = _address(request)
        link = await self._arrivals.names.run_in_thread(self._links.find, secret)
        let_in(request, link.viewer)
        match request.method:
            case b"GET" | b"HEAD":
                _show(request, link, secret)
            case b"POST" if tus.speaks(fields_of(request)):
                await self._begin_tus(request, body, link)
            case b"PUT" | b"POST" | b"PATCH":
                if not await self._take(request, body, link, name):
                    await self._receive(request, body, link, name)
            case _:
                raise Refused(405, f"what can be done here is {_METHODS}")

    # Over several requests.

    async def _take(self, request: StreamingRequest, body: BodyStream, link: UploadLink, given: str | None) -> bool:
        async def prepare(name: str | None, length: int | None) -> Mapping[str, object]:
            return await self._arrivals.target(link, _announced(request, given or name, length))

        place = f"{DROP}/{link.id}/" + quote(given or "", safe="")
        return await self._intake.take(request, body, Goal(place, is_file=given is not None, prepare=prepare))

    async def _begin_tus(self, request: StreamingRequest, body: BodyStream, link: UploadLink) -> None:
        fields = fields_of(request)
        metadata = tus.parse_metadata(fields.get("upload-metadata", ""))
        file = Announced(
            _named(metadata.name()),
            told_type(metadata.text_of("filetype", "type")),
            number_in(fields, "upload-length", "Upload-Length"),
            seconds_of(metadata.text_of("mtime") or ""),
        )
        await self._tus.create(request, body, await self._arrivals.target(link, file), from_elsewhere=True)

    # In one.

    async def _receive(self, request: StreamingRequest, body: BodyStream, link: UploadLink, name: str | None) -> None:
        if request.method == b"POST" and media_type(fields_of(request)) == "multipart/form-data":
            await self._receive_form(request, body, link)
            return
        most = link.bounds.max_size or 0
        delivery = self._receiver.delivery(request, body, most)
        file = _announced(request, name, delivery.length)
        room = await self._arrivals.expect(link, file)
        async with delivery.unpacked() as source:
            if room is not None:
                source = at_most(room, source)
            uploaded = await self._receiver.store(request, source, delivery.length, None)
        outcome = await self._arrivals.take_in(link.id, file, uploaded, delivery.checksums())
        delivery.answer(request)
        write_text(request, 201, outcome.entry.name + "\n")

    async def _receive_form(self, request: StreamingRequest, body: BodyStream, link: UploadLink) -> None:
        content_type = (request.getHeader(b"Content-Type") or b"").decode("latin-1")
        parts = FormStream(body, content_type)
        results = [await self._receive_part(request, part, link) async for part in parts if part.filename]
        if not results:
            raise BadForm("the form has no file in it")
        _answer_form(request, results)

    async def _receive_part(
        self, request: StreamingRequest, part: FormPart, link: UploadLink
    ) -> tuple[str, Problem | None]:
        file = Announced(part.filename or "", told_type(part.content_type))
        try:
            # The files before it count, too.
            link = await self._arrivals.names.run_in_thread(self._links.find, _address(request)[0])
            room = await self._arrivals.expect(link, file)
            source = _bounded(part, link.bounds.max_size)
            uploaded = await self._receiver.store(
                request, source if room is None else at_most(room, source), None, None
            )
            outcome = await self._arrivals.take_in(link.id, file, uploaded, ())
        except (GridError, Refused, NamespaceError, BodyTooLong, CodingError, DigestError) as error:
            # One file's misfortune isn't that of those before and after it.
            return file.name, problem_of(error)
        return outcome.entry.name, None


def _address(request: StreamingRequest) -> tuple[str, str | None]:
    """The link's secret, and the name of one file."""
    try:
        parts = [part.decode() for part in request.postpath or []]
    except UnicodeDecodeError:
        raise Refused(400, "a name in an address is UTF-8, percent-encoded, and this one isn't") from None
    match parts:
        case [secret] | [secret, ""]:
            return secret, None
        case [secret, name]:
            return secret, name
    raise Refused(404, f"there is nothing at this address; a file is sent to {DROP}/SECRET/NAME")


def _announced(request: StreamingRequest, name: str | None, length: int | None) -> Announced:
    fields = fields_of(request)
    return Announced(_named(name), told_type(fields.get("content-type")), length, parse_mtime(fields.get("x-oc-mtime")))


def _named(name: str | None) -> str:
    if name is None:
        raise Refused(400, f"what is the file called? Send it to {DROP}/SECRET/NAME, or say so in Content-Disposition")
    return name


async def _bounded(part: FormPart, most: int | None) -> AsyncIterator[Buffer]:
    size = 0
    async for piece in part:
        size += len(piece)
        if most is not None and size > most:
            raise Refused(413, f"{part.filename} is larger than the {most} bytes that are taken here")
        yield piece


def _show(request: StreamingRequest, link: UploadLink, secret: str) -> None:
    if prefers_json(request) or not prefers_html(request):
        bounds = link.bounds
        told = {
            "label": link.label,
            "expires": bounds.expires,
            "max_size": bounds.max_size,
            "max_files": bounds.max_files,
            "files": link.files,
            "content_types": list(bounds.content_types),
        }
        write_text(request, 200, json.dumps(told) + "\n", "application/json")
        return
    request.setHeader(b"Content-Security-Policy", policy.SCRIPTED)
    request.setHeader(b"Cache-Control", b"no-store")
    panel = upload_panel(f"{DROP}/{quote(secret, safe='')}", folder=False, otherwise=_FORM)
    words = "".join(f"<p>{html.escape(sentence)}</p>" for sentence in _sentences(link))
    write_text(request, 200, page(link.label or "Send files", words + panel), "text/html; charset=utf-8")


def _sentences(link: UploadLink) -> Iterator[str]:
    bounds = link.bounds
    if bounds.max_size is not None:
        yield f"A file may have up to {bounds.max_size} bytes."
    if bounds.max_files is not None:
        left = bounds.max_files - link.files
        yield "One file can be sent." if left == 1 else f"{left} files can be sent."
    if bounds.content_types:
        yield f"Only files of these types are taken: {', '.join(bounds.content_types)}."
    if bounds.expires is not None:
        yield f"The link is good until {datetime.fromtimestamp(bounds.expires, UTC):%Y-%m-%d %H:%M} UTC."


def _answer_form(request: StreamingRequest, results: list[tuple[str, Problem | None]]) -> None:
    problems = [problem for _, problem in results if problem is not None]
    status = problems[0].status if problems else 201
    if prefers_json(request):
        told = [
            {"name": name} if problem is None else {"name": name, "error": problem.as_json()}
            for name, problem in results
        ]
        write_text(request, status, json.dumps(told) + "\n", "application/json")
    elif prefers_html(request):
        rows = "".join(f"<li>{html.escape(_line(*result))}</li>" for result in results)
        request.setHeader(b"Content-Security-Policy", policy.PLAIN)
        text = page("Sent", f'<ul>{rows}</ul><p><a href="">Send more</a></p>')
        write_text(request, status, text, "text/html; charset=utf-8")
    else:
        write_text(request, status, "".join(f"{_line(*result)}\n" for result in results))


def _line(name: str, problem: Problem | None) -> str:
    return name if problem is None else f"{name} was not stored: {problem.detail}"
