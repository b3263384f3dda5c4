"""A grid of stock Tahoe-LAFS storage nodes, with two gateways: a stock one, and ours."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.grid import HAPPY, NEEDED, STORAGE_NODES, RunningGrid, grid_gateway
from bench.node import address_of
from bench.process import Process
from tahoeish.node.config import Peer
from tahoeish.storage.nurl import Nurl
from tests.interop.grids import running_stock_grid
from tests.interop.samples import Encoding
from tests.interop.tahoe import StorageNode, TahoeNode


@contextmanager
def running_beside_stock(program: Path, directory: Path) -> Iterator[tuple[RunningGrid, RunningGrid]]:
    """
    The grid through our gateway, and through the stock one. It is gone at the end, with all that it stored.

    `program` is the stock command line. The introducer, which has nothing to do, isn't part of what is looked at.
    """
    with running_stock_grid(program, directory / "stock", STORAGE_NODES) as grid:
        client = grid.client(Encoding(NEEDED, HAPPY, STORAGE_NODES))
        nodes = [_process(node) for node in grid.nodes]
        folders = [node.storage for node in grid.nodes]
        with grid_gateway(directory / "gateway", [_as_peer(node) for node in grid.nodes]) as gateway:
            yield (
                RunningGrid(gateway.address, gateway.process, nodes, folders),
                RunningGrid(address_of(client.url), _process(client), nodes, folders),
            )


def _process(node: TahoeNode) -> Process:
    assert node.process is not None
    return Process(node.process.pid)


def _as_peer(node: StorageNode) -> Peer:
    return Peer(nurl=Nurl.parse(node.nurl), nickname=node.name, permutation_seed=node.permutation_seed)
