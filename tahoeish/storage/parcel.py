"""
Several small shares in one request, for storage nodes of this kind: what goes there, and what comes back. Pure.

The body is one share after the other, each behind a head:

| offset | size | field |
|---|---|---|
| 0 | 16 | storage index |
| 16 | 8 | number of the share |
| 24 | 32 | secret that renews its lease |
| 56 | 32 | secret that cancels its lease |
| 88 | 4 | length of the share |
| 92 | | the share |

The answer is JSON: an array with the status of each share, in this order, as a request of its own would have had it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from struct import Struct

from tahoeish.chk.buffers import Buffer
from tahoeish.storage.leases import LeaseSecrets
from tahoeish.storage.undoing import ShareKey
from tahoeish.storage.wire import BadMessage

PARCELS_PATH = "/tahoeish/v1/parcels"

LARGEST_ENCLOSED = 64 * 1024
"""Bytes of a share that is small enough; larger ones are worth a request each."""

LARGEST_PARCEL = 256 * 1024
"""Bytes, of the body."""

_HEAD = Struct(">16sQ32s32sL")
_SMALLEST = _HEAD.size + 1


@dataclass(frozen=True, slots=True)
class Enclosed:
    """One share of a parcel."""

    key: ShareKey
    lease: LeaseSecrets
    content: Buffer

    @property
    def size(self) -> int:
        """Bytes that it takes of a parcel."""
        return _HEAD.size + len(self.content)


def dump_parcel(shares: Sequence[Enclosed]) -> list[Buffer]:
    return [
        part
        for share in shares
        for part in (_HEAD.pack(*share.key, share.lease.renew, share.lease.cancel, len(share.content)), share.content)
    ]


def load_parcel(body: bytes | bytearray) -> list[Enclosed]:
    """Raises `BadMessage`. The shares are views of the body."""
    return list(_enclosed_in(memoryview(body)))


def _enclosed_in(body: memoryview) -> Iterator[Enclosed]:
    while body:
        if len(body) < _SMALLEST:
            raise BadMessage("the parcel ends in the middle of a share")
        storage_index, number, renew, cancel, length = _HEAD.unpack_from(body)
        content, body = body[_HEAD.size : _HEAD.size + length], body[_HEAD.size + length :]
        if not length or len(content) < length:
            raise BadMessage("a share of the parcel is empty, or not whole")
        yield Enclosed((storage_index, number), LeaseSecrets(renew, cancel), content)


def load_statuses(body: bytes, count: int) -> list[int]:
    """Raises `BadMessage` when there aren't so many of them."""
    try:
        statuses = json.loads(body)
    except (ValueError, RecursionError):
        statuses = None
    if not isinstance(statuses, list) or len(statuses) != count or not all(type(one) is int for one in statuses):
        raise BadMessage(f"there must be an array of {count} statuses")
    return statuses
