"""The peers that are folders: which of them are known, which are there, and coming back to those that aren't."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall
from twisted.logger import Logger

from tahoeish.grid.local import LocalPeer
from tahoeish.grid.peer import PeerError
from tahoeish.node.directory import NodeDirectoryError, write_durably
from tahoeish.streams.threads import ThreadRunner

log = Logger()

RETRY_SECONDS = 30


class LocalPeers:
    """
    Starts the folders of a node.

    A folder that is named for the first time is made. One that was there before and is not now is a disk that isn't
    mounted: it is left alone, and looked for again from time to time.
    """

    def __init__(
        self,
        peers: Sequence[tuple[LocalPeer, Path]],
        known_path: Path,
        *,
        run_in_thread: ThreadRunner,
        random_bytes: Callable[[int], bytes],
        clock: IReactorTime,
    ) -> None:
        self._peers = peers
        self._known_path = known_path
        self._run_in_thread = run_in_thread
        self._random_bytes = random_bytes
        self._missing: list[LocalPeer] = []
        self._retrying = LoopingCall(self._start_missing)
        self._retrying.clock = clock

    def current(self) -> Sequence[LocalPeer]:
        """All of them; one that isn't there says so when it is asked for something."""
        return [peer for peer, _ in self._peers]

    async def start(self) -> dict[str, str]:
        """What is wrong, by peer, with those that can't be had now. Raises `NodeDirectoryError`."""
        not_made = await self._run_in_thread(self._initialise_new)
        self._missing = list(self.current())
        problems = await self._start_missing() | not_made
        self._retrying.start(RETRY_SECONDS, now=False).addErrback(
            lambda failure: log.failure("looking for missing peers", failure)
        )
        return problems

    async def stop(self) -> None:
        if self._retrying.running:
            self._retrying.stop()
        for peer in self.current():
            if peer not in self._missing:
                await peer.stop()

    async def _start_missing(self) -> dict[str, str]:
        problems = {}
        for peer in list(self._missing):
            try:
                await peer.start()
            except PeerError as error:
                problems[peer.name] = error.reason
            else:
                self._missing.remove(peer)
                log.info("{peer} is there", peer=peer.name)
        return problems

    def _initialise_new(self) -> dict[str, str]:
        known = self._known()
        made: list[str] = []
        problems = {}
        for peer, directory in self._peers:
            if str(directory) in known:
                continue
            try:
                LocalPeer.initialise(directory, self._random_bytes)
            except OSError as error:
                problems[peer.name] = f"{directory} can't be made a peer's folder: {error.strerror}"
            else:
                made.append(str(directory))
        if made:
            listed = json.dumps(sorted({*known, *made}), indent=1)
            write_durably(self._known_path, f"{listed}\n".encode(), 0o600)
        return problems

    def _known(self) -> list[str]:
        try:
            known = json.loads(self._known_path.read_text())
        except FileNotFoundError:
            return []
        except (OSError, ValueError) as error:
            raise NodeDirectoryError(f"can't read {self._known_path}, the list of known peers: {error}") from error
        if not isinstance(known, list):
            raise NodeDirectoryError(f"{self._known_path}, the list of known peers, holds something else")
        return known
