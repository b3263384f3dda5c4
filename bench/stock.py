"""A grid of stock Tahoe-LAFS storage nodes, and gateways to it: stock ones, and ours."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from bench.grid import WIDE, grid_gateway
from bench.node import address_of, empty
from bench.process import Process
from bench.store import Store
from tahoeish.node.config import Peer
from tahoeish.storage.nurl import Nurl
from tests.interop.grids import running_stock_grid
from tests.interop.samples import Encoding
from tests.interop.tahoe import Client, StorageNode, TahoeNode


@contextmanager
def stock_nodes(program: Path, directory: Path) -> Iterator[Sequence[StorageNode]]:
    """
    Ten of them. They are gone at the end, with all that they stored.

    `program` is the stock command line. The introducer, which has nothing to do, isn't part of what is looked at.
    """
    with running_stock_grid(program, directory, WIDE.total) as grid:
        yield grid.nodes


@contextmanager
def stock_gateway(
    program: Path, nodes: Sequence[StorageNode], directory: Path, *, foolscap: bool = False
) -> Iterator[Store]:
    """A stock one. It speaks HTTP to the nodes, or the older protocol if that is wanted."""
    announced = [json.loads(node.servers_yaml)["storage"] for node in nodes]
    servers = json.dumps({"storage": {name: what for each in announced for name, what in each.items()}})
    encoding = Encoding(WIDE.needed, WIDE.happy, WIDE.total)
    with Client(program, directory, encoding, servers) as client:
        if foolscap:
            config = directory / "tahoe.cfg"
            config.write_text(config.read_text().replace("[client]\n", "[client]\nforce_foolscap = true\n"))
        client.start(len(nodes))
        yield _store(client, nodes)


@contextmanager
def our_gateway(nodes: Sequence[StorageNode], directory: Path) -> Iterator[Store]:
    """Ours, to stock nodes."""
    with grid_gateway(directory, [_as_peer(node) for node in nodes]) as gateway:
        yield Store(gateway.address, gateway.process, _processes(nodes), partial(empty, _folders(nodes)))


@contextmanager
def running_beside_stock(program: Path, directory: Path) -> Iterator[tuple[Store, Store]]:
    """The same stock nodes through our gateway, and through the stock one."""
    with (
        stock_nodes(program, directory / "stock") as nodes,
        stock_gateway(program, nodes, directory / "stock-gateway") as stock,
        our_gateway(nodes, directory / "gateway") as ours,
    ):
        yield ours, stock


def _store(client: Client, nodes: Sequence[StorageNode]) -> Store:
    return Store(address_of(client.url), _process(client), _processes(nodes), partial(empty, _folders(nodes)))


def _processes(nodes: Sequence[StorageNode]) -> Sequence[Process]:
    return [_process(node) for node in nodes]


def _folders(nodes: Sequence[StorageNode]) -> Sequence[Path]:
    return [node.storage for node in nodes]


def _process(node: TahoeNode) -> Process:
    assert node.process is not None
    return Process(node.process.pid)


def _as_peer(node: StorageNode) -> Peer:
    return Peer(nurl=Nurl.parse(node.nurl), nickname=node.name, permutation_seed=node.permutation_seed)
