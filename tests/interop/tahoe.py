"""Stock Tahoe-LAFS nodes, each a process of its own on loopback, and the stock command line."""

from __future__ import annotations

import base64
import hashlib
import http.client
import json
import os
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote, urlsplit

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding as Serialised
from cryptography.hazmat.primitives.serialization import PublicFormat

from tests.interop.samples import BY_COMMAND, Encoding
from tests.nodes import Answer

PATIENCE = 240.0
"""Seconds after which something that a test waits for will never come. A dozen processes start on few cores."""

Config = Mapping[str, Mapping[str, object]]


def wait_until(condition: Callable[[], object], what: str, found: Callable[[], object] = lambda: "") -> None:
    """Look again and again until the condition holds. If it never does, what is `found` instead is told."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, f"waited in vain for this: {what} {found()}"
        time.sleep(0.05)


class TahoeNode:
    """
    A node in `directory`. Start and end it as often as needed; what it says is kept in a file.

    It ends by itself when the process that started it does, however that ends.
    """

    kind = "client"

    def __init__(self, program: Path, directory: Path, config: Config) -> None:
        self.program = program
        self.directory = directory
        self.name = directory.name
        self.process: subprocess.Popen[bytes] | None = None
        self._said = directory.with_name(f"{self.name}.said")
        (directory / "private").mkdir(parents=True)
        # By this file's name the program tells what kind of node it is.
        (directory / f"tahoe-{self.kind}.tac").touch()
        self.configure(config)

    def configure(self, config: Config) -> None:
        """Takes effect at the next start."""
        lines = []
        for section, keys in config.items():
            lines += [f"[{section}]", *(f"{key} = {value}" for key, value in keys.items())]
        (self.directory / "tahoe.cfg").write_text("\n".join(lines) + "\n")

    def launch(self) -> None:
        """Returns before the node is ready for anything."""
        assert self.process is None, f"{self.name} runs already"
        with self._said.open("ab") as said:
            self.process = subprocess.Popen(
                # Its standard input is what it watches for our end.
                [self.program, "run", str(self.directory)],
                env=_variables(),
                cwd=self.directory,
                stdin=subprocess.PIPE,
                stdout=said,
                stderr=subprocess.STDOUT,
                # A signal to the whole test run, as `timeout` sends it, is no reason for a node to go first.
                process_group=0,
            )

    def wait_for(self, condition: Callable[[], object], what: str, found: Callable[[], object] = lambda: "") -> None:
        """Until the condition holds. The node has to live so long."""
        wait_until(lambda: condition() or not self.is_running, f"{self.name}: {what}", found)
        assert self.is_running, f"{self.name} has ended; it said:\n{self.said[-4000:]}"

    def stop(self) -> None:
        self._end(subprocess.Popen.terminate)

    def kill(self) -> None:
        """As when its machine fails."""
        self._end(subprocess.Popen.kill)

    @property
    def is_running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    @property
    def said(self) -> str:
        """All that the node has printed and logged."""
        return self._said.read_text()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _end(self, told: Callable[[subprocess.Popen[bytes]], None]) -> None:
        if self.process is None:
            return
        process, self.process = self.process, None
        assert process.stdin is not None
        told(process)
        try:
            process.wait(20)
        finally:
            process.kill()
            process.wait()
            process.stdin.close()


class Introducer(TahoeNode):
    """Tells storage nodes and clients of each other."""

    kind = "introducer"

    def __init__(self, program: Path, directory: Path, port: int) -> None:
        super().__init__(program, directory, {"node": {"nickname": directory.name, **_listens_on(port)}})

    def start(self) -> None:
        self.launch()
        self.wait_for(self._furl_file.exists, "its address is known")

    @property
    def furl(self) -> str:
        return self._furl_file.read_text().strip()

    @property
    def _furl_file(self) -> Path:
        return self.directory / "private" / "introducer.furl"


class StorageNode(TahoeNode):
    """Keeps shares. It speaks both of its protocols on one port, and of the newer one there is nothing to set."""

    def __init__(self, program: Path, directory: Path, port: int, introducer: Introducer | None) -> None:
        super().__init__(
            program,
            directory,
            {
                "node": {"nickname": directory.name, **_listens_on(port)},
                # A storage node is a client, too. Over HTTP each would ask each of the others for its version once
                # a second, all the time; nothing here looks at that side of it.
                "client": {"force_foolscap": True},
                "storage": {"enabled": True},
            },
        )
        self.port = port
        if introducer is not None:
            _introduce(directory, introducer)

    def wait_until_it_serves(self) -> None:
        self.wait_for(lambda: accepts_connections(self.port), "it serves")

    @property
    def storage(self) -> Path:
        """Where its shares are, by the layout of a storage directory."""
        return self.directory / "storage"

    @property
    def nurl(self) -> str:
        """Where it is found over HTTP; a node that has never run has no such place."""
        furl = urlsplit(self._furl)
        certificate = x509.load_pem_x509_certificate((self.directory / "private" / "node.pem").read_bytes())
        key = certificate.public_key().public_bytes(Serialised.DER, PublicFormat.SubjectPublicKeyInfo)
        pin = base64.urlsafe_b64encode(hashlib.sha256(key).digest()).decode().rstrip("=")
        hint = furl.netloc.partition("@")[2].removeprefix("tcp:")
        return f"pb://{pin}@{hint}{furl.path}#v=1"

    @property
    def permutation_seed(self) -> str:
        """As it announces it, in base32."""
        return (self.directory / "permutation-seed").read_text().strip()

    @property
    def servers_yaml(self) -> str:
        """What a client knows it by that no introducer tells of it."""
        announced = {
            "nickname": self.name,
            "anonymous-storage-FURL": self._furl,
            "anonymous-storage-NURLs": [self.nurl],
            "permutation-seed-base32": self.permutation_seed,
        }
        # JSON is YAML.
        return json.dumps({"storage": {self.name: {"ann": announced}}})

    @property
    def _furl(self) -> str:
        return (self.directory / "private" / "storage.furl").read_text().strip()


class Client(TahoeNode):
    """A gateway, and the command line that uses it."""

    def __init__(self, program: Path, directory: Path, encoding: Encoding, servers: Introducer | str) -> None:
        """`servers` are announced by an introducer, or stand in the text of a `servers.yaml`."""
        self.encoding = encoding
        super().__init__(
            program,
            directory,
            {
                "node": {
                    "nickname": directory.name,
                    "web.port": "tcp:0:interface=127.0.0.1",
                    "tub.port": "disabled",
                    "tub.location": "disabled",
                },
                "client": {
                    "shares.needed": encoding.needed,
                    "shares.happy": encoding.happy,
                    "shares.total": encoding.total,
                },
                "storage": {"enabled": False},
            },
        )
        if isinstance(servers, Introducer):
            _introduce(directory, servers)
        else:
            (directory / "private" / "servers.yaml").write_text(servers)

    def start(self, servers: int) -> None:
        """Returns when so many storage nodes are connected."""
        (self.directory / "node.url").unlink(missing_ok=True)
        self.launch()
        self.wait_for((self.directory / "node.url").exists, "it listens")
        self.wait_until_connected(servers)

    def wait_until_connected(self, servers: int) -> None:
        """To exactly so many. It notices within seconds that one has come or gone, not at once."""
        what = f"{servers} storage nodes are connected"
        self.wait_for(lambda: self.connected() == servers, what, found=self.connections)

    @property
    def url(self) -> str:
        return (self.directory / "node.url").read_text().strip()

    def connected(self) -> int:
        """How many storage nodes it has a connection to."""
        # Either protocol says it in its own words.
        return sum(status.lower().startswith("connected") for _, status in self.connections())

    def connections(self) -> Sequence[tuple[str, str]]:
        """The storage nodes that it knows by name, and what it says of its connection to each."""
        try:
            state = self.get("/?t=json").json()
        except ConnectionRefusedError:
            return []
        return [(server["nickname"], server["connection_status"]) for server in state["servers"]]

    # Its web API.

    def get(self, target: str, headers: Mapping[str, str] | None = None) -> Answer:
        return request(self.url, "GET", target, headers=headers)

    def fetch(self, cap: str) -> bytes:
        """A whole file."""
        answer = self.get(f"/uri/{quote(cap, safe='')}")
        assert answer.status == 200, answer.text
        return answer.body

    def read(self, cap: str, first: int, last: int) -> bytes:
        """A part of a file, both ends included."""
        answer = self.get(f"/uri/{quote(cap, safe='')}", {"Range": f"bytes={first}-{last}"})
        assert answer.status == 206, answer.text
        return answer.body

    def put(self, content: bytes, format_: str = "CHK") -> str:
        """Store a file; gives its cap."""
        return self._put(f"/uri?format={format_}", content)

    def change(self, cap: str, content: bytes) -> None:
        """Of a mutable file."""
        self._put(f"/uri/{quote(cap, safe='')}", content)

    def mkdir(self) -> str:
        """A mutable directory; gives its cap."""
        answer = request(self.url, "POST", "/uri?t=mkdir")
        assert answer.status == 200, answer.text
        return answer.text

    def put_into(self, directory: str, name: str, content: bytes, format_: str = "CHK") -> str:
        """Store a file as a directory's child; gives its cap."""
        return self._put(f"/uri/{quote(directory, safe='')}/{quote(name)}?format={format_}", content)

    def verify(self, cap: str) -> dict[str, Any]:
        """Read every share and check all of it; gives the check's results."""
        results: dict[str, Any] = self._checked(cap, "verify=true")["results"]
        return results

    def repair(self, cap: str) -> dict[str, Any]:
        """Make the shares that are missing; gives what came of it."""
        return self._checked(cap, "repair=true")

    def _put(self, target: str, content: bytes) -> str:
        answer = request(self.url, "PUT", target, content)
        assert answer.status in (200, 201), answer.text
        return answer.text

    def _checked(self, cap: str, how: str) -> dict[str, Any]:
        answer = request(self.url, "POST", f"/uri/{quote(cap, safe='')}?t=check&{how}&output=JSON")
        assert answer.status == 200, answer.text
        results: dict[str, Any] = answer.json()
        return results

    @property
    def tahoe(self) -> CommandLine:
        return CommandLine(self.program, self.directory)

    def door(self, size: int) -> Client | CommandLine:
        """Where a file of this size goes in and out."""
        return self.tahoe if size in BY_COMMAND else self


class CommandLine:
    """
    The stock program `tahoe`, used with the gateway that `directory` belongs to, or with the one at `url`.

    In the directory are the names that it gives to caps.
    """

    def __init__(self, program: Path, directory: Path, url: str | None = None) -> None:
        self._program = program
        self._directory = directory
        self._url = url

    def __call__(self, command: str, *arguments: str, stdin: bytes = b"", browser: str = "") -> bytes:
        """What it prints; it has to succeed. `browser` is the command that opens a web page."""
        there = [] if self._url is None else ["--node-url", self._url]
        words = ["--node-directory", str(self._directory), command, *there, *arguments]
        done = subprocess.run(
            [self._program, *words],
            env={**_variables(), "BROWSER": browser},
            input=stdin,
            capture_output=True,
            check=False,
            timeout=PATIENCE,
        )
        said = f"{done.stderr.decode()}\n{done.stdout[:2000].decode(errors='replace')}"
        assert done.returncode == 0, f"tahoe {' '.join(words)}: {said}"
        return done.stdout

    def line(self, command: str, *arguments: str, stdin: bytes = b"") -> str:
        """What it prints, without the end of the line."""
        return self(command, *arguments, stdin=stdin).decode().rstrip("\n")

    def put(self, content: bytes) -> str:
        """Store a file; gives its cap."""
        return self.line("put", "-", stdin=content)

    def fetch(self, cap: str) -> bytes:
        """A whole file."""
        return self("get", cap)

    def repair(self, cap: str) -> dict[str, Any]:
        """Make the shares that are missing; gives what came of it."""
        results: dict[str, Any] = json.loads(self("check", "--repair", "--raw", cap))
        return results


def request(url: str, method: str, target: str, body: bytes = b"", headers: Mapping[str, str] | None = None) -> Answer:
    """One request on a connection of its own."""
    address = urlsplit(url)
    assert address.hostname is not None
    connection = http.client.HTTPConnection(address.hostname, address.port, timeout=PATIENCE)
    try:
        connection.request(method, target, body, dict(headers or {}))
        response = connection.getresponse()
        return Answer(response.status, response.headers, response.read())
    finally:
        connection.close()


def accepts_connections(port: int) -> bool:
    """Whether somebody listens at a port of loopback."""
    try:
        socket.create_connection(("127.0.0.1", port)).close()
    except ConnectionRefusedError:
        return False
    return True


def _listens_on(port: int) -> Mapping[str, object]:
    return {"tub.port": f"tcp:{port}:interface=127.0.0.1", "tub.location": f"tcp:127.0.0.1:{port}", "web.port": ""}


def _introduce(directory: Path, introducer: Introducer) -> None:
    known = {"introducers": {"default": {"furl": introducer.furl}}}
    (directory / "private" / "introducers.yaml").write_text(json.dumps(known))


def _variables() -> dict[str, str]:
    # It is made for older versions of what it rests on, and warns of that in between its output.
    return {**os.environ, "PYTHONWARNINGS": "ignore"}
