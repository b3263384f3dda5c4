"""Parcels: several small shares that come in one request, each of which is taken or refused by itself."""

from __future__ import annotations

from twisted.python.failure import Failure

from tahoeish.storage.http.answers import answer_json, status_and_detail
from tahoeish.storage.http.routing import Call, Endpoint
from tahoeish.storage.parcel import LARGEST_PARCEL, PARCELS_PATH, Enclosed, load_parcel
from tahoeish.storage.uploads import Uploads
from tahoeish.storage.wire import Secret
from tahoeish.streams.budget import ByteBudget
from tahoeish.streams.tasks import to_the_end, together


class Parcels:
    """Takes memory from the same budget as shares that come alone."""

    def __init__(self, uploads: Uploads, memory: ByteBudget) -> None:
        self._uploads = uploads
        self._memory = memory

    def endpoint(self) -> Endpoint:
        return Endpoint("POST", PARCELS_PATH, self.store, (Secret.UPLOAD,))

    async def store(self, call: Call) -> None:
        # As with a share that comes alone, whoever leaves when all of it has come has still stored it.
        answer_json(call.request, 200, await to_the_end(self._take(call)))

    async def _take(self, call: Call) -> list[int]:
        """The status of each share."""
        call.body.limit_to(LARGEST_PARCEL)
        length = LARGEST_PARCEL if call.body.length is None else call.body.length
        secret = call.secrets[Secret.UPLOAD]
        with self._uploads.arriving_together(secret), await self._memory.lease(length):
            shares = load_parcel(await call.body.read_all(LARGEST_PARCEL))
            return await together(self._store(share, secret) for share in shares)

    async def _store(self, share: Enclosed, secret: bytes) -> int:
        try:
            with self._uploads.arriving(*share.key, secret) as arrival:
                await self._uploads.store(arrival, share.content, share.lease)
        except Exception:
            # The others are none the worse for it.
            status, _ = status_and_detail(Failure(), "storing a share of a parcel")
            return status
        return 201
