"""`tahoeish put`, `get` and `check` against a real node, each a process of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.nodes import NOT_DURABLE, NodeProcess, content_of, wait_until

DATA = content_of(3_000_001)


@pytest.fixture
def node(tmp_path: Path) -> Iterator[NodeProcess]:
    with NodeProcess(tmp_path / "node", NOT_DURABLE) as node:
        node.start()
        yield node


def tahoeish(node: NodeProcess, *arguments: str | Path, stdin: int = subprocess.DEVNULL) -> subprocess.Popen[bytes]:
    """The command, finding the node by its directory, as it would on the user's machine."""
    return subprocess.Popen(
        [sys.executable, "-m", "tahoeish.node.main", *map(str, arguments)],
        env={**os.environ, "TAHOEISH_NODE_DIR": str(node.directory)},
        stdin=stdin,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def output_of(command: subprocess.Popen[bytes], data: bytes | None = None) -> bytes:
    out, err = command.communicate(data)
    assert (command.returncode, err) == (0, b"")
    return out


def test_a_file_there_and_back(node: NodeProcess, tmp_path: Path) -> None:
    source, copy = tmp_path / "source", tmp_path / "copy"
    source.write_bytes(DATA)
    cap = output_of(tahoeish(node, "put", source)).decode().strip()
    output_of(tahoeish(node, "get", cap, copy))
    assert copy.read_bytes() == DATA
    assert output_of(tahoeish(node, "get", cap)) == DATA


def test_a_pipe_there_and_back(node: NodeProcess) -> None:
    cap = output_of(tahoeish(node, "put", "-", stdin=subprocess.PIPE), DATA).decode().strip()
    assert output_of(tahoeish(node, "get", cap, "-")) == DATA


def test_ctrl_c_while_putting_leaves_nothing_anywhere(node: NodeProcess) -> None:
    command = tahoeish(node, "put", "-", stdin=subprocess.PIPE)
    assert command.stdin is not None
    command.stdin.write(DATA)
    command.stdin.flush()
    wait_until(node.incoming, "shares have begun to arrive")
    command.send_signal(signal.SIGINT)
    _, err = command.communicate()
    assert command.returncode == 130
    assert b"Traceback" not in err
    wait_until(node.is_empty, "the node has forgotten the upload")


def test_a_file_that_lost_too_many_shares_is_explained_and_not_made(node: NodeProcess, tmp_path: Path) -> None:
    cap = output_of(tahoeish(node, "put", "-", stdin=subprocess.PIPE), DATA).decode().strip()
    for share in node.shares(cap)[:2]:
        share.unlink()
    command = tahoeish(node, "get", cap, tmp_path / "copy")
    _, err = command.communicate()
    assert command.returncode == 1
    assert b"2 different shares are needed, 1 found" in err
    assert list(tmp_path.glob("*copy*")) == []


def test_a_file_is_checked_and_repaired(node: NodeProcess) -> None:
    cap = node.put(DATA)
    assert output_of(tahoeish(node, "check", cap)) == b"Healthy: 3 of 3 shares on 3 peers; any 2 are enough\n"
    share = node.shares(cap)[0]
    with share.open("r+b") as file:
        file.seek(1000)
        file.write(b"not what it was")
    assert output_of(tahoeish(node, "check", cap)).startswith(b"Healthy")

    command = tahoeish(node, "check", cap, "--verify")
    told, err = command.communicate()
    assert (command.returncode, err) == (1, b"")
    assert told.startswith(b"Not healthy: 2 of 3 shares on 2 peers; any 2 are enough\n- ")
    assert f"share {share.name} is corrupt: its block 0".encode() in told

    told = output_of(tahoeish(node, "check", cap, "--verify", "--repair"))
    assert told.startswith(b"Healthy: 3 of 3 shares on 2 peers") and b"It has been repaired." in told
    assert output_of(tahoeish(node, "check", cap, "--verify")).startswith(b"Healthy")


def test_a_file_that_is_lost_is_no_success(node: NodeProcess) -> None:
    cap = node.put(DATA)
    for share in node.shares(cap):
        share.unlink()
    command = tahoeish(node, "check", cap, "--repair")
    told, err = command.communicate()
    assert (command.returncode, err) == (1, b"")
    assert told.startswith(b"Not recoverable: 0 of 3 shares") and b"It can't be repaired." in told
