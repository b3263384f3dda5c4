"""The IETF's resumable uploads, served: to any place where a file may go, and at the address of each upload."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from twisted.internet.task import LoopingCall

from tahoeish.gateway.uploads.asked import Append, Create, Fields, Options, is_verified
from tahoeish.gateway.uploads.asking import fields_of
from tahoeish.gateway.uploads.decisions import Cancelled, Continue, Decision, Reason, Refuse, Replay, Tell
from tahoeish.gateway.uploads.dialects import ietf
from tahoeish.gateway.uploads.dialects.ietf import Dialect
from tahoeish.gateway.uploads.final import FinalAnswer
from tahoeish.gateway.uploads.live import LiveSession
from tahoeish.gateway.uploads.rows import limits_of
from tahoeish.gateway.uploads.services import Services, address_of, encoded, write_answer
from tahoeish.gateway.uploads.session import Phase
from tahoeish.grid.errors import GridError
from tahoeish.namespace.uploads import UploadRow
from tahoeish.streams.body import BodyError, BodyStream
from tahoeish.streams.digests import DigestError
from tahoeish.streams.request import StreamingRequest

DIALECT = "ietf"

UPLOAD_RESUMPTION_SUPPORTED = 104
PROGRESS_SECONDS = 1.0


class IetfServer:
    """Answers the requests of clients that speak it, in any version."""

    def __init__(self, services: Services) -> None:
        self._services = services

    def offer(self, request: StreamingRequest, max_size: int | None = None) -> None:
        """Add to the answer to an OPTIONS, of a place that may have a bound of its own."""
        for name, value in ietf.offers(self._services.limits.of_place(max_size)).items():
            request.setHeader(name, value)

    def admit(self, dialect: Dialect, create: Create) -> None:
        """Raises `UploadRefused` for what is too large in any case."""
        limits = self._services.limits
        if limits.max_size and max(create.length or 0, create.content_length or 0) > limits.max_size:
            raise ietf.refusal(dialect, Refuse(0, Reason.TOO_LARGE, 0), limits)

    async def create(
        self,
        request: StreamingRequest,
        body: BodyStream,
        dialect: Dialect,
        create: Create,
        target: Mapping[str, object],
    ) -> None:
        """A request for the place where the file is to go; what becomes of the file is `target`."""
        services, fields = self._services, fields_of(request)
        live = await services.keeper.create(
            services.viewer_of(request), dialect=DIALECT, target=target, notes={"version": dialect.version}
        )
        if dialect.announces:
            headers = ietf.announcement(dialect, address_of(live), limits_of(live.row, services.limits))
            request.write_interim(UPLOAD_RESUMPTION_SUPPORTED, encoded(headers))
        first = create.first(verified=is_verified(fields), excess_is_fatal=True)
        try:
            decision = await self._decided(request, body, dialect, live, first, fields)
        except (BodyError, GridError, DigestError):
            if not dialect.announces:
                # The client doesn't know its address, so it can't go on.
                await self._services.end(request, live)
            raise
        if isinstance(decision, Continue):
            limits = limits_of(live.row, services.limits)
            write_answer(request, ietf.created(dialect, address_of(live), decision, limits))
            return
        if isinstance(decision, Refuse) and decision.offset == 0 and decision.reason is not Reason.PREEMPTED:
            await self._services.end(request, live)
        self._write(request, dialect, live, decision)

    async def respond(self, request: StreamingRequest, body: BodyStream, id_: str) -> None:
        """A request for an upload that there is."""
        services, fields = self._services, fields_of(request)
        if request.method == b"OPTIONS":
            self.offer(request)
            write_answer(request, ietf.possible())
            return
        viewer = services.viewer_of(request)
        row, _ = await services.keeper.look(viewer, id_)
        dialect = ietf.dialect_of(fields) or _began_with(row)
        asked = ietf.read_upload(dialect, request.method.decode("ascii", "replace"), fields, body.length)
        assert not isinstance(asked, Options)
        if isinstance(asked, Append):
            live = await services.keeper.find(viewer, id_)
            decision = await self._decided(request, body, dialect, live, asked, fields)
        else:
            live, decision = await services.keeper.respond(viewer, id_, asked)
        self._write(request, dialect, live, decision)

    async def _decided(
        self,
        request: StreamingRequest,
        body: BodyStream,
        dialect: Dialect,
        live: LiveSession,
        append: Append,
        fields: Fields,
    ) -> Decision:
        # What isn't a decision but goes wrong on the way: the client may come back.
        for name, value in dialect.completeness(False).items():
            request.setHeader(name, value)
        with self._telling(request, dialect, live):
            return await self._services.append(live, append, request, body, fields)

    @contextmanager
    def _telling(self, request: StreamingRequest, dialect: Dialect, live: LiveSession) -> Iterator[None]:
        """Tell the client now and then how much of what it sends is safe."""
        told = live.row.offset

        def tell() -> None:
            nonlocal told
            if live.row.offset > told:
                told = live.row.offset
                request.write_interim(UPLOAD_RESUMPTION_SUPPORTED, encoded(ietf.progress(dialect, told)))

        if not dialect.announces:
            yield
            return
        telling = LoopingCall(tell)
        telling.clock = self._services.clock
        telling.start(PROGRESS_SECONDS, now=False)
        try:
            yield
        finally:
            telling.stop()

    def _write(self, request: StreamingRequest, dialect: Dialect, live: LiveSession, decision: Decision) -> None:
        limits = limits_of(live.row, self._services.limits)
        match decision:
            case Continue():
                write_answer(request, ietf.continued(dialect, decision, limits))
            case Replay():
                session = live.session
                # A problem that may pass leaves it open: then the client may complete it again.
                over = session.phase is not Phase.OPEN
                told = ietf.completed(dialect, session.offset) if over else ietf.unfinished(dialect, session.offset)
                FinalAnswer.unpack(decision.answer).write(request, told)
            case Tell():
                write_answer(request, ietf.told(dialect, decision, limits))
            case Cancelled():
                write_answer(request, ietf.cancelled(dialect))
            case Refuse():
                raise ietf.refusal(dialect, decision, limits)
            case _:
                raise AssertionError(decision)


def _began_with(row: UploadRow) -> Dialect:
    """What to take a request for that doesn't say what it speaks."""
    return Dialect(json.loads(row.notes).get("version")) if row.dialect == DIALECT else ietf.FINAL
