"""
What nodes of this kind can do besides, below `/tahoeish/v1`: complete a share that is shorter than was foreseen, take a
small share in one request, or several of them, take back a share whose upload has failed elsewhere, and keep an
unfinished share over a restart.

A client asks for the extensions first. Nodes of other kinds have nothing at that address, and say so.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from tahoeish.storage.http.answers import Refused, answer, answer_json
from tahoeish.storage.http.immutable import allocate
from tahoeish.storage.http.parcels import Parcels
from tahoeish.storage.http.routing import LEASE_SECRETS, Call, Endpoint
from tahoeish.storage.upload import StillMissing
from tahoeish.storage.uploads import Uploads
from tahoeish.storage.wire import EXTENSIONS_PATH, LARGEST_WHOLE_SHARE, Secret, required_ranges
from tahoeish.streams.budget import ByteBudget
from tahoeish.streams.tasks import to_the_end

_EXTENSIONS = {"finish": 1, "whole": LARGEST_WHOLE_SHARE, "lasting": 1, "parcels": 1}
_MAX_BODY = 1024


MEMORY = 32 * 1024 * 1024
"""What whole shares may take together while they come in and are being stored. Further ones wait in their sockets."""


class Extension:
    """What makes uploads shorter, in bytes or in requests, and lets them last longer."""

    def __init__(self, uploads: Uploads) -> None:
        self._uploads = uploads
        self._memory = ByteBudget(MEMORY)
        self._parcels = Parcels(uploads, self._memory)

    def endpoints(self) -> Sequence[Endpoint]:
        path, share = "/tahoeish/v1/immutable/:si", "/tahoeish/v1/immutable/:si/:n"
        return (
            Endpoint("GET", EXTENSIONS_PATH, self.extensions),
            Endpoint("POST", path, self.allocate, (*LEASE_SECRETS, Secret.UPLOAD)),
            Endpoint("POST", f"{share}/secure", self.secure, (Secret.UPLOAD,)),
            Endpoint("POST", f"{share}/finish", self.finish, (Secret.UPLOAD,)),
            Endpoint("PUT", share, self.store, (*LEASE_SECRETS, Secret.UPLOAD)),
            self._parcels.endpoint(),
            Endpoint("DELETE", share, self.undo, (Secret.UPLOAD,)),
        )

    async def extensions(self, call: Call) -> None:
        answer_json(call.request, 200, _EXTENSIONS)

    async def allocate(self, call: Call) -> None:
        await allocate(call, self._uploads, lasting=True)

    async def secure(self, call: Call) -> None:
        upload = await self._uploads.find(call.storage_index, call.number, call.secrets[Secret.UPLOAD])
        await upload.secure()
        answer(call.request, 200)

    async def finish(self, call: Call) -> None:
        upload = await self._uploads.find(call.storage_index, call.number, call.secrets[Secret.UPLOAD])
        size = _size(await call.body.read_all(_MAX_BODY))
        if size > upload.size:
            raise Refused(400, f"the share was allocated with {upload.size} bytes, which are less than {size}")
        try:
            await upload.finish(size)
        except StillMissing as error:
            answer_json(call.request, 409, required_ranges(error.required))
        else:
            answer(call.request, 201)

    async def store(self, call: Call) -> None:
        # Whoever leaves when all of it has come has still stored it, and it still takes its memory.
        await to_the_end(self._take(call))
        answer(call.request, 201)

    async def _take(self, call: Call) -> None:
        call.body.limit_to(LARGEST_WHOLE_SHARE)
        length = LARGEST_WHOLE_SHARE if call.body.length is None else call.body.length
        arriving = self._uploads.arriving(call.storage_index, call.number, call.secrets[Secret.UPLOAD])
        with arriving as arrival, await self._memory.lease(length):
            content = await call.body.read_all(LARGEST_WHOLE_SHARE)
            if not content:
                raise Refused(400, "a share has at least one byte")
            await self._uploads.store(arrival, content, call.lease)

    async def undo(self, call: Call) -> None:
        await self._uploads.undo(call.storage_index, call.number, call.secrets[Secret.UPLOAD])
        answer(call.request, 200)


def _size(body: bytes) -> int:
    try:
        message = json.loads(body)
    except (ValueError, RecursionError):
        message = None
    match message:
        case {"size": int(size)} if len(message) == 1 and size > 0 and not isinstance(size, bool):
            return size
    raise Refused(400, 'the body must be JSON such as {"size": 1000}')
