"""PUT: a body on its way into the grid, and then, in one step, behind a name."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator

from tahoeish.chk.buffers import Buffer
from tahoeish.chk.errors import WrongLength
from tahoeish.gateway.checksums import Verification, parse_checksums
from tahoeish.gateway.dav.addresses import is_folder_address
from tahoeish.gateway.dav.answers import write_change
from tahoeish.gateway.dav.headers import parse_mtime
from tahoeish.gateway.dav.visit import Names, Visit
from tahoeish.gateway.errors import Refused
from tahoeish.gateway.filenames import told_type
from tahoeish.gateway.upload import Receiver, expected_length, size_hint
from tahoeish.namespace.catalogue import Catalogue
from tahoeish.namespace.entries import Content
from tahoeish.namespace.intent import Writing


class Storing:
    """Answers PUT."""

    def __init__(self, names: Names, receiver: Receiver) -> None:
        self._names = names
        self._receiver = receiver

    async def put(self, visit: Visit) -> None:
        request, body = visit.request, visit.body
        _expect_whole_file(visit)
        expected = None if body.length is not None else expected_length(request)
        announced = body.length if body.length is not None else expected
        self._receiver.expect_size(body, announced)
        wanted = parse_checksums(visit.header("OC-Checksum"))
        modified = parse_mtime(visit.header("X-OC-Mtime"))
        room = await self._names.run_in_thread(self._admitted, visit, announced)

        source: AsyncIterable[Buffer] = body
        if expected is not None:
            source = _exactly(expected, source)
        elif room is not None:
            source = _at_most(room, source)
        verification = Verification(wanted, self._receiver.run_in_thread) if wanted else None
        if verification is not None:
            source = verification.passing(source)
        uploaded = await self._receiver.store(request, source, body.length, size_hint(request))

        checksums = verification.checksums if verification is not None else ()
        content = Content(str(uploaded.cap), uploaded.cap.size, told_type(visit.header("Content-Type")), checksums)
        outcome = await self._names.ask(
            Catalogue.put, visit.viewer, visit.path, content, modified=modified, conditions=visit.conditions
        )
        request.setHeader(b"ETag", outcome.entry.etag.encode())
        if modified is not None:
            request.setHeader(b"X-OC-Mtime", b"accepted")
        write_change(request, created=outcome.created)

    def _admitted(self, visit: Visit, announced: int | None) -> int | None:
        """The most that may come, where that isn't decided yet. Raises what speaks against any of it. Blocks."""
        catalogue = self._names.catalogue
        present = catalogue.check(visit.viewer, visit.path, visit.conditions, Writing(announced))
        if announced is not None:
            return None
        available = catalogue.usage(visit.viewer, visit.path[:-1]).available
        # What is replaced makes room.
        return None if available is None else available + (present.size if present is not None else 0)


def _expect_whole_file(visit: Visit) -> None:
    """Raises `Refused` for what isn't a PUT of a file, whole and as it is."""
    if visit.header("Content-Range") is not None:
        raise Refused(400, "a file can't be changed in part: send it whole, without Content-Range")
    if (visit.header("Content-Encoding") or "identity").strip().lower() != "identity":
        raise Refused(415, "a file is stored as it comes: send it without Content-Encoding")
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


async def _at_most(room: int, source: AsyncIterable[Buffer]) -> AsyncIterator[Buffer]:
    received = 0
    async for piece in source:
        received += len(piece)
        if received > room:
            raise Refused(
                507, f"the quota leaves room for {room} bytes, and more have come", condition="<D:quota-not-exceeded/>"
            )
        yield piece
