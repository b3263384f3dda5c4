"""All peers of a node, as the configuration lists them now."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from twisted.internet.defer import Deferred, DeferredLock
from twisted.internet.defer import TimeoutError as FarewellOver
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall
from twisted.logger import Logger

from tahoeish.grid.local import LocalPeer
from tahoeish.grid.peer import IStoragePeer
from tahoeish.node.config import Peer
from tahoeish.node.peer_maker import PeerMaker
from tahoeish.node.peers import LocalPeers
from tahoeish.streams.exchange.connections import Connections
from tahoeish.streams.tasks import together

log = Logger()

LOOK_AGAIN_SECONDS = 30
FAREWELL_SECONDS = 5
"""What idle connections get to close in good order."""

_Key = Path | Peer
"""What makes a peer the same after a change: a folder may be renamed, of a storage node everything counts."""


@dataclass(frozen=True, slots=True)
class _Member:
    peer: IStoragePeer
    connections: Connections | None = None


@dataclass(frozen=True, slots=True)
class _Retired:
    """`users` are the transfers that may still use it."""

    member: _Member
    users: frozenset[object]


class Roster:
    """
    The peers for new transfers are `current`. Those under way keep the ones that they began with, which are let go of
    when none of them is left.

    `transfers` tells what is under way.
    """

    def __init__(
        self,
        maker: PeerMaker,
        folders: LocalPeers,
        *,
        transfers: Callable[[], Collection[object]],
        clock: IReactorTime,
    ) -> None:
        self._maker = maker
        self._folders = folders
        self._transfers = transfers
        self._clock = clock
        self._members: dict[_Key, _Member] = {}
        self._retired: dict[_Key, _Retired] = {}
        self._changing = DeferredLock()
        self._dismissing = LoopingCall(self._dismiss)
        self._dismissing.clock = clock

    def current(self) -> Sequence[IStoragePeer]:
        """All of them; one that can't be had says so when it is asked for something."""
        return [member.peer for member in self._members.values()]

    async def change(self, peers: Iterable[Peer]) -> dict[str, str]:
        """
        From now on it is these. Gives what is wrong, by name, with folders that can't be had now. Raises
        `NodeDirectoryError`, and then all is as it was.
        """
        return await self._changing.run(Deferred.fromCoroutine, self._change(peers))

    async def stop(self) -> None:
        """Let go of all."""
        if self._dismissing.running:
            self._dismissing.stop()
        members = [*self._members.values(), *(retired.member for retired in self._retired.values())]
        await together(self._close(member.connections) for member in members if member.connections is not None)
        await self._folders.stop_all()

    async def _change(self, peers: Iterable[Peer]) -> dict[str, str]:
        members: dict[_Key, _Member] = {}
        new_folders: list[tuple[LocalPeer, Path]] = []
        for settings in peers:
            key = settings.directory or settings
            member = self._known(key) or self._made(settings)
            if isinstance(member.peer, LocalPeer) and settings.directory is not None:
                member.peer.name = settings.nickname
                if self._known(key) is None:
                    new_folders.append((member.peer, settings.directory))
            members[key] = member
        problems = await self._folders.start(new_folders)
        users = frozenset(self._transfers())
        for key, member in self._members.items():
            self._retired[key] = _Retired(member, users)
        for key in members:
            self._retired.pop(key, None)
        self._members = members
        await self._dismiss()
        if not self._dismissing.running:
            self._dismissing.start(LOOK_AGAIN_SECONDS, now=False).addErrback(
                lambda failure: log.failure("letting go of peers", failure)
            )
        return problems

    def _known(self, key: _Key) -> _Member | None:
        if key in self._retired:
            return self._retired[key].member
        return self._members.get(key)

    def _made(self, settings: Peer) -> _Member:
        if settings.directory is not None:
            return _Member(self._maker.folder(settings))
        return _Member(*self._maker.storage_node(settings))

    async def _dismiss(self) -> None:
        under_way = set(self._transfers())
        for key, retired in list(self._retired.items()):
            if retired.users.isdisjoint(under_way):
                del self._retired[key]
                log.info("{peer} isn't used any more", peer=retired.member.peer.name)
                if isinstance(retired.member.peer, LocalPeer):
                    await self._folders.stop(retired.member.peer)
                if retired.member.connections is not None:
                    await self._close(retired.member.connections)

    async def _close(self, connections: Connections) -> None:
        with suppress(FarewellOver):
            await Deferred.fromCoroutine(connections.close()).addTimeout(FAREWELL_SECONDS, self._clock)
