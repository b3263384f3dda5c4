"""Bodies that never become whole: nothing stays of them on any peer."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.nodes import NOT_DURABLE, NodeProcess, RawClient, chunk, content_of, head, running, wait_until

ANNOUNCED = 50_000_000
SENT = 3_000_000


@pytest.fixture(scope="module")
def unlucky_node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NodeProcess]:
    """Nothing is ever stored in it to the end."""
    with running(tmp_path_factory.mktemp("unlucky") / "node", NOT_DURABLE) as node:
        yield node
        assert node.stop() == 0
        assert "Traceback" not in node.said, node.said


@pytest.fixture
def uploading(unlucky_node: NodeProcess) -> Iterator[RawClient]:
    """A client in the middle of a body, whose shares have reached all peers. In the end they have to be gone."""
    with begun(unlucky_node) as client:
        yield client
    wait_until(unlucky_node.is_empty, "the upload is cleared away")


def begun(node: NodeProcess) -> RawClient:
    client = node.connect()
    client.send(head("PUT", "/uri", {"Content-Length": str(ANNOUNCED)}) + content_of(SENT))
    wait_until(lambda: len(node.incoming()) == 3, "the shares are on their way")
    return client


@pytest.mark.parametrize("leave", [RawClient.close, RawClient.reset], ids=["in good order", "without a goodbye"])
def test_the_client_is_gone(uploading: RawClient, leave: Callable[[RawClient], None]) -> None:
    leave(uploading)


def test_the_body_is_shorter_than_announced(uploading: RawClient) -> None:
    uploading.finish_sending()
    assert uploading.ended()


@pytest.mark.parametrize(
    ("key", "told"), [("idle_timeout", "nothing for 1 seconds"), ("body_deadline", "not complete after 1 seconds")]
)
def test_the_client_falls_silent(tmp_path: Path, key: str, told: str) -> None:
    with running(tmp_path / "node", {**NOT_DURABLE, "gateway": {key: 1}}) as node, node.connect() as client:
        client.send(head("PUT", "/uri", {"Content-Length": str(ANNOUNCED)}) + content_of(SENT))
        answer = client.answer()
        assert answer.status == 408 and told in answer.text
        wait_until(node.is_empty, "the upload is cleared away")


def test_a_broken_chunk(unlucky_node: NodeProcess) -> None:
    with unlucky_node.connect() as client:
        client.send(head("PUT", "/uri", {"Transfer-Encoding": "chunked"}) + chunk(content_of(SENT)))
        wait_until(lambda: len(unlucky_node.incoming()) == 3, "the shares are on their way")
        client.send(b"this is no chunk\r\n")
        answer = client.answer()
        assert answer.status == 400 and "chunked" in answer.text
    wait_until(unlucky_node.is_empty, "the upload is cleared away")


def test_the_last_chunk_is_missing(unlucky_node: NodeProcess) -> None:
    with unlucky_node.connect() as client:
        client.send(head("PUT", "/uri", {"Transfer-Encoding": "chunked"}) + chunk(content_of(SENT)))
        wait_until(lambda: len(unlucky_node.incoming()) == 3, "the shares are on their way")
    wait_until(unlucky_node.is_empty, "the upload is cleared away")


def test_a_killed_client(unlucky_node: NodeProcess) -> None:
    program = (
        "import socket, sys, time; host, port = sys.argv[1].removeprefix('http://').split(':')\n"
        "s = socket.create_connection((host, int(port)))\n"
        f"s.sendall(b'PUT /uri HTTP/1.1\\r\\nHost: h\\r\\nContent-Length: {ANNOUNCED}\\r\\n\\r\\n' + bytes({SENT}))\n"
        "while True: s.sendall(b'x'); time.sleep(0.1)"
    )
    process = subprocess.Popen([sys.executable, "-c", program, unlucky_node.url])
    try:
        wait_until(lambda: len(unlucky_node.incoming()) == 3, "the shares are on their way")
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    wait_until(unlucky_node.is_empty, "the upload is cleared away")


def test_many_at_once(unlucky_node: NodeProcess) -> None:
    clients = [unlucky_node.connect() for _ in range(20)]
    for client in clients:
        client.send(head("PUT", "/uri", {"Content-Length": str(ANNOUNCED)}) + content_of(500_000))
    wait_until(lambda: len(unlucky_node.incoming()) == 60, "the shares are on their way")
    for number, client in enumerate(clients):
        client.reset() if number % 2 else client.close()
    wait_until(unlucky_node.is_empty, "the uploads are cleared away")


def test_the_peer_s_folder_is_taken_away_in_the_middle(tmp_path: Path) -> None:
    with running(tmp_path / "node", NOT_DURABLE) as node, begun(node) as client:
        node.peers[0].rename(tmp_path / "away")
        client.send(content_of(ANNOUNCED)[SENT:])
        answer = client.answer()
        assert answer.status == 201
        wait_until(lambda: not node.incoming(), "everything is committed or cleared away")
        assert len(node.shares(answer.text)) == 2
        assert node.get(f"/uri/{answer.text}").body == content_of(ANNOUNCED)
