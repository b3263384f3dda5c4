"""How the peers are: `tahoeish grid status`."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from twisted.internet import reactor

from tahoeish.grid.local import LocalPeer
from tahoeish.node.config import Config, Grid, Peer
from tahoeish.node.grid_status import PeerStatus, all_statuses, status_table
from tests.grid.storage_node import SPACE, StorageNode


@pytest_twisted.async_yield_fixture
async def node(tmp_path: Path) -> AsyncIterator[StorageNode]:
    node = StorageNode(tmp_path / "node")
    await node.start()
    yield node
    await node.is_quiet()
    await node.stop()


async def status(*peers: Peer) -> list[PeerStatus]:
    return await all_statuses(Config(grid=Grid(peers=peers)), reactor)


@pytest_twisted.ensureDeferred
async def test_a_storage_node_tells_of_itself(node: StorageNode) -> None:
    [told] = await status(Peer(nurl=node.nurl, nickname="ours"))
    assert told.latency is not None and 0 < told.latency < 10
    assert replace(told, latency=None) == PeerStatus(
        "ours",
        node.nurl.location,
        reachable=True,
        version="tahoeish/1",
        space=SPACE,
        takes_unknown_lengths=True,
    )


@pytest_twisted.ensureDeferred
async def test_what_is_wrong_is_told_of_each(node: StorageNode) -> None:
    node.stock = True
    await node.stop()
    await node.start()
    statuses = await status(
        Peer(nurl=node.nurl, nickname="good"),
        Peer(nurl=replace(node.nurl, spki_hash=bytes(32)), nickname="other", enabled=False),
        Peer(nurl=replace(node.nurl, swissnum="geheim"), nickname="stranger"),
    )
    assert [(told.nickname, told.reachable) for told in statuses] == [
        ("good", True),
        ("other", False),
        ("stranger", False),
    ]
    good, other, stranger = status_table(statuses).splitlines()[1:]
    assert good.endswith("needs to know the length of a file first")
    assert other.endswith("disabled; the server has another key than the one that is expected")
    assert "it answered with status 401: Wrong Authorization header" in stranger
    assert "geheim" not in stranger


@pytest_twisted.ensureDeferred
async def test_a_folder_is_there_or_not(tmp_path: Path) -> None:
    LocalPeer.initialise(tmp_path / "there", bytes)
    there, away = await status(
        Peer(directory=tmp_path / "there", nickname="there"), Peer(directory=tmp_path / "away", nickname="away")
    )
    assert there.reachable and there.space
    assert not away.reachable
    assert away.problem is not None and "not mounted" in away.problem


def test_the_table_has_straight_columns() -> None:
    lines = status_table(
        [
            PeerStatus("a", "node.example:3457", reachable=True, latency=0.0123, version="tahoeish/1", space=3 * 2**30),
            PeerStatus("a long name", "/disk", problem="gone"),
        ]
    ).splitlines()
    assert lines == [
        "peer         where              latency  free     version     state",
        "a            node.example:3457  12.3 ms  3.0 GiB  tahoeish/1  ok",
        "a long name  /disk              -        -        -           gone",
    ]


@pytest.mark.parametrize("enabled", [True, False])
def test_the_command_tells_programs_and_shells(tmp_path: Path, enabled: bool) -> None:
    (tmp_path / "tahoeish.toml").write_text(
        f'[[grid.peers]]\ndirectory = "here"\n[[grid.peers]]\ndirectory = "away"\nenabled = {json.dumps(enabled)}\n'
    )
    LocalPeer.initialise(tmp_path / "here", bytes)
    done = subprocess.run(
        [sys.executable, "-m", "tahoeish.node.main", "grid", "status", "--json", "--node-dir", str(tmp_path)],
        capture_output=True,
        timeout=30,
        check=False,
    )
    statuses: Any = json.loads(done.stdout)
    assert [status["reachable"] for status in statuses] == [True, False]
    assert [status["enabled"] for status in statuses] == [True, enabled]
    assert done.returncode == (1 if enabled else 0)
    assert done.stderr == b""
