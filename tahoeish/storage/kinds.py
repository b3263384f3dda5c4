"""
The two kinds of share, those of immutable and those of mutable files, and what is done to either in the same way.

Both lie side by side in a storage directory. How a file begins tells of which kind it is.
"""

from __future__ import annotations

import os
from pathlib import Path

from tahoeish.storage import leases, mutable_container
from tahoeish.storage.container import MUTABLE_MAGIC_START, read_header
from tahoeish.storage.leases import Lease, LeaseSecrets


def is_mutable(fd: int) -> bool:
    return os.pread(fd, len(MUTABLE_MAGIC_START), 0) == MUTABLE_MAGIC_START


def is_mutable_at(path: Path) -> bool:
    """A file that can't be read isn't known to be a mutable file's share."""
    try:
        with path.open("rb", buffering=0) as file:
            return is_mutable(file.fileno())
    except OSError:
        return False


def read_leases(fd: int, path: Path) -> list[Lease]:
    """Raises `BadShareFile`."""
    if is_mutable(fd):
        return mutable_container.read_leases(fd, mutable_container.read_header(fd, path))
    return leases.read_leases(fd, read_header(fd, path))


def add_or_renew_lease(fd: int, path: Path, secrets: LeaseSecrets, *, now: float, durable: bool) -> None:
    """
    See that the lease with these secrets lasts for `LEASE_SECONDS` from now, or longer if it does already.

    The caller holds the file. The share can be read meanwhile. Raises `BadShareFile`.
    """
    place = mutable_container if is_mutable(fd) else leases
    place.add_or_renew(fd, path, secrets, now=now, durable=durable)
