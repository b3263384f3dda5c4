"""Directories: made of what a client sends, and listed, described and walked through."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import quote

from twisted.internet.interfaces import IReactorTime

from tahoeish.chk.directory import Child, Children, Metadata, UnknownCap, normalise
from tahoeish.chk.directory_caps import AnyCap, DirectoryCap, DirectoryVerifyCap
from tahoeish.gateway.conditions import not_modified
from tahoeish.gateway.delivery import Deliveries
from tahoeish.gateway.description import as_json, description_of, description_with
from tahoeish.gateway.errors import Refused, write_text
from tahoeish.gateway.file import FileServer, Label, entity_tag
from tahoeish.gateway.info import write_info
from tahoeish.gateway.listing import listing
from tahoeish.gateway.mkdir import children_from
from tahoeish.gateway.pages import policy
from tahoeish.gateway.resource import argument
from tahoeish.grid.directories import Directories
from tahoeish.streams.body import BodyStream
from tahoeish.streams.request import StreamingRequest
from tahoeish.streams.response import streaming
from tahoeish.streams.threads import ThreadRunner

MAX_BODY = 16 * 1024 * 1024
"""What a client may send to make a directory of, in bytes. It is taken into memory before any of it is understood."""

_ONLY_VERIFIES = "a verify cap can check a directory, but not read it"


class DirectoryServer:
    """Writes directories, and what they lead to, into responses; makes new ones."""

    def __init__(
        self,
        directories: Directories,
        files: FileServer,
        deliveries: Deliveries,
        run_in_thread: ThreadRunner,
        clock: IReactorTime,
        idle_timeout: float,
        max_upload_size: int,
    ) -> None:
        """`max_upload_size`: what a body may have at the most, beside `MAX_BODY`; 0 is without a bound."""
        self._directories = directories
        self._files = files
        self._deliveries = deliveries
        self._run_in_thread = run_in_thread
        self._clock = clock
        self._idle_timeout = idle_timeout
        self._max_body = min(MAX_BODY, max_upload_size or MAX_BODY)

    async def make(self, request: StreamingRequest, body: BodyStream) -> None:
        """The body is JSON that names the children."""
        delivery = self._deliveries.of_request(request, body, self._max_body)
        async with delivery.unpacked() as pieces:
            content = b"".join([piece async for piece in pieces])
        children = await self._run_in_thread(children_from, content)
        cap = str(await self._directories.store(children))
        request.setHeader(b"Location", f"/uri/{quote(cap, safe='')}".encode())
        write_text(request, 201, cap)

    async def respond(self, request: StreamingRequest, cap: AnyCap, path: Sequence[str]) -> None:
        """What is at the end of the path."""
        reached, metadata = await self.walk(cap, path)
        match reached:
            case DirectoryCap():
                name = next(filter(None, reversed(path)), None)
                await self._respond_directory(request, reached, Label(name, metadata=metadata))
            case DirectoryVerifyCap() | UnknownCap():
                self._respond_unreadable(request, reached, metadata)
            case _:
                name = path[-1] if path else None
                await self._files.respond(request, reached, Label(name, metadata=metadata))

    async def walk(self, cap: AnyCap, path: Sequence[str]) -> tuple[AnyCap | UnknownCap, Metadata | None]:
        """
        The cap at the end of the path, and what its directory says of it.

        A path may end with a slash at a directory. Raises `Refused` where it leads nowhere.
        """
        if "" in path[:-1]:
            raise Refused(400, "a name in an address can't be empty, but there are two slashes in a row")
        reached: AnyCap | UnknownCap = cap
        metadata = None
        for name in path:
            if name == "" and isinstance(reached, DirectoryCap):
                break
            child = await self._child(reached, name)
            reached, metadata = child.cap, child.metadata
        return reached, metadata

    # Inside.

    async def _child(self, cap: AnyCap | UnknownCap, name: str) -> Child:
        match cap:
            case DirectoryCap():
                async with self._directories.opened(cap) as children:
                    child = children.get(normalise(name))
                if child is None:
                    raise Refused(404, f"No such child: {name}")
                return child
            case DirectoryVerifyCap():
                raise Refused(400, _ONLY_VERIFIES)
            case _:
                raise Refused(400, f"Files have no children named {name!r}")

    async def _respond_directory(self, request: StreamingRequest, cap: DirectoryCap, label: Label) -> None:
        """By the query argument `t`: a page, or what is known of it, or its cap."""
        form = argument(request, "t") or ""
        match form:
            case "" | "json":
                if not not_modified(request, entity_tag(cap, form)):
                    await self._respond_children(request, cap, label.name, form)
            case "info":
                write_info(request, cap, label.metadata)
            case "uri" | "readonly-uri":
                write_text(request, 200, str(cap))
            case other:
                raise Refused(400, f"t is json, info, uri or readonly-uri, not {other!r}")

    async def _respond_children(
        self, request: StreamingRequest, cap: DirectoryCap, name: str | None, form: str
    ) -> None:
        async with self._directories.opened(cap) as children:
            if form == "json":
                kind, text = "text/plain", await self._run_in_thread(_json_listing, cap, children)
            else:
                kind, text = "text/html", await self._run_in_thread(listing, name, cap, children)
                request.setHeader(b"Content-Security-Policy", policy.PLAIN)
            content = text.encode()
            del children, text
            request.setHeader(b"Content-Type", f"{kind}; charset=utf-8".encode())
            request.setHeader(b"Content-Length", b"%d" % len(content))
            async with streaming(request, self._clock, self._idle_timeout) as writer:
                await writer.write(content)

    def _respond_unreadable(
        self, request: StreamingRequest, cap: DirectoryVerifyCap | UnknownCap, metadata: Metadata | None
    ) -> None:
        if argument(request, "t") == "json":
            write_text(request, 200, as_json(description_of(cap, metadata)))
        elif isinstance(cap, DirectoryVerifyCap):
            raise Refused(400, _ONLY_VERIFIES)
        else:
            raise Refused(400, "this node doesn't know this kind of cap; there is only t=json for it")


def _json_listing(cap: DirectoryCap, children: Children) -> str:
    return as_json(description_with(cap, children))
