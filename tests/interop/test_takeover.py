"""A storage directory that a stock node and one of ours serve by turns, with nothing converted."""

from __future__ import annotations

import shutil
from pathlib import Path
from urllib.parse import urlsplit

from tests.interop import INTEROP
from tests.interop.grids import reserved_ports
from tests.interop.ours import OurStorageNode
from tests.interop.samples import MIB, Encoding, sample
from tests.interop.tahoe import Client, StorageNode

pytestmark = INTEROP


def test_ours_takes_a_stock_node_s_place_and_gives_it_back(tahoe_program: Path, tmp_path: Path) -> None:
    with reserved_ports(1) as [port]:
        theirs = StorageNode(tahoe_program, tmp_path / "theirs", port, introducer=None)
        with theirs:
            theirs.launch()
            theirs.wait_until_it_serves()
            # Neither the client nor what it knows of its storage node changes from now on.
            client = Client(tahoe_program, tmp_path / "client", Encoding(1, 1, 1), theirs.servers_yaml)
            with client:
                _stored_by_turns(client, theirs, port)


def _stored_by_turns(client: Client, theirs: StorageNode, port: int) -> None:
    client.start(servers=1)
    kept: dict[str, bytes] = {}
    changing: dict[str, bytes] = {}
    tahoe = client.tahoe
    for size in (56, MIB + 1, 10 * MIB + 7):
        kept[client.put(sample(size, seed=1))] = sample(size, seed=1)
    for format_ in ("SDMF", "MDMF"):
        changing[tahoe.line("put", f"--format={format_}", "-", stdin=b"begun with theirs")] = b"begun with theirs"
    tahoe("create-alias", "top")
    tahoe("put", "-", "top:theirs", stdin=sample(1000, seed=2))

    def expect_all() -> None:
        for cap, content in (kept | changing).items():
            assert client.fetch(cap) == content
            results = client.verify(cap)
            assert results["healthy"] and results["count-shares-good"] == 1, results

    def change_all(content: bytes) -> None:
        for cap in changing:
            tahoe("put", "-", cap, stdin=content)
            changing[cap] = content

    theirs.stop()
    client.wait_until_connected(0)
    ours = _in_the_place_of(theirs, port)
    with ours:
        ours.launch()
        ours.wait_until_it_serves()
        client.wait_until_connected(1)
        expect_all()
        change_all(sample(2 * MIB, seed=3))
        kept[client.put(sample(MIB, seed=4))] = sample(MIB, seed=4)
        tahoe("put", "-", "top:ours", stdin=sample(1000, seed=5))
        expect_all()
        assert ours.stop() == 0, ours.said
    client.wait_until_connected(0)

    theirs.launch()
    client.wait_until_connected(1)
    expect_all()
    change_all(b"ended with theirs")
    expect_all()
    assert tahoe.line("ls", "top:").splitlines() == ["ours", "theirs"]


def _in_the_place_of(theirs: StorageNode, port: int) -> OurStorageNode:
    """With the same shares, at the same address, known by the same name."""
    ours = OurStorageNode(
        theirs.directory.with_name("ours"),
        port,
        {"directory": str(theirs.storage), "permutation_seed": theirs.permutation_seed},
    )
    private = ours.directory / "private"
    private.mkdir(mode=0o700)
    shutil.copy(theirs.directory / "private" / "node.pem", private / "storage.pem")
    (private / "storage.swissnum").write_text(urlsplit(theirs.nurl).path.removeprefix("/"))
    return ours
