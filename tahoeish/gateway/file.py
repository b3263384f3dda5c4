"""Files on their way out: a cap in the address, its bytes in the response."""

from __future__ import annotations

from contextlib import aclosing
from dataclasses import dataclass
from hashlib import sha256

from twisted.internet.interfaces import IReactorTime

from tahoeish.chk import base32
from tahoeish.chk.caps import LiteralCap, ReadCap, VerifyCap, parse_cap
from tahoeish.chk.directory import Metadata
from tahoeish.chk.directory_caps import DirectoryCap
from tahoeish.gateway.checksums import Checksums
from tahoeish.gateway.conditions import expect_match, not_modified, unchanged
from tahoeish.gateway.description import as_json, description_of
from tahoeish.gateway.errors import Refused, write_text
from tahoeish.gateway.filenames import attachment, is_active, served_type
from tahoeish.gateway.info import write_info
from tahoeish.gateway.ranges import ByteRange, Unsatisfiable, parse_range
from tahoeish.gateway.resource import AsyncResource, argument, flag
from tahoeish.gateway.wanted import WantedDigests
from tahoeish.grid.download import Downloader
from tahoeish.streams.body import BodyStream
from tahoeish.streams.request import StreamingRequest
from tahoeish.streams.response import streaming

Cap = ReadCap | LiteralCap | VerifyCap


@dataclass(frozen=True, slots=True)
class Label:
    """What a file is called, and what whoever calls it so knows of it beside its cap."""

    name: str | None = None
    content_type: str | None = None
    """What whoever has sent it said that it is."""
    etag: str | None = None
    modified: float | None = None
    metadata: Metadata | None = None
    checksums: Checksums = ()


class FileServer:
    """Writes files, and what is known of them, into responses."""

    def __init__(self, downloader: Downloader, clock: IReactorTime, idle_timeout: float) -> None:
        self._downloader = downloader
        self._clock = clock
        self._idle_timeout = idle_timeout

    async def respond(self, request: StreamingRequest, cap: Cap, label: Label) -> None:
        """By the query argument `t`: the bytes, or what is known of them."""
        match argument(request, "t") or "":
            case "":
                await self._respond_bytes(request, cap, label)
            case "json":
                if not not_modified(request, entity_tag(cap, "json")):
                    write_text(request, 200, as_json(description_of(cap, label.metadata)))
            case "info":
                write_info(request, cap, label.metadata)
            case "uri" | "readonly-uri":
                write_text(request, 200, str(cap))
            case other:
                raise Refused(400, f"t is json, info, uri or readonly-uri, not {other!r}")

    async def _respond_bytes(self, request: StreamingRequest, cap: Cap, label: Label) -> None:
        if isinstance(cap, VerifyCap):
            raise Refused(400, "a verify cap can check a file, but not read it")
        etag = label.etag or entity_tag(cap)
        expect_match(request, etag, label.modified)
        self._describe(request, label)
        if not_modified(request, etag, label.modified):
            return
        request.setHeader(b"Accept-Ranges", b"bytes")
        wanted = self._range(request, cap, etag)
        if wanted is not None:
            request.setResponseCode(206)
            request.setHeader(b"Content-Range", b"bytes %d-%d/%d" % (wanted.first, wanted.last, cap.size))
        digests = WantedDigests(request, whole=wanted is None)
        digests.tell_kept(label.checksums)
        part = wanted or ByteRange(0, cap.size - 1)
        if isinstance(cap, LiteralCap):
            data = cap.data[part.first : part.last + 1]
            digests.tell_of(cap.data, data)
            self._begin(request, part)
            if request.method != b"HEAD":
                request.write(data)
        elif request.method == b"HEAD":
            self._begin(request, part)
        else:
            await self._send(request, cap, part, digests)

    async def _send(self, request: StreamingRequest, cap: ReadCap, part: ByteRange, digests: WantedDigests) -> None:
        file = await self._downloader.open(cap)
        try:
            async with (
                aclosing(file.read(part.first, part.last)) as pieces,
                streaming(request, self._clock, self._idle_timeout) as writer,
            ):
                # The first piece before the head: until then, an error can still be told.
                started = False
                run_in_thread = self._downloader.run_in_thread
                async for piece in digests.passing(pieces, run_in_thread) if digests.come_later else pieces:
                    if not started:
                        started = True
                        self._begin(request, part)
                        digests.announce()
                    await writer.write(piece)
        finally:
            await file.close()

    def _begin(self, request: StreamingRequest, part: ByteRange) -> None:
        request.setHeader(b"Content-Length", b"%d" % part.length)
        if request.method == b"HEAD":
            request.write(b"")

    def _describe(self, request: StreamingRequest, label: Label) -> None:
        renamed = argument(request, "filename")
        name = renamed or label.name
        kind = served_type(name, None if renamed else label.content_type)
        request.setHeader(b"Content-Type", kind.encode())
        if is_active(kind):
            request.setHeader(b"Content-Security-Policy", b"sandbox")
        if flag(argument(request, "save"), "save"):
            request.setHeader(b"Content-Disposition", attachment(name).encode())

    def _range(self, request: StreamingRequest, cap: ReadCap | LiteralCap, etag: str) -> ByteRange | None:
        # For HEAD there are no ranges: it asks for the file.
        header = request.getHeader(b"Range") if request.method == b"GET" else None
        condition = request.getHeader(b"If-Range")
        if header is None or (condition and not unchanged(condition.decode("latin-1"), etag)):
            return None
        try:
            return parse_range(header.decode("latin-1"), cap.size)
        except Unsatisfiable:
            raise Refused(
                416,
                f"the range begins after the end: the file has {cap.size} bytes",
                {"Content-Range": f"bytes */{cap.size}"},
            ) from None


class FileResource(AsyncResource):
    """`/file/CAP/@@named=/NAME`: a cap with a name for those who look at the end of an address."""

    def __init__(self, files: FileServer) -> None:
        super().__init__()
        self._files = files

    async def on_GET(self, request: StreamingRequest, body: BodyStream) -> None:
        parts = [part.decode("utf-8", "replace") for part in request.postpath or []]
        if not parts or not parts[0]:
            raise Refused(400, "the address is /file/CAP/@@named=/NAME")
        name = parts[-1] if len(parts) > 1 else None
        await self._files.respond(request, parse_cap(parts[0]), Label(name or None))


def entity_tag(cap: Cap | DirectoryCap, form: str = "") -> str:
    """That of a file or a directory, in one of the forms in which it is served."""
    # What a cap names never changes, so whatever tells caps apart tells contents apart; but not the key itself.
    contents = cap.contents if isinstance(cap, DirectoryCap) else cap
    if isinstance(contents, LiteralCap):
        identity = base32.encode(sha256(contents.data).digest()[:16])
    else:
        identity = base32.encode(contents.storage_index)
    kind = "DIR:" if isinstance(cap, DirectoryCap) else ""
    return f'"{kind}{identity}{"-" + form if form else ""}"'
