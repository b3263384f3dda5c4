"""GET: files, folders as pages, and what names stood for before."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import replace
from typing import Any

from tahoeish.chk.caps import parse_cap
from tahoeish.gateway.checksums import checksums_text
from tahoeish.gateway.dav import folder_page
from tahoeish.gateway.dav.answers import write_change
from tahoeish.gateway.dav.folder_page import Order, parse_order
from tahoeish.gateway.dav.hrefs import href
from tahoeish.gateway.dav.listing import Listing
from tahoeish.gateway.dav.visit import Names, Visit
from tahoeish.gateway.errors import Refused, prefers_html, write_text
from tahoeish.gateway.file import FileServer, Label
from tahoeish.gateway.pages import policy
from tahoeish.gateway.resource import argument, asks
from tahoeish.namespace.catalogue import Catalogue
from tahoeish.namespace.entries import Content, Entry, Version
from tahoeish.namespace.errors import NoSuchEntry, NotAFolder
from tahoeish.namespace.intent import Reading
from tahoeish.streams.response import streaming

MOST_SORTED = 10_000
"""Entries of a folder that is sorted by anything but name, for which all of them have to be there at once."""

_HTML = "text/html; charset=utf-8"


class ReadingFiles:
    """Answers GET and HEAD, and POST where it brings back an earlier version."""

    def __init__(self, names: Names, files: FileServer, listing: Listing) -> None:
        self._names = names
        self._files = files
        self._listing = listing

    async def get(self, visit: Visit) -> None:
        if asks(visit.request, "versions"):
            await self._versions(visit)
            return
        if (number := argument(visit.request, "version")) is not None:
            await self._version(visit, _number(number))
            return
        # The other conditions are between the client and the file, and can be answered with a mere 304.
        conditions = replace(visit.conditions, if_match=None, if_none_match=None, unmodified_since=None)
        entry = await self._names.ask(Catalogue.check, visit.viewer, visit.path, conditions, Reading())
        assert entry is not None, "a reader gets NoSuchEntry"
        if entry.content is None:
            await self._folder(visit, entry)
        else:
            await self._file(visit, entry, entry.content)

    async def post(self, visit: Visit) -> None:
        number = argument(visit.request, "restore")
        if number is None:
            raise Refused(400, "what can be posted here is ?restore=ID, t=snapshot or t=restore; a file is PUT")
        outcome = await self._names.ask(Catalogue.restore, visit.viewer, visit.path, _number(number), visit.conditions)
        visit.request.setHeader(b"ETag", outcome.entry.etag.encode())
        if prefers_html(visit.request):
            visit.request.setHeader(b"Location", href(visit.path[:-1], folder=True).encode())
            write_text(visit.request, 303, "")
        else:
            write_change(visit.request, created=outcome.created)

    async def _file(self, visit: Visit, entry: Entry, content: Content) -> None:
        if content.checksums:
            visit.request.setHeader(b"OC-Checksum", checksums_text(content.checksums).encode())
        label = Label(entry.name, content.content_type, entry.etag, entry.modified, checksums=content.checksums)
        await self._files.respond(visit.request, parse_cap(content.cap), label)

    # Folders.

    async def _folder(self, visit: Visit, entry: Entry) -> None:
        request = visit.request
        if argument(request, "t") is not None:
            raise Refused(400, "t= is for files; a folder is shown without it, and described to PROPFIND")
        request.setHeader(b"Content-Type", _HTML.encode())
        request.setHeader(b"Content-Security-Policy", policy.SCRIPTED)
        request.setHeader(b"Content-Location", href(entry.path, folder=True).encode())
        if request.method == b"HEAD":
            request.write(b"")
            return
        order = parse_order(argument(request, "sort"))
        async with (
            aclosing(self._pieces(visit, order)) as pieces,
            streaming(request, self._names.clock, self._names.idle_timeout) as writer,
        ):
            async for piece in pieces:
                await writer.write(piece.encode())

    async def _pieces(self, visit: Visit, order: Order) -> AsyncGenerator[str, None]:
        empty = True
        kept: list[Entry] | None = None if order.is_natural else []
        async with aclosing(self._listing.walk(visit.viewer, visit.path, whole=False)) as walk:
            if kept is None:
                yield folder_page.head(visit.path, order)
            async for entries in walk:
                empty = False
                if kept is None:
                    yield folder_page.rows(entries)
                    continue
                kept += entries
                if len(kept) > MOST_SORTED:
                    note = f"There is too much in here to sort it: more than {MOST_SORTED} entries."
                    yield folder_page.head(visit.path, Order(), note) + folder_page.rows(kept)
                    kept = None
        if kept is not None:
            yield folder_page.head(visit.path, order) + folder_page.rows(order.sorted(kept))
        yield folder_page.foot(visit.path, empty=empty)

    # What was there before.

    async def _versions(self, visit: Visit) -> None:
        versions = await self._names.ask(Catalogue.versions, visit.viewer, visit.path)
        try:
            removed = await self._names.ask(Catalogue.removed, visit.viewer, visit.path)
            is_folder = True
        except (NoSuchEntry, NotAFolder):
            removed, is_folder = [], False
        if prefers_html(visit.request):
            visit.request.setHeader(b"Content-Security-Policy", policy.PLAIN)
            # With no-referrer, a browser would hide from us, too, that its forms come from our own page.
            visit.request.setHeader(b"Referrer-Policy", b"same-origin")
            text = folder_page.versions_page(visit.path, versions, removed, is_folder=is_folder)
            write_text(visit.request, 200, text, _HTML)
            return
        told: dict[str, object] = {"versions": [_facts(version) for version in versions]}
        if is_folder:
            told["removed"] = [_facts(version) for version in removed]
        write_text(visit.request, 200, json.dumps(told, indent=1) + "\n", "application/json")

    async def _version(self, visit: Visit, number: int) -> None:
        versions: Sequence[Version] = await self._names.ask(Catalogue.versions, visit.viewer, visit.path)
        version = next((each for each in versions if each.id == number), None)
        if version is None or version.content is None:
            raise Refused(404, f"there is no version {number} of a file at this address; it may have been purged")
        content = version.content
        label = Label(version.name, content.content_type, content.etag, version.modified, checksums=content.checksums)
        await self._files.respond(visit.request, parse_cap(content.cap), label)


def _facts(version: Version) -> dict[str, Any]:
    return {
        "id": version.id,
        "name": version.name,
        "kind": version.kind.value,
        "size": version.size,
        "modified": version.modified,
        "replaced": version.replaced,
    }


def _number(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 19):
        raise Refused(400, f"a version is given by its number, not by {text[:40]!r}")
    return int(text)
