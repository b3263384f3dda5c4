"""A program that stores files, ours or another one, as one that only measures it sees it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from time import process_time

from bench.client import Address
from bench.http import OURS, Door
from bench.process import Process
from bench.sizes import GIB


@dataclass(frozen=True)
class Store:
    """
    Where files are put and got from, and the processes that do it.

    The `gateway` is the one that clients talk to; `storage_nodes` are all the others, if there are any. `empty` takes
    all files away, and lets the disk come to rest, so that runs don't pay for each other.
    """

    address: Address
    gateway: Process
    storage_nodes: Sequence[Process]
    empty: Callable[[], None]
    door: Door = OURS

    @property
    def processes(self) -> Sequence[Process]:
        return self.gateway, *self.storage_nodes

    def spent(self) -> Cost:
        """By all of them since they were started, and by this process, which is the client."""
        return Cost(
            self.gateway.processor_seconds(),
            sum(node.processor_seconds() for node in self.storage_nodes),
            process_time(),
        )


@dataclass(frozen=True)
class Cost:
    """Processor seconds."""

    gateway: float
    storage_nodes: float
    client: float

    @property
    def served(self) -> float:
        """What it takes to serve a client, without what the client takes itself."""
        return self.gateway + self.storage_nodes

    def since(self, earlier: Cost) -> Cost:
        return Cost(
            self.gateway - earlier.gateway,
            self.storage_nodes - earlier.storage_nodes,
            self.client - earlier.client,
        )

    def per_gib(self, size: int) -> Cost:
        """When this much is what so many bytes have cost."""
        factor = GIB / size
        return Cost(self.gateway * factor, self.storage_nodes * factor, self.client * factor)
