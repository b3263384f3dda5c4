"""`POST /v1/ACCOUNT/CONTAINER/PREFIX` with a form that a user's key has signed: its files, while they arrive."""

from __future__ import annotations

import html
from collections.abc import AsyncIterable, AsyncIterator
from urllib.parse import unquote_to_bytes

from tahoeish.chk.buffers import Buffer
from tahoeish.gateway.access import let_in
from tahoeish.gateway.dav.visit import FileOptions, Names
from tahoeish.gateway.errors import problem_of, write_text
from tahoeish.gateway.filenames import told_type
from tahoeish.gateway.links.arrivals import is_unwanted
from tahoeish.gateway.links.formpost import (
    FIELDS,
    LONGEST_VALUE,
    Form,
    FormRefused,
    bare_name,
    read_form,
    status_line,
    value_of,
)
from tahoeish.gateway.links.means import LinkMeans
from tahoeish.gateway.links.tempurl import SwiftPath
from tahoeish.gateway.upload import Receiver
from tahoeish.gateway.uploads.room import at_most
from tahoeish.grid.errors import GridError
from tahoeish.namespace.catalogue import Catalogue
from tahoeish.namespace.conditions import UNCONDITIONAL
from tahoeish.namespace.entries import Content
from tahoeish.namespace.errors import BadName, NamespaceError
from tahoeish.namespace.intent import Writing
from tahoeish.namespace.names import Path, check_path
from tahoeish.namespace.viewer import Viewer
from tahoeish.streams.body import BodyStream
from tahoeish.streams.codings import UnknownCoding
from tahoeish.streams.digests import DigestError
from tahoeish.streams.expansion import CodingError
from tahoeish.streams.forms import BadBoundary, BadForm, FormPart, FormStream
from tahoeish.streams.request import ClientsFault, StreamingRequest


class SignedForms:
    """Answers such a POST."""

    def __init__(self, means: LinkMeans, names: Names, receiver: Receiver, options: FileOptions) -> None:
        self._means = means
        self._names = names
        self._receiver = receiver
        self._options = options

    async def post(self, request: StreamingRequest, body: BodyStream) -> None:
        try:
            status, text, redirection = await self._take(request, body)
        except FormRefused as refusal:
            status, text, redirection = refusal.status, str(refusal), None
        except BadBoundary:
            status, text, redirection = 400, "FormPost: invalid starting boundary", None
        except BadForm as error:
            status, text, redirection = 400, f"FormPost: {error}", None
        if redirection is None:
            write_text(request, status, text + "\n")
            return
        request.setHeader(b"Location", redirection.encode())
        where = html.escape(redirection)
        page = f'<!doctype html><title>Sent</title><p><a href="{where}">Click to continue...</a></p>\n'
        write_text(request, 303, page, "text/html; charset=utf-8")

    async def _take(self, request: StreamingRequest, body: BodyStream) -> tuple[int, str, str | None]:
        """The status, what is said, and where to send the browser."""
        content_type = (request.getHeader(b"Content-Type") or b"").decode("latin-1")
        fields: dict[str, str] = {}
        form: Form | None = None
        files = 0
        async for part in FormStream(body, content_type):
            # Browsers send a file without a name where none was chosen.
            if not part.filename:
                name = part.name.lower()
                # What stands behind a file is too late for it.
                if form is None and name in FIELDS:
                    fields[name] = value_of(await _beginning_of(part))
                continue
            form = form or read_form(_path_of(request), fields, self._means.digests)
            viewer, path = await self._admitted(form, part.filename)
            let_in(request, viewer)
            files += 1
            try:
                if files > form.max_file_count:
                    raise FormRefused(400, "Max File Count Exceeded")
                await self._store(request, form, fields, part, viewer, path)
            except FormRefused as refusal:
                # The rest isn't stored, nor is it an answer to anybody whose form isn't signed.
                return refusal.status, str(refusal), form.redirection(refusal.status, str(refusal))
        if form is None:
            return await self._nothing_in(request, fields)
        return 201, status_line(201), form.redirection(201, "")

    async def _nothing_in(self, request: StreamingRequest, fields: dict[str, str]) -> tuple[int, str, str | None]:
        refusal = FormRefused(400, "No Files To Process")
        try:
            form = read_form(_path_of(request), fields, self._means.digests)
            await self._admitted(form, "any")
        except FormRefused:
            raise refusal from None
        return refusal.status, str(refusal), form.redirection(refusal.status, str(refusal))

    async def _admitted(self, form: Form, filename: str) -> tuple[Viewer, Path]:
        """Who brings a file, and where it is to go. Raises `FormRefused`."""
        if form.expires < self._names.now():
            raise FormRefused(401, "Form Expired")
        place = SwiftPath.parse(form.target(filename))
        try:
            path = check_path(place.names) if place is not None and place.container else ()
        except BadName:
            path = ()
        account = form.path.split("/")[2] if form.path.count("/") > 1 else ""
        keys = await self._names.run_in_thread(self._means.keys.of_user, account)
        if not form.is_signed([key.secret for key in keys if key.covers(path)]):
            raise FormRefused(401, "Invalid Signature")
        if not path or not bare_name(filename):
            raise FormRefused(400, "invalid file name")
        return Viewer(account, below=path[:-1], by_link=True), path

    async def _store(
        self, request: StreamingRequest, form: Form, fields: dict[str, str], part: FormPart, viewer: Viewer, path: Path
    ) -> None:
        if is_unwanted(path[-1], self._options.refuse):
            raise FormRefused(403, "files of this name are not wanted here")
        if "content-encoding" in fields:
            part.fields["content-encoding"] = fields["content-encoding"]
        try:
            room = await self._names.ask(_admit, viewer, path)
            delivery = self._receiver.delivery_of_part(part)
            async with delivery.unpacked() as content:
                bounded = _at_most(form.max_file_size, content)
                source = bounded if room is None else at_most(room, bounded)
                uploaded = await self._receiver.store(request, source, None, None)
            kind = told_type(fields.get("content-type") or part.content_type)
            stored = Content(str(uploaded.cap), uploaded.cap.size, kind, delivery.checksums())
            await self._names.change(Catalogue.put, viewer, path, stored)
        except FormRefused:
            raise
        except (GridError, NamespaceError, CodingError, UnknownCoding, DigestError, ClientsFault) as error:
            problem = problem_of(error)
            raise FormRefused(problem.status, problem.detail) from error


def _admit(catalogue: Catalogue, viewer: Viewer, path: Path) -> int | None:
    """The most that may come. Raises what speaks against any of it. Blocks."""
    catalogue.check(viewer, path, UNCONDITIONAL, Writing(None))
    return catalogue.usage(viewer, path[:-1]).available


def _path_of(request: StreamingRequest) -> str:
    try:
        return unquote_to_bytes(request.path or b"").decode()
    except UnicodeDecodeError:
        raise FormRefused(401, "Invalid Signature") from None


async def _beginning_of(part: FormPart) -> bytes:
    """Of what is too long only that: a form holds nothing in memory."""
    value = b""
    async for piece in part:
        value = (value + bytes(piece))[:LONGEST_VALUE]
    return value


async def _at_most(size: int, source: AsyncIterable[Buffer]) -> AsyncIterator[Buffer]:
    received = 0
    async for piece in source:
        received += len(piece)
        if received > size:
            raise FormRefused(400, "max_file_size exceeded")
        yield piece
