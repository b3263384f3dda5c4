"""tus 1.0.0, served: what its headers ask for is asked of sessions, and what these decide is told in its headers."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import aclosing
from hashlib import sha256

from tahoeish.chk.buffers import Buffer
from tahoeish.chk.caps import LiteralCap, ReadCap
from tahoeish.chk.directory_caps import parse_any_cap
from tahoeish.gateway.uploads.asked import (
    Answer,
    Append,
    Cancel,
    Options,
    Query,
    UploadRefused,
    expect_no_claims,
)
from tahoeish.gateway.uploads.asking import fields_of
from tahoeish.gateway.uploads.content import nothing
from tahoeish.gateway.uploads.decisions import Cancelled, Continue, Decision, Refuse, Replay, Tell
from tahoeish.gateway.uploads.dialects import tus
from tahoeish.gateway.uploads.final import FinalAnswer
from tahoeish.gateway.uploads.live import LiveSession
from tahoeish.gateway.uploads.services import UPLOADS, Services, address_of, write_answer
from tahoeish.gateway.uploads.session import Phase
from tahoeish.gateway.uploads.targets import CAP, with_claims_of
from tahoeish.gateway.whence import origin_of
from tahoeish.namespace.errors import AlreadyExists, NoSuchUpload
from tahoeish.namespace.viewer import Viewer
from tahoeish.streams.body import BodyOverdue, BodyStream, ClientIdle
from tahoeish.streams.digests import Covers, DigestError
from tahoeish.streams.request import StreamingRequest

DIALECT = "tus"


class TusServer:
    """Answers the requests of tus clients."""

    def __init__(self, services: Services) -> None:
        self._services = services

    def offer(self, request: StreamingRequest) -> None:
        """To an OPTIONS."""
        write_answer(request, self.offers())

    def offers(self, max_size: int | None = None) -> Answer:
        """What can be done, at a place that may have a bound of its own."""
        return tus.offers(self._services.limits.of_place(max_size).max_size)

    async def create(
        self, request: StreamingRequest, body: BodyStream, target: Mapping[str, object], *, from_elsewhere: bool = False
    ) -> None:
        """
        A POST to where uploads are made; what becomes of the file is `target`. To be asked `repeats` before.

        `from_elsewhere`: uploads aren't below the address of this request. There are clients that then need to be told
        the whole address.
        """
        request.setHeader("Tus-Resumable", tus.VERSION)
        fields = fields_of(request)
        creation = tus.read_creation(fields, body.length)
        viewer = self._services.viewer_of(request)
        if viewer.by_link and (isinstance(creation, tus.CreateFromParts) or creation.is_part):
            # A part would be a file that the link doesn't know of, and doesn't hold to anything.
            raise UploadRefused(403, "what is sent by a link can't be put together of parts: leave out Upload-Concat")
        if isinstance(creation, tus.CreateFromParts):
            await self._create_from_parts(request, creation, target, from_elsewhere)
            return
        try:
            live = await self._services.keeper.create(
                viewer,
                dialect=DIALECT,
                target=with_claims_of(CAP if creation.is_part else target, fields),
                notes={"metadata": creation.metadata.text, "concat": "partial" if creation.is_part else ""},
                key=_key(request),
            )
        except AlreadyExists:
            # The same was asked for twice at a time.
            if not await self.repeats(request, body, from_elsewhere=from_elsewhere):
                raise
            return
        first = creation.create.first(verified=creation.verified)
        try:
            decision = await self._decided(live, first, request, body)
        except UploadRefused:
            # The client doesn't know its address, so it can't go on.
            await self._services.end(request, live)
            raise
        brought = creation.create.content_length != 0
        self._write_created(request, live, decision, _location(request, live, from_elsewhere), brought)

    async def repeats(self, request: StreamingRequest, body: BodyStream, *, from_elsewhere: bool = False) -> bool:
        """
        Whether the request asks for an upload that it has been given already, and didn't get to know. Then that is the
        answer. Else nothing is done.

        To be asked before anything speaks against the file: it may be this very upload that has used up the room.
        """
        key = _key(request)
        if key is None:
            return False
        try:
            live = await self._services.keeper.find_by_key(self._services.viewer_of(request), key)
        except NoSuchUpload:
            return False
        if live is None:
            return False
        request.setHeader("Tus-Resumable", tus.VERSION)
        creation = tus.read_creation(fields_of(request), body.length)
        known = json.loads(live.row.notes).get("metadata", "")
        if isinstance(creation, tus.CreateFromParts) or creation.metadata.text != known:
            raise tus.another_creation()
        # Nothing is read of what comes with it: how much of that is there already isn't known before this is decided.
        settled = Append(None, completes=None, content_length=0, length=creation.create.length)
        decision = await self._services.append(live, settled, request, nothing(), {})
        self._write_created(request, live, decision, _location(request, live, from_elsewhere), brought=True)
        return True

    def _write_created(
        self, request: StreamingRequest, live: LiveSession, decision: Decision, location: str, brought: bool
    ) -> None:
        match decision:
            case Continue():
                offset = decision.offset if brought else None
                write_answer(request, tus.created(location, offset, live.row.deadline))
            case Replay():
                answer = FinalAnswer.unpack(decision.answer)
                if answer.problem is not None:
                    answer.write(request)
                else:
                    offset = live.session.offset if brought else None
                    self._tell_final(request, answer)
                    write_answer(request, tus.created(location, offset, live.row.deadline))
            case _:
                self._write(request, live, decision)

    async def respond(self, request: StreamingRequest, body: BodyStream, id_: str) -> None:
        """A request for an upload that there is."""
        request.setHeader("Tus-Resumable", tus.VERSION)
        fields = fields_of(request)
        asked = tus.read_upload(request.method.decode("ascii", "replace"), fields, body.length)
        if isinstance(asked, Options):
            self.offer(request)
            return
        viewer = self._services.viewer_of(request)
        if not isinstance(asked, Append):
            self._write(request, *await self._told(viewer, id_, asked))
            return
        live = await self._services.keeper.find(viewer, id_)
        if _concat_of(live).startswith("final"):
            raise tus.modifies_final()
        self._write(request, live, await self._decided(live, asked, request, body))

    async def _told(self, viewer: Viewer, id_: str, asked: Query | Cancel) -> tuple[LiveSession, Decision]:
        keeper = self._services.keeper
        live, decision = await keeper.respond(viewer, id_, asked)
        if isinstance(decision, Tell) and decision.offset == decision.length and live.session.phase is Phase.OPEN:
            # All bytes are there, which clients take for success; but the file couldn't be made of them.
            again = await live.respond(Append(decision.offset, None, 0), nothing())
            if not isinstance(again, Replay) or FinalAnswer.unpack(again.answer).problem is not None:
                return live, again
            return await keeper.respond(viewer, id_, asked)
        return live, decision

    async def _decided(
        self, live: LiveSession, append: Append, request: StreamingRequest, body: BodyStream
    ) -> Decision:
        try:
            return await self._services.append(live, append, request, body, fields_of(request))
        except DigestError as error:
            raise tus.of_digest(error) from error
        except (ClientIdle, BodyOverdue) as error:
            # What has come is kept. Clients don't go on when they are told that it was their fault.
            raise UploadRefused(503, str(error)) from error

    def _write(self, request: StreamingRequest, live: LiveSession, decision: Decision) -> None:
        deadline = live.row.deadline
        match decision:
            case Continue():
                write_answer(request, tus.continued(decision, deadline))
            case Replay():
                answer = FinalAnswer.unpack(decision.answer)
                if answer.problem is not None:
                    answer.write(request)
                else:
                    self._tell_final(request, answer)
                    write_answer(request, tus.completed(live.session.offset))
            case Tell():
                if decision.complete and live.row.answer is not None:
                    self._tell_final(request, FinalAnswer.unpack(live.row.answer))
                notes = json.loads(live.row.notes)
                metadata, concat = notes.get("metadata", ""), notes.get("concat", "")
                write_answer(request, tus.told(decision, metadata, concat, deadline))
            case Cancelled():
                write_answer(request, tus.cancelled())
            case Refuse():
                raise tus.refusal(decision)
            case _:
                raise AssertionError(decision)

    def _tell_final(self, request: StreamingRequest, answer: FinalAnswer) -> None:
        """tus has no place for it, but a client may want to know what became of the file."""
        for name, value in answer.headers.items():
            if name != "Location":
                request.setHeader(name, value)
        if answer.cap is not None:
            request.setHeader("Tahoeish-Cap", answer.cap)

    # Files made of others.

    async def _create_from_parts(
        self,
        request: StreamingRequest,
        creation: tus.CreateFromParts,
        target: Mapping[str, object],
        from_elsewhere: bool,
    ) -> None:
        fields = fields_of(request)
        expect_no_claims(fields, Covers.CONTENT)
        keeper, viewer = self._services.keeper, self._services.viewer_of(request)
        parts = [await keeper.find(viewer, self._id_of(address)) for address in creation.parts]
        caps = [_cap_of(part) for part in parts]
        length = sum(cap.size for cap in caps)
        live = await keeper.create(
            viewer,
            dialect=DIALECT,
            target=with_claims_of(target, fields),
            notes={"metadata": creation.metadata.text, "concat": creation.text},
        )
        append = Append(0, completes=True, content_length=length, length=length)
        decision = await live.respond(append, self._joined(caps))
        await self._services.tell_wanted(request, live, decision)
        if isinstance(decision, Replay):
            answer = FinalAnswer.unpack(decision.answer)
            if answer.problem is not None:
                answer.write(request)
                return
            self._tell_final(request, answer)
            location = _location(request, live, from_elsewhere)
            write_answer(request, tus.created(location, None, live.row.deadline))
        else:
            self._write(request, live, decision)

    def _id_of(self, address: str) -> str:
        id_ = tus.upload_id(address, UPLOADS)
        if id_ is None:
            raise UploadRefused(400, f"{address[:80]} is no address of an upload here")
        return id_

    async def _joined(self, caps: Sequence[ReadCap | LiteralCap]) -> AsyncIterator[Buffer]:
        for cap in caps:
            async with aclosing(self._services.rereading.pieces(cap)) as pieces:
                async for piece in pieces:
                    yield piece


def _location(request: StreamingRequest, live: LiveSession, from_elsewhere: bool) -> str:
    return (origin_of(request) if from_elsewhere else "") + address_of(live)


def _key(request: StreamingRequest) -> str | None:
    """By what an upload is known whose creation is asked for again, at the same address. Raises `UploadRefused`."""
    key = tus.creation_key(fields_of(request))
    return None if key is None else "tus:" + sha256(request.path + b"\0" + key.encode()).hexdigest()


def _concat_of(live: LiveSession) -> str:
    concat: str = json.loads(live.row.notes).get("concat", "")
    return concat


def _cap_of(part: LiveSession) -> ReadCap | LiteralCap:
    """Raises `UploadRefused` for what can't be part of a file."""
    if _concat_of(part) != "partial":
        raise UploadRefused(400, f"{address_of(part)} wasn't made as a part: Upload-Concat: partial")
    if part.session.phase is not Phase.COMPLETE or part.row.answer is None:
        raise UploadRefused(409, f"{address_of(part)} isn't complete yet")
    cap = parse_any_cap(FinalAnswer.unpack(part.row.answer).cap or "")
    assert isinstance(cap, (ReadCap, LiteralCap))
    return cap
