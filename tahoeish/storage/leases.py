"""
Leases: who wants a share kept, and until when.

A lease is a record of 72 bytes at the end of the share's container.

| offset | size | field |
|---|---|---|
| 0 | 4 | owner: 0 when it came with the share, 1 when it was added later |
| 4 | 32 | renew secret |
| 36 | 32 | cancel secret |
| 68 | 4 | expiry, seconds since the epoch |

A container of version 2 holds BLAKE2b-256 of the secrets instead of the secrets.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from functools import lru_cache
from hashlib import blake2b
from hmac import compare_digest
from pathlib import Path
from struct import Struct

from tahoeish.chk import hashes
from tahoeish.storage.container import LEASE_SIZE, Header, read_header, write_all, write_lease_count

LEASE_SECONDS = 31 * 24 * 60 * 60
OWNER_OF_NEW_SHARE = 0
OWNER_OF_ADDED_LEASE = 1

_RECORD = Struct(">L32s32sL")
_EXPIRY = Struct(">L")
_EXPIRY_OFFSET = 68
_LAST_SECOND = 2**32 - 1


@dataclass(frozen=True, slots=True)
class LeaseSecrets:
    """What proves that a lease is one's own: 32 bytes to renew it with, 32 to cancel it with."""

    renew: bytes = field(repr=False)
    cancel: bytes = field(repr=False)

    def __post_init__(self) -> None:
        if len(self.renew) != 32 or len(self.cancel) != 32:
            raise ValueError("lease secrets are 32 bytes each")

    @classmethod
    def derived(cls, lease_secret: bytes, storage_index: bytes, tub_id: bytes) -> LeaseSecrets:
        """What the node with this `lease_secret` uses for a file's shares on one server."""
        renewal, cancel = _secrets_for_file(lease_secret, storage_index)
        return cls(
            hashes.bucket_renewal_secret(renewal, tub_id),
            hashes.bucket_cancel_secret(cancel, tub_id),
        )

    def as_stored(self, container_version: int) -> LeaseSecrets:
        if container_version == 1:
            return self
        return LeaseSecrets(_hidden(self.renew), _hidden(self.cancel))


@dataclass(frozen=True, slots=True)
class Lease:
    """One record, with the secrets as they are stored."""

    owner: int
    stored: LeaseSecrets
    expiry: int

    def pack(self) -> bytes:
        return _RECORD.pack(self.owner, self.stored.renew, self.stored.cancel, self.expiry)


@lru_cache(64)
def _secrets_for_file(lease_secret: bytes, storage_index: bytes) -> tuple[bytes, bytes]:
    """To renew and to cancel. All servers that get one of its shares need them."""
    return (
        hashes.file_renewal_secret(hashes.client_renewal_secret(lease_secret), storage_index),
        hashes.file_cancel_secret(hashes.client_cancel_secret(lease_secret), storage_index),
    )


def expiry_from(now: float) -> int:
    return min(int(now) + LEASE_SECONDS, _LAST_SECOND)


def read_leases(fd: int, header: Header) -> list[Lease]:
    records = os.pread(fd, LEASE_SIZE * header.lease_count, header.leases_offset)
    return [
        Lease(owner, LeaseSecrets(renew, cancel), expiry)
        for owner, renew, cancel, expiry in _RECORD.iter_unpack(records)
    ]


def add_or_renew(fd: int, path: Path, secrets: LeaseSecrets, *, now: float, durable: bool) -> None:
    """As `kinds.add_or_renew_lease`."""
    header = read_header(fd, path)
    stored = secrets.as_stored(header.version)
    expiry = expiry_from(now)
    for number, lease in enumerate(read_leases(fd, header)):
        if compare_digest(lease.stored.renew, stored.renew):
            if lease.expiry < expiry:
                offset = header.leases_offset + LEASE_SIZE * number + _EXPIRY_OFFSET
                write_all(fd, offset, [_EXPIRY.pack(expiry)])
                if durable:
                    os.fdatasync(fd)
            return
    _append(fd, header, Lease(OWNER_OF_ADDED_LEASE, stored, expiry), durable=durable)


def _append(fd: int, header: Header, lease: Lease, *, durable: bool) -> None:
    """
    The order is what keeps the share whole. A lease that isn't counted yet is at worst 72 bytes too many
    after the share, which `read_header` sees through; a count without its lease would cut 72 bytes off the
    share.
    """
    try:
        write_all(fd, header.file_size, [lease.pack()])
    except OSError:
        os.ftruncate(fd, header.file_size)
        raise
    if durable:
        os.fdatasync(fd)
    write_lease_count(fd, header.lease_count + 1)
    if durable:
        os.fdatasync(fd)


def _hidden(secret: bytes) -> bytes:
    return blake2b(secret, digest_size=32).digest()
