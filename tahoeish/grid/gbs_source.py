"""One share that a storage node holds, open for reading."""

from __future__ import annotations

from zope.interface import implementer

from tahoeish.chk.buffers import Buffer
from tahoeish.grid.gbs_client import GbsClient
from tahoeish.grid.peer import IShareSource, PeerError, ShareMissing
from tahoeish.storage.wire import parse_content_range, range_header, share_path

HEAD_SIZE = 2048
"""Bytes that come along when a share is opened: all readers begin there, and small shares end there, too."""

_LONGEST_REFUSAL = 64 * 1024


@implementer(IShareSource)
class GbsShareSource:
    """Begin with `open`, which finds out whether the share is there at all."""

    def __init__(self, client: GbsClient, storage_index: bytes, number: int) -> None:
        self.number = number
        self._client = client
        self._path = share_path(storage_index, number)
        self._head: Buffer = b""

    async def open(self) -> None:
        self._head = await self._fetch(0, HEAD_SIZE)

    async def read(self, offset: int, length: int) -> Buffer:
        end = offset + length
        if end <= len(self._head) or len(self._head) < HEAD_SIZE:
            return self._head[offset:end]
        # No bytes can't be asked for.
        return await self._fetch(offset, length) if length else b""

    async def close(self) -> None:
        """There is nothing to close: each read is a request of its own."""

    async def _fetch(self, offset: int, length: int) -> Buffer:
        answer = await self._client.request(
            "GET",
            self._path,
            headers={"Range": range_header(offset, offset + length - 1)},
            longest=max(length, _LONGEST_REFUSAL),
        )
        if answer.status == 204:
            return b""
        if answer.status == 404:
            raise ShareMissing(self._client.name, f"it has no share {self.number}")
        if answer.status != 206:
            raise self._client.refusal(answer)
        header = answer.headers.get("content-range", "")
        begin, end = self._client.read(parse_content_range, header)
        if begin != offset or end > offset + length or end - begin != len(answer.content):
            raise PeerError(self._client.name, "it sends other bytes of the share than it was asked for")
        return answer.content
