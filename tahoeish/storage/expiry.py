"""
The end of shares that nobody wants any more.

Collecting is looking at every share in a storage directory, and removing those whose leases have all expired. A share
of which that can't be said for sure stays: one that never had a lease, and one whose file can't be understood.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from enum import Enum, auto
from io import FileIO
from pathlib import Path

from tahoeish.storage.errors import NoSuchShare, StoreError, errors_about
from tahoeish.storage.kinds import read_leases
from tahoeish.storage.layout import folders_of, held, numbers_in, open_existing, prefixes, remove_share
from tahoeish.storage.leases import LEASE_SECONDS, Lease


class Fate(Enum):
    LEASED = auto()
    EXPIRED = auto()
    WITHOUT_LEASE = auto()
    UNREADABLE = auto()


@dataclass(frozen=True, slots=True)
class Finding:
    """What has been found out about one share. `size` is that of its file."""

    path: Path
    fate: Fate
    size: int = 0
    expired_at: float = 0
    problem: str = ""

    @property
    def prefix(self) -> str:
        """How its storage index begins."""
        return self.path.parents[1].name


@dataclass(frozen=True, slots=True)
class ExpiryPolicy:
    """
    When a lease has expired: at the time it names itself, or so many seconds after it was added or renewed.

    With `after_seconds` 0 it is the former, which is a month after.
    """

    after_seconds: float = 0

    def end_of(self, leases: Sequence[Lease]) -> float | None:
        """When the last of the leases expires; None if there are none."""
        if not leases:
            return None
        last = max(lease.expiry for lease in leases)
        return last - LEASE_SECONDS + self.after_seconds if self.after_seconds else last


@dataclass(frozen=True, slots=True)
class Collector:
    """
    Goes through the storage directory `directory`, and with `dry_run` only tells what it would remove.

    It may be at work while a store serves the same directory, from a thread or a process of its own.
    """

    directory: Path
    policy: ExpiryPolicy
    now: Callable[[], float]
    durable: bool
    dry_run: bool

    def findings(self, *, first_prefix: str = "") -> Iterator[Finding]:
        """
        All shares, in an order that is always the same; the expired ones are gone when they come.

        Blocks; each step is little work. Raises `StoreError` when the directory itself can't be read.
        """
        root = self.directory / "shares"
        for prefix in prefixes(root):
            if prefix < first_prefix:
                continue
            for folder in folders_of(root, prefix):
                for number in sorted(numbers_in(folder)):
                    finding = self._look_at(folder / str(number))
                    if finding is not None:
                        yield finding

    def _look_at(self, path: Path) -> Finding | None:
        try:
            with self._opened(path) as file, errors_about(path):
                size = os.fstat(file.fileno()).st_size
                end = self.policy.end_of(read_leases(file.fileno(), path))
                if end is None:
                    return Finding(path, Fate.WITHOUT_LEASE, size)
                if end > self.now():
                    return Finding(path, Fate.LEASED, size)
                if not self.dry_run:
                    remove_share(path, durable=self.durable)
                return Finding(path, Fate.EXPIRED, size, end)
        except NoSuchShare:
            # Removed by somebody else since it was listed.
            return None
        except StoreError as error:
            return Finding(path, Fate.UNREADABLE, problem=str(error))

    def _opened(self, path: Path) -> AbstractContextManager[FileIO]:
        # Whoever wants to renew a lease waits until it is decided, and finds a share that is leased or none.
        return open_existing(path, "rb") if self.dry_run else held(path)


class Tally:
    """Counts findings, and says in one line what they come to."""

    def __init__(self) -> None:
        self.shares = dict.fromkeys(Fate, 0)
        self.bytes = dict.fromkeys(Fate, 0)

    def count(self, finding: Finding) -> None:
        self.shares[finding.fate] += 1
        self.bytes[finding.fate] += finding.size

    def __str__(self) -> str:
        parts = []
        if unreadable := self.shares[Fate.UNREADABLE]:
            parts.append(f"{unreadable} can't be read and stay")
        if without := self.shares[Fate.WITHOUT_LEASE]:
            parts.append(f"{without} without any lease stay")
        shares = sum(self.shares.values())
        parts.append(f"{self.shares[Fate.EXPIRED]} of {shares} shares have expired, {self.bytes[Fate.EXPIRED]} bytes")
        return "; ".join(parts)
