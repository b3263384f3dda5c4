"""Files in pieces, served: each piece goes to where the file goes, and finds the upload that it belongs to by a key."""

from __future__ import annotations

import json
from collections.abc import AsyncIterable, AsyncIterator
from dataclasses import dataclass
from hashlib import sha256

from tahoeish.chk import base32
from tahoeish.chk.buffers import Buffer
from tahoeish.chk.errors import WrongLength
from tahoeish.gateway.errors import prefers_json, write_text
from tahoeish.gateway.uploads.asked import Answer, Append, Asked, Cancel, Fields, Query, UploadRefused, media_type
from tahoeish.gateway.uploads.asking import fields_of
from tahoeish.gateway.uploads.decisions import Cancelled, Continue, Decision, Reason, Refuse, Replay, Tell
from tahoeish.gateway.uploads.dialects import pieces
from tahoeish.gateway.uploads.final import FinalAnswer
from tahoeish.gateway.uploads.goal import Goal
from tahoeish.gateway.uploads.live import LiveSession
from tahoeish.gateway.uploads.services import Services, address_of, write_answer
from tahoeish.gateway.uploads.session import Phase
from tahoeish.namespace.errors import AlreadyExists, NoSuchUpload
from tahoeish.namespace.uploads import UploadRow
from tahoeish.streams.body import BodyStream
from tahoeish.streams.digests import DigestError, claims_of
from tahoeish.streams.forms import BadForm, FormPart, FormStream
from tahoeish.streams.request import StreamingRequest

DIALECT = "pieces"

FORM = "multipart/form-data"

WHICH = "which file is this a piece of? Say so with X-Session-Id, or with a filename in Content-Disposition"

WHAT_IS_IN_IT = "of a piece in a form no digest is compared; leave it out, or send the piece as it is"


@dataclass(frozen=True)
class _Piece:
    """What one request asks, and brings."""

    asked: Append | Query
    source: AsyncIterable[Buffer]
    filename: str | None
    """What the client calls the file."""


class PiecesServer:
    """Answers requests that bring a piece of a file, or ask how far it is."""

    def __init__(self, services: Services) -> None:
        self._services = services

    async def collect(self, request: StreamingRequest, body: BodyStream, goal: Goal) -> None:
        """A request for the place where the file is to go."""
        fields = fields_of(request)
        piece = await _piece_in(request, body, fields)
        key = _key(goal, fields, piece.filename)
        if key is None and not _is_all(piece.asked):
            raise UploadRefused(400, WHICH)
        live = await self._find(request, key, piece.asked)
        if live is not None:
            self._answer(request, *await self._decided(request, fields, live, piece))
            return
        match piece.asked:
            case Query():
                write_answer(request, pieces.told(Tell(0, 0, None, False)))
            case Append(offset=offset) if offset:
                raise pieces.refusal(Refuse(0, Reason.MISMATCH, 0, offset))
            case Append():
                await self._begin(request, fields, piece.asked, piece, goal, key)

    async def respond(self, request: StreamingRequest, body: BodyStream, id_: str) -> None:
        """A request for an upload that there is."""
        keeper, viewer = self._services.keeper, self._services.viewer_of(request)
        match request.method:
            case b"HEAD" | b"GET":
                self._answer(request, *await keeper.respond(viewer, id_, Query()))
            case b"DELETE":
                self._answer(request, *await keeper.respond(viewer, id_, Cancel()))
            case b"PUT" | b"POST" | b"PATCH":
                await keeper.look(viewer, id_)
                fields = fields_of(request)
                piece = await _piece_in(request, body, fields)
                live = await keeper.find(viewer, id_)
                self._answer(request, *await self._decided(request, fields, live, piece))
            case method:
                allowed = "OPTIONS, HEAD, GET, PUT, POST, PATCH, DELETE"
                name = method.decode("ascii", "replace")[:20]
                raise UploadRefused(405, f"an upload in pieces knows {allowed}, not {name}", {"Allow": allowed})

    async def _find(self, request: StreamingRequest, key: str | None, asked: Asked) -> LiveSession | None:
        """The upload that a piece belongs to, if there is one yet."""
        if key is None:
            return None
        keeper, viewer = self._services.keeper, self._services.viewer_of(request)
        try:
            row = await keeper.look_by_key(viewer, key)
            if row is not None and isinstance(asked, Append) and pieces.begins_anew(asked, _has_all(row)):
                await keeper.respond(viewer, row.id, Cancel())
                return None
            return await keeper.find_by_key(viewer, key)
        except NoSuchUpload:
            return None

    async def _begin(
        self, request: StreamingRequest, fields: Fields, append: Append, piece: _Piece, goal: Goal, key: str | None
    ) -> None:
        length = append.length
        if length is None and append.completes:
            length = append.content_length
        target = await goal.prepare(piece.filename, length)
        if append.offset is None:
            # Taken for the beginning of a new file, it would replace what it was meant to go behind.
            await goal.expect_nothing()
        try:
            live = await self._services.keeper.create(
                self._services.viewer_of(request), dialect=DIALECT, target=target, key=key
            )
        except AlreadyExists:
            raise UploadRefused(409, "another request has just begun with this file") from None
        try:
            live, decision = await self._decided(request, fields, live, piece)
        except DigestError:
            if live.session.offset == 0:
                # What this request says of the whole isn't to be held against the next one.
                await self._services.end(request, live)
            raise
        if isinstance(decision, Refuse) and decision.offset == 0 and decision.reason is not Reason.PREEMPTED:
            await self._services.end(request, live)
        self._answer(request, live, decision)

    async def _decided(
        self, request: StreamingRequest, fields: Fields, live: LiveSession, piece: _Piece
    ) -> tuple[LiveSession, Decision]:
        # Also for whom something goes wrong on the way: here the upload can be asked after, and ended.
        request.setHeader("Location", address_of(live))
        if isinstance(piece.asked, Append):
            return live, await self._services.append(live, piece.asked, request, piece.source, fields)
        return await self._services.keeper.respond(self._services.viewer_of(request), live.row.id, piece.asked)

    def _answer(self, request: StreamingRequest, live: LiveSession, decision: Decision) -> None:
        match decision:
            case Continue():
                _write_continued(request, decision, live.session.length)
            case Tell():
                write_answer(request, pieces.told(decision))
            case Replay():
                answer = FinalAnswer.unpack(decision.answer)
                if live.session.phase is Phase.OPEN:
                    # It may be tried again.
                    answer.write(request, pieces.stands_at(live.session.offset))
                    return
                request.responseHeaders.removeHeader("Location")
                _write_final(request, answer, live.session.offset)
            case Cancelled():
                request.responseHeaders.removeHeader("Location")
                write_answer(request, Answer(204))
            case Refuse():
                raise pieces.refusal(decision)
            case _:
                raise AssertionError(decision)


async def _piece_in(request: StreamingRequest, body: BodyStream, fields: Fields) -> _Piece:
    """What the request brings, as it is or in a form. Raises `UploadRefused` and `BadForm`."""
    if request.method == b"POST" and media_type(fields) == FORM:
        return await _piece_in_form(request, body, fields)
    name = pieces.file_name(fields)
    if not pieces.is_piece(fields):
        return _Piece(pieces.read_plain(fields, body.length), body, name)
    asked = pieces.read_piece(fields, body.length)
    return _Piece(asked, _exactly(asked, body), name)


async def _piece_in_form(request: StreamingRequest, body: BodyStream, fields: Fields) -> _Piece:
    asked = pieces.read_piece(fields, None)
    if isinstance(asked, Append) and asked.verified:
        raise UploadRefused(400, WHAT_IS_IN_IT)
    parts = aiter(FormStream(body, (request.getHeader(b"Content-Type") or b"").decode("latin-1")))
    async for part in parts:
        if part.filename:
            if claims_of(part.fields):
                raise UploadRefused(400, WHAT_IS_IN_IT)
            name = pieces.file_name(fields) or part.filename
            return _Piece(asked, _only(_exactly(asked, part), parts), name)
    raise BadForm("the form has no file in it; send it in a field with a filename")


async def _only(source: AsyncIterable[Buffer], others: AsyncIterable[FormPart]) -> AsyncIterator[Buffer]:
    """What is in one part of a form, in which no other is a file."""
    async for piece in source:
        yield piece
    async for other in others:
        if other.filename:
            raise BadForm("a form with a Content-Range has one file in it")


async def _exactly(asked: Append | Query, source: AsyncIterable[Buffer]) -> AsyncIterator[Buffer]:
    """As many bytes as the request's Content-Range tells."""
    wanted = asked.content_length if isinstance(asked, Append) else 0
    received = 0
    async for piece in source:
        received += len(piece)
        if wanted is not None and received > wanted:
            raise WrongLength(f"Content-Range tells of {wanted} bytes, but more have come")
        yield piece
    if received != wanted:
        raise WrongLength(f"Content-Range tells of {wanted} bytes, but only {received} have come")


def _is_all(asked: Append | Query) -> bool:
    """A file in one piece needs no name to be found by."""
    return isinstance(asked, Append) and asked.offset == 0 and bool(asked.completes)


def _has_all(row: UploadRow) -> bool:
    """It has ended, or couldn't get its name; what begins at 0 now may be another file."""
    is_whole = row.phase == Phase.OPEN.value and row.offset == row.length
    return is_whole or row.phase in (Phase.COMPLETE.value, Phase.FAILED.value)


def _key(goal: Goal, fields: Fields, filename: str | None) -> str | None:
    """Tells the upload from the viewer's other ones; None if nothing does."""
    session = pieces.session_name(fields)
    if session is not None:
        told = [goal.place, "session", session]
    elif goal.is_file:
        told = [goal.place]
    elif filename is not None:
        told = [goal.place, "file", filename]
    else:
        return None
    # Names may be long, and stay longer in the catalogue than they have to.
    return base32.encode(sha256(json.dumps(told).encode()).digest())


def _write_continued(request: StreamingRequest, decision: Continue, length: int | None) -> None:
    answer = pieces.continued(decision)
    if not prefers_json(request):
        write_answer(request, answer)
        return
    # Programs in browsers take an empty answer for a broken one when they have asked for JSON.
    for name, value in answer.headers.items():
        request.setHeader(name, value)
    text = json.dumps({"received": decision.offset, "length": length})
    write_text(request, answer.status, text + "\n", "application/json")


def _write_final(request: StreamingRequest, answer: FinalAnswer, size: int) -> None:
    headers = {**answer.headers, **pieces.completed(size)}
    if answer.problem is not None or not answer.text or not prefers_json(request):
        answer.write(request, headers)
        return
    for name, value in headers.items():
        request.setHeader(name, value)
    text = json.dumps([{"size": size, "cap": answer.cap}])
    write_text(request, answer.status, text + "\n", "application/json")
