"""What the nodes that programs talk to store shares in: folders of their own, or storage nodes of ours over TLS."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tests.nodes import ANY_PORT, NOT_DURABLE, NodeProcess, Settings, running, wait_until

STORAGE_ONLY: Settings = {
    **NOT_DURABLE,
    "storage": {"enabled": True, "listen": ANY_PORT},
    "gateway": {"enabled": False},
}


@contextmanager
def node_with_folders(directory: Path, settings: Settings) -> Iterator[NodeProcess]:
    with running(directory / "node", settings) as node:
        yield node


@contextmanager
def node_with_storage_nodes(directory: Path, settings: Settings) -> Iterator[NodeProcess]:
    """Three of them; any two of the three shares rebuild a file."""
    with ExitStack() as stack:
        storages = [stack.enter_context(NodeProcess(directory / f"s{n}", STORAGE_ONLY, peers=0)) for n in range(3)]
        for storage in storages:
            storage.launch()
        nurls = [storage.directory / "private" / "storage.nurl" for storage in storages]
        wait_until(lambda: all(nurl.exists() and nurl.read_text() for nurl in nurls), "the storage nodes run")
        node = stack.enter_context(NodeProcess(directory / "node", settings, peers=0))
        with (node.directory / "tahoeish.toml").open("a") as config:
            config.writelines(f'[[grid.peers]]\nnurl = "{nurl.read_text().strip()}"\n' for nurl in nurls)
        node.start("--encoding", "2/3")
        yield node


GRIDS = {"folders": node_with_folders, "storage nodes": node_with_storage_nodes}
