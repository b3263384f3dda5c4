"""Storage nodes and gateways of ours, each a process of its own on loopback."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.interop.samples import Encoding
from tests.interop.tahoe import PATIENCE, Client, accepts_connections, wait_until
from tests.nodes import NOT_DURABLE, RUN, Answer, NodeProcess, RawClient, chunk, head

PIECE = 256 * 1024
"""Bytes of a body that are sent at once."""


class OurStorageNode(NodeProcess):
    """Keeps shares for others and nothing else. Its shares can be in another node's place."""

    def __init__(self, directory: Path, port: int, settings: Mapping[str, object] | None = None) -> None:
        storage = {"enabled": True, "listen": [f"tcp:{port}:interface=127.0.0.1"], **(settings or {})}
        super().__init__(directory, {"gateway": {"enabled": False}, "storage": storage, **NOT_DURABLE}, peers=0)
        self.storage = directory / str(storage.get("directory", "storage"))
        self._port = port

    def wait_until_it_serves(self) -> None:
        assert self.process is not None
        process = self.process
        wait_until(lambda: accepts_connections(self._port) or process.poll() is not None, "the storage node serves")
        assert process.poll() is None, self.said

    def servers_yaml(self) -> str:
        """What it says that a stock client needs."""
        return tahoeish("storage", "nurl", "--servers-yaml", "--node-dir", str(self.directory))


class OurGateway(NodeProcess):
    """A gateway of ours, made by importing the storage nodes that a stock client knows, and nothing else."""

    def __init__(self, directory: Path, encoding: Encoding, client: Client) -> None:
        super().__init__(directory, peers=0)
        self.encoding = encoding
        # One without peers would be refused; without any, the command makes one.
        (directory / "tahoeish.toml").unlink()
        tahoeish("grid", "import", str(client.directory), "--write", "--node-dir", str(directory))

    def launch(self, *options: str, command: Sequence[str] = RUN, wrapper: Sequence[str] = ()) -> None:
        encoding = f"{self.encoding.needed}/{self.encoding.total}"
        super().launch("--encoding", encoding, *options, command=command, wrapper=wrapper)

    def connect(self) -> RawClient:
        client = super().connect()
        client.socket.settimeout(PATIENCE)
        return client

    def fetch(self, cap: str) -> bytes:
        """A whole file."""
        answer = self.get(f"/uri/{cap}")
        assert answer.status == 200, answer.text
        return answer.body

    def read(self, cap: str, first: int, last: int) -> bytes:
        """A part of a file, both ends included."""
        answer = self.get(f"/uri/{cap}", {"Range": f"bytes={first}-{last}"})
        assert answer.status == 206, answer.text
        return answer.body

    def put_of_unknown_length(self, content: bytes, headers: Mapping[str, str] | None = None) -> Answer:
        """Store a file without saying beforehand how much it is."""
        with self.connect() as client:
            client.send(head("PUT", "/uri", {"Transfer-Encoding": "chunked", **(headers or {})}))
            for begin in range(0, len(content), PIECE):
                client.send(chunk(content[begin : begin + PIECE]))
            client.send(chunk(b""))
            return client.answer("PUT")


def tahoeish(*arguments: str) -> str:
    """What our own command line prints; it has to succeed."""
    command = [sys.executable, "-m", "tahoeish.node.main", *arguments]
    done = subprocess.run(command, capture_output=True, check=False, text=True)
    assert done.returncode == 0, f"tahoeish {' '.join(arguments)}: {done.stderr}{done.stdout}"
    return done.stdout
