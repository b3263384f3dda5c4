"""Containers made by hand, as the format describes them, without the code under test."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

from tahoeish.storage.leases import LeaseSecrets
from tests.storage.stores import NAME, NOW

MONTH = 31 * 24 * 60 * 60
MAGICS = {
    1: bytes.fromhex("5461686f65206d757461626c6520636f6e7461696e65722076310a750944038e"),
    2: bytes.fromhex("5461686f65206d757461626c6520636f6e7461696e65722076320ac355219925"),
}
NODE_ID = bytes(range(20))
WRITE_ENABLER = b"w" * 32


@dataclass(frozen=True)
class StockLease:
    owner: int
    secrets: LeaseSecrets
    expiry: int

    def immutable(self, version: int) -> bytes:
        renew, cancel = self._stored(version)
        return struct.pack(">L32s32sL", self.owner, renew, cancel, self.expiry)

    def mutable(self, version: int, node_id: bytes = NODE_ID) -> bytes:
        renew, cancel = self._stored(version)
        return struct.pack(">LL32s32s20s", self.owner, self.expiry, renew, cancel, node_id)

    def _stored(self, version: int) -> tuple[bytes, bytes]:
        secrets = (self.secrets.renew, self.secrets.cancel)
        if version == 1:
            return secrets
        renew, cancel = (blake2b(secret, digest_size=32).digest() for secret in secrets)
        return renew, cancel


def secrets_number(number: int) -> LeaseSecrets:
    return LeaseSecrets(b"r%031d" % number, b"c%031d" % number)


def lease_number(number: int, *, owner: int = 1, expiry: int = NOW + MONTH) -> StockLease:
    return StockLease(owner, secrets_number(number), expiry)


def immutable_container(version: int, data: bytes, leases: Sequence[StockLease] = ()) -> bytes:
    records = b"".join(lease.immutable(version) for lease in leases)
    return struct.pack(">LLL", version, len(data), len(leases)) + data + records


def mutable_container(
    version: int,
    data: bytes,
    leases: Sequence[StockLease] = (),
    *,
    node_id: bytes = NODE_ID,
    write_enabler: bytes = WRITE_ENABLER,
    unused: bytes = b"",
) -> bytes:
    """`unused` is what may lie between the share and the further leases when the share was longer once."""
    records = [lease.mutable(version, node_id) for lease in leases]
    slots, extra = records[:4], records[4:]
    return b"".join(
        [
            MAGICS[version],
            node_id,
            write_enabler,
            struct.pack(">QQ", len(data), 468 + len(data) + len(unused)),
            *slots,
            bytes(92) * (4 - len(slots)),
            data,
            unused,
            struct.pack(">L", len(extra)),
            *extra,
        ]
    )


def put(store_directory: Path, number: int, container: bytes, *, name: str = NAME) -> Path:
    """Lay a container where a storage node would look for it."""
    path = store_directory / "shares" / name[:2] / name / str(number)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(container)
    return path
