"""Files put into a store and got out of it again, with what that took."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from bench.body import Body
from bench.client import get, put
from bench.sizes import MB
from bench.store import Cost, Store


@dataclass(frozen=True)
class Transfer:
    """Seconds, and processor seconds per GiB."""

    size: int
    seconds: float
    cost: Cost

    @property
    def rate(self) -> float:
        """MB/s."""
        return self.size / MB / self.seconds


@dataclass(frozen=True)
class Put(Transfer):
    file: str
    """What the file is asked for by."""
    answering: float
    """Seconds from the last byte."""


def measured_put(store: Store, body: Body) -> Put:
    """Into an empty store."""
    store.empty()
    before = store.spent()
    stored = put(store.address, body, door=store.door)
    cost = store.spent().since(before).per_gib(body.size)
    return Put(body.size, stored.seconds, cost, stored.cap, stored.answering)


def measured_get(store: Store, file: str, size: int) -> Transfer:
    """The bytes themselves aren't looked at."""
    before = store.spent()
    fetched = get(store.address, file, size, door=store.door)
    return Transfer(size, fetched.seconds, store.spent().since(before).per_gib(size))


def costs(transfers: Sequence[Transfer]) -> str:
    """Who has spent how much."""
    parts = {
        "gateway": [transfer.cost.gateway for transfer in transfers],
        "storage nodes": [transfer.cost.storage_nodes for transfer in transfers],
        "client": [transfer.cost.client for transfer in transfers],
    }
    return ", ".join(f"{who} {median(seconds):.1f}" for who, seconds in parts.items())
