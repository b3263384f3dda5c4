"""
What a storage node notes beside an unfinished share, so that the upload can go on in the node's next process.

A logbook is lines of JSON, one for each thing that has happened:

| line | |
|---|---|
| `{"size": 1000, "secret": "...", "renew": "...", "cancel": "..."}` | the first: what the upload was begun with |
| `{"boot": "..."}` | what follows happened while the machine ran for this once |
| `{"written": [0, 100]}` | the bytes 0 to 99 are in the share's file |
| `{"secured": true}` | and all that was written before this line is on the disk |
| `{"end": 50}` | what was written from byte 50 on is there no longer |

The end of a process takes nothing away that was written, but the end of the machine may, and then only what is secured
is sure. A line that was begun and not finished hasn't happened, and neither has what comes after it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from hashlib import sha256
from hmac import compare_digest
from io import FileIO
from pathlib import Path
from secrets import token_hex

from tahoeish.chk import base32
from tahoeish.storage.container import write_all
from tahoeish.storage.errors import StoreError, errors_about
from tahoeish.storage.layout import open_existing
from tahoeish.storage.leases import LeaseSecrets
from tahoeish.storage.ranges import RangeSet
from tahoeish.storage.steps import Step

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


class NothingSure(StoreError):
    """The logbook doesn't tell of anything that is surely there."""


@dataclass(frozen=True, slots=True)
class Terms:
    """What an upload was begun with. Of its secret there is a hash only: to read a logbook lets nobody write."""

    size: int
    secret_hash: bytes = field(repr=False)
    lease: LeaseSecrets

    @classmethod
    def of(cls, size: int, secret: bytes, lease: LeaseSecrets) -> Terms:
        return cls(size, sha256(secret).digest(), lease)

    def admit(self, secret: bytes) -> bool:
        return compare_digest(self.secret_hash, sha256(secret).digest())


@dataclass(frozen=True, slots=True)
class Account:
    """What a logbook tells: `written` is surely in the share's file. It is good up to its byte `length`."""

    terms: Terms
    written: RangeSet
    length: int


class Logbook:
    """One that is being written. All of it blocks; it is used by one thread at a time."""

    def __init__(self, path: Path, file: FileIO, length: int) -> None:
        self.path = path
        self._file = file
        self._length = length

    @classmethod
    def begin(cls, path: Path, terms: Terms) -> Logbook:
        """A new one, where none must be."""
        with errors_about(path):
            fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        logbook = cls(path, FileIO(fd, "w"), 0)
        try:
            logbook._append(_dumped(terms))
            logbook._append({"boot": boot_id()})
        except StoreError:
            logbook.remove()
            raise
        return logbook

    @classmethod
    def go_on(cls, path: Path, account: Account) -> Logbook:
        """Behind what `read` has made of it."""
        logbook = cls(path, open_existing(path, "r+b"), account.length)
        try:
            with errors_about(path):
                logbook._file.truncate(account.length)
            logbook._append({"boot": boot_id()})
        except StoreError:
            logbook.close()
            raise
        return logbook

    def written(self, begin: int, end: int) -> None:
        self._append({"written": [begin, end]})

    def securing(self) -> Step[None]:
        """Everything that was written is on the disk by now; this is to be, too."""
        self._append({"secured": True})
        with errors_about(self.path):
            yield [self._file.fileno()]

    def shortened(self, end: int, *, durable: bool) -> None:
        """To be noted before it is done: what is on the disk must never tell of bytes that are gone."""
        self._append({"end": end})
        if durable:
            with errors_about(self.path):
                os.fsync(self._file.fileno())

    def close(self) -> None:
        with errors_about(self.path):
            self._file.close()

    def remove(self) -> None:
        """There is no unfinished share any more."""
        with errors_about(self.path), self._file:
            self.path.unlink(missing_ok=True)

    def _append(self, line: object) -> None:
        entry = json.dumps(line).encode() + b"\n"
        with errors_about(self.path):
            write_all(self._file.fileno(), self._length, [entry])
        self._length += len(entry)


def read(path: Path) -> Account:
    """Raises `NothingSure`, and `NoSuchShare` where there is no logbook."""
    with open_existing(path, "rb") as file, errors_about(path):
        *lines, _ = file.read().split(b"\n")
    if not lines or (terms := _terms(_parsed(lines[0]))) is None:
        raise NothingSure(f"{path}: nobody knows who has begun this share")
    return _replayed(path, terms, lines)


def _replayed(path: Path, terms: Terms, lines: Sequence[bytes]) -> Account:
    written, secured, boot = RangeSet(), None, ""
    good = 1
    for line in lines[1:]:
        match _parsed(line):
            case {"boot": str(now)}:
                if now != boot:
                    written, boot = secured or RangeSet(), now
            case {"written": [int(begin), int(end)]}:
                written = written.with_range(begin, end)
            case {"secured": True}:
                secured = written
            case {"end": int(end)}:
                written = written.up_to(end)
                secured = None if secured is None else secured.up_to(end)
            case _:
                break
        good += 1
    if boot != boot_id():
        if secured is None:
            raise NothingSure(f"{path}: nothing of it was secured before the machine was started again")
        written = secured
    return Account(terms, written, sum(len(line) + 1 for line in lines[:good]))


@cache
def boot_id() -> str:
    """The same as long as the machine runs, or, where the system doesn't tell that, this process."""
    try:
        return _BOOT_ID.read_text().strip()
    except OSError:
        return token_hex(16)


def _dumped(terms: Terms) -> object:
    return {
        "size": terms.size,
        "secret": base32.encode(terms.secret_hash),
        "renew": base32.encode(terms.lease.renew),
        "cancel": base32.encode(terms.lease.cancel),
    }


def _terms(message: object) -> Terms | None:
    match message:
        case {"size": int(size), "secret": str(secret), "renew": str(renew), "cancel": str(cancel)}:
            try:
                return Terms(size, base32.decode(secret), LeaseSecrets(base32.decode(renew), base32.decode(cancel)))
            except ValueError:
                return None
    return None


def _parsed(line: bytes) -> object:
    try:
        return json.loads(line)
    except ValueError:
        return None
