"""PROPFIND: properties of files and folders, however many, in flat memory."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from functools import partial

from tahoeish.gateway.dav.answers import write_xml
from tahoeish.gateway.dav.bodies import Wanted, parse_propfind
from tahoeish.gateway.dav.elements import DAV, Name
from tahoeish.gateway.dav.headers import Depth, parse_depth
from tahoeish.gateway.dav.hrefs import PREFIX, href
from tahoeish.gateway.dav.multistatus import CLOSING, CONTENT_TYPE, OPENING, response
from tahoeish.gateway.dav.properties import QUOTA, Subject, is_protected, statuses
from tahoeish.gateway.dav.visit import Names, Visit
from tahoeish.gateway.errors import Refused
from tahoeish.namespace.catalogue import Catalogue
from tahoeish.namespace.entries import VIRTUAL, Entry, Usage
from tahoeish.namespace.errors import NoSuchEntry, NotAFolder
from tahoeish.namespace.intent import Reading
from tahoeish.namespace.names import Path
from tahoeish.namespace.viewer import Viewer
from tahoeish.streams.response import streaming

PAGE = 1000
"""Entries that are fetched, and written, at a time."""

_LOCKS: Name = (DAV, "lockdiscovery")


class Listing:
    """Answers PROPFIND."""

    def __init__(self, names: Names, room: Callable[[], Awaitable[int | None]]) -> None:
        """`room`: bytes that new files may take in all, or None if nobody knows."""
        self._names = names
        self._room = room

    async def propfind(self, visit: Visit) -> None:
        depth = parse_depth(visit.header("Depth"))
        wanted = parse_propfind(await visit.xml())
        entry = await self._names.ask(Catalogue.check, visit.viewer, visit.path, visit.conditions, Reading())
        assert entry is not None, "a reader gets NoSuchEntry"
        if not entry.is_folder or depth is Depth.ZERO:
            first = await self._told(visit, [entry], wanted)
            write_xml(visit.request, 207, OPENING + first + CLOSING)
            return
        whole = depth is Depth.INFINITY
        if whole:
            await self._expect_few(visit)
        await self._stream(visit, entry, wanted, whole=whole)

    async def _stream(self, visit: Visit, top: Entry, wanted: Wanted, *, whole: bool) -> None:
        request = visit.request
        text = OPENING + await self._told(visit, [top], wanted)
        async with aclosing(self._pages(visit, wanted, whole=whole)) as pages:
            # The first page before the head: until then, an error can still be told.
            text += await anext(pages, "")
            request.setResponseCode(207)
            request.setHeader(b"Content-Type", CONTENT_TYPE.encode())
            async with streaming(request, self._names.clock, self._names.idle_timeout) as writer:
                await writer.write(text.encode())
                async for text in pages:
                    await writer.write(text.encode())
                await writer.write(CLOSING.encode())

    async def _pages(self, visit: Visit, wanted: Wanted, *, whole: bool) -> AsyncGenerator[str, None]:
        async with aclosing(self.walk(visit.viewer, visit.path, whole=whole)) as walk:
            async for entries in walk:
                yield await self._told(visit, entries, wanted)

    async def walk(self, viewer: Viewer, path: Path, *, whole: bool) -> AsyncGenerator[list[Entry], None]:
        """What is in a folder, a page at a time; if `whole`, what is in the folders in it, too."""
        places = deque([_Place(path)])
        while places:
            place = places.pop()
            try:
                entries = await self._names.ask(Catalogue.children, viewer, place.folder, place.after, PAGE)
            except (NoSuchEntry, NotAFolder):
                # Somebody has removed it just now.
                continue
            if not entries:
                continue
            if len(entries) == PAGE:
                places.append(replace(place, after=entries[-1].name))
            if whole:
                places.extend(_Place(entry.path) for entry in entries if entry.is_folder)
            yield entries

    async def _expect_few(self, visit: Visit) -> None:
        limit = visit.options.propfind_limit
        count = 1
        if limit:
            async with aclosing(self.walk(visit.viewer, visit.path, whole=True)) as walk:
                async for entries in walk:
                    count += len(entries)
                    if count > limit:
                        break
        if count > limit:
            raise Refused(
                403,
                f"a tree of more than {limit} entries isn't listed at once; ask for a folder at a time, with Depth: 1",
                condition="<D:propfind-finite-depth/>",
            )

    async def _told(self, visit: Visit, entries: Sequence[Entry], wanted: Wanted) -> str:
        room = await self._room() if any(name in wanted.names for name in QUOTA) else None
        return await self._names.run_in_thread(
            partial(
                told,
                self._names.catalogue,
                visit.viewer,
                entries,
                wanted,
                self._names.now(),
                room,
                prefix=visit.prefix,
            )
        )


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a walk goes on."""

    folder: Path
    after: str | None = None


def told(
    catalogue: Catalogue,
    viewer: Viewer,
    entries: Sequence[Entry],
    wanted: Wanted,
    now: float,
    room: int | None,
    *,
    prefix: str = PREFIX,
) -> str:
    """A response for each of the entries, which have just been found. Blocks. `room`: what the grid has."""
    stored = [entry for entry in entries if entry.id != VIRTUAL]
    may_be_dead = wanted.everything or not all(map(is_protected, wanted.names))
    dead = catalogue.properties(viewer, stored) if may_be_dead else {}
    locks = catalogue.locks_on(viewer, stored) if wanted.everything or _LOCKS in wanted.names else {}
    usages: dict[str, Usage] = {}
    if any(name in wanted.names for name in QUOTA):
        for entry in entries:
            if entry.is_folder and entry.owner not in usages:
                usage = catalogue.usage(viewer, entry.path)
                bounds = [bound for bound in (usage.available, room) if bound is not None]
                usages[entry.owner] = Usage(usage.used, min(bounds, default=None))
    parts = []
    for entry in entries:
        subject = Subject(entry, now, dead.get(entry.id, {}), locks.get(entry.id, ()), usages.get(entry.owner))
        parts.append(response(href(entry.path, folder=entry.is_folder, prefix=prefix), statuses(subject, wanted)))
    return "".join(parts)
