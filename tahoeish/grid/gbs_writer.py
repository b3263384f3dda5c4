"""One share on its way to a storage node."""

from __future__ import annotations

import json
from collections.abc import Sequence

from twisted.logger import Logger
from zope.interface import implementer

from tahoeish.chk.buffers import Buffer
from tahoeish.chk.layout import SHARE_BEGINNING
from tahoeish.grid.gbs_client import GbsClient
from tahoeish.grid.peer import IShareWriter, PeerError, PeerFull, ShareMissing
from tahoeish.grid.tickets import UploadTicket
from tahoeish.storage.ranges import RangeSet
from tahoeish.storage.wire import (
    JSON,
    OCTETS,
    Secret,
    abort_path,
    content_range,
    finish_path,
    load_required,
    load_share_numbers,
    secure_path,
    share_path,
    shares_path,
    whole_share_path,
)
from tahoeish.streams.exchange.message import Answer

log = Logger()


@implementer(IShareWriter)
class GbsShareWriter:
    """
    A share that a storage node has set `allocated` bytes aside for.

    A share becomes visible with its last missing byte, so what is written at offset 0, which is the header, stays here
    until `commit`; if it is written `whole`, all of it. Where `may_be_shorter`, the share becomes visible when it is
    finished, as short as it is then. A `lasting` one the storage node keeps over a restart, which is worth waiting for.
    """

    def __init__(
        self,
        client: GbsClient,
        storage_index: bytes,
        number: int,
        *,
        upload_secret: bytes,
        allocated: int,
        may_be_shorter: bool,
        parallel_writes: int,
        whole: bool = False,
        lasting: bool = False,
    ) -> None:
        self.number = number
        self.parallel_writes = parallel_writes
        self.ticket = None if whole else UploadTicket(upload_secret, allocated, may_be_shorter).dump()
        self._client = client
        self._storage_index = storage_index
        self._secrets = {Secret.UPLOAD: upload_secret}
        self._allocated = allocated
        self._may_be_shorter = may_be_shorter
        self._whole = whole
        self.lasting = lasting
        self._beginning: Sequence[Buffer] = ()
        self._end = 0
        # What the storage node says that it still needs.
        self._required = RangeSet().with_range(0, allocated)
        self._aborted = False

    async def write(self, offset: int, buffers: Sequence[Buffer]) -> None:
        end = offset + _length(buffers)
        if end > self._allocated:
            raise PeerFull(self._client.name, f"it has set only {self._allocated} bytes aside for the share")
        self._end = max(self._end, end)
        if offset == 0:
            self._beginning = buffers if self._whole else [b"".join(buffers)]
        elif offset < end:
            await self._send(offset, end, buffers)

    async def touch(self) -> None:
        """
        Write again what every share begins with, which tells whether the storage node still has the unfinished share,
        and what of it. It begins to count anew how long nobody has written to it.
        """
        self._expect_taken(await self._patch(0, len(SHARE_BEGINNING), [SHARE_BEGINNING]))

    async def secure(self) -> None:
        """Others have what is written for as long as they run, and can't be asked for more."""
        if self.lasting:
            path = secure_path(self._storage_index, self.number)
            answer = await self._client.request("POST", path, secrets=self._secrets, insist=True, lasting=True)
            if answer.status != 200:
                raise self._refusal(answer)

    async def forget(self) -> None:
        """What is under way may come through; that does no harm."""

    async def prepare(self) -> None:
        held_back = _length(self._beginning)
        self._expect_written(held_back)
        if self._may_be_shorter:
            await self._send(0, held_back, self._beginning)
            self._expect_written(0)

    async def commit(self) -> None:
        answer = await (self._finish() if self._may_be_shorter else self._show())
        if answer.status == 404 and answer.attempts > 1 and await self._is_there():
            # An earlier attempt had come through, only its answer hadn't.
            return
        if answer.status != 201:
            raise self._refusal(answer)

    async def abort(self) -> None:
        if self._aborted:
            return
        path = abort_path(self._storage_index, self.number)
        answer = await self._client.farewell("PUT", path, self._secrets)
        if answer.status == 405 and (await self._client.offer()).whole:
            # It is complete, but one of ours takes it back for a while.
            path = whole_share_path(self._storage_index, self.number)
            answer = await self._client.farewell("DELETE", path, self._secrets)
        if answer.status == 405:
            log.info("share {number} stays on {peer}: it is complete", number=self.number, peer=self._client.name)
        elif answer.status not in (200, 404):
            raise self._client.refusal(answer)
        self._aborted = True

    async def _send(self, offset: int, end: int, buffers: Sequence[Buffer]) -> None:
        self._expect_taken(await self._patch(offset, end, buffers, lasting=self.lasting))

    def _expect_taken(self, answer: Answer) -> None:
        if answer.status not in (200, 201):
            raise self._refusal(answer)
        required = RangeSet()
        for missing in self._client.read(load_required, answer.body):
            required = required.with_range(*missing)
        # The answers to writes that are under way together come in any order. It never needs more than it did.
        if _size(required) < _size(self._required):
            self._required = required

    async def _patch(self, offset: int, end: int, buffers: Sequence[Buffer], *, lasting: bool = False) -> Answer:
        return await self._client.request(
            "PATCH",
            share_path(self._storage_index, self.number),
            secrets=self._secrets,
            headers={"Content-Range": content_range(offset, end - 1), "Content-Type": OCTETS},
            body=buffers,
            insist=True,
            lasting=lasting,
        )

    async def _show(self) -> Answer:
        return await self._patch(0, _length(self._beginning), self._beginning, lasting=self.lasting)

    async def _finish(self) -> Answer:
        return await self._client.request(
            "POST",
            finish_path(self._storage_index, self.number),
            secrets=self._secrets,
            headers={"Content-Type": JSON},
            body=[json.dumps({"size": self._end}).encode()],
            insist=True,
            lasting=self.lasting,
        )

    async def _is_there(self) -> bool:
        answer = await self._client.request("GET", shares_path(self._storage_index), insist=True)
        return answer.status == 200 and self.number in self._client.read(load_share_numbers, answer.body)

    def _expect_written(self, begin: int) -> None:
        """Everything from `begin` on, as far as there is anything."""
        if self._required.present(begin, self._end):
            raise PeerError(self._client.name, "it hasn't kept all bytes of the share that it was sent")

    def _refusal(self, answer: Answer) -> PeerError:
        if answer.status == 404:
            return ShareMissing(
                self._client.name, "it knows nothing of the unfinished share any more; was it restarted meanwhile?"
            )
        return self._client.refusal(answer)


def _length(buffers: Sequence[Buffer]) -> int:
    return sum(memoryview(buffer).nbytes for buffer in buffers)


def _size(ranges: RangeSet) -> int:
    return sum(end - begin for begin, end in ranges.ranges)
