"""The peers that are folders: which of them are known, which are there, and coming back to those that aren't."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

from twisted.internet.defer import Deferred, DeferredLock
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall
from twisted.logger import Logger

from tahoeish.grid.local import LocalPeer
from tahoeish.grid.peer import PeerError
from tahoeish.node.directory import NodeDirectoryError, turn, write_durably
from tahoeish.storage.shares import CLEAR_SECONDS
from tahoeish.streams.recurring import Recurring
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
        known_path: Path,
        *,
        run_in_thread: ThreadRunner,
        random_bytes: Callable[[int], bytes],
        clock: IReactorTime,
    ) -> None:
        self._known_path = known_path
        self._run_in_thread = run_in_thread
        self._random_bytes = random_bytes
        self._running: list[LocalPeer] = []
        self._missing: list[LocalPeer] = []
        self._in_turn = DeferredLock()
        self._retrying = LoopingCall(self._start_missing)
        self._retrying.clock = clock
        self._clearing = Recurring(self._clear, CLEAR_SECONDS, clock, doing="clearing away abandoned uploads")

    async def start(self, peers: Sequence[tuple[LocalPeer, Path]]) -> dict[str, str]:
        """
        Take these in, besides those that are there. What is wrong, by peer, with all that can't be had now. Raises
        `NodeDirectoryError`.
        """
        not_made = await self._run_in_thread(self._initialise_new, peers)
        self._missing += [peer for peer, _ in peers]
        problems = await self._start_missing() | not_made
        if not self._retrying.running:
            self._retrying.start(RETRY_SECONDS, now=False).addErrback(
                lambda failure: log.failure("looking for missing peers", failure)
            )
            self._clearing.start(now=False)
        return problems

    async def stop(self, peer: LocalPeer) -> None:
        """Let go of one."""
        if peer in self._missing:
            self._missing.remove(peer)
        else:
            self._running.remove(peer)
            await peer.stop()

    async def stop_all(self) -> None:
        if self._retrying.running:
            self._retrying.stop()
            await self._clearing.stop()
        for peer in [*self._running, *self._missing]:
            await self.stop(peer)

    async def _clear(self) -> float:
        for peer in list(self._running):
            try:
                await peer.clear_abandoned()
            except PeerError as error:
                log.error("can't clear away abandoned uploads now: {problem}", problem=error)
        return 0

    async def _start_missing(self) -> dict[str, str]:
        # One at a time: a folder can be started by one only.
        return await self._in_turn.run(Deferred.fromCoroutine, self._start_each())

    async def _start_each(self) -> dict[str, str]:
        problems = {}
        for peer in list(self._missing):
            try:
                await peer.start()
            except PeerError as error:
                problems[peer.name] = error.reason
                continue
            if peer in self._missing:
                self._missing.remove(peer)
                self._running.append(peer)
                log.info("{peer} is there", peer=peer.name)
            else:
                # It isn't wanted any more.
                await peer.stop()
        return problems

    def _initialise_new(self, peers: Sequence[tuple[LocalPeer, Path]]) -> dict[str, str]:
        # Two processes that make the same folder would give it two seeds.
        with turn(self._known_path.with_name(f"{self._known_path.stem}.lock")):
            return self._initialise_unknown(peers)

    def _initialise_unknown(self, peers: Sequence[tuple[LocalPeer, Path]]) -> dict[str, str]:
        known = self._known()
        made: list[str] = []
        problems = {}
        for peer, directory in peers:
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
