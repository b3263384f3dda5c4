"""
A stream kept for a second reading, in an encrypted file of bounded size that has no name.

Two kinds of upload can't do without: one of unknown length to peers that must be told it beforehand, and one whose key
is made from its content.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterable, AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from tahoeish.chk.buffers import Buffer
from tahoeish.chk.cipher import KEY_SIZE, apply_keystream
from tahoeish.grid.errors import SpoolOverflow
from tahoeish.streams.threads import ThreadRunner, Turns

PIECE = 256 * 1024


@dataclass(frozen=True)
class SpoolRoom:
    """Where spools lie, and how large each may be."""

    directory: Path
    limit: int
    run_in_thread: ThreadRunner
    random_bytes: Callable[[int], bytes]

    @asynccontextmanager
    async def spooled(self, pieces: AsyncIterable[Buffer]) -> AsyncIterator[Spool]:
        """All of a stream, until the block is left. Raises `SpoolOverflow` when it is longer than the limit."""
        run = Turns(self.run_in_thread)
        spool = Spool(await run(self._open), self.random_bytes(KEY_SIZE), run)
        try:
            async for piece in pieces:
                if spool.size + len(piece) > self.limit:
                    raise SpoolOverflow(self.limit)
                await spool._append(piece)
            yield spool
        finally:
            await run(os.close, spool._file)

    def _open(self) -> int:
        self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        # Without a name it is gone with the process, whatever ends that.
        return os.open(self.directory, os.O_TMPFILE | os.O_RDWR, 0o600)


class Spool:
    """What has been kept. It can be read as often as needed."""

    def __init__(self, file: int, key: bytes, run_in_thread: ThreadRunner) -> None:
        self.size = 0
        self._file = file
        self._key = key
        self._run_in_thread = run_in_thread

    async def __aiter__(self) -> AsyncIterator[Buffer]:
        for start in range(0, self.size, PIECE):
            yield await self._run_in_thread(self._read, start, min(PIECE, self.size - start))

    async def _append(self, piece: Buffer) -> None:
        await self._run_in_thread(self._write, self.size, piece)
        self.size += len(piece)

    def _write(self, offset: int, piece: Buffer) -> None:
        left = memoryview(self._crypted(offset, piece))
        while left:
            written = os.pwrite(self._file, left, offset)
            left, offset = left[written:], offset + written

    def _read(self, offset: int, length: int) -> Buffer:
        return self._crypted(offset, os.pread(self._file, length, offset))

    def _crypted(self, offset: int, piece: Buffer) -> bytearray:
        out = bytearray(len(piece))
        apply_keystream(self._key, offset, [piece], out)
        return out
