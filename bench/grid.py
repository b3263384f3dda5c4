"""Grids: a gateway, and storage nodes in processes of their own, spoken to over loopback with TLS."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import process_time

from bench.client import Address
from bench.node import ANY_PORT, Gateway, NodeProcess, empty
from bench.process import Process
from bench.sizes import MB
from tahoeish.node.config import Config, Durability, Encoding, Grid, Peer, Storage, effective_text
from tahoeish.node.config import Gateway as GatewaySection
from tahoeish.storage.nurl import Nurl

STORAGE_NODES = 10
NEEDED = 3
HAPPY = 7

GB = 1000 * MB


@dataclass(frozen=True)
class RunningGrid:
    """What is looked at of a grid. `folders` are the storage nodes' storage directories."""

    address: Address
    gateway: Process
    storage_nodes: Sequence[Process]
    folders: Sequence[Path]

    def empty(self) -> None:
        """Take all files away, and let the disk come to rest, so that runs don't pay for each other."""
        empty(self.folders)

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
    def total(self) -> float:
        return self.gateway + self.storage_nodes + self.client

    def since(self, earlier: Cost) -> Cost:
        return Cost(
            self.gateway - earlier.gateway,
            self.storage_nodes - earlier.storage_nodes,
            self.client - earlier.client,
        )

    def per_gb(self, size: int) -> Cost:
        """When this much is what so many bytes have cost."""
        factor = GB / size
        return Cost(self.gateway * factor, self.storage_nodes * factor, self.client * factor)


class StorageNode(NodeProcess):
    """Keeps shares for others and nothing else. Apart from `sync` nothing is configured."""

    def __init__(self, directory: Path, *, sync: bool) -> None:
        config = Config(
            grid=Grid(),
            gateway=GatewaySection(enabled=False),
            storage=Storage(enabled=True, listen=(ANY_PORT,)),
            durability=Durability(sync=sync),
        )
        super().__init__(directory, effective_text(config), told="private/storage.nurl")
        self.folder = self.home / config.storage.directory

    def as_peer(self) -> Peer:
        return Peer(nurl=Nurl.parse(self.where), nickname=self.directory.name)


def grid_gateway(directory: Path, peers: Sequence[Peer]) -> Gateway:
    """One that spreads every file over these. Nothing else is configured."""
    encoding = Encoding(needed=NEEDED, happy=HAPPY, total=STORAGE_NODES)
    return Gateway(directory, effective_text(Config(encoding=encoding, grid=Grid(peers=tuple(peers)))))


@contextmanager
def running_grid(directory: Path, *, sync: bool) -> Iterator[RunningGrid]:
    """All of it ours. It is gone at the end, with all that it stored."""
    with ExitStack() as running:
        nodes = [
            running.enter_context(StorageNode(directory / f"storage-{number}", sync=sync))
            for number in range(1, STORAGE_NODES + 1)
        ]
        gateway = running.enter_context(grid_gateway(directory / "gateway", [node.as_peer() for node in nodes]))
        yield RunningGrid(
            gateway.address, gateway.process, [node.process for node in nodes], [node.folder for node in nodes]
        )
