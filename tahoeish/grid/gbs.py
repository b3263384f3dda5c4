"""
A peer that is a storage node, here or far away, one of ours or of Tahoe-LAFS's.

The protocol has no request to begin a share whose length isn't known. Storage nodes of ours complete a share early
when they are told to, so there such a share is begun with as much room as it could ever need.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable, Collection
from contextlib import suppress

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from zope.interface import implementer

from tahoeish.grid.gbs_client import GbsClient
from tahoeish.grid.gbs_exchange import Patience, Unreachable
from tahoeish.grid.gbs_parcels import Parcels
from tahoeish.grid.gbs_source import GbsShareSource
from tahoeish.grid.gbs_whole import GbsWholeShareWriter
from tahoeish.grid.gbs_writer import GbsShareWriter
from tahoeish.grid.peer import (
    Allocation,
    IShareSource,
    IStoragePeer,
    NeedsLength,
    PeerError,
    PeerFull,
    PeerUnavailable,
    ShareMissing,
)
from tahoeish.grid.tickets import BadTicket, UploadTicket
from tahoeish.storage import wire
from tahoeish.storage.leases import LeaseSecrets
from tahoeish.storage.wire import CBOR, AllocationRequest, Secret, Version
from tahoeish.streams.exchange.connections import Connections
from tahoeish.streams.tasks import together

log = Logger()

UPLOAD_SECRET_SIZE = 32


@implementer(IStoragePeer)
class GbsPeer:
    """
    The storage node at the other end of `connections`.

    `tub_id` is what leases depend on there, together with our `lease_secret`. A
    share of unknown length can have `unknown_length_limit` bytes at the most.
    """

    def __init__(
        self,
        connections: Connections,
        name: str,
        permutation_seed: bytes,
        *,
        clock: IReactorTime,
        lease_secret: bytes,
        tub_id: bytes,
        random_bytes: Callable[[int], bytes],
        unknown_length_limit: int = 64 * 1024**3,
        parallel_writes: int = 3,
        patience: Patience | None = None,
    ) -> None:
        self.name = name
        self.permutation_seed = permutation_seed
        self.disk: object = None
        self._client = GbsClient(name, connections, clock=clock, patience=patience)
        self._lease_secret = lease_secret
        self._tub_id = tub_id
        self._random_bytes = random_bytes
        self._unknown_length_limit = unknown_length_limit
        self._parallel_writes = parallel_writes
        self._asks_first = False
        self._parcels = Parcels(self._client, random_bytes(UPLOAD_SECRET_SIZE))

    async def version(self) -> Version:
        """What it says of itself; also a way to see whether it is there."""
        return await self._client.version()

    async def available_space(self) -> int | None:
        return (await self.version()).available_space

    async def share_numbers(self, storage_index: bytes) -> set[int]:
        answer = await self._client.request("GET", wire.shares_path(storage_index))
        if answer.status != 200:
            raise self._client.refusal(answer)
        return set(self._client.read(wire.load_share_numbers, answer.body))

    async def allocate(
        self, storage_index: bytes, numbers: Collection[int], size: int | None, *, lasting: bool = False
    ) -> Allocation:
        return await self._allocate(storage_index, numbers, size, lasting=lasting)

    async def reopen(self, storage_index: bytes, number: int, ticket: str) -> GbsShareWriter:
        writer = await self._touched(storage_index, number, ticket)
        writer.lasting = (await self._client.offer()).lasting
        return writer

    async def keep_alive(self, storage_index: bytes, number: int, ticket: str) -> None:
        await self._touched(storage_index, number, ticket)

    async def _touched(self, storage_index: bytes, number: int, ticket: str) -> GbsShareWriter:
        try:
            upload = UploadTicket.load(ticket)
        except BadTicket as error:
            raise PeerError(self.name, str(error)) from error
        writer = GbsShareWriter(
            self._client,
            storage_index,
            number,
            upload_secret=upload.upload_secret,
            allocated=upload.allocated,
            may_be_shorter=upload.may_be_shorter,
            parallel_writes=self._parallel_writes,
        )
        await writer.touch()
        return writer

    async def _allocate_held_back(self, storage_index: bytes, numbers: Collection[int], size: int) -> Allocation:
        allocation = await self._allocate(storage_index, numbers, size, whole=True)
        self._asks_first = allocation.refusal is not None
        return allocation

    def _ask_first(self) -> None:
        self._asks_first = True

    async def _allocate(
        self,
        storage_index: bytes,
        numbers: Collection[int],
        size: int | None,
        *,
        whole: bool = False,
        lasting: bool = False,
    ) -> Allocation:
        room = await self._upper_bound(len(numbers)) if size is None else size
        upload_secret = self._lasting_secret(storage_index) if lasting else self._random_bytes(UPLOAD_SECRET_SIZE)
        kept = lasting and (await self._client.offer()).lasting
        path = wire.lasting_path(storage_index) if kept else wire.immutable_path(storage_index)
        granted = await self._make_room(path, storage_index, frozenset(numbers), room, upload_secret, again=lasting)
        writers = {
            number: GbsShareWriter(
                self._client,
                storage_index,
                number,
                upload_secret=upload_secret,
                allocated=room,
                may_be_shorter=size is None,
                whole=whole,
                parallel_writes=self._parallel_writes,
                lasting=kept,
            )
            for number in sorted(granted.allocated.intersection(numbers))
        }
        refused = set(numbers) - granted.already_have - writers.keys()
        refusal = f"no room for {room} bytes, or read-only, or somebody else sends the same share" if refused else None
        return Allocation(granted.already_have, writers, refusal)

    async def allocate_whole(self, storage_index: bytes, numbers: Collection[int], size: int) -> Allocation:
        offer = await self._client.offer()
        if self._asks_first or size > offer.whole:
            return await self._allocate_held_back(storage_index, numbers, size)
        if not self._client.heard_lately:
            # Others can take what this one doesn't, as long as nothing has been sent.
            await self.version()
        lease = LeaseSecrets.derived(self._lease_secret, storage_index, self._tub_id)
        writers = {
            number: GbsWholeShareWriter(
                self._client,
                storage_index,
                number,
                upload_secret=self._parcels.upload_secret,
                lease=lease,
                refused=self._ask_first,
                parcels=self._parcels if offer.parcels else None,
            )
            for number in numbers
        }
        return Allocation(frozenset(), writers)

    async def open_share(self, storage_index: bytes, number: int) -> IShareSource:
        source = GbsShareSource(self._client, storage_index, number)
        await source.open()
        return source

    async def report_corruption(self, storage_index: bytes, number: int, reason: str) -> None:
        answer = await self._client.request(
            "POST",
            wire.corrupt_path(storage_index, number),
            headers={"Content-Type": CBOR},
            body=[wire.dump_corruption(reason)],
        )
        if answer.status == 404:
            raise ShareMissing(self.name, f"it has no share {number}")
        if answer.status != 200:
            raise self._client.refusal(answer)

    async def _upper_bound(self, shares: int) -> int:
        if not (await self._client.offer()).finish:
            raise NeedsLength(self.name, "it takes shares only when it is told their length first")
        version = await self._client.version()
        # Half of it, so that others get something meanwhile: until the end, all of this is set aside.
        fair = version.available_space // (2 * max(shares, 1))
        bound = min(self._unknown_length_limit, version.max_immutable_share_size, fair)
        if bound <= 0:
            raise PeerFull(self.name, "it has no room left")
        return bound

    def _lasting_secret(self, storage_index: bytes) -> bytes:
        """One that whoever was killed before he could write it down finds again."""
        return hmac.digest(self._lease_secret, b"unfinished share" + self._tub_id + storage_index, "sha256")

    async def _make_room(
        self,
        path: str,
        storage_index: bytes,
        numbers: frozenset[int],
        size: int,
        upload_secret: bytes,
        *,
        again: bool,
    ) -> wire.Allocation:
        """Asks at `path`. It may be `again` with the same secret."""
        try:
            room, attempts = await self._ask_for_room(path, storage_index, numbers, size, upload_secret)
            lacking = numbers - room.already_have - room.allocated
            if lacking and (again or attempts > 1):
                # Of these an earlier attempt, whose answer was lost, may have made uploads, which are in their own way.
                await self._give_back(storage_index, lacking, upload_secret)
                more, _ = await self._ask_for_room(path, storage_index, lacking, size, upload_secret)
                room = wire.Allocation(room.already_have | more.already_have, room.allocated | more.allocated)
        except Unreachable:
            raise
        except (PeerUnavailable, CancelledError):
            # Nobody waits for this: whoever has cancelled has no time, and the storage node will not be quick.
            Deferred.fromCoroutine(self._give_back(storage_index, numbers, upload_secret)).addErrback(
                lambda failure: log.failure("giving back room on {peer}", failure, peer=self.name)
            )
            raise
        return room

    async def _ask_for_room(
        self, path: str, storage_index: bytes, numbers: frozenset[int], size: int, upload_secret: bytes
    ) -> tuple[wire.Allocation, int]:
        lease = LeaseSecrets.derived(self._lease_secret, storage_index, self._tub_id)
        answer = await self._client.request(
            "POST",
            path,
            secrets={
                Secret.LEASE_RENEW: lease.renew,
                Secret.LEASE_CANCEL: lease.cancel,
                Secret.UPLOAD: upload_secret,
            },
            headers={"Content-Type": CBOR, "Accept": CBOR},
            body=[wire.dump_allocation_request(AllocationRequest(numbers, size))],
        )
        if answer.status != 200:
            raise self._client.refusal(answer)
        return self._client.read(wire.load_allocation, answer.body), answer.attempts

    async def _give_back(self, storage_index: bytes, numbers: Collection[int], upload_secret: bytes) -> None:
        """Abort uploads that may have been begun. What this doesn't reach ends by itself after a while."""
        secrets = {Secret.UPLOAD: upload_secret}

        async def give_back(number: int) -> None:
            with suppress(PeerError):
                await self._client.farewell("PUT", wire.abort_path(storage_index, number), secrets)

        await together(give_back(number) for number in sorted(numbers))
