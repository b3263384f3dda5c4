"""Nodes to be measured."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from time import monotonic, sleep
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

from bench.client import Address
from bench.process import Process
from tahoeish.node.config import default_text, parse

START_SECONDS = 30
STOP_SECONDS = 60
ANY_PORT = "tcp:0:interface=127.0.0.1"


class NodeFailed(Exception):
    """The node didn't start, or isn't there any more."""


class NodeProcess:
    """
    A node in a process of its own, running in `directory` while its block lasts; then both are gone.

    It is ready when it has written the file `told`, whose text is then `where` it can be found.
    """

    def __init__(self, directory: Path, config: str, *, told: str, options: Sequence[str] = ()) -> None:
        self.directory = directory
        self.home = directory / "node"
        self.temporary = directory / "tmp"
        self.where = ""
        self._config = config
        self._told = self.home / told
        self._options = options
        self._log = directory / "node.log"

    def __enter__(self) -> Self:
        self.temporary.mkdir(parents=True)
        self.home.mkdir()
        (self.home / "tahoeish.toml").write_text(self._config)
        command = [sys.executable, "-P", "-m", "tahoeish.node.main", "run", "--node-dir", str(self.home)]
        with self._log.open("wb") as log:
            self._popen = subprocess.Popen(
                [*command, *self._options],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**os.environ, "TMPDIR": str(self.temporary)},
            )
        try:
            self.where = self._await_told()
        except BaseException:
            self._end()
            raise
        self.process = Process(self._popen.pid)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        died = self._popen.poll()
        try:
            said = self._last_words() if died is not None else ""
        finally:
            self._end()
        if died is not None:
            raise NodeFailed(f"the node ended by itself with status {died}; its log ends:\n{said}") from error

    def _await_told(self) -> str:
        give_up_at = monotonic() + START_SECONDS
        while not self._told.exists():
            if self._popen.poll() is not None or monotonic() > give_up_at:
                raise NodeFailed(f"the node doesn't start; its log ends:\n{self._last_words()}")
            sleep(0.02)
        return self._told.read_text().strip()

    def _last_words(self) -> str:
        return "\n".join(self._log.read_text(errors="replace").splitlines()[-20:])

    def _end(self) -> None:
        self._popen.terminate()
        try:
            self._popen.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._popen.kill()
            self._popen.wait()
        shutil.rmtree(self.directory)


class Gateway(NodeProcess):
    """A node that clients talk to, at `address`."""

    def __init__(self, directory: Path, config: str, *, options: Sequence[str] = ()) -> None:
        super().__init__(directory, config, told="node.url", options=["--listen", ANY_PORT, *options])

    @property
    def address(self) -> Address:
        return address_of(self.where)


class Node(Gateway):
    """
    A whole node, which keeps the shares itself.

    Apart from `encoding` and `sync` it is what `bin/tahoeish` runs when nobody tells it anything.
    """

    def __init__(self, directory: Path, *, encoding: str | None = None, sync: bool = True) -> None:
        config = _config(sync=sync)
        super().__init__(directory, config, options=["--encoding", encoding] if encoding is not None else [])
        peers = parse(config, base=self.home, source="").grid.peers
        self.peers = [peer.directory for peer in peers if peer.directory is not None]

    def empty(self) -> None:
        """Take all files away, and let the disk come to rest, so that runs don't pay for each other."""
        empty(self.peers)


def empty(folders: Iterable[Path]) -> None:
    """Take away all shares in storage directories, and let the disk come to rest."""
    for folder in folders:
        for shares in (folder / "shares").iterdir():
            if shares.name != "incoming":
                shutil.rmtree(shares)
    os.sync()


def address_of(url: str) -> Address:
    parts = urlsplit(url)
    assert parts.hostname is not None and parts.port is not None
    return parts.hostname, parts.port


def _config(*, sync: bool) -> str:
    default = default_text()
    if sync:
        return default
    changed = default.replace("#sync = true", "sync = false")
    assert changed != default, "the configuration doesn't spell out the default of sync any more"
    return changed
