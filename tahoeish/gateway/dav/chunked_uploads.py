"""
Nextcloud's chunked uploads, at `/remote.php/dav/uploads/USER/ID/`.

A chunk that comes in its turn goes straight into the upload's session, and its answer says that it is safe there. One
that comes early waits unread for those before it, since clients that send several at a time begin them in order. Only
if they don't come is it taken and kept for a while, within a bound; what is kept is lost with the process, and then
missing when the client wants to have the whole.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterable, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from typing import TypeAlias

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime

from tahoeish.chk.buffers import Buffer
from tahoeish.gateway.dav.answers import write_xml
from tahoeish.gateway.dav.chunk_content import ChunkContent, without
from tahoeish.gateway.dav.headers import parse_overwrite
from tahoeish.gateway.dav.multistatus import PropertyStatus, response, whole
from tahoeish.gateway.dav.naming import expect_room, name_target
from tahoeish.gateway.dav.visit import FileOptions, Names, Visit, visit_of
from tahoeish.gateway.errors import Refused, write_nothing
from tahoeish.gateway.resource import AsyncResource
from tahoeish.gateway.uploads.asked import (
    Append,
    Cancel,
    Query,
    UploadRefused,
    expect_no_claims,
    expect_uncoded,
)
from tahoeish.gateway.uploads.asking import fields_of
from tahoeish.gateway.uploads.content import nothing
from tahoeish.gateway.uploads.decisions import Continue, Decision, Refuse, Replay, Tell
from tahoeish.gateway.uploads.dialects.nextcloud import (
    FINAL_NAME,
    Assembly,
    Chunk,
    Hold,
    Stream,
    Swallow,
    parse_chunk,
    total_length,
)
from tahoeish.gateway.uploads.final import FinalAnswer
from tahoeish.gateway.uploads.rows import KEPT
from tahoeish.gateway.uploads.services import Services
from tahoeish.gateway.uploads.session import Phase
from tahoeish.gateway.uploads.targets import PROVISIONAL, with_claims_of
from tahoeish.grid.spool import Spool, SpoolRoom
from tahoeish.namespace.errors import NoSuchUpload
from tahoeish.namespace.uploads import UploadRow
from tahoeish.namespace.viewer import Viewer
from tahoeish.streams.body import BodyStream
from tahoeish.streams.digests import Covers
from tahoeish.streams.request import StreamingRequest

DIALECT = "nextcloud"

MOST_KEPT = 64 * 1024 * 1024
"""Bytes of the chunks of one upload that have come too early."""

PATIENCE_SECONDS = 10.0
"""How long an early chunk waits unread."""

LOOK_SECONDS = 0.5
"""How often it looks whether it is its turn: what is before it may come to another process."""

KEPT_SECONDS = 3600.0
"""How long chunks are kept when nobody comes with those before them."""


@dataclass
class _Pile:
    """The chunks of one upload, as far as this process knows of them."""

    assembly: Assembly
    total: int | None = None
    """How long the whole is, if the client has said that by now."""
    kept: dict[Chunk, tuple[Spool, AsyncExitStack]] = field(default_factory=dict)
    prints: dict[str, str] = field(default_factory=dict)
    """By which chunks are known again, by their places."""
    used: float = 0.0

    def expect_same(self, chunk: Chunk, content: ChunkContent) -> None:
        """Raises `UploadRefused` if it isn't what was taken the first time."""
        if self.prints.get(str(chunk.place), content.print()) != content.print():
            why = "has other bytes than this one; they can't be replaced, so begin the upload anew"
            raise UploadRefused(409, f"chunk {chunk.text} is there already, and {why}")

    def notes(self) -> dict[str, object]:
        """What has to be known of them after a restart."""
        return {"chunks": dict(self.assembly.record()), "prints": self.prints}

    async def clear(self) -> None:
        kept, self.kept = self.kept, {}
        for _, room in kept.values():
            await room.aclose()


_Handlers: TypeAlias = Mapping[bytes, Callable[[Visit, str, str], Awaitable[None]]]


class ChunkedUploads(AsyncResource):
    """Everything below `/remote.php` that isn't another way to `/files`."""

    def __init__(
        self,
        names: Names,
        viewer_of: Callable[[StreamingRequest], Viewer],
        options: FileOptions,
        services: Services,
        room: SpoolRoom,
        clock: IReactorTime,
    ) -> None:
        super().__init__()
        self._names = names
        self._viewer_of = viewer_of
        self._options = options
        self._services = services
        self._room = room
        self._clock = clock
        self._piles: dict[str, _Pile] = {}
        self._of_upload: _Handlers = {b"MKCOL": self._make, b"DELETE": self._remove, b"PROPFIND": self._list}
        self._of_chunk: _Handlers = {b"PUT": self._put, b"MOVE": self._move}

    async def respond(self, request: StreamingRequest, body: BodyStream) -> None:
        match [part.decode("utf-8", "replace") for part in request.postpath or []]:
            case ["dav", "uploads", _, id_] | ["dav", "uploads", _, id_, ""]:
                handle, chunk = self._of_upload.get(request.method), ""
            case ["dav", "uploads", _, id_, name]:
                handle, chunk = self._of_chunk.get(request.method), name
            case _:
                raise Refused(
                    404, "there is nothing at this address; what Nextcloud has here is dav/files and dav/uploads"
                )
        if request.method == b"OPTIONS":
            request.setHeader(b"Allow", b"OPTIONS, MKCOL, PROPFIND, PUT, MOVE, DELETE")
            write_nothing(request, 200)
            return
        if handle is None:
            raise Refused(405, "an upload is made by MKCOL, its chunks by PUT, and the file by MOVE of .file")
        visit = visit_of(request, body, self._viewer_of(request), self._options)
        await handle(visit, f"{DIALECT} {id_}", chunk)

    # The upload as a folder.

    async def _make(self, visit: Visit, key: str, _: str) -> None:
        expect_no_claims(fields_of(visit.request), *Covers)
        keeper = self._services.keeper
        there = await keeper.look_by_key(visit.viewer, key)
        if there is not None:
            if there.phase in (Phase.OPEN.value, Phase.FINISHING.value):
                raise Refused(405, "this upload is there already")
            await self._cancel(visit.viewer, there)
        if visit.header("Destination") is not None:
            await self._expect_welcome(visit, total_length(fields_of(visit.request)))
        await keeper.create(visit.viewer, dialect=DIALECT, target=PROVISIONAL, notes={"chunks": {}}, key=key)
        write_nothing(visit.request, 201)

    async def _remove(self, visit: Visit, key: str, _: str) -> None:
        await self._cancel(visit.viewer, await self._found(visit.viewer, key))
        write_nothing(visit.request, 204)

    async def _list(self, visit: Visit, key: str, _: str) -> None:
        pile = await self._pile(await self._found(visit.viewer, key))
        address = (visit.request.path or b"").decode("latin-1").rstrip("/") + "/"
        folder = PropertyStatus(200, ["<D:resourcetype><D:collection/></D:resourcetype>"])
        sizes = {**pile.assembly.record(), **{chunk.text: spool.size for chunk, (spool, _) in pile.kept.items()}}
        chunks = [
            response(
                address + name,
                [PropertyStatus(200, ["<D:resourcetype/>", f"<D:getcontentlength>{size}</D:getcontentlength>"])],
            )
            for name, size in sizes.items()
        ]
        write_xml(visit.request, 207, whole([response(address, [folder]), *chunks]))

    # Chunks.

    async def _put(self, visit: Visit, key: str, name: str) -> None:
        fields = fields_of(visit.request)
        expect_uncoded(fields)
        chunk, size, total = parse_chunk(name), visit.body.length, total_length(fields)
        content = ChunkContent(visit, fields, self._services.run_in_thread)
        give_up_at = self._clock.seconds() + PATIENCE_SECONDS
        while True:
            row = await self._open(visit.viewer, key)
            pile = await self._pile(row)
            pile.total = pile.total if total is None else total
            match pile.assembly.comes(chunk, size):
                case Swallow():
                    async for _ in content:
                        pass
                    pile.expect_same(chunk, content)
                    break
                case Stream(start):
                    await self._stream(visit.viewer, row, pile, chunk, start, size, content, content.verified)
                    break
                case Hold(most) if self._clock.seconds() >= give_up_at:
                    await self._keep(visit.viewer, row, pile, chunk, most, content)
                    break
                case Hold():
                    pile.assembly.dropped(chunk)
                    await self._pause()
        write_nothing(visit.request, 201)

    async def _stream(
        self,
        viewer: Viewer,
        row: UploadRow,
        pile: _Pile,
        chunk: Chunk,
        start: int,
        size: int | None,
        content: AsyncIterable[Buffer],
        verified: bool = False,
    ) -> None:
        """Into the session, and what was waiting for it behind it."""
        live, decision = await self._services.keeper.respond(viewer, row.id, Query())
        if not isinstance(decision, Tell):
            raise _refusal(decision)
        # What a chunk has brought before it was broken off is there already.
        missing = decision.offset - start
        if size is not None and missing > size:
            raise UploadRefused(409, f"of chunk {chunk.text}, {missing} bytes are there already, and it has {size}")
        left = None if size is None else size - missing
        if verified and missing:
            told = f"the first {missing} bytes of chunk {chunk.text} came before, without a digest"
            raise UploadRefused(409, f"{told}; leave it out here, too, or begin the upload anew")
        append = Append(decision.offset, False, left, pile.total, verified)
        decision = await live.respond(append, without(missing, content))
        if not isinstance(decision, Continue):
            raise _refusal(decision)
        following: Chunk | None = None
        # The same chunk may have come twice at once.
        if chunk.text not in pile.assembly.record():
            following = pile.assembly.went_in(chunk, decision.offset - start)
            if isinstance(content, ChunkContent):
                pile.prints[str(chunk.place)] = content.print()
            await live.remember(notes=pile.notes())
        if following is not None:
            await self._stream_kept(viewer, row, pile, following, decision.offset)

    async def _stream_kept(self, viewer: Viewer, row: UploadRow, pile: _Pile, chunk: Chunk, start: int) -> None:
        if chunk not in pile.kept:
            # Somebody else streams it.
            return
        spool, room = pile.kept.pop(chunk)
        async with room:
            await self._stream(viewer, row, pile, chunk, start, spool.size, spool)

    async def _keep(
        self, viewer: Viewer, row: UploadRow, pile: _Pile, chunk: Chunk, most: int, content: ChunkContent
    ) -> None:
        room = AsyncExitStack()
        try:
            content.limit_to(most)
            spool = await room.enter_async_context(self._room.spooled(content))
        except BaseException:
            pile.assembly.dropped(chunk)
            await room.aclose()
            raise
        pile.kept[chunk] = spool, room
        pile.prints[str(chunk.place)] = content.print()
        following = pile.assembly.held(chunk, spool.size)
        if following is not None:
            await self._stream_kept(viewer, row, pile, following, sum(pile.assembly.record().values()))

    # The file.

    async def _move(self, visit: Visit, key: str, name: str) -> None:
        if name != FINAL_NAME:
            raise Refused(405, f"what is moved out of an upload is {FINAL_NAME}")
        expect_no_claims(fields_of(visit.request), Covers.CONTENT)
        keeper, viewer = self._services.keeper, visit.viewer
        total = total_length(fields_of(visit.request))
        row = await self._found(viewer, key)
        live, told = await keeper.respond(viewer, row.id, Query())
        offset = live.session.offset
        target = self._target(visit)
        if row.phase != Phase.OPEN.value:
            _expect_same(live.row, target, offset if total is None else total)
        elif isinstance(told, Tell):
            await self._expect_welcome(visit, total)
            pile = await self._pile(live.row)
            # By now nothing is coming any more. What a chunk has left that was broken off shows in the offset.
            for chunk in pile.assembly.close(total, told.offset):
                await self._stream_kept(viewer, row, pile, chunk, sum(pile.assembly.record().values()))
            offset = sum(pile.assembly.record().values())
            await live.remember(target=target)
        decision = await live.respond(Append(offset, True, 0, offset), nothing())
        if not isinstance(decision, Replay):
            raise _refusal(decision)
        await self._services.tell_wanted(visit.request, live, decision)
        if live.session.phase is Phase.OPEN:
            # It had no effect: the next one may go elsewhere, and until then nothing may become of the file.
            await live.remember(target=PROVISIONAL)
        else:
            await self._forget(row.id)
        FinalAnswer.unpack(decision.answer).write(visit.request)

    def _target(self, visit: Visit) -> dict[str, object]:
        target = name_target(visit, visit.destination())
        if not parse_overwrite(visit.header("Overwrite")):
            target["conditions"] = [visit.header("If"), visit.header("If-Match"), "*"]
        return with_claims_of(target, fields_of(visit.request))

    async def _expect_welcome(self, visit: Visit, length: int | None) -> None:
        """Before a name is asked for by which it fails for good."""
        path = visit.destination()
        await expect_room(self._names, replace(visit, path=path), path, length)

    # What is known of uploads.

    async def _found(self, viewer: Viewer, key: str) -> UploadRow:
        row = await self._services.keeper.look_by_key(viewer, key)
        if row is None:
            raise NoSuchUpload(key)
        return row

    async def _open(self, viewer: Viewer, key: str) -> UploadRow:
        row = await self._found(viewer, key)
        if row.phase != Phase.OPEN.value:
            raise Refused(409, "this upload is complete, or has failed")
        return row

    async def _pile(self, row: UploadRow) -> _Pile:
        notes = json.loads(row.notes)
        entered: dict[str, int] = notes["chunks"]
        pile = self._piles.get(row.id)
        if pile is None or not pile.assembly.record().items() >= entered.items():
            # Another process has taken chunks, or this one has just begun.
            if pile is not None:
                await pile.clear()
            pile = self._piles[row.id] = _Pile(Assembly(MOST_KEPT, entered), prints=notes.get("prints", {}))
        pile.used = self._clock.seconds()
        for id_ in [id_ for id_, other in self._piles.items() if other.used < pile.used - KEPT_SECONDS]:
            await self._forget(id_)
        return pile

    async def _cancel(self, viewer: Viewer, row: UploadRow) -> None:
        await self._services.keeper.respond(viewer, row.id, Cancel())
        await self._forget(row.id)

    async def _forget(self, id_: str) -> None:
        pile = self._piles.pop(id_, None)
        if pile is not None:
            await pile.clear()

    async def _pause(self) -> None:
        over: Deferred[None] = Deferred()
        call = self._clock.callLater(LOOK_SECONDS, over.callback, None)
        try:
            await over
        finally:
            if call.active():
                call.cancel()


def _expect_same(row: UploadRow, target: Mapping[str, object], length: int) -> None:
    """Raises `UploadRefused` unless this is asked again, and not something else than what the upload has come to."""
    was = {name: value for name, value in json.loads(row.target).items() if name not in KEPT}
    if was != json.loads(json.dumps(target)) or length != row.offset:
        raise UploadRefused(
            409, "this upload has been moved already, to another name or with other headers; begin a new one"
        )


def _refusal(decision: Decision) -> UploadRefused:
    assert isinstance(decision, Refuse)
    return UploadRefused(409, decision.reason.value)
