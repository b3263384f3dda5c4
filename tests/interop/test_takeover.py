"""A storage directory that a stock node and one of ours serve by turns, with nothing converted."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.interop import INTEROP
from tests.interop.grids import reserved_ports
from tests.interop.ours import OurStorageNode
from tests.interop.samples import LARGEST, MIB, SIZES, Encoding, sample
from tests.interop.tahoe import Client, StorageNode

pytestmark = INTEROP

ENCODING = Encoding(2, 1, 3)
"""With only one storage node to hold them all."""


@pytest.fixture
def theirs(tahoe_program: Path, tmp_path: Path) -> Iterator[StorageNode]:
    """A stock storage node that runs."""
    with reserved_ports(1) as [port], StorageNode(tahoe_program, tmp_path / "theirs", port, introducer=None) as node:
        node.launch()
        node.wait_until_it_serves()
        yield node


@pytest.fixture
def client(theirs: StorageNode, tahoe_program: Path, tmp_path: Path) -> Iterator[Client]:
    """A stock client that knows this one storage node. From now on, nothing that it knows of it changes."""
    with Client(tahoe_program, tmp_path / "client", ENCODING, theirs.servers_yaml) as client:
        client.start(servers=1)
        yield client


def test_ours_takes_a_stock_node_s_place_and_gives_it_back(theirs: StorageNode, client: Client) -> None:
    top = client.mkdir()
    files = {client.put(sample(size, seed=1)): sample(size, seed=1) for size in SIZES}
    mutable = [client.put(b"begun with theirs", format_) for format_ in ("SDMF", "MDMF")]
    files |= dict.fromkeys(mutable, b"begun with theirs")
    client.put_into(top, "theirs", sample(1000, seed=2))

    theirs.stop()
    client.wait_until_connected(0)
    ours = _in_the_place_of(theirs)
    with ours:
        ours.launch()
        ours.wait_until_it_serves()
        client.wait_until_connected(1)
        _expect(client, files)
        files |= _changed(client, mutable, sample(2 * MIB, seed=3))
        files[client.put(sample(MIB, seed=4))] = sample(MIB, seed=4)
        client.put_into(top, "ours", sample(1000, seed=5))
        assert ours.stop() == 0, ours.said
    client.wait_until_connected(0)

    theirs.launch()
    client.wait_until_connected(1)
    _expect(client, files)
    _expect(client, _changed(client, mutable, b"ended with theirs"))
    assert client.tahoe.line("ls", top).splitlines() == ["ours", "theirs"]


def _changed(client: Client, caps: list[str], content: bytes) -> dict[str, bytes]:
    """Give all of these mutable files the same content."""
    for cap in caps:
        client.change(cap, content)
    return dict.fromkeys(caps, content)


def _expect(client: Client, files: dict[str, bytes]) -> None:
    """All are there, and every share of them is as it should be."""
    for cap, content in files.items():
        assert client.fetch(cap) == content
        if len(content) < LARGEST:
            results = client.verify(cap)
            assert results["healthy"] and results.get("count-shares-good", ENCODING.total) == ENCODING.total, results


def _in_the_place_of(theirs: StorageNode) -> OurStorageNode:
    """With the same shares, at the same address, known by the same name."""
    ours = OurStorageNode(
        theirs.directory.with_name("ours"),
        theirs.port,
        {"directory": str(theirs.storage), "permutation_seed": theirs.permutation_seed},
    )
    private = ours.directory / "private"
    private.mkdir(mode=0o700)
    shutil.copy(theirs.directory / "private" / "node.pem", private / "storage.pem")
    (private / "storage.swissnum").write_text(urlsplit(theirs.nurl).path.removeprefix("/"))
    return ours
