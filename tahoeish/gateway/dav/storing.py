"""PUT: a body on its way into the grid, and then, in one step, behind a name."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator

from tahoeish.chk.buffers import Buffer
from tahoeish.chk.errors import WrongLength
from tahoeish.gateway.dav.addresses import is_folder_address
from tahoeish.gateway.dav.answers import write_change
from tahoeish.gateway.dav.headers import parse_mtime
from tahoeish.gateway.dav.naming import expect_room
from tahoeish.gateway.dav.visit import Names, Visit
from tahoeish.gateway.errors import Refused
from tahoeish.gateway.filenames import told_type
from tahoeish.gateway.upload import Receiver, expected_length, size_hint
from tahoeish.gateway.uploads.room import at_most
from tahoeish.namespace.catalogue import Catalogue
from tahoeish.namespace.entries import Content


class Storing:
    """Answers PUT."""

    def __init__(self, names: Names, receiver: Receiver) -> None:
        self._names = names
        self._receiver = receiver

    async def put(self, visit: Visit) -> None:
        request, body = visit.request, visit.body
        _expect_whole_file(visit)
        delivery = self._receiver.delivery(request, body, visit.max_size)
        expected = None if delivery.length is not None else expected_length(request)
        announced = delivery.length if delivery.length is not None else expected
        self._receiver.expect_size(announced)
        modified = parse_mtime(visit.header("X-OC-Mtime"))
        room = await expect_room(self._names, visit, visit.path, announced)

        async with delivery.unpacked() as source:
            if expected is not None:
                source = _exactly(expected, source)
            elif room is not None:
                source = at_most(room, source)
            uploaded = await self._receiver.store(request, source, delivery.length, size_hint(request))

        content_type = told_type(visit.header("Content-Type"))
        content = Content(str(uploaded.cap), uploaded.cap.size, content_type, delivery.checksums())
        outcome = await self._names.change(
            Catalogue.put, visit.viewer, visit.path, content, modified=modified, conditions=visit.conditions
        )
        delivery.answer(request)
        request.setHeader(b"ETag", outcome.entry.etag.encode())
        if modified is not None:
            request.setHeader(b"X-OC-Mtime", b"accepted")
        write_change(request, created=outcome.created)


def _expect_whole_file(visit: Visit) -> None:
    """Raises `Refused` for what isn't a PUT of a whole file."""
    if is_folder_address(visit.request):
        raise Refused(405, "an address that ends in a slash is that of a folder, which is made with MKCOL")
    visit.expect_wanted(visit.path)


async def _exactly(size: int, source: AsyncIterable[Buffer]) -> AsyncIterator[Buffer]:
    received = 0
    async for piece in source:
        received += len(piece)
        if received > size:
            raise WrongLength(f"the file was said to have {size} bytes, but more have come")
        yield piece
    if received != size:
        raise WrongLength(f"the file was said to have {size} bytes, but ended after {received}")
