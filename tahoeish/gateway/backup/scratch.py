"""A file of rows that nobody else can open: what doesn't fit into memory while something is made of it."""

from __future__ import annotations

import json
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from io import BufferedRandom, FileIO, TextIOWrapper
from pathlib import Path
from typing import Any

from tahoeish.streams.threads import ThreadRunner, Turns, claimed

_BUFFER = 256 * 1024


class ScratchFile:
    """Rows are lists that JSON can express. Blocks."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        # Without a name it is gone with the process, whatever ends that.
        bare = FileIO(os.open(directory, os.O_TMPFILE | os.O_RDWR, 0o600), "r+")
        self._file = TextIOWrapper(BufferedRandom(bare, _BUFFER), encoding="ascii")

    def append(self, row: list[Any]) -> None:
        self._file.write(json.dumps(row) + "\n")

    def __iter__(self) -> Iterator[list[Any]]:
        """All rows from the first one. Only the latest iteration is of use."""
        self._file.seek(0)
        return map(json.loads, self._file)

    def close(self) -> None:
        self._file.close()


@asynccontextmanager
async def scratch_file(directory: Path, run_in_thread: ThreadRunner) -> AsyncIterator[tuple[ScratchFile, ThreadRunner]]:
    """The file, and a runner for all that is done with it: so it isn't closed before that has ended."""
    run = Turns(run_in_thread)
    file = await claimed(run(ScratchFile, directory), ScratchFile.close)
    try:
        yield file, run
    finally:
        await run(file.close)
