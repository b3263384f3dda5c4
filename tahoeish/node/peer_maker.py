"""From what the configuration says of a peer to the peer itself."""

from __future__ import annotations

import time
from collections.abc import Callable
from hashlib import sha256
from typing import Any

from tahoeish.chk import base32
from tahoeish.grid.gbs import GbsPeer
from tahoeish.grid.gbs_client import connections_to
from tahoeish.grid.gbs_exchange import Patience
from tahoeish.grid.local import LocalPeer
from tahoeish.node.config import Grid, Peer
from tahoeish.node.config.model import TUB_ID_SIZE
from tahoeish.storage.nurl import Nurl
from tahoeish.storage.steps import StepsOfDisks
from tahoeish.streams.exchange.connections import Connections
from tahoeish.streams.threads import ThreadRunner


class PeerMaker:
    """What all peers of a node share."""

    def __init__(
        self,
        grid: Grid,
        *,
        reactor: Any,
        run_in_thread: ThreadRunner,
        read_in_thread: ThreadRunner,
        lease_secret: bytes,
        random_bytes: Callable[[int], bytes],
        durable: bool,
        crew: str | None = None,
    ) -> None:
        """`crew`: see `ShareStore`."""
        self._grid = grid
        self._reactor = reactor
        self._run_in_thread = run_in_thread
        self._read_in_thread = read_in_thread
        self._lease_secret = lease_secret
        self._random_bytes = random_bytes
        self._durable = durable
        self._crew = crew
        self._steps_of = StepsOfDisks(run_in_thread)

    def folder(self, peer: Peer) -> LocalPeer:
        assert peer.directory is not None
        return LocalPeer(
            peer.nickname,
            peer.directory,
            run_in_thread=self._run_in_thread,
            read_in_thread=self._read_in_thread,
            lease_secret=self._lease_secret,
            now=time.time,
            durable=self._durable,
            crew=self._crew,
            steps_of=self._steps_of,
        )

    def storage_node(self, peer: Peer) -> tuple[GbsPeer, Connections]:
        """The peer and its connections, which somebody has to close in the end."""
        assert peer.nurl is not None
        connections = connections_for(peer.nurl, self._grid, self._reactor)
        seed = permutation_seed(peer, peer.nurl)
        made = GbsPeer(
            connections,
            peer.nickname,
            seed,
            clock=self._reactor,
            lease_secret=self._lease_secret,
            # Any value will do that is this peer's own and stays the same.
            tub_id=base32.decode(peer.tub_id) or sha256(seed).digest()[:TUB_ID_SIZE],
            random_bytes=self._random_bytes,
            unknown_length_limit=self._grid.unknown_length_limit,
            parallel_writes=self._grid.parallel_writes,
            patience=patience(self._grid),
        )
        return made, connections


def permutation_seed(peer: Peer, nurl: Nurl) -> bytes:
    # By default as our storage nodes have it.
    return base32.decode(peer.permutation_seed) or nurl.spki_hash


def connections_for(nurl: Nurl, grid: Grid, reactor: Any) -> Connections:
    return connections_to(nurl, reactor, keep=grid.connections_per_peer, connect_timeout=grid.connect_timeout)


def patience(grid: Grid) -> Patience:
    return Patience(answer=grid.answer_timeout, stall=grid.answer_timeout)
