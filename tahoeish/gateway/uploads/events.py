"""`/uploads/ID/events`: how far an upload is, told as server-sent events to whoever watches."""

from __future__ import annotations

import json
from collections.abc import Callable

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import deferLater

from tahoeish.gateway.errors import write_nothing
from tahoeish.gateway.uploads.final import FinalAnswer
from tahoeish.gateway.uploads.services import Services
from tahoeish.gateway.uploads.session import Phase
from tahoeish.grid.resumable import Progress
from tahoeish.namespace.errors import NoSuchUpload
from tahoeish.namespace.uploads import UploadRow
from tahoeish.streams.request import StreamingRequest
from tahoeish.streams.response import ResponseWriter, streaming

LOOK_SECONDS = 0.5
HEARTBEAT_SECONDS = 15.0
"""Without a word for longer than that, a proxy may think that nobody is there any more."""

PATIENCE_SECONDS = 60.0
"""For a watcher that takes nothing."""

_OVER = {Phase.COMPLETE.value, Phase.FAILED.value, Phase.CANCELLED.value, Phase.EXPIRED.value}


class EventsServer:
    """Answers watchers, without being in the way of who brings the file."""

    def __init__(self, services: Services) -> None:
        self._services = services

    async def respond(self, request: StreamingRequest, id_: str) -> None:
        """
        Until the upload has ended. Who comes back after that, as browsers do by themselves, is told that there is no
        more. Raises `NoSuchUpload`.
        """
        services = self._services
        row, progress = await services.keeper.look(services.viewer_of(request), id_)
        if row.phase in _OVER and request.getHeader(b"Last-Event-ID") is not None:
            write_nothing(request, 204)
            return
        request.setHeader(b"Content-Type", b"text/event-stream")
        request.setHeader(b"Cache-Control", b"no-store")
        request.setHeader(b"X-Accel-Buffering", b"no")
        async with streaming(request, services.clock, PATIENCE_SECONDS) as writer:
            await self._watch(request, writer, row, progress)

    async def _watch(
        self, request: StreamingRequest, writer: ResponseWriter, row: UploadRow, progress: Progress
    ) -> None:
        services = self._services
        telling = _Telling(writer, services.clock.seconds)
        try:
            while row.phase not in _OVER:
                await telling.progress(row, progress)
                if not await self._pause(request):
                    return
                row, progress = await services.keeper.look(services.viewer_of(request), row.id)
        except NoSuchUpload:
            await telling.end({"phase": Phase.CANCELLED.value})
            return
        await telling.progress(row, progress)
        await telling.end(_ending(row))

    async def _pause(self, request: StreamingRequest) -> bool:
        """False when the node is about to stop: the watcher may come back to the next one."""
        pause: Deferred[None] = deferLater(self._services.clock, LOOK_SECONDS)
        leaving = False

        def leave() -> None:
            nonlocal leaving
            leaving = True
            pause.cancel()

        request.site.farewells.add(leave)
        try:
            await pause
        except CancelledError:
            if not leaving:
                raise
        finally:
            request.site.farewells.discard(leave)
        return not leaving


class _Telling:
    """Writes events, each only if it is news."""

    def __init__(self, writer: ResponseWriter, seconds: Callable[[], float]) -> None:
        self._writer = writer
        self._seconds = seconds
        self._number = 0
        self._told = ""
        self._when = seconds()

    async def progress(self, row: UploadRow, progress: Progress) -> None:
        told = json.dumps(
            {
                "phase": row.phase,
                "length": row.length,
                "received": progress.received,
                "sealed": progress.sealed,
                "confirmed": progress.confirmed,
                "peers": progress.peers,
            }
        )
        if told != self._told:
            self._told = told
            await self._event("progress", told)
        elif self._seconds() - self._when >= HEARTBEAT_SECONDS:
            await self._write(":\n\n")

    async def end(self, ending: dict[str, object]) -> None:
        await self._event("end", json.dumps(ending))

    async def _event(self, name: str, data: str) -> None:
        self._number += 1
        await self._write(f"event: {name}\nid: {self._number}\ndata: {data}\n\n")

    async def _write(self, text: str) -> None:
        self._when = self._seconds()
        await self._writer.write(text.encode())


def _ending(row: UploadRow) -> dict[str, object]:
    ending: dict[str, object] = {"phase": row.phase}
    if row.answer is not None:
        answer = FinalAnswer.unpack(row.answer)
        ending["status"] = answer.status
        if answer.cap is not None:
            ending["cap"] = answer.cap
        if answer.problem is not None:
            ending["detail"] = answer.problem.detail
    return ending
