"""What an upload is made from: a file, bytes, or a stream; all become a stream of known or unknown length."""

from __future__ import annotations

import os
import stat
from collections.abc import AsyncIterable, AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from io import FileIO
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, TypeAlias

from tahoeish.client.errors import FileChanged
from tahoeish.streams.producer import PIECE
from tahoeish.streams.threads import ThreadRunner, Turns, claimed

if TYPE_CHECKING:
    from typing_extensions import Buffer

Source: TypeAlias = "Path | bytes | bytearray | memoryview | BinaryIO | AsyncIterable[Buffer]"


@dataclass(frozen=True, slots=True)
class Body:
    """What goes into a request."""

    stream: AsyncIterable[Buffer]
    length: int | None


@asynccontextmanager
async def opened(source: Source, length: int | None, run_in_thread: ThreadRunner) -> AsyncIterator[Body]:
    """
    The body made from `source`, with the length that was given or that can be found out.

    A file that is opened here, from its path, is closed in the end. A file object is read from where it is.
    """
    if isinstance(source, AsyncIterable):
        yield Body(source, length)
    elif isinstance(source, Path):
        file = await claimed(run_in_thread(FileIO, source), FileIO.close)
        turns = Turns(run_in_thread)
        try:
            yield await _body_of_file(file, length, turns)
        finally:
            await turns(file.close)
    elif isinstance(source, bytes | bytearray | memoryview):
        yield Body(_one(source), memoryview(source).nbytes if length is None else length)
    else:
        turns = Turns(run_in_thread)
        try:
            yield await _body_of_file(source, length, turns)
        finally:
            # Its owner may close it when we are back, so no thread must be reading it then.
            await turns(lambda: None)


async def _one(buffer: bytes | bytearray | memoryview) -> AsyncIterator[Buffer]:
    with memoryview(buffer) as whole, whole.cast("B") as octets:
        for start in range(0, len(octets), PIECE):
            yield octets[start : start + PIECE]


async def _body_of_file(file: BinaryIO | FileIO, length: int | None, turns: Turns) -> Body:
    if length is None:
        length = await turns(_bytes_ahead, file)
    return Body(_contents(file, length, turns), length)


def _bytes_ahead(file: BinaryIO | FileIO) -> int | None:
    """How many bytes can be read, None when only reading them tells."""
    try:
        mode = os.fstat(file.fileno()).st_mode
    except OSError:
        pass
    else:
        # A character device would let us seek, to no avail.
        if not (stat.S_ISREG(mode) or stat.S_ISBLK(mode)):
            return None
    if not file.seekable():
        return None
    here = file.tell()
    end = file.seek(0, os.SEEK_END)
    file.seek(here)
    return max(0, end - here)


async def _contents(file: BinaryIO | FileIO, length: int | None, turns: Turns) -> AsyncIterator[bytes]:
    given = 0
    while piece := await turns(file.read, PIECE):
        given += len(piece)
        if length is not None and given >= length:
            # Looked for while the node still lacks the last piece. When it had that, it would keep the file.
            surplus = await turns(file.read, 1)
            if given > length or surplus:
                raise FileChanged(f"the file grew while it was being sent; it had {length} bytes at first")
        yield piece
    if length is not None and given < length:
        raise FileChanged(f"the file shrank while it was being sent, from {length} bytes to {given}")
