"""
An upload over a bad line, to a node that is killed, on a grid whose storage nodes come and go.

    python -m tests.node.torturing DIRECTORY SIZE SEED
"""

from __future__ import annotations

import hashlib
import random
import signal
import socket
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.nodes import ANY_PORT, BrokenOff, NodeProcess, Settings, head, wait_until

MIB = 1024 * 1024
PIECE = 10 * MIB
STEP = 64 * 1024
RATE = 40 * MIB
"""Bytes a second that the line takes at the most. Faster ones would measure what fits into the buffers of sockets."""
TUS = {"Tus-Resumable": "1.0.0"}


@dataclass(frozen=True)
class Trouble:
    """How often what happens in the course of an upload."""

    cuts: int = 50
    kills: int = 10
    restarts: int = 2


@dataclass
class Ordeal:
    """What became of it."""

    size: int
    sent: int = 0
    happened: list[str] = field(default_factory=list)

    @property
    def twice(self) -> float:
        """What was sent more than once, as a part of the file."""
        return (self.sent - self.size) / self.size


class Content:
    """A file that is made as it is read, the same every time."""

    def __init__(self, size: int, seed: int) -> None:
        self.size = size
        self._block = random.Random(seed).randbytes(MIB + 7)

    def __getitem__(self, place: slice) -> bytes:
        start, stop = place.start, min(place.stop, self.size)
        pieces = []
        while start < stop:
            at = start % len(self._block)
            piece = self._block[at : at + stop - start]
            pieces.append(piece)
            start += len(piece)
        return b"".join(pieces)

    def digest(self) -> bytes:
        hasher = hashlib.sha256()
        for start in range(0, self.size, MIB):
            hasher.update(self[start : start + MIB])
        return hasher.digest()


@contextmanager
def restless_grid(directory: Path, nodes: int, encoding: str) -> Iterator[tuple[NodeProcess, Sequence[NodeProcess]]]:
    """A gateway, and storage nodes that have the same addresses after a restart."""
    with ExitStack() as stack:
        storages = []
        for number in range(nodes):
            settings: Settings = {
                "storage": {"enabled": True, "listen": f"tcp:{_free_port()}:interface=127.0.0.1"},
                "gateway": {"enabled": False},
            }
            storage = stack.enter_context(NodeProcess(directory / f"storage-{number}", settings, peers=0))
            storage.launch()
            storages.append(storage)
        nurls = [storage.directory / "private" / "storage.nurl" for storage in storages]
        wait_until(lambda: all(nurl.exists() and nurl.read_text() for nurl in nurls), "the storage nodes run")
        gateway_settings: Settings = {"gateway": {"listen": [ANY_PORT]}}
        gateway = stack.enter_context(NodeProcess(directory / "gateway", gateway_settings, peers=0))
        with (gateway.directory / "tahoeish.toml").open("a") as config:
            needed, total = encoding.split("/")
            config.write(f"[encoding]\nneeded = {needed}\ntotal = {total}\n")
            config.writelines(f'[[grid.peers]]\nnurl = "{nurl.read_text().strip()}"\n' for nurl in nurls)
        gateway.start()
        yield gateway, storages


def upload_in_trouble(
    gateway: NodeProcess, storages: Sequence[NodeProcess], size: int, trouble: Trouble, seed: int
) -> Ordeal:
    """Raises `AssertionError` if the file that is there at the end isn't the one that was sent."""
    chance = random.Random(seed)
    happenings = ["cut"] * trouble.cuts + ["kill"] * trouble.kills
    happenings += [f"restart {number}" for number in chance.sample(range(len(storages)), trouble.restarts)]
    chance.shuffle(happenings)
    places = sorted(chance.sample(range(1, size), len(happenings)))
    upload = _Upload(gateway, storages, Content(size, seed), list(zip(places, happenings, strict=True)))
    upload.begin()
    while not upload.complete:
        upload.send_piece()
    upload.compare()
    return upload.ordeal


class _Upload:
    def __init__(
        self,
        gateway: NodeProcess,
        storages: Sequence[NodeProcess],
        content: Content,
        happenings: list[tuple[int, str]],
    ) -> None:
        self.ordeal = Ordeal(content.size)
        self._gateway = gateway
        self._storages = storages
        self._content = content
        self._happenings = happenings
        self._address = ""
        self._offset = 0
        self._cap: str | None = None

    @property
    def complete(self) -> bool:
        return self._cap is not None

    def begin(self) -> None:
        answer = self._gateway.request("POST", "/uploads/", headers={**TUS, "Upload-Length": str(self._content.size)})
        assert answer.status == 201, answer
        self._address = answer.headers["Location"]

    def send_piece(self) -> None:
        start = self._offset
        stop = min(start + PIECE, self._content.size)
        headers = {
            **TUS,
            "Content-Type": "application/offset+octet-stream",
            "Content-Length": str(stop - start),
            "Upload-Offset": str(start),
        }
        with self._gateway.connect() as client:
            client.send(head("PATCH", self._address, headers))
            for place in range(start, stop, STEP):
                piece = self._content[place : min(place + STEP, stop)]
                try:
                    client.send(piece)
                except OSError:
                    break
                self.ordeal.sent += len(piece)
                time.sleep(len(piece) / RATE)
                if self._something_happens_before(place + len(piece)):
                    client.reset()
                    break
            else:
                try:
                    answer = client.answer("PATCH")
                    assert answer.status == 204, answer
                    self._offset = int(answer.headers["Upload-Offset"])
                    self._cap = answer.headers["Tahoeish-Cap"]
                    return
                except (BrokenOff, OSError):
                    pass
        self._ask()

    def _ask(self) -> None:
        answer = self._gateway.request("HEAD", self._address, headers=TUS)
        assert answer.status == 200, (answer, self._gateway.said[-3000:])
        offset = int(answer.headers["Upload-Offset"])
        assert offset >= self._offset, "what was acknowledged has been lost"
        self._offset = offset

    def _something_happens_before(self, place: int) -> bool:
        """And the connection is broken by it."""
        broken = False
        while self._happenings and self._happenings[0][0] < place:
            _, what = self._happenings.pop(0)
            self.ordeal.happened.append(what)
            match what.split():
                case ["cut"]:
                    broken = True
                case ["kill"]:
                    self._gateway.stop(signal.SIGKILL)
                    self._gateway.start()
                    broken = True
                case ["restart", number]:
                    storage = self._storages[int(number)]
                    storage.stop(signal.SIGKILL)
                    storage.launch()
        return broken

    def compare(self) -> None:
        assert self._cap is not None and not self._happenings
        hasher = hashlib.sha256()
        with self._gateway.connect() as client:
            client.send(head("GET", f"/uri/{self._cap.replace(':', '%3A')}", {"Connection": "close"}))
            stream = client.socket.makefile("rb")
            while stream.readline().strip():
                pass
            while piece := stream.read(MIB):
                hasher.update(piece)
        assert hasher.digest() == self._content.digest(), "the file isn't what was sent"


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


if __name__ == "__main__":
    with (
        tempfile.TemporaryDirectory(dir=sys.argv[1]) as scratch,
        restless_grid(Path(scratch), 10, "3/10") as (gateway, storages),
    ):
        ordeal = upload_in_trouble(gateway, storages, int(sys.argv[2]), Trouble(), int(sys.argv[3]))
        print(f"{len(ordeal.happened)} troubles, {ordeal.twice:.2%} sent twice")
