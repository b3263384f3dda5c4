"""What the rows are given: how much of everything, and a place for it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import mkdtemp

from bench.body import Bodies
from bench.node import Node
from bench.sizes import GIB, KIB, MIB


@dataclass(frozen=True)
class Scale:
    """How large the files are, how many the clients, and how often something is measured."""

    small: int = 256 * MIB
    """Beside `large`, to see that it makes no difference."""
    large: int = 4 * GIB
    short: int = 64 * MIB
    """The shorter of the files whose last byte is waited for."""
    throughput: int = GIB
    huge: int = 10 * GIB
    """No memory, no temporary disk and no wait at the end may come of it."""
    small_files: int = 1000
    listed: int = 10_000
    """Entries of a folder."""
    moved: int = 100_000
    """Files below a folder; a power of ten."""
    kills: int = 100
    together: int = 50
    """Uploads of a few MiB at the same time."""
    clients: int = 500
    client_file: int = 8 * MIB
    beside: int = 256 * MIB
    """The file that is put beside slow clients."""
    settling: float = 10
    """Seconds after which slow clients are taken to be under way."""
    runs: int = 5
    large_runs: int = 2
    """Runs with files of the size `large`, and with stock gateways, which take as long."""


QUICK = Scale(
    small=16 * MIB,
    large=64 * MIB,
    short=8 * MIB,
    throughput=64 * MIB,
    huge=128 * MIB,
    small_files=40,
    listed=300,
    moved=1000,
    kills=3,
    together=10,
    clients=40,
    client_file=MIB,
    beside=32 * MIB,
    settling=2,
    runs=1,
    large_runs=1,
)
"""Shows that everything works, and nothing else."""


@dataclass(frozen=True)
class Setting:
    """Where a row measures."""

    scale: Scale
    scratch: Path
    """A directory for everything that a row needs on disk."""
    new_body: Bodies = field(default_factory=Bodies)

    def node(self, *, encoding: str | None = None, sync: bool = True) -> Node:
        """A new one, with nothing in it."""
        return Node(self.new_directory(), encoding=encoding, sync=sync)

    def new_directory(self) -> Path:
        return Path(mkdtemp(dir=self.scratch))


@contextmanager
def scratch_directory(path: Path) -> Iterator[Path]:
    """A new folder below `path`, gone at the end; `path` too, if it was made for this."""
    made = not path.exists()
    path.mkdir(parents=True, exist_ok=True)
    own = Path(mkdtemp(prefix="bench-", dir=path))
    try:
        yield own
    finally:
        shutil.rmtree(own)
        if made:
            # Unless another run has its data there by now.
            with suppress(OSError):
                path.rmdir()


WARM_UP = 8 * MIB
SMALL_FILE = 10 * KIB
FILE_OF_MANY = 4 * MIB
"""What each of those puts who come together."""
EIGHT = 8
"""Clients at a time, for small files."""
