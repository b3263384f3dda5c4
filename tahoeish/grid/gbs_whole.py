"""One small share on its way to a storage node, in one request, of its own or together with others."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress

from twisted.logger import Logger
from zope.interface import implementer

from tahoeish.chk.buffers import Buffer
from tahoeish.grid.gbs_client import GbsClient
from tahoeish.grid.gbs_parcels import Parcels
from tahoeish.grid.peer import IShareWriter, PeerError
from tahoeish.storage.leases import LeaseSecrets
from tahoeish.storage.wire import OCTETS, Secret, whole_share_path

log = Logger()


@implementer(IShareWriter)
class GbsWholeShareWriter:
    """
    A share that a storage node of ours makes room for, takes and shows in one request, which is made by `commit`.

    For a while after that it can be taken back. `refused` is called when the storage node doesn't take it. `parcels`
    are there when it takes several shares in one request.
    """

    def __init__(
        self,
        client: GbsClient,
        storage_index: bytes,
        number: int,
        *,
        upload_secret: bytes,
        lease: LeaseSecrets,
        refused: Callable[[], object],
        parcels: Parcels | None,
    ) -> None:
        self.number = number
        self.parallel_writes = 1
        self.ticket: str | None = None
        self._client = client
        self._key = (storage_index, number)
        self._path = whole_share_path(storage_index, number)
        self._upload_secret = upload_secret
        self._lease = lease
        self._refused = refused
        self._parcels = parcels
        self._buffers: Sequence[Buffer] = ()
        self._sent = False

    async def write(self, offset: int, buffers: Sequence[Buffer]) -> None:
        assert offset == 0
        self._buffers = buffers

    async def secure(self) -> None:
        """Such a share goes whole or not at all."""

    async def forget(self) -> None:
        """Nothing is left to go on with."""
        await self.abort()

    async def prepare(self) -> None:
        """Nothing is with the storage node before `commit`."""

    async def commit(self) -> None:
        self._sent = True
        if self._parcels is None:
            await self._send()
        else:
            await self._parcels.send(self._key, self._lease, self._buffers, self._send)

    async def _send(self) -> None:
        answer = await self._client.request(
            "PUT",
            self._path,
            secrets={
                Secret.LEASE_RENEW: self._lease.renew,
                Secret.LEASE_CANCEL: self._lease.cancel,
                Secret.UPLOAD: self._upload_secret,
            },
            headers={"Content-Type": OCTETS},
            body=self._buffers,
            insist=True,
        )
        if answer.status != 201:
            self._refused()
            raise self._client.refusal(answer)

    async def abort(self) -> None:
        self._buffers = ()
        if not self._sent:
            return
        if self._parcels is not None:
            # What has left in a parcel can't be stopped, and must not come after its own removal.
            with suppress(PeerError):
                await self._client.at_farewell(self._parcels.settled(self._key))
        answer = await self._client.farewell("DELETE", self._path, {Secret.UPLOAD: self._upload_secret})
        # What isn't there hasn't come through.
        if answer.status not in (200, 404):
            raise PeerError(self._client.name, f"share {self.number} stays there: status {answer.status}")
        self._sent = False
