"""
`POST /files/FOLDER?t=snapshot` and `t=restore`.

Either may take long. Programs that say they understand `application/x-ndjson` are told how far it is, a line a second;
the last line says what came of it.
"""

from __future__ import annotations

import json
from collections.abc import Coroutine
from dataclasses import asdict
from typing import Any
from urllib.parse import quote

from twisted.internet.defer import CancelledError, Deferred, DeferredSemaphore
from twisted.internet.task import LoopingCall
from twisted.logger import Logger

from tahoeish.chk.directory_caps import DirectoryCap, DirectoryVerifyCap, parse_any_cap
from tahoeish.gateway.backup.restoration import LeftOut, Restorations
from tahoeish.gateway.backup.snapshot import Counts, Progress, Snapshots
from tahoeish.gateway.dav.visit import Names, Visit
from tahoeish.gateway.errors import Refused, prefers_json, problem_of, write_text
from tahoeish.gateway.resource import argument, flag
from tahoeish.namespace.catalogue import Catalogue
from tahoeish.namespace.errors import NotAFolder
from tahoeish.namespace.intent import Reading
from tahoeish.streams.body import ClientGone
from tahoeish.streams.request import StreamingRequest
from tahoeish.streams.response import streaming

log = Logger()

LINES = "application/x-ndjson"
PROGRESS_SECONDS = 1.0
AT_ONCE = 2
"""Snapshots and restorations; others wait. Each may hold a large directory in memory."""

_LONGEST_CAP = 16 * 1024


class BackupServer:
    """Has folders stored as directories, and directories brought back into folders."""

    def __init__(self, names: Names, snapshots: Snapshots, restorations: Restorations) -> None:
        self._names = names
        self._snapshots = snapshots
        self._restorations = restorations
        self._turns = DeferredSemaphore(AT_ONCE)

    async def snapshot(self, visit: Visit) -> None:
        """The answer is the cap, as text or with counts."""
        entry = await self._names.ask(Catalogue.check, visit.viewer, visit.path, visit.conditions, Reading())
        assert entry is not None, "a reader gets NoSuchEntry"
        if not entry.is_folder:
            raise NotAFolder(entry.path)
        progress = Progress()

        async def work() -> dict[str, Any]:
            cap = await self._snapshots.take(visit.viewer, visit.path, progress)
            return {"cap": str(cap), **asdict(progress.total or Counts())}

        if _wants_lines(visit.request):
            await self._tell_lines(visit.request, work(), progress)
            return
        result = await self._in_turn(work())
        visit.request.setHeader(b"Location", f"/uri/{quote(result['cap'], safe='')}".encode())
        if prefers_json(visit.request):
            write_text(visit.request, 201, json.dumps(result) + "\n", "application/json")
        else:
            write_text(visit.request, 201, result["cap"])

    async def restore(self, visit: Visit) -> None:
        """The body is the cap of a directory; `overwrite=true` lets it replace what is in the folder."""
        overwrite = flag(argument(visit.request, "overwrite"), "overwrite")
        await self._restorations.check(visit.viewer, visit.path, overwrite=overwrite, conditions=visit.conditions)
        cap = _directory_cap((await visit.body.read_all(_LONGEST_CAP)).decode("utf-8", "replace"))
        progress = Progress()

        async def work() -> dict[str, Any]:
            left_out = await self._restorations.bring_back(
                cap, visit.viewer, visit.path, overwrite=overwrite, conditions=visit.conditions, progress=progress
            )
            return _result(progress.done, left_out)

        if _wants_lines(visit.request):
            await self._tell_lines(visit.request, work(), progress)
            return
        result = await self._in_turn(work())
        if prefers_json(visit.request):
            write_text(visit.request, 200, json.dumps(result) + "\n", "application/json")
        else:
            write_text(visit.request, 200, _text(result))

    async def _in_turn(self, work: Coroutine[Any, Any, dict[str, Any]]) -> dict[str, Any]:
        try:
            await self._turns.acquire()
        except BaseException:
            work.close()
            raise
        try:
            return await work
        finally:
            self._turns.release()

    async def _tell_lines(
        self, request: StreamingRequest, work: Coroutine[Any, Any, dict[str, Any]], progress: Progress
    ) -> None:
        request.setHeader(b"Content-Type", LINES.encode())
        async with streaming(request, self._names.clock, self._names.idle_timeout) as writer:
            telling = LoopingCall(lambda: Deferred.fromCoroutine(writer.write(_line(asdict(progress)))))
            telling.clock = self._names.clock
            told = telling.start(PROGRESS_SECONDS)
            # Whoever works for a client that has gone is told so by other means.
            told.addErrback(lambda failure: failure.trap(ClientGone))
            try:
                last = await self._outcome(request, work)
            finally:
                if telling.running:
                    telling.stop()
                await told
            await writer.write(_line(last))

    async def _outcome(self, request: StreamingRequest, work: Coroutine[Any, Any, dict[str, Any]]) -> dict[str, Any]:
        try:
            return {"result": await self._in_turn(work)}
        except (Exception, CancelledError) as error:
            if request.disconnected:
                raise
            problem = problem_of(error)
            if problem.status == 500:
                log.failure("a snapshot or restoration failed")
            return {"problem": problem.as_json()}


def _line(value: dict[str, Any]) -> bytes:
    return json.dumps(value).encode() + b"\n"


def _wants_lines(request: StreamingRequest) -> bool:
    return LINES.encode() in (request.getHeader(b"Accept") or b"").lower()


def _directory_cap(text: str) -> DirectoryCap:
    cap = parse_any_cap(text.strip())
    match cap:
        case DirectoryCap():
            return cap
        case DirectoryVerifyCap():
            raise Refused(400, "a verify cap can check a directory, but not read it")
    raise Refused(400, "this is a file's cap; what can be brought back is a directory, URI:DIR2-CHK: or URI:DIR2-LIT:")


def _result(counts: Counts, left_out: LeftOut) -> dict[str, Any]:
    told = [{"path": path, "reason": reason} for path, reason in left_out.told]
    return {**asdict(counts), "left_out": left_out.count, "reasons": told}


def _text(result: dict[str, Any]) -> str:
    """For people."""
    lines = [f"{result['folders']} folders and {result['files']} files are back, {result['size']} bytes"]
    if result["left_out"]:
        lines.append(f"{result['left_out']} could not be brought back:")
        lines += [f"{each['path']}: {each['reason']}" for each in result["reasons"]]
    return "\n".join(lines) + "\n"
