"""`/drop/SECRET`: where whoever has an upload link brings files, in any way that files can be sent."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from urllib.parse import quote

from twisted.web.resource import Resource
from zope.interface import implementer

from tahoeish.chk.buffers import Buffer
from tahoeish.gateway.access import let_in
from tahoeish.gateway.dav.headers import parse_mtime, seconds_of
from tahoeish.gateway.errors import Problem, Refused, prefers_html, prefers_json, problem_of, write_nothing, write_text
from tahoeish.gateway.filenames import told_type
from tahoeish.gateway.links import drop_page
from tahoeish.gateway.links.arrivals import Announced, Arrivals
from tahoeish.gateway.pages.sizes import bound_in_words
from tahoeish.gateway.upload import Receiver
from tahoeish.gateway.uploads.asked import media_type, number_in
from tahoeish.gateway.uploads.asking import fields_of
from tahoeish.gateway.uploads.dialects import tus
from tahoeish.gateway.uploads.dialects.tus_server import TusServer
from tahoeish.gateway.uploads.goal import Goal
from tahoeish.gateway.uploads.intake import Intake
from tahoeish.gateway.uploads.room import at_most
from tahoeish.grid.errors import GridError
from tahoeish.namespace.errors import LinkOver, NamespaceError, NoSuchLink
from tahoeish.namespace.names import Path
from tahoeish.namespace.upload_links import UploadLink
from tahoeish.streams.body import BodyStream, BodyTooLong
from tahoeish.streams.digests import DigestError
from tahoeish.streams.expansion import CodingError
from tahoeish.streams.forms import BadForm, FormPart, FormStream
from tahoeish.streams.request import IStreamingResource, StreamingRequest

DROP = "/drop"

_METHODS = "OPTIONS, GET, HEAD, PUT, POST, PATCH"


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
        try:
            await self._respond(request, body)
        except (NoSuchLink, LinkOver) as error:
            if not prefers_html(request) or prefers_json(request):
                raise
            drop_page.tell_over(request, error)

    async def _respond(self, request: StreamingRequest, body: BodyStream) -> None:
        secret, path = _address(request)
        link = await self._arrivals.names.run_in_thread(self._links.look_up, secret)
        let_in(request, link.viewer)
        begins_tus = request.method == b"POST" and tus.speaks(fields_of(request))
        if begins_tus and await self._tus.repeats(request, body, from_elsewhere=True):
            return
        self._links.expect_open(link)
        match request.method:
            case b"OPTIONS":
                self._offer(request, link)
            case b"GET" | b"HEAD":
                drop_page.show(request, link, f"{DROP}/{quote(secret, safe='')}")
            case b"POST" if begins_tus:
                await self._begin_tus(request, body, link)
            case b"PUT" | b"POST" | b"PATCH":
                if not await self._take(request, body, link, path):
                    await self._receive(request, body, link, path)
            case _:
                raise Refused(405, f"what can be done here is {_METHODS}")

    def _offer(self, request: StreamingRequest, link: UploadLink) -> None:
        self._intake.offer(request, link.bounds.max_size)
        for field, value in self._tus.offers(link.bounds.max_size).headers.items():
            request.setHeader(field, value)
        write_nothing(request, 200)

    # Over several requests.

    async def _take(self, request: StreamingRequest, body: BodyStream, link: UploadLink, given: Path) -> bool:
        async def prepare(name: str | None, length: int | None) -> Mapping[str, object]:
            return await self._arrivals.target(link, _announced(request, given or _path(name), length))

        place = f"{DROP}/{link.id}/" + quote("/".join(given))
        return await self._intake.take(request, body, Goal(place, is_file=bool(given), prepare=prepare))

    async def _begin_tus(self, request: StreamingRequest, body: BodyStream, link: UploadLink) -> None:
        fields = fields_of(request)
        metadata = tus.parse_metadata(fields.get("upload-metadata", ""))
        file = Announced(
            _brought_in(metadata.text_of("relativePath"), _path(metadata.name())),
            told_type(metadata.text_of("filetype", "type")),
            number_in(fields, "upload-length", "Upload-Length"),
            seconds_of(metadata.text_of("mtime") or ""),
        )
        await self._tus.create(request, body, await self._arrivals.target(link, file), from_elsewhere=True)

    # In one.

    async def _receive(self, request: StreamingRequest, body: BodyStream, link: UploadLink, path: Path) -> None:
        if request.method == b"POST" and media_type(fields_of(request)) == "multipart/form-data":
            await self._receive_form(request, body, link)
            return
        most = link.bounds.max_size or 0
        delivery = self._receiver.delivery(request, body, most)
        file = _announced(request, path or _path(None), delivery.length)
        room = await self._arrivals.expect(link, file)
        async with delivery.unpacked() as source:
            if room is not None:
                source = at_most(room, source)
            uploaded = await self._receiver.store(request, source, delivery.length, None)
        name = await self._arrivals.take_in(link.id, file, uploaded, delivery.checksums())
        delivery.answer(request)
        write_text(request, 201, name + "\n")

    async def _receive_form(self, request: StreamingRequest, body: BodyStream, link: UploadLink) -> None:
        content_type = (request.getHeader(b"Content-Type") or b"").decode("latin-1")
        parts = FormStream(body, content_type)
        results = [await self._receive_part(request, part, link) async for part in parts if part.filename]
        if not results:
            raise BadForm("the form has no file in it")
        drop_page.answer_form(request, results)

    async def _receive_part(
        self, request: StreamingRequest, part: FormPart, link: UploadLink
    ) -> tuple[str, Problem | None]:
        name = part.filename or ""
        file = Announced((name,), told_type(part.content_type))
        try:
            # The files before it count, too.
            link = await self._arrivals.names.run_in_thread(self._links.find, _address(request)[0])
            room = await self._arrivals.expect(link, file)
            source = _bounded(part, link.bounds.max_size)
            uploaded = await self._receiver.store(
                request, source if room is None else at_most(room, source), None, None
            )
            stored = await self._arrivals.take_in(link.id, file, uploaded, ())
        except (GridError, Refused, NamespaceError, BodyTooLong, CodingError, DigestError) as error:
            # One file's misfortune isn't that of those before and after it.
            return name, problem_of(error)
        return stored, None


def _address(request: StreamingRequest) -> tuple[str, Path]:
    """The link's secret, and the path of one file, which may be empty."""
    try:
        parts = [part.decode() for part in request.postpath or []]
    except UnicodeDecodeError:
        raise Refused(400, "a name in an address is UTF-8, percent-encoded, and this one isn't") from None
    match parts:
        case [secret] | [secret, ""]:
            return secret, ()
        case [secret, *names]:
            return secret, tuple(names)
    raise Refused(404, f"there is nothing at this address; a file is sent to {DROP}/SECRET/NAME")


def _announced(request: StreamingRequest, path: Path, length: int | None) -> Announced:
    fields = fields_of(request)
    return Announced(path, told_type(fields.get("content-type")), length, parse_mtime(fields.get("x-oc-mtime")))


def _path(name: str | None) -> Path:
    if name is None:
        raise Refused(400, f"what is the file called? Send it to {DROP}/SECRET/NAME, or say so in Content-Disposition")
    return (name,)


def _brought_in(relative: str | None, path: Path) -> Path:
    """The same in the folders of a path that ends with some name, as clients tell of whole folders."""
    return (*(relative or "").split("/")[:-1], *path)


async def _bounded(part: FormPart, most: int | None) -> AsyncIterator[Buffer]:
    size = 0
    async for piece in part:
        size += len(piece)
        if most is not None and size > most:
            raise Refused(413, f"it is larger than the {bound_in_words(most)} that are taken here")
        yield piece
