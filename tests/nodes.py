"""Real nodes, each a process of its own, and the clients that talk to them: raw sockets and curl."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from http.client import HTTPMessage, parse_headers
from io import BufferedReader
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.parse import urlsplit

import pytest

from tahoeish.chk import base32
from tahoeish.chk.caps import ReadCap, parse_cap

PATIENCE = 120.0
"""Seconds after which something that a test waits for will never come."""

SCRIPTS = Path(sys.executable).parent
RUN = (sys.executable, "-m", "tahoeish.node.main", "run")
TWISTD = (str(SCRIPTS / "twistd"), "-n", "--pidfile=", "tahoeish")
TWIST = (str(SCRIPTS / "twist"), "tahoeish")
ANY_PORT = "tcp:0:interface=127.0.0.1"

Settings = Mapping[str, Mapping[str, object]]
"""The configuration's sections, without the peers."""

NOT_DURABLE: Settings = {"durability": {"sync": False}}
"""For tests that have no use for what survives a power cut."""


def wait_until(condition: Callable[[], object], what: str) -> None:
    """Look again and again until the condition holds."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, f"waited in vain for this: {what}"
        time.sleep(0.005)


def content_of(size: int, seed: int = 0) -> bytes:
    """Bytes that look random and are the same every time."""
    block = _block(seed)
    return (block * (size // len(block) + 1))[:size]


@cache
def _block(seed: int) -> bytes:
    return bytes((seed + 7 * index + index // 251) % 256 for index in range(65521))


class NodeProcess:
    """
    A node in `directory`, with three peers in it. Start and end it as often as needed.

    What it says is kept in a file, so that it never waits for a reader.
    """

    def __init__(self, directory: Path, settings: Settings | None = None, *, peers: int = 3) -> None:
        self.directory = directory
        self.peers = [directory / "peers" / str(number) for number in range(1, peers + 1)]
        self.process: subprocess.Popen[bytes] | None = None
        self._said = directory.with_name(f"{directory.name}.said")
        directory.mkdir(parents=True)
        (directory / "tahoeish.toml").write_text(_config_text(settings or {}, self.peers))

    def start(self, *options: str, command: Sequence[str] = RUN, wrapper: Sequence[str] = ()) -> None:
        """Returns when the node listens. `wrapper` is a program that runs the command that follows it."""
        self.launch(*options, command=command, wrapper=wrapper)
        wait_until(lambda: self._url_file.exists() or self._exited() is not None, "the node listens")
        assert self._exited() is None, self.said

    def launch(self, *options: str, command: Sequence[str] = RUN, wrapper: Sequence[str] = ()) -> None:
        """The same without waiting."""
        assert self.process is None, "it runs already"
        # One that was killed leaves its address behind.
        self._url_file.unlink(missing_ok=True)
        listen = () if "--listen" in options else ("--listen", ANY_PORT)
        with self._said.open("ab") as said:
            self.process = subprocess.Popen(
                [*wrapper, *command, "--node-dir", str(self.directory), *listen, *options],
                cwd=self.directory,
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=subprocess.STDOUT,
            )

    def tell(self, number: signal.Signals) -> None:
        """Send a signal."""
        assert self.process is not None
        self.process.send_signal(number)

    def ended(self) -> int:
        """Wait for its end; gives the exit status."""
        assert self.process is not None
        process, self.process = self.process, None
        try:
            return process.wait(PATIENCE)
        finally:
            process.kill()
            process.wait()

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Send a signal and wait for the end; gives the exit status."""
        self.tell(number)
        return self.ended()

    def __enter__(self) -> NodeProcess:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.process is not None:
            self.process.kill()
            self.ended()

    # What it leaves behind.

    @property
    def said(self) -> str:
        """All that the node has printed and logged since it was made, also by earlier processes."""
        return self._said.read_text()

    @property
    def url(self) -> str:
        return self._url_file.read_text().strip()

    def shares(self, cap: str | None = None) -> list[Path]:
        """The finished shares on all peers, of one file or of all."""
        folder = None
        if cap is not None:
            parsed = parse_cap(cap)
            assert isinstance(parsed, ReadCap)
            folder = base32.encode(parsed.storage_index)
        return [
            path for path in self._share_files() if "incoming" not in path.parts and folder in (path.parts[-2], None)
        ]

    def incoming(self) -> list[Path]:
        """The unfinished shares on all peers."""
        return [path for path in self._share_files() if "incoming" in path.parts]

    def is_empty(self) -> bool:
        """There is no share on any peer, neither finished nor unfinished, and no folder for one."""
        leftovers = [path for peer in self.peers for path in (peer / "shares").glob("*") if path.name != "incoming"]
        return not leftovers and not any(any((peer / "shares" / "incoming").glob("*")) for peer in self.peers)

    # What clients do with it.

    def connect(self) -> RawClient:
        url = urlsplit(self.url)
        assert url.hostname is not None and url.port is not None
        return RawClient((url.hostname, url.port))

    def request(self, method: str, target: str, body: bytes = b"", headers: Mapping[str, str] | None = None) -> Answer:
        """One request on a connection of its own."""
        with self.connect() as client:
            client.send(head(method, target, {"Content-Length": str(len(body)), **(headers or {})}) + body)
            return client.answer(method)

    def get(self, target: str, headers: Mapping[str, str] | None = None) -> Answer:
        return self.request("GET", target, headers=headers)

    def put(self, content: bytes) -> str:
        """Store a file; gives its cap."""
        answer = self.request("PUT", "/uri", content)
        assert answer.status == 201, answer
        return answer.text

    # Inside.

    @property
    def _url_file(self) -> Path:
        return self.directory / "node.url"

    def _exited(self) -> int | None:
        assert self.process is not None
        return self.process.poll()

    def _share_files(self) -> list[Path]:
        # Unlike Path.rglob, this walk doesn't mind that folders vanish under it.
        walks = (os.walk(peer / "shares") for peer in self.peers)
        return [Path(folder) / name for walk in walks for folder, _, names in walk for name in names]


@dataclass(frozen=True)
class Answer:
    """A whole response."""

    status: int
    headers: HTTPMessage = field(repr=False)
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode()

    def json(self) -> Any:
        return json.loads(self.body)


class BrokenOff(Exception):
    """The connection ended before the response did."""


class RawClient:
    """One connection, and bytes on it as a test wants them."""

    def __init__(self, address: tuple[str, int]) -> None:
        self.socket = socket.create_connection(address, timeout=PATIENCE)
        self._incoming: BufferedReader = self.socket.makefile("rb")

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def answer(self, method: str = "GET") -> Answer:
        """The next response; interim ones are passed over."""
        while (answer := self.interim_or_final(method)).status < 200:
            pass
        return answer

    def interim_or_final(self, method: str = "GET") -> Answer:
        """The next response, be it only `100 Continue`."""
        status_line = self._incoming.readline()
        assert status_line.startswith(b"HTTP/1.1 "), status_line
        status = int(status_line.split()[1])
        headers = parse_headers(self._incoming)
        has_body = method != "HEAD" and status >= 200 and status not in (204, 304)
        return Answer(status, headers, self._body(headers) if has_body else b"")

    def ended(self) -> bool:
        """Wait for more from the other side; true when it has closed instead, in good order or not."""
        try:
            return self._incoming.read(1) == b""
        except ConnectionResetError:
            return True

    def finish_sending(self) -> None:
        """Close our half only."""
        self.socket.shutdown(socket.SHUT_WR)

    def reset(self) -> None:
        """Go as a killed process goes with unread bytes: without a goodbye."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close()

    def close(self) -> None:
        self._incoming.close()
        self.socket.close()

    def __enter__(self) -> RawClient:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _body(self, headers: HTTPMessage) -> bytes:
        if headers["Transfer-Encoding"] == "chunked":
            pieces = []
            while size := int(self._incoming.readline(), 16):
                pieces.append(self._incoming.read(size))
                assert self._incoming.readline() == b"\r\n"
            assert self._incoming.readline() == b"\r\n"
            return b"".join(pieces)
        if headers["Content-Length"] is None:
            return self._incoming.read()
        length = int(headers["Content-Length"])
        try:
            body = self._incoming.read(length)
        except ConnectionResetError as error:
            raise BrokenOff from error
        if len(body) < length:
            raise BrokenOff
        return body


def head(method: str, target: str, headers: Mapping[str, str]) -> bytes:
    """The head of a request."""
    lines = [f"{method} {target} HTTP/1.1", "Host: node", *(f"{name}: {value}" for name, value in headers.items())]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def chunk(data: bytes) -> bytes:
    """In the chunked transfer coding; an empty one is the last."""
    return b"%x\r\n%s\r\n" % (len(data), data)


@dataclass(frozen=True)
class Transcript:
    """What curl has done. `wire` is its account of the heads that went to and fro."""

    status: int
    output: bytes
    wire: str


def curl(*arguments: str, stdin: bytes = b"") -> Transcript:
    """Run curl. Without curl, the test is skipped."""
    program = shutil.which("curl")
    if program is None:
        pytest.skip("NOT TESTED: the program curl is missing. Install it: apt-get install curl")
    done = subprocess.run(
        [program, "--silent", "--verbose", "--noproxy", "*", "--max-time", str(PATIENCE), *arguments],
        input=stdin,
        capture_output=True,
        check=False,
    )
    return Transcript(done.returncode, done.stdout, done.stderr.decode())


@pytest.fixture
def new_node(tmp_path: Path) -> Iterator[NodeProcess]:
    """A node of its own, that doesn't run yet."""
    with NodeProcess(tmp_path / "node") as node:
        yield node


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NodeProcess]:
    """A running node that the tests of a module share; none of them may mind what the others store."""
    with running(tmp_path_factory.mktemp("shared") / "node", NOT_DURABLE) as node:
        yield node
        assert node.stop() == 0, node.said
        assert "Traceback" not in node.said, node.said


@contextmanager
def running(directory: Path, settings: Settings | None = None, *options: str, peers: int = 3) -> Iterator[NodeProcess]:
    """A node that runs."""
    with NodeProcess(directory, settings, peers=peers) as node:
        node.start(*options)
        yield node


def _config_text(settings: Settings, peers: Sequence[Path]) -> str:
    lines = []
    for section, keys in settings.items():
        lines += [f"[{section}]", *(f"{key} = {json.dumps(value)}" for key, value in keys.items())]
    for peer in peers:
        lines += ["[[grid.peers]]", f"directory = {json.dumps(str(peer.relative_to(peer.parent.parent)))}"]
    return "\n".join(lines) + "\n"
