"""Which peers a node has, and how they change while it runs."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from twisted.internet import reactor
from twisted.internet.task import Clock

from tahoeish.chk import base32
from tahoeish.grid.gbs import GbsPeer
from tahoeish.grid.local import LocalPeer
from tahoeish.grid.peer import IStoragePeer, PeerError
from tahoeish.node.config import Grid, Peer
from tahoeish.node.directory import NodeDirectoryError
from tahoeish.node.peer_maker import PeerMaker
from tahoeish.node.peers import RETRY_SECONDS, LocalPeers
from tahoeish.node.roster import LOOK_AGAIN_SECONDS, Roster
from tahoeish.storage.shares import CLEAR_SECONDS, LASTING_LIMIT
from tahoeish.streams.threads import direct
from tests.grid.peer_contract import STORAGE_INDEX, content, half_written, store
from tests.grid.storage_node import StorageNode


class Node:
    """What a roster knows of its node: the transfers that are under way."""

    def __init__(self, directory: Path) -> None:
        self.clock = Clock()
        self.transfers: set[str] = set()
        self.known_path = directory / "peers.json"
        self._directory = directory
        maker = PeerMaker(
            Grid(),
            reactor=reactor,
            run_in_thread=direct,
            read_in_thread=direct,
            lease_secret=bytes(32),
            random_bytes=bytes,
            durable=False,
        )
        folders = LocalPeers(self.known_path, run_in_thread=direct, random_bytes=self._seed, clock=self.clock)
        self.roster = Roster(maker, folders, transfers=lambda: self.transfers, clock=self.clock)
        self._seeds = 0

    def folder(self, name: str) -> Peer:
        return Peer(directory=self._directory / name, nickname=name)

    async def is_free(self, name: str) -> bool:
        """Whether another node could use this folder."""
        other = LocalPeer(
            "other", self._directory / name, run_in_thread=direct, lease_secret=b"", now=lambda: 1e9, durable=False
        )
        try:
            await other.start()
        except PeerError:
            return False
        await other.stop()
        return True

    def _seed(self, size: int) -> bytes:
        self._seeds += 1
        return bytes([self._seeds]) * size


@pytest_twisted.async_yield_fixture
async def node(tmp_path: Path) -> AsyncIterator[Node]:
    node = Node(tmp_path)
    yield node
    await node.roster.stop()
    assert not node.clock.getDelayedCalls()


@pytest_twisted.async_yield_fixture
async def storage_node(tmp_path: Path) -> AsyncIterator[StorageNode]:
    storage_node = StorageNode(tmp_path / "storage")
    await storage_node.start()
    yield storage_node
    await storage_node.stop()


def names(node: Node) -> list[str]:
    return [peer.name for peer in node.roster.current()]


def only(node: Node) -> IStoragePeer:
    [peer] = node.roster.current()
    return peer


@pytest_twisted.ensureDeferred
async def test_peers_are_those_that_are_listed(node: Node, storage_node: StorageNode) -> None:
    problems = await node.roster.change([node.folder("a"), Peer(nurl=storage_node.nurl, nickname="far")])

    assert problems == {}
    assert names(node) == ["a", "far"]
    for peer in node.roster.current():
        await store(peer, 0, b"share")
        assert await content(peer, 0) == b"share"


@pytest_twisted.ensureDeferred
async def test_peers_that_stay_are_the_same(node: Node, storage_node: StorageNode) -> None:
    far = Peer(nurl=storage_node.nurl, nickname="far")
    await node.roster.change([node.folder("a"), far])
    before = node.roster.current()

    await node.roster.change([far, node.folder("b"), node.folder("a")])

    assert names(node) == ["far", "b", "a"]
    assert [node.roster.current()[2], node.roster.current()[0]] == before


@pytest_twisted.ensureDeferred
async def test_a_folder_may_get_another_name(node: Node) -> None:
    await node.roster.change([node.folder("a")])
    before = only(node)

    await node.roster.change([replace(node.folder("a"), nickname="big disk")])

    assert only(node) is before
    assert names(node) == ["big disk"]


@pytest_twisted.ensureDeferred
async def test_a_folder_that_is_not_used_is_let_go_at_once(node: Node) -> None:
    await node.roster.change([node.folder("a"), node.folder("b")])
    assert not await node.is_free("a")

    await node.roster.change([node.folder("b")])

    assert await node.is_free("a")


@pytest_twisted.ensureDeferred
async def test_transfers_keep_the_peers_that_they_have(node: Node) -> None:
    await node.roster.change([node.folder("a")])
    kept = only(node)
    node.transfers = {"upload"}

    await node.roster.change([node.folder("b")])
    node.transfers.add("another, which began later")
    node.clock.advance(LOOK_AGAIN_SECONDS)

    await store(kept, 0, b"share")
    node.transfers.remove("upload")
    node.clock.advance(LOOK_AGAIN_SECONDS)
    assert await node.is_free("a")


@pytest_twisted.ensureDeferred
async def test_a_peer_that_comes_back_while_it_is_still_used_is_the_same(node: Node) -> None:
    await node.roster.change([node.folder("a"), node.folder("b")])
    before = node.roster.current()[0]
    node.transfers = {"upload"}
    await node.roster.change([node.folder("b")])

    await node.roster.change([node.folder("a")])
    node.transfers.clear()
    node.clock.advance(LOOK_AGAIN_SECONDS)

    assert only(node) is before
    await store(before, 0, b"share")
    assert await node.is_free("b")


@pytest_twisted.ensureDeferred
async def test_connections_to_a_peer_that_is_gone_are_closed(node: Node, storage_node: StorageNode) -> None:
    await node.roster.change([Peer(nurl=storage_node.nurl, nickname="far")])
    await only(node).share_numbers(STORAGE_INDEX)
    assert storage_node.connections == 1

    await node.roster.change([node.folder("a")])

    await storage_node.is_quiet()


@pytest_twisted.ensureDeferred
async def test_a_missing_folder_is_looked_for_until_it_is_there_or_not_wanted(node: Node, tmp_path: Path) -> None:
    await node.roster.change([node.folder("a"), node.folder("b")])
    await node.roster.change([])
    for name in "ab":
        (tmp_path / name).rename(tmp_path / f"{name}.away")

    problems = await node.roster.change([node.folder("a"), node.folder("b")])
    assert problems.keys() == {"a", "b"}
    assert names(node) == ["a", "b"]
    await node.roster.change([node.folder("a")])
    for name in "ab":
        (tmp_path / f"{name}.away").rename(tmp_path / name)
    node.clock.advance(RETRY_SECONDS)

    assert await only(node).share_numbers(STORAGE_INDEX) == set()
    assert await node.is_free("b")


@pytest_twisted.ensureDeferred
async def test_a_change_that_fails_changes_nothing(node: Node) -> None:
    await node.roster.change([node.folder("a")])
    node.known_path.write_text("nonsense")

    with pytest.raises(NodeDirectoryError):
        await node.roster.change([node.folder("b")])

    assert names(node) == ["a"]
    await store(only(node), 0, b"share")


@pytest.mark.parametrize("seed", [b"", b"somewhere else"])
@pytest_twisted.ensureDeferred
async def test_a_storage_node_stands_where_its_seed_or_its_key_says(
    node: Node, storage_node: StorageNode, seed: bytes
) -> None:
    await node.roster.change([Peer(nurl=storage_node.nurl, nickname="far", permutation_seed=base32.encode(seed))])
    peer: Any = only(node)
    assert isinstance(peer, GbsPeer)
    assert peer.permutation_seed == (seed or storage_node.nurl.spki_hash)


@pytest_twisted.ensureDeferred
async def test_abandoned_uploads_are_cleared_away_while_the_node_runs(node: Node, tmp_path: Path) -> None:
    await node.roster.change([node.folder("lost"), node.folder("a")])
    for peer in node.roster.current():
        await half_written(peer, 0)
        (share,) = (tmp_path / peer.name / "shares" / "incoming").iterdir()
        os.utime(share, (share.stat().st_mtime - LASTING_LIMIT - 1,) * 2)
        await half_written(peer, 1)
    (tmp_path / "lost" / "permutation-seed").unlink()

    node.clock.advance(CLEAR_SECONDS)

    left = {name: len(list((tmp_path / name / "shares" / "incoming").iterdir())) for name in ("lost", "a")}
    assert left == {"lost": 2, "a": 1}
