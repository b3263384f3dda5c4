"""`/uri`: caps for files and directories, files and directories for caps."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import quote, urlencode

from tahoeish.chk.directory_caps import parse_any_cap
from tahoeish.gateway.check import CheckServer
from tahoeish.gateway.directory import DirectoryServer
from tahoeish.gateway.errors import Refused, write_text
from tahoeish.gateway.resource import AsyncResource, argument
from tahoeish.gateway.upload import Receiver, expect_random_key
from tahoeish.gateway.uploads.goal import Goal
from tahoeish.gateway.uploads.intake import Intake
from tahoeish.gateway.uploads.targets import CAP
from tahoeish.streams.body import BodyStream
from tahoeish.streams.request import StreamingRequest


class UriResource(AsyncResource):
    """`PUT /uri`, `POST /uri`, `POST /uri/CAP`, `GET /uri/CAP`, both also with `/CHILD`, `GET /uri?uri=CAP`."""

    def __init__(self, receiver: Receiver, directories: DirectoryServer, checks: CheckServer, intake: Intake) -> None:
        super().__init__()
        self._receiver = receiver
        self._directories = directories
        self._checks = checks
        self._intake = intake

    async def on_PUT(self, request: StreamingRequest, body: BodyStream) -> None:
        self._expect_no_cap(request)
        if argument(request, "t"):
            raise Refused(400, "PUT /uri stores the body as a file, and takes no t=")
        if not await self._intake.take(request, body, _goal(request)):
            await self._receiver.put(request, body)

    async def on_PATCH(self, request: StreamingRequest, body: BodyStream) -> None:
        self._expect_no_cap(request)
        await self._intake.take(request, body, _goal(request))

    async def on_OPTIONS(self, request: StreamingRequest, body: BodyStream) -> None:
        self._intake.offer(request)
        request.setHeader(b"Allow", ", ".join(self.allowed_methods).encode())
        write_text(request, 200, "")

    async def on_POST(self, request: StreamingRequest, body: BodyStream) -> None:
        wanted = argument(request, "t") or "upload"
        parts = _path(request)
        if parts not in ([], [""]) and wanted != "upload":
            reached, _ = await self._directories.walk(parse_any_cap(parts[0]), parts[1:])
            await self._checks.respond(request, reached)
            return
        self._expect_no_cap(request)
        if wanted == "mkdir-immutable":
            await self._directories.make(request, body)
        elif not await self._intake.take(request, body, _goal(request)):
            await self._receiver.post(request, body)

    async def on_GET(self, request: StreamingRequest, body: BodyStream) -> None:
        parts = _path(request)
        if parts in ([], [""]):
            self._redirect_to_cap(request)
            return
        await self._directories.respond(request, parse_any_cap(parts[0]), parts[1:])

    def _expect_no_cap(self, request: StreamingRequest) -> None:
        if request.postpath not in ([], [b""]):
            raise Refused(405, "a file never changes; store a new one with PUT /uri", {"Allow": "GET, HEAD, OPTIONS"})

    def _redirect_to_cap(self, request: StreamingRequest) -> None:
        cap = argument(request, "uri")
        if not cap:
            raise Refused(400, "GET /uri wants a cap: /uri/CAP or /uri?uri=CAP")
        others = [(name, value) for name, values in (request.args or {}).items() for value in values if name != b"uri"]
        query = "?" + urlencode(others) if others else ""
        request.setHeader(b"Location", f"/uri/{quote(cap.strip(), safe='')}{query}".encode())
        write_text(request, 302, "")


def _goal(request: StreamingRequest) -> Goal:
    async def prepare(name: str | None, length: int | None) -> Mapping[str, object]:
        expect_random_key(request)
        return CAP

    return Goal("/uri", is_file=False, prepare=prepare)


def _path(request: StreamingRequest) -> list[str]:
    return [part.decode("utf-8", "replace") for part in request.postpath or []]
