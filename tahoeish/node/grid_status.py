"""How the peers of a node are. They are asked from here, so the node itself need not run."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.defer import TimeoutError as FarewellOver

from tahoeish.client.progress import amount
from tahoeish.grid.gbs_client import GbsClient
from tahoeish.grid.gbs_exchange import Patience
from tahoeish.grid.local import SEED_FILE
from tahoeish.grid.peer import PeerError
from tahoeish.node.administration import table
from tahoeish.node.config import Config, Grid, Peer
from tahoeish.node.peer_maker import connections_for
from tahoeish.storage.nurl import Nurl
from tahoeish.streams.tasks import together

PATIENCE = Patience(answer=10.0, stall=10.0)
FAREWELL_SECONDS = 1


@dataclass(frozen=True)
class PeerStatus:
    """`latency` is in seconds and `space` in bytes; what isn't known is None."""

    nickname: str
    where: str
    reachable: bool = False
    enabled: bool = True
    latency: float | None = None
    version: str | None = None
    space: int | None = None
    takes_unknown_lengths: bool | None = None
    problem: str | None = None

    def as_json(self) -> Mapping[str, Any]:
        return asdict(self)


async def all_statuses(config: Config, reactor: Any) -> list[PeerStatus]:
    return await together(_status(peer, config.grid, reactor) for peer in config.grid.peers)


def status_table(statuses: Sequence[PeerStatus]) -> str:
    """For people."""
    return table(("peer", "where", "latency", "free", "version", "state"), [_row(status) for status in statuses])


def _row(status: PeerStatus) -> tuple[str, ...]:
    remarks = [] if status.enabled else ["disabled"]
    if status.problem is not None:
        remarks.append(status.problem)
    elif status.takes_unknown_lengths is False:
        remarks.append("needs to know the length of a file first")
    return (
        status.nickname,
        status.where,
        "-" if status.latency is None else f"{status.latency * 1000:.1f} ms",
        "-" if status.space is None else amount(status.space),
        status.version or "-",
        "; ".join(remarks) or "ok",
    )


async def _status(peer: Peer, grid: Grid, reactor: Any) -> PeerStatus:
    if peer.nurl is not None:
        return await _storage_node(peer, peer.nurl, grid, reactor)
    assert peer.directory is not None
    return _folder(peer, peer.directory)


def _folder(peer: Peer, directory: Path) -> PeerStatus:
    status = PeerStatus(peer.nickname, str(directory), enabled=peer.enabled)
    if not (directory / SEED_FILE).is_file():
        return replace(status, problem=f"there is no {SEED_FILE}: disk not mounted, or the node wasn't started yet")
    disk = os.statvfs(directory)
    return replace(status, reachable=True, space=disk.f_bavail * disk.f_frsize, takes_unknown_lengths=True)


async def _storage_node(peer: Peer, nurl: Nurl, grid: Grid, reactor: Any) -> PeerStatus:
    status = PeerStatus(peer.nickname, nurl.location, enabled=peer.enabled)
    connections = connections_for(nurl, grid, reactor)
    client = GbsClient(peer.nickname, connections, clock=reactor, patience=PATIENCE)
    try:
        takes_unknown_lengths = (await client.offer()).finish
        # Only now, when there is a connection, so that it is the way there and back and nothing else.
        begin = reactor.seconds()
        version = await client.version()
        return replace(
            status,
            reachable=True,
            latency=reactor.seconds() - begin,
            version=version.application,
            space=version.available_space,
            takes_unknown_lengths=takes_unknown_lengths,
        )
    except PeerError as error:
        return replace(status, problem=error.reason)
    finally:
        with suppress(FarewellOver):
            await Deferred.fromCoroutine(connections.close()).addTimeout(FAREWELL_SECONDS, reactor)
