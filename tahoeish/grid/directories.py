"""Directories in the grid: small files, which are read and written as a whole."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager

from tahoeish.chk.buffers import Buffer
from tahoeish.chk.caps import LiteralCap, ReadCap
from tahoeish.chk.directory import Child, Children, pack, unpack
from tahoeish.chk.directory_caps import DirectoryCap
from tahoeish.chk.errors import BadDirectory
from tahoeish.grid.download import Downloader
from tahoeish.grid.upload import Uploader
from tahoeish.streams.budget import ByteBudget

MAX_TABLE = 64 * 1024 * 1024
"""The largest directory that is read or written here, in bytes: several hundred thousand children."""


class Directories:
    """
    Reads and writes directories.

    All that are being read at the same time hold at most twice `max_table` bytes of tables; others wait. It is a
    budget of its own, because who holds a table goes on to read files, which takes of the node's.
    """

    def __init__(self, uploader: Uploader, downloader: Downloader, max_table: int = MAX_TABLE) -> None:
        self._uploader = uploader
        self._downloader = downloader
        self._max_table = max_table
        self._budget = ByteBudget(2 * max_table)

    @asynccontextmanager
    async def opened(
        self, cap: DirectoryCap, mutable: Callable[[str], object] = lambda name: None
    ) -> AsyncIterator[dict[str, Child]]:
        """
        The children. Forget them when you leave the block. `mutable` is told the names of those that are left out
        because they can change.

        Raises `BadDirectory` for what isn't a directory or too large, and what a download raises.
        """
        contents = cap.contents
        self._check_size(contents.size)
        with await self._budget.lease(contents.size):
            table = contents.data if isinstance(contents, LiteralCap) else await self._fetch(contents)
            yield await self._downloader.run_in_thread(unpack, table, mutable)

    async def store(self, children: Children) -> DirectoryCap:
        """Make a directory. Raises `BadDirectory`, and what an upload raises."""
        table = await self._uploader.run_in_thread(pack, children)
        self._check_size(len(table))
        uploaded = await self._uploader.upload(_whole(table), len(table))
        return DirectoryCap(uploaded.cap)

    async def store_table(self, table: bytes, convergence_secret: bytes) -> DirectoryCap:
        """
        Make a directory whose cap is the same whenever the table, the secret and the encoding are.

        If it is in the grid already, it costs a question to the peers. Raises as `store` does.
        """
        self._check_size(len(table))
        uploaded = await self._uploader.upload_convergently(_whole(table), len(table), convergence_secret)
        return DirectoryCap(uploaded.cap)

    def _check_size(self, size: int) -> None:
        if size > self._max_table:
            raise BadDirectory(f"the directory has {size} bytes, and at most {self._max_table} are possible here")

    async def _fetch(self, cap: ReadCap) -> bytes:
        file = await self._downloader.open(cap)
        try:
            async with aclosing(file.read(0, cap.size - 1)) as pieces:
                return b"".join([bytes(piece) async for piece in pieces])
        finally:
            await file.close()


async def _whole(table: bytes) -> AsyncIterator[Buffer]:
    if table:
        yield table
