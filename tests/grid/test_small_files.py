"""Small files on storage nodes: each share goes in one request, which must not come through too late."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from twisted.internet import reactor
from twisted.internet.defer import Deferred

from tahoeish.chk.erasure import ZfecCodec
from tahoeish.grid.errors import UploadUnhappy
from tahoeish.grid.gbs import GbsPeer
from tahoeish.grid.gbs_client import connections_to
from tahoeish.grid.gbs_exchange import Patience
from tahoeish.grid.shareset import EncodingChoice
from tahoeish.grid.spool import SpoolRoom
from tahoeish.grid.upload import Uploader
from tahoeish.streams.body import BodyStream
from tahoeish.streams.budget import ByteBudget, SegmentAllowance
from tahoeish.streams.exchange.connections import Connections
from tahoeish.streams.gate import Gate
from tahoeish.streams.request import StreamingRequest
from tahoeish.streams.threads import direct
from tests.grid.gridtools import content, pieces
from tests.grid.storage_node import Fault, Serve, StorageNode, answering, until
from tests.held_work import HeldWork

CLOCK: Any = reactor
DATA = content(10_000)


class Grid:
    """Four storage nodes, of which three must have shares. The last one's disk does nothing by itself."""

    def __init__(self, path: Path) -> None:
        self.disk = HeldWork()
        self.nodes = [StorageNode(path / str(number)) for number in range(3)]
        self.nodes.append(StorageNode(path / "slow", run_in_thread=self.disk))
        self.connections: list[Connections] = []
        self.peers: Sequence[GbsPeer] = ()
        work = ByteBudget(1 << 24)
        self._uploader = Uploader(
            peers=lambda: self.peers,
            encoding=EncodingChoice(2, 4, 3, 1 << 20),
            gate=Gate(work, CLOCK),
            allowance=SegmentAllowance(1 << 24),
            budget=work,
            run_in_thread=direct,
            codec=ZfecCodec(),
            clock=CLOCK,
            random_bytes=os.urandom,
            peer_timeout=60,
            spool_room=SpoolRoom(path / "spool", 200_000, direct, os.urandom),
        )

    @property
    def slow(self) -> StorageNode:
        return self.nodes[-1]

    async def start(self) -> None:
        for node in self.nodes:
            await node.start()
        self.peers = [self._peer(number, node) for number, node in enumerate(self.nodes)]

    async def stop(self) -> None:
        for connections in self.connections:
            await connections.close()
        for node in self.nodes:
            await node.stop()

    def upload(self) -> Deferred[Any]:
        return Deferred.fromCoroutine(self._uploader.upload(pieces(DATA), len(DATA)))

    def files(self) -> list[set[str]]:
        return [node.files() for node in self.nodes]

    def _peer(self, number: int, node: StorageNode) -> GbsPeer:
        connections = connections_to(node.nurl, CLOCK, connect_timeout=5.0)
        self.connections.append(connections)
        return GbsPeer(
            connections,
            f"node-{number}",
            bytes([number]) * 32,
            clock=CLOCK,
            lease_secret=bytes(32),
            tub_id=bytes(20),
            random_bytes=os.urandom,
            patience=Patience(answer=30.0, stall=30.0, farewell=10.0, pause=0.01),
        )


@pytest_twisted.async_yield_fixture
async def grid(tmp_path: Path) -> AsyncIterator[Grid]:
    async with AsyncExitStack() as stack:
        grid = Grid(tmp_path)
        stack.push_async_callback(grid.stop)
        await grid.start()
        yield grid


def refusing_when(condition: Any) -> Fault:
    async def fault(request: StreamingRequest, body: BodyStream, serve: Serve) -> None:
        await until(condition, "it is time to refuse")
        await answering(500)(request, body, serve)

    return fault


@pytest_twisted.ensureDeferred
async def test_a_share_that_a_slow_disk_stores_when_the_upload_has_failed_is_taken_back(grid: Grid) -> None:
    for node in grid.nodes[:2]:
        node.trouble = [("PUT /tahoeish", refusing_when(lambda: len(grid.disk)))] * 3
    uploading = grid.upload()

    await until(lambda: grid.slow.count("DELETE /tahoeish"), "the share is taken back before it is there")
    assert len(grid.disk) == 1 and grid.slow.files() == set()
    grid.disk.do_next()
    await until(lambda: len(grid.disk), "it is there, and is to be removed")
    assert len(grid.slow.files()) == 1
    grid.disk.do_all()

    with pytest.raises(UploadUnhappy):
        await uploading
    assert grid.files() == [set()] * 4
