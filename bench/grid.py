"""Grids: a gateway, and storage nodes in processes of their own, spoken to over loopback with TLS."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

from bench.node import ANY_PORT, Gateway, NodeProcess, empty
from bench.store import Store
from tahoeish.node.config import Config, Durability, Encoding, Grid, Peer, Storage, effective_text
from tahoeish.node.config import Gateway as GatewaySection
from tahoeish.storage.nurl import Nurl

WIDE = Encoding(needed=3, happy=7, total=10)
"""What Tahoe-LAFS does when nothing is configured, and what most is measured with."""


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


def grid_gateway(directory: Path, peers: Sequence[Peer], encoding: Encoding = WIDE) -> Gateway:
    """One that spreads every file over these. Nothing else is configured."""
    return Gateway(directory, effective_text(Config(encoding=encoding, grid=Grid(peers=tuple(peers)))))


@contextmanager
def storage_nodes(directory: Path, *, sync: bool, count: int = WIDE.total) -> Iterator[Sequence[StorageNode]]:
    """They are gone at the end, with all that they stored."""
    with ExitStack() as running:
        yield [
            running.enter_context(StorageNode(directory / f"storage-{number}", sync=sync))
            for number in range(1, count + 1)
        ]


@contextmanager
def gateway_to(nodes: Sequence[StorageNode], directory: Path, encoding: Encoding = WIDE) -> Iterator[Store]:
    """These nodes, through a gateway of its own in `directory`."""
    with grid_gateway(directory, [node.as_peer() for node in nodes], encoding) as gateway:
        folders = [node.folder for node in nodes]
        yield Store(gateway.address, gateway.process, [node.process for node in nodes], partial(empty, folders))


@contextmanager
def running_grid(directory: Path, *, sync: bool) -> Iterator[Store]:
    """Ten nodes and a gateway, all of it ours. It is gone at the end, with all that it stored."""
    with storage_nodes(directory, sync=sync) as nodes, gateway_to(nodes, directory / "gateway") as store:
        yield store
