"""`/uploads/`: where sessions are made, and where each has its address."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from tahoeish.gateway.errors import Refused, write_nothing
from tahoeish.gateway.resource import AsyncResource
from tahoeish.gateway.uploads.asked import expect_uncoded
from tahoeish.gateway.uploads.asking import fields_of
from tahoeish.gateway.uploads.dialects import ietf, ietf_server, pieces, pieces_server, tus, tus_server
from tahoeish.gateway.uploads.dialects.ietf_server import IetfServer
from tahoeish.gateway.uploads.dialects.pieces_server import PiecesServer
from tahoeish.gateway.uploads.dialects.tus_server import TusServer
from tahoeish.gateway.uploads.events import EventsServer
from tahoeish.gateway.uploads.goal import Goal
from tahoeish.gateway.uploads.intake import Intake
from tahoeish.gateway.uploads.services import UPLOADS, Services
from tahoeish.gateway.uploads.targets import CAP
from tahoeish.streams.body import BodyStream
from tahoeish.streams.request import StreamingRequest


class _Server(Protocol):
    async def respond(self, request: StreamingRequest, body: BodyStream, id_: str) -> None:
        """A request for an upload that there is."""


class UploadsResource(AsyncResource):
    """Whatever dialect a request speaks."""

    def __init__(self, services: Services) -> None:
        super().__init__()
        self._services = services
        self._tus = TusServer(services)
        self._ietf = IetfServer(services)
        self._events = EventsServer(services)
        self._intake = Intake(services)
        self._servers: Mapping[str, _Server] = {
            tus_server.DIALECT: self._tus,
            ietf_server.DIALECT: self._ietf,
            pieces_server.DIALECT: PiecesServer(services),
        }

    async def respond(self, request: StreamingRequest, body: BodyStream) -> None:
        path = [part.decode("utf-8", "replace") for part in request.postpath or []]
        expect_uncoded(fields_of(request))
        match path:
            case [] | [""]:
                await self._collection(request, body)
            case [id_] | [id_, ""]:
                await self._session(request, body, id_)
            case [id_, "events"]:
                await self._watch(request, id_)
            case _:
                raise Refused(404, "there is nothing at this address; an upload's is /uploads/ID")

    async def _collection(self, request: StreamingRequest, body: BodyStream) -> None:
        match request.method:
            case b"OPTIONS":
                self._offer(request)
            case b"POST" if tus.speaks(fields_of(request)):
                if not await self._tus.repeats(request, body):
                    await self._tus.create(request, body, CAP)
            case b"POST" | b"PUT" | b"PATCH":
                if not await self._intake.take(request, body, Goal(UPLOADS, is_file=False, prepare=_cap)):
                    raise Refused(
                        400,
                        f"this is for uploads over several requests: say Tus-Resumable: {tus.VERSION}, or "
                        "Upload-Complete, or Content-Range; a whole file is PUT to /uri or /files",
                    )
            case _:
                raise Refused(405, "uploads are made here by POST", {"Allow": "OPTIONS, POST, PUT, PATCH"})

    async def _session(self, request: StreamingRequest, body: BodyStream, id_: str) -> None:
        fields = fields_of(request)
        if tus.speaks(fields):
            dialect = tus_server.DIALECT
        elif pieces.is_piece(fields):
            dialect = pieces_server.DIALECT
        elif ietf.dialect_of(fields) is not None:
            dialect = ietf_server.DIALECT
        elif request.method == b"OPTIONS":
            self._offer(request)
            return
        else:
            # Nothing says what this is, so it is what the upload began with.
            row, _ = await self._services.keeper.look(self._services.viewer_of(request), id_)
            dialect = row.dialect
        server = self._servers.get(dialect, self._ietf)
        await server.respond(request, body, id_)

    async def _watch(self, request: StreamingRequest, id_: str) -> None:
        match request.method:
            case b"GET":
                await self._events.respond(request, id_)
            case b"OPTIONS":
                request.setHeader(b"Allow", b"OPTIONS, GET")
                write_nothing(request, 204)
            case _:
                raise Refused(405, "events can only be watched, by GET", {"Allow": "OPTIONS, GET"})

    def _offer(self, request: StreamingRequest) -> None:
        """In all dialects at once."""
        self._ietf.offer(request)
        self._tus.offer(request)


async def _cap(name: str | None, length: int | None) -> Mapping[str, object]:
    return CAP
