"""One small share on its way to a storage node, in one request."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from twisted.logger import Logger
from zope.interface import implementer

from tahoeish.chk.buffers import Buffer
from tahoeish.grid.gbs_client import GbsClient
from tahoeish.grid.peer import IShareWriter, PeerError
from tahoeish.storage.leases import LeaseSecrets
from tahoeish.storage.wire import OCTETS, Secret, whole_share_path

log = Logger()


@implementer(IShareWriter)
class GbsWholeShareWriter:
    """
    A share that a storage node of ours makes room for, takes and shows in one request, which is made by `commit`.

    For a while after that it can be taken back. `refused` is called when the storage node doesn't take it.
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
    ) -> None:
        self.number = number
        self.parallel_writes = 1
        self.ticket: str | None = None
        self._client = client
        self._path = whole_share_path(storage_index, number)
        self._upload_secret = upload_secret
        self._lease = lease
        self._refused = refused
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
        answer = await self._client.farewell("DELETE", self._path, {Secret.UPLOAD: self._upload_secret})
        # What isn't there hasn't come through.
        if answer.status not in (200, 404):
            raise PeerError(self._client.name, f"share {self.number} stays there: status {answer.status}")
        self._sent = False
