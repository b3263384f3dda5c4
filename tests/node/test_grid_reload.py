"""Other peers for a node that runs, and storage nodes as peers of a gateway, each a process of its own."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.nodes import (
    ANY_PORT,
    NOT_DURABLE,
    RUN,
    TWISTD,
    NodeProcess,
    RawClient,
    Settings,
    chunk,
    content_of,
    head,
    running,
    wait_until,
)

SIZE = 8_000_000
SENT = 3_000_000
CONTENT = content_of(SIZE)
STORAGE_ONLY: Settings = {
    "gateway": {"enabled": False},
    "storage": {"enabled": True, "listen": ANY_PORT},
    **NOT_DURABLE,
}


def grid(command: str, node: NodeProcess, *options: str) -> subprocess.CompletedProcess[str]:
    line = [sys.executable, "-m", "tahoeish.node.main", "grid", command, "--node-dir", str(node.directory), *options]
    return subprocess.run(line, capture_output=True, text=True, check=False)


def list_peers(node: NodeProcess, folders: Sequence[str]) -> None:
    """Write another configuration."""
    sections = [f"[[grid.peers]]\ndirectory = {json.dumps(folder)}\n" for folder in folders]
    (node.directory / "tahoeish.toml").write_text("".join(sections))
    node.peers = [node.directory / folder for folder in folders]


def begin_upload(node: NodeProcess) -> RawClient:
    client = node.connect()
    client.send(head("PUT", "/uri", {"Content-Length": str(SIZE)}) + CONTENT[:SENT])
    wait_until(lambda: len(node.incoming()) == len(node.peers), "the shares are on their way")
    return client


@pytest.mark.parametrize("command", [RUN, TWISTD], ids=["tahoeish run", "twistd"])
def test_running_transfers_are_not_disturbed(new_node: NodeProcess, command: Sequence[str]) -> None:
    new_node.start(command=command)
    old_peers = new_node.peers
    with begin_upload(new_node) as upload:
        list_peers(new_node, ["other/1", "other/2", "other/3"])
        assert grid("reload", new_node).returncode == 0
        wait_until(lambda: "3 peers from now on" in new_node.said, "the peers are others")

        later = new_node.put(content_of(SIZE, seed=1))
        assert len(new_node.shares(later)) == 3

        upload.send(CONTENT[SENT:])
        cap = upload.answer("PUT").text
    assert new_node.shares(cap) == []
    new_node.peers = old_peers
    assert len(new_node.shares(cap)) == 3


def test_fewer_peers_are_enough_for_what_comes_later(new_node: NodeProcess) -> None:
    new_node.start("--encoding", "1/3")
    list_peers(new_node, ["peers/1"])
    assert grid("reload", new_node).returncode == 0
    wait_until(lambda: "1 peers from now on" in new_node.said, "the peers are others")

    cap = new_node.put(CONTENT)

    assert len(new_node.shares(cap)) == 3


def test_a_wrong_configuration_changes_nothing(new_node: NodeProcess) -> None:
    new_node.start()
    (new_node.directory / "tahoeish.toml").write_text("[grid]\npears = []\n")

    told = grid("reload", new_node)
    assert told.returncode == 2
    assert 'pears: unknown key; did you mean "peers"?' in told.stderr

    new_node.tell(signal.SIGHUP)
    wait_until(lambda: "the peers stay as they are: " in new_node.said, "the node says no")
    assert len(new_node.shares(new_node.put(CONTENT))) == 3


def test_without_a_node_there_is_nothing_to_reload(new_node: NodeProcess) -> None:
    assert grid("reload", new_node).returncode == 1
    new_node.start()
    new_node.stop(signal.SIGKILL)

    told = grid("reload", new_node)

    assert told.returncode == 1
    assert told.stderr == f"tahoeish: grid reload: no node runs in {new_node.directory}\n"


@pytest.mark.parametrize("announced", [True, False], ids=["with a length", "without a length"])
def test_a_storage_node_is_a_peer_like_others(tmp_path: Path, announced: bool) -> None:
    with (
        NodeProcess(tmp_path / "storage", STORAGE_ONLY, peers=0) as storage_node,
        running(tmp_path / "node", peers=2) as node,
    ):
        storage_node.launch()
        told = tmp_path / "storage" / "private" / "storage.nurl"
        wait_until(told.exists, "the storage node listens")
        config = node.directory / "tahoeish.toml"
        config.write_text(f'{config.read_text()}[[grid.peers]]\nnurl = "{told.read_text().strip()}"\n')
        grid("reload", node)
        wait_until(lambda: "3 peers from now on" in node.said, "the storage node is a peer")
        status = json.loads(grid("status", node, "--json").stdout)
        assert [peer["reachable"] for peer in status] == [True] * 3

        with node.connect() as client:
            if announced:
                client.send(head("PUT", "/uri", {"Content-Length": str(SIZE)}) + CONTENT)
            else:
                client.send(head("PUT", "/uri", {"Transfer-Encoding": "chunked"}))
                client.send(chunk(CONTENT) + chunk(b""))
            cap = client.answer("PUT").text
        assert len(list((tmp_path / "storage" / "storage" / "shares").glob("*/*/?"))) == 1
        assert node.get(f"/uri/{cap}").body == CONTENT
        assert node.stop() == 0
        assert storage_node.stop() == 0
        assert "Traceback" not in node.said + storage_node.said
