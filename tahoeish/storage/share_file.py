"""A finished share, open for reading."""

from __future__ import annotations

import os
from io import FileIO
from pathlib import Path

from tahoeish.storage.errors import errors_about

_AT_ONCE_OR_NOT: int | None = getattr(os, "RWF_NOWAIT", None)


class ShareFile:
    """A finished share of either kind, open for reading, by several threads if need be. It doesn't change any more."""

    def __init__(self, path: Path, file: FileIO, data_offset: int, length: int) -> None:
        self.path = path
        self.length = length
        self._file = file
        self._data_offset = data_offset

    def read(self, offset: int, length: int) -> bytes:
        """The bytes from `offset` on, fewer than `length` where the share ends before."""
        wanted = min(length, self.length - offset)
        if wanted <= 0:
            # The offset may be larger than what the system takes for one.
            return b""
        with errors_about(self.path):
            return os.pread(self._file.fileno(), wanted, self._data_offset + offset)

    def read_now(self, offset: int, length: int) -> memoryview | None:
        """What `read` gives, if the system has all of it in memory, and can say so: this doesn't wait for a disk."""
        if _AT_ONCE_OR_NOT is None or not 0 <= offset < self.length:
            return None
        wanted = bytearray(min(length, self.length - offset))
        try:
            read = os.preadv(self._file.fileno(), [wanted], self._data_offset + offset, _AT_ONCE_OR_NOT)
        except OSError:
            # If there is more to it than that it would have to wait, `read` says what.
            return None
        return memoryview(wanted) if read == len(wanted) else None

    @property
    def removed(self) -> bool:
        """It isn't in its folder any more."""
        return os.fstat(self._file.fileno()).st_nlink == 0

    @property
    def closed(self) -> bool:
        return self._file.closed

    def close(self) -> None:
        with errors_about(self.path):
            self._file.close()
