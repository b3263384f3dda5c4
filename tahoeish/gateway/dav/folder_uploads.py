"""tus on a folder's address: the file that a client makes there gets its name in the folder, when it is whole."""

from __future__ import annotations

from dataclasses import replace

from tahoeish.gateway.dav.headers import seconds_of
from tahoeish.gateway.dav.naming import expect_room, name_target
from tahoeish.gateway.dav.visit import Names, Visit
from tahoeish.gateway.errors import Refused
from tahoeish.gateway.filenames import told_type
from tahoeish.gateway.uploads.asked import expect_uncoded, number_in
from tahoeish.gateway.uploads.asking import fields_of
from tahoeish.gateway.uploads.dialects import tus
from tahoeish.gateway.uploads.dialects.tus_server import TusServer
from tahoeish.namespace.names import Path, check_name
from tahoeish.streams.request import StreamingRequest


class FolderUploads:
    """Answers a POST with `Tus-Resumable`, as ownCloud Infinite Scale does."""

    def __init__(self, names: Names, server: TusServer) -> None:
        self._names = names
        self._server = server

    def announce(self, request: StreamingRequest) -> None:
        """In the answer to an OPTIONS."""
        for name, value in self._server.offers().headers.items():
            request.setHeader(name, value)

    async def create(self, visit: Visit) -> None:
        visit.request.setHeader("Tus-Resumable", tus.VERSION)
        name = tus.parse_metadata(fields_of(visit.request).get("upload-metadata", "")).name()
        if name is None:
            raise Refused(400, "what is the file called? Say so in Upload-Metadata: filename NAME, the name in base64")
        await self.create_file(visit, (*visit.path, check_name(name)))

    async def create_file(self, visit: Visit, path: Path) -> None:
        """The same where the file's path is known, whatever the client calls it."""
        request = visit.request
        request.setHeader("Tus-Resumable", tus.VERSION)
        fields = fields_of(request)
        expect_uncoded(fields)
        if await self._server.repeats(request, visit.body, from_elsewhere=True):
            return
        metadata = tus.parse_metadata(fields.get("upload-metadata", ""))
        visit.expect_wanted(path)
        # What it is a part of is seen to when that is made.
        if fields.get("upload-concat", "").strip() != "partial":
            length = number_in(fields, "upload-length", "Upload-Length")
            await expect_room(self._names, replace(visit, path=path), path, length)
        target = name_target(visit, path, seconds_of(metadata.text_of("mtime") or ""))
        target["type"] = told_type(metadata.text_of("filetype", "type"))
        await self._server.create(request, visit.body, target, from_elsewhere=True)
