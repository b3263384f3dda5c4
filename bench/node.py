"""A node to be measured."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from time import monotonic, sleep
from types import TracebackType
from urllib.parse import urlsplit

from bench.client import Address
from bench.process import Process
from tahoeish.node.config import default_text, parse

START_SECONDS = 30
STOP_SECONDS = 60


class NodeFailed(Exception):
    """The node didn't start, or isn't there any more."""


class Node:
    """
    A whole node in a process of its own, running in `directory` while its block lasts; then both are gone.

    Apart from `encoding` and `sync` it is what `bin/tahoeish` runs when nobody tells it anything.
    """

    def __init__(self, directory: Path, *, encoding: str | None = None, sync: bool = True) -> None:
        self._directory = directory
        self._home = directory / "node"
        self._log = directory / "node.log"
        self.temporary = directory / "tmp"
        self._options = ["--encoding", encoding] if encoding is not None else []
        self._config = _config(sync=sync)
        self.peers: list[Path] = []

    def __enter__(self) -> Node:
        self.temporary.mkdir(parents=True)
        self._home.mkdir()
        (self._home / "tahoeish.toml").write_text(self._config)
        self.peers = [peer.directory for peer in parse(self._config, base=self._home, source="").grid.peers]
        command = [sys.executable, "-P", "-m", "tahoeish.node.main", "run", "--node-dir", str(self._home)]
        with self._log.open("wb") as log:
            self._popen = subprocess.Popen(
                [*command, "--listen", "tcp:0:interface=127.0.0.1", *self._options],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**os.environ, "TMPDIR": str(self.temporary)},
            )
        try:
            self.address = self._await_address()
        except BaseException:
            self._end()
            raise
        self.process = Process(self._popen.pid)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        died = self._popen.poll()
        said = self._last_words()
        self._end()
        if died is not None:
            raise NodeFailed(f"the node ended by itself with status {died}; its log ends:\n{said}") from error

    def empty(self) -> None:
        """Take all files away, and let the disk come to rest, so that runs don't pay for each other."""
        for peer in self.peers:
            for folder in (peer / "shares").iterdir():
                if folder.name != "incoming":
                    shutil.rmtree(folder)
        os.sync()

    def _await_address(self) -> Address:
        url_file = self._home / "node.url"
        give_up_at = monotonic() + START_SECONDS
        while not url_file.exists():
            if self._popen.poll() is not None or monotonic() > give_up_at:
                raise NodeFailed(f"the node doesn't start; its log ends:\n{self._last_words()}")
            sleep(0.02)
        url = urlsplit(url_file.read_text().strip())
        assert url.hostname is not None and url.port is not None
        return url.hostname, url.port

    def _last_words(self) -> str:
        return "\n".join(self._log.read_text(errors="replace").splitlines()[-20:])

    def _end(self) -> None:
        self._popen.terminate()
        try:
            self._popen.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._popen.kill()
            self._popen.wait()
        shutil.rmtree(self._directory)


def _config(*, sync: bool) -> str:
    default = default_text()
    if sync:
        return default
    changed = default.replace("#sync = true", "sync = false")
    assert changed != default, "the configuration doesn't spell out the default of sync any more"
    return changed
