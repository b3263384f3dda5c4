"""Whole grids on loopback: a stock one, and storage nodes of ours with stock clients."""

from __future__ import annotations

import shutil
import socket
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from signal import SIGTERM
from typing import TypeVar

from tahoeish.chk import base32
from tahoeish.chk.caps import ReadCap, parse_cap
from tests.interop.ours import OurStorageNode
from tests.interop.samples import Encoding
from tests.interop.tahoe import Client, Introducer, StorageNode


class Clients:
    """
    Stock clients for one grid, which are made and started when they are asked for.

    Only the last one runs: each asks every storage node for its version once a second.
    """

    def __init__(self, program: Path, directory: Path) -> None:
        self._program = program
        self._directory = directory
        self._made: dict[Encoding, Client] = {}
        self._running: Client | None = None

    def get(self, encoding: Encoding, servers: Introducer | str, nodes: int) -> Client:
        """One that makes such files, and is connected to so many storage nodes."""
        if encoding not in self._made:
            directory = self._directory / f"client-{encoding}"
            self._made[encoding] = Client(self._program, directory, encoding, servers)
        client = self._made[encoding]
        if client is not self._running:
            self.end()
            self._running = client
            client.start(nodes)
        return client

    def wait_until_connected(self, nodes: int) -> None:
        """The one that runs, if any, to so many."""
        if self._running is not None:
            self._running.wait_until_connected(nodes)

    def end(self) -> None:
        if self._running is not None:
            self._running.kill()
            self._running = None


class StockGrid:
    """An introducer, storage nodes, and clients by need; all of them stock."""

    def __init__(self, program: Path, directory: Path) -> None:
        self.program = program
        self.directory = directory
        self.nodes: list[StorageNode] = []
        self._introducer: Introducer | None = None
        self._clients = Clients(program, directory)

    def start(self, ports: Sequence[int]) -> None:
        """An introducer at the first port, a storage node at each of the others."""
        self._introducer = Introducer(self.program, self.directory / "introducer", ports[0])
        self._introducer.start()
        for number, port in enumerate(ports[1:], 1):
            node = StorageNode(self.program, self.directory / f"stock-{number}", port, self._introducer)
            self.nodes.append(node)
            node.launch()
        for node in self.nodes:
            node.wait_until_it_serves()

    def revive(self) -> None:
        """Start the storage nodes that were killed. The client comes to see that, but not at once."""
        dead = [node for node in self.nodes if not node.is_running]
        for node in dead:
            node.launch()
        for node in dead:
            node.wait_until_it_serves()

    def end(self) -> None:
        """Of everything, at once; none of it will be used again."""
        self._clients.end()
        for node in [*self.nodes, *([self._introducer] if self._introducer else [])]:
            node.kill()

    def client(self, encoding: Encoding) -> Client:
        """A running client that makes such files."""
        assert self._introducer is not None
        return self._clients.get(encoding, self._introducer, len(self.nodes))

    def shares(self, cap: str) -> list[Path]:
        """The share files of a file on all nodes."""
        return shares_in([node.storage for node in self.nodes], cap)


class OurGrid:
    """Storage nodes of ours, and stock clients by need that know no others."""

    def __init__(self, program: Path, directory: Path) -> None:
        self.nodes: list[OurStorageNode] = []
        self._directory = directory
        self._clients = Clients(program, directory)
        self._servers_yaml = ""

    def start(self, ports: Sequence[int]) -> None:
        """A storage node at each of the ports."""
        for number, port in enumerate(ports, 1):
            node = OurStorageNode(self._directory / f"ours-{number}", port)
            self.nodes.append(node)
            node.launch()
        for node in self.nodes:
            node.wait_until_it_serves()
        first, *others = (node.servers_yaml() for node in self.nodes)
        self._servers_yaml = first + "".join(other.removeprefix("storage:\n") for other in others)

    def restart(self) -> None:
        """All storage nodes, in good order. Returns when the client is connected to them again."""
        for node in self.nodes:
            node.tell(SIGTERM)
        for node in self.nodes:
            assert node.ended() == 0, node.said
        self._clients.wait_until_connected(0)
        for node in self.nodes:
            node.launch()
        self._clients.wait_until_connected(len(self.nodes))

    def end(self) -> None:
        """Of everything, at once; none of it will be used again."""
        self._clients.end()
        for node in self.nodes:
            node.__exit__(None, None, None)
        for node in self.nodes:
            assert "Traceback" not in node.said, node.said

    def client(self, encoding: Encoding) -> Client:
        """A running client that makes such files."""
        return self._clients.get(encoding, self._servers_yaml, len(self.nodes))

    def shares(self, cap: str) -> list[Path]:
        """The share files of a file on all nodes."""
        return shares_in([node.storage for node in self.nodes], cap)


Grid = TypeVar("Grid", StockGrid, OurGrid)


def running_stock_grid(program: Path, directory: Path, nodes: int) -> AbstractContextManager[StockGrid]:
    """Gone at the end, with all that it stored."""
    return _running(StockGrid(program, directory), directory, nodes + 1)


def running_grid_of_ours(program: Path, directory: Path, nodes: int) -> AbstractContextManager[OurGrid]:
    """Gone at the end, with all that it stored."""
    return _running(OurGrid(program, directory), directory, nodes)


@contextmanager
def _running(grid: Grid, directory: Path, ports_needed: int) -> Iterator[Grid]:
    with reserved_ports(ports_needed) as ports:
        try:
            grid.start(ports)
            yield grid
        finally:
            grid.end()
            shutil.rmtree(directory)


@contextmanager
def reserved_ports(count: int) -> Iterator[Sequence[int]]:
    """Ports of loopback that nobody is given by chance, while whoever asks for their numbers can listen there."""
    with ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            # Sockets that say this may share a port as long as only one of them listens.
            each.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            each.bind(("127.0.0.1", 0))
        yield [each.getsockname()[1] for each in sockets]


def shares_in(directories: Iterable[Path], cap: str) -> list[Path]:
    """A file's finished shares in storage directories. One that lies within its cap has none."""
    parsed = parse_cap(cap)
    if not isinstance(parsed, ReadCap):
        return []
    folder = base32.encode(parsed.storage_index)
    return [path for top in directories for path in sorted((top / "shares" / folder[:2] / folder).glob("*"))]
