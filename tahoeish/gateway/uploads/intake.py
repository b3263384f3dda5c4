"""
What is sent to where files go: mostly whole files, which are none of a session's business, but also what wants to be
resumable, and what is only a piece.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from tahoeish.gateway.uploads.asked import Fields, expect_uncoded, is_coded, media_type
from tahoeish.gateway.uploads.asking import fields_of
from tahoeish.gateway.uploads.dialects import ietf, pieces
from tahoeish.gateway.uploads.dialects.ietf_server import IetfServer
from tahoeish.gateway.uploads.dialects.pieces_server import FORM, PiecesServer
from tahoeish.gateway.uploads.goal import Goal
from tahoeish.gateway.uploads.services import Services
from tahoeish.gateway.uploads.targets import with_claims_of
from tahoeish.streams.body import BodyStream
from tahoeish.streams.codings import ACCEPTED
from tahoeish.streams.request import StreamingRequest

_SIGNS = (b"Content-Range", b"Upload-Complete", b"Upload-Incomplete", b"Upload-Draft-Interop-Version")


class Intake:
    """Answers PUT, POST and PATCH where they are more than the sending of a whole file."""

    def __init__(self, services: Services) -> None:
        self._ietf = IetfServer(services)
        self._pieces = PiecesServer(services)

    def offer(self, request: StreamingRequest, max_size: int | None = None) -> None:
        """Add to the answer to an OPTIONS, of a place that may have a bound of its own."""
        self._ietf.offer(request, max_size)
        request.setHeader("Accept-Encoding", ACCEPTED)

    async def take(self, request: StreamingRequest, body: BodyStream, goal: Goal) -> bool:
        """False, with nothing done, for a whole file, or a form with such."""
        headers = request.requestHeaders
        if request.method != b"PATCH" and not any(headers.hasHeader(name) for name in _SIGNS):
            return False
        fields = fields_of(request)
        if request.method == b"PATCH" or pieces.is_piece(fields):
            expect_uncoded(fields)
            await self._pieces.collect(request, body, _with_claims(goal, fields))
            return True
        creation = ietf.read_creation(fields, body.length)
        if creation is None:
            return False
        dialect, create = creation
        if create.completes and (is_coded(fields) or _is_form(request, fields)):
            # Nobody has to make resumable what comes whole.
            return False
        expect_uncoded(fields)
        self._ietf.admit(dialect, create)
        target = await _with_claims(goal, fields).prepare(pieces.file_name(fields), create.length)
        await self._ietf.create(request, body, dialect, create, target)
        return True


def _with_claims(goal: Goal, fields: Fields) -> Goal:
    """Also look at the whole file at its end, for what the first request says of it. Raises `BadDigest`."""
    with_claims_of({}, fields)

    async def prepare(name: str | None, length: int | None) -> Mapping[str, object]:
        return with_claims_of(await goal.prepare(name, length), fields)

    return replace(goal, prepare=prepare)


def _is_form(request: StreamingRequest, fields: Fields) -> bool:
    return request.method == b"POST" and media_type(fields) == FORM
