"""
The file that holds one share of a mutable file: a header with room for four leases, the share, and further leases.

| offset | size | field |
|---|---|---|
| 0 | 32 | magic, which tells the version: 1 or 2 |
| 32 | 20 | the node that was told the write enabler |
| 52 | 32 | write enabler |
| 84 | 8 | length of the share |
| 92 | 8 | offset of the further leases |
| 100 | 4 * 92 | four leases |
| 468 | | the share |
| offset at 92 | 4 + 92 each | number of further leases, further leases |

A lease is a record of 92 bytes.

| offset | size | field |
|---|---|---|
| 0 | 4 | owner; 0 where there is no lease |
| 4 | 4 | expiry, seconds since the epoch |
| 8 | 32 | renew secret |
| 40 | 32 | cancel secret |
| 72 | 20 | the node that was told the secrets |

A container of version 2 holds BLAKE2b-256 of the secrets instead of the secrets.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from hmac import compare_digest
from pathlib import Path
from struct import Struct

from tahoeish.storage.container import write_all
from tahoeish.storage.errors import BadShareFile
from tahoeish.storage.leases import OWNER_OF_ADDED_LEASE, Lease, LeaseSecrets, expiry_from

MAGICS = {
    bytes.fromhex("5461686f65206d757461626c6520636f6e7461696e65722076310a750944038e"): 1,
    bytes.fromhex("5461686f65206d757461626c6520636f6e7461696e65722076320ac355219925"): 2,
}
VERSION_WRITTEN = 2
NODE_ID_SIZE = 20
WRITE_ENABLER_SIZE = 32

_HEADER = Struct(">32s20s32sQQ")
_LEASE = Struct(">LL32s32s20s")
_EXPIRY = Struct(">L")
_EXPIRY_OFFSET = 4
_COUNT = Struct(">L")
_SLOTS_OFFSET = _HEADER.size
_SLOTS_SIZE = 4 * _LEASE.size
DATA_OFFSET = _SLOTS_OFFSET + _SLOTS_SIZE


@dataclass(frozen=True, slots=True)
class MutableHeader:
    version: int
    node_id: bytes
    write_enabler: bytes = field(repr=False)
    data_length: int
    extra_leases_offset: int

    @classmethod
    def of_new_share(cls, node_id: bytes, write_enabler: bytes) -> MutableHeader:
        return cls(VERSION_WRITTEN, node_id, write_enabler, 0, DATA_OFFSET)

    def of_length(self, data_length: int) -> MutableHeader:
        """The header of the same share at another length, with the further leases close behind it."""
        return replace(self, data_length=data_length, extra_leases_offset=DATA_OFFSET + data_length)

    @property
    def file_size(self) -> int:
        """Of a container without further leases."""
        return self.extra_leases_offset + _COUNT.size

    def pack(self) -> bytes:
        (magic,) = (magic for magic, version in MAGICS.items() if version == self.version)
        return _HEADER.pack(magic, self.node_id, self.write_enabler, self.data_length, self.extra_leases_offset)


@dataclass(frozen=True, slots=True)
class LeaseRecords:
    """All leases of a container, byte for byte: the four places in front, and the further ones."""

    slots: bytes = field(default=bytes(_SLOTS_SIZE), repr=False)
    extra: bytes = field(default=b"", repr=False)

    @property
    def extra_count(self) -> int:
        return len(self.extra) // _LEASE.size

    def places(self, header: MutableHeader) -> Iterator[tuple[int, Lease | None]]:
        """Where in the file each lease is, or, for None, could be."""
        for records, start in (
            (self.slots, _SLOTS_OFFSET),
            (self.extra, header.extra_leases_offset + _COUNT.size),
        ):
            for number, (owner, expiry, renew, cancel, _) in enumerate(_LEASE.iter_unpack(records)):
                lease = Lease(owner, LeaseSecrets(renew, cancel), expiry) if owner else None
                yield start + _LEASE.size * number, lease


def read_header(fd: int, path: Path) -> MutableHeader:
    """Raises `BadShareFile`."""
    start = os.pread(fd, _HEADER.size, 0)
    version = MAGICS.get(start[:32])
    if version is None:
        raise BadShareFile(f"{path}: isn't a container of a mutable file's share, or one of an unknown version")
    file_size = os.fstat(fd).st_size
    if file_size < DATA_OFFSET:
        raise BadShareFile(f"{path}: {file_size} bytes are too few for a container of a mutable file's share")
    _, node_id, write_enabler, data_length, extra_leases_offset = _HEADER.unpack(start)
    if not DATA_OFFSET + data_length <= extra_leases_offset <= file_size:
        raise BadShareFile(
            f"{path}: a share of {data_length} bytes and leases at {extra_leases_offset} don't fit into"
            f" {file_size} bytes"
        )
    return MutableHeader(version, node_id, write_enabler, data_length, extra_leases_offset)


def read_lease_records(fd: int, header: MutableHeader) -> LeaseRecords:
    slots = os.pread(fd, _SLOTS_SIZE, _SLOTS_OFFSET)
    written_count = os.pread(fd, _COUNT.size, header.extra_leases_offset)
    # A file that ends before the count, or in the middle of the leases, has none there, or fewer.
    count = _COUNT.unpack(written_count)[0] if len(written_count) == _COUNT.size else 0
    extra_offset = header.extra_leases_offset + _COUNT.size
    count = min(count, max(0, os.fstat(fd).st_size - extra_offset) // _LEASE.size)
    return LeaseRecords(slots, os.pread(fd, _LEASE.size * count, extra_offset))


def read_leases(fd: int, header: MutableHeader) -> list[Lease]:
    return [lease for _, lease in read_lease_records(fd, header).places(header) if lease is not None]


def write_around_share(fd: int, header: MutableHeader, leases: LeaseRecords) -> None:
    """Everything but the share. What of the share isn't written, before or after, is zeros."""
    write_all(fd, 0, [header.pack(), leases.slots])
    write_all(fd, header.extra_leases_offset, [_COUNT.pack(leases.extra_count), leases.extra])


def add_or_renew(fd: int, path: Path, secrets: LeaseSecrets, *, now: float, durable: bool) -> None:
    """As `kinds.add_or_renew_lease`. Nothing here touches the share."""
    header = read_header(fd, path)
    records = read_lease_records(fd, header)
    stored = secrets.as_stored(header.version)
    expiry = expiry_from(now)
    free = None
    for offset, lease in records.places(header):
        if lease is None:
            free = free or offset
        elif compare_digest(lease.stored.renew, stored.renew):
            if lease.expiry < expiry:
                write_all(fd, offset + _EXPIRY_OFFSET, [_EXPIRY.pack(expiry)])
                _sync(fd, durable)
            return
    # The node of the write enabler is the one that this directory belongs to.
    record = _LEASE.pack(OWNER_OF_ADDED_LEASE, expiry, stored.renew, stored.cancel, header.node_id)
    if free is None:
        _append(fd, header, records.extra_count, record, durable)
    else:
        # The four places lie within the first 512 bytes, of which a disk writes all or none.
        write_all(fd, free, [record])
        _sync(fd, durable)


def _append(fd: int, header: MutableHeader, count: int, record: bytes, durable: bool) -> None:
    """First the lease, then the count: a lease that isn't counted yet is no lease, and does no harm."""
    end = header.extra_leases_offset + _COUNT.size + _LEASE.size * count
    try:
        write_all(fd, end, [record])
    except OSError:
        os.ftruncate(fd, end)
        raise
    _sync(fd, durable)
    write_all(fd, header.extra_leases_offset, [_COUNT.pack(count + 1)])
    _sync(fd, durable)


def _sync(fd: int, durable: bool) -> None:
    if durable:
        os.fdatasync(fd)
