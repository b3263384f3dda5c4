"""`/files`: names for files and folders, as WebDAV has them (RFC 4918, classes 1, 2 and 3)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

from tahoeish.gateway.backup.server import BackupServer
from tahoeish.gateway.dav.changing import Changes
from tahoeish.gateway.dav.folder_uploads import FolderUploads
from tahoeish.gateway.dav.listing import Listing
from tahoeish.gateway.dav.locking import Locking
from tahoeish.gateway.dav.reading import ReadingFiles
from tahoeish.gateway.dav.resuming import Resuming
from tahoeish.gateway.dav.storing import Storing
from tahoeish.gateway.dav.visit import FileOptions, Names, Visit, visit_of
from tahoeish.gateway.errors import Refused, write_nothing
from tahoeish.gateway.file import FileServer
from tahoeish.gateway.resource import AsyncResource, argument, asks
from tahoeish.gateway.upload import Receiver
from tahoeish.gateway.uploads.asking import fields_of
from tahoeish.gateway.uploads.dialects import tus
from tahoeish.gateway.uploads.intake import Intake
from tahoeish.namespace.viewer import Viewer
from tahoeish.streams.body import BodyStream
from tahoeish.streams.request import StreamingRequest

CLASSES = (b"1, 2, 3", b"<http://apache.org/dav/propset/fs/1>")
"""The second one says that files can be marked as executable, by a property; cadaver wouldn't try otherwise."""


class FilesResource(AsyncResource):
    """Everything from `/files` on. `viewer_of` says who asks, or raises `Refused`."""

    def __init__(
        self,
        names: Names,
        viewer_of: Callable[[StreamingRequest], Viewer],
        options: FileOptions,
        receiver: Receiver,
        files: FileServer,
        backups: BackupServer,
        intake: Intake,
        room: Callable[[], Awaitable[int | None]],
        uploads: FolderUploads,
    ) -> None:
        """`room`: bytes that new files may take in all, or None if nobody knows."""
        super().__init__()
        self._viewer_of = viewer_of
        self._backups = backups
        self._uploads = uploads
        self._options = options
        listing = Listing(names, room)
        reading, changes, locking = ReadingFiles(names, files, listing), Changes(names), Locking(names)
        self._reading = reading
        self._storing = Storing(names, receiver)
        self._intake = intake
        self._resuming = Resuming(names, intake)
        self._methods: Mapping[str, Callable[[Visit], Awaitable[None]]] = {
            "GET": reading.get,
            "HEAD": reading.get,
            "POST": self._post,
            "PUT": self._put,
            "PATCH": self._patch,
            "PROPFIND": listing.propfind,
            "PROPPATCH": changes.proppatch,
            "MKCOL": changes.mkcol,
            "DELETE": changes.delete,
            "COPY": changes.copy,
            "MOVE": changes.move,
            "LOCK": locking.lock,
            "UNLOCK": locking.unlock,
        }

    async def respond(self, request: StreamingRequest, body: BodyStream) -> None:
        announce(request, self.allowed_methods)
        method = request.method.decode("ascii", "replace")
        if method == "OPTIONS":
            self.offer(request)
            write_nothing(request, 200)
            return
        handle = self._methods.get(method)
        if handle is None:
            raise Refused(405, f"{method} is not possible here, only {', '.join(self.allowed_methods)}")
        _expect_present(request, method)
        await handle(visit_of(request, body, self._viewer_of(request), self._options))

    def offer(self, request: StreamingRequest) -> None:
        """Tell in the answer to an OPTIONS how files can be sent."""
        self._intake.offer(request)
        self._uploads.announce(request)

    async def get_file(self, visit: Visit) -> None:
        """For whoever may read this one; a HEAD is meant as well."""
        await self._reading.get(visit)

    async def put_file(self, visit: Visit) -> None:
        """For whoever may write this one: all that a PUT can do, and also what else makes a file of this name."""
        if tus.speaks(fields_of(visit.request)):
            await self._uploads.create_file(visit, visit.path)
        else:
            await self._put(visit)

    async def delete_file(self, visit: Visit) -> None:
        """For whoever may remove this one."""
        await self._methods["DELETE"](visit)

    @property
    def allowed_methods(self) -> list[str]:
        return ["OPTIONS", *self._methods]

    async def _put(self, visit: Visit) -> None:
        if not await self._resuming.take(visit):
            await self._storing.put(visit)

    async def _patch(self, visit: Visit) -> None:
        await self._resuming.take(visit)

    async def _post(self, visit: Visit) -> None:
        if tus.speaks(fields_of(visit.request)):
            await self._uploads.create(visit)
            return
        match argument(visit.request, "t") or "":
            case "snapshot":
                await self._backups.snapshot(visit)
            case "restore":
                await self._backups.restore(visit)
            case "":
                if not await self._resuming.take(visit):
                    await self._reading.post(visit)
            case other:
                raise Refused(400, f"what can be posted here is t=snapshot or t=restore, not t={other[:40]}")


_OF_THE_PAST = {"version": {"GET", "HEAD"}, "versions": {"GET", "HEAD"}, "restore": {"GET", "HEAD", "POST"}}
"""Query arguments that lead to what was, and the methods for which they do. GET has no use for the last one."""


def _expect_present(request: StreamingRequest, method: str) -> None:
    """Raises `Refused` for what would be done to the file as it is, but asked where an earlier version is."""
    for word, methods in _OF_THE_PAST.items():
        if method not in methods and (asks(request, word) or argument(request, word) is not None):
            raise Refused(
                400,
                f"?{word} leads to what a name stood for before, which stays as it is: GET ?version=ID fetches it,"
                f" and POST ?restore=ID brings it back; {method} is for the name without that",
            )


def announce(request: StreamingRequest, methods: list[str]) -> None:
    """Tell clients that this is WebDAV. Windows wants the third of these headers, or takes it for a web page."""
    request.responseHeaders.setRawHeaders(b"DAV", CLASSES)
    request.setHeader(b"Allow", ", ".join(methods).encode())
    request.setHeader(b"MS-Author-Via", b"DAV")
