"""Shares that a gateway of ours leaves unfinished on a stock storage node, and another process goes on with."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, TypeAlias

import pytest
import pytest_twisted
from twisted.internet import reactor

from tahoeish.chk import base32
from tahoeish.grid.gbs import GbsPeer
from tahoeish.grid.gbs_client import connections_to
from tahoeish.grid.peer import PeerError, ShareMissing
from tahoeish.storage.nurl import Nurl
from tests.grid.peer_contract import SHARE, STORAGE_INDEX, content, half_written, write_the_rest
from tests.interop import INTEROP
from tests.interop.grids import reserved_ports
from tests.interop.tahoe import StorageNode

pytestmark = INTEROP

NewPeer: TypeAlias = Callable[[], GbsPeer]
"""The storage node, as one more process knows it."""


@pytest.fixture(scope="module")
def node(tahoe_program: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[StorageNode]:
    with reserved_ports(1) as ports:
        directory = tmp_path_factory.mktemp("unfinished") / "stock"
        with StorageNode(tahoe_program, directory, ports[0], introducer=None) as node:
            start(node)
            yield node


@pytest_twisted.async_yield_fixture
async def new_peer(node: StorageNode) -> AsyncIterator[NewPeer]:
    clock: Any = reactor
    nurl = Nurl.parse(node.nurl)
    async with AsyncExitStack() as stack:

        def new_peer() -> GbsPeer:
            connections = connections_to(nurl, clock)
            stack.push_async_callback(connections.close)
            return GbsPeer(
                connections,
                node.name,
                base32.decode(node.permutation_seed),
                clock=clock,
                lease_secret=bytes(32),
                tub_id=bytes(20),
                random_bytes=os.urandom,
            )

        yield new_peer


def start(node: StorageNode) -> None:
    node.launch()
    node.wait_until_it_serves()


@pytest_twisted.ensureDeferred
async def test_share_is_gone_on_with_by_another_process(new_peer: NewPeer) -> None:
    ticket = await half_written(new_peer(), 0)

    await new_peer().keep_alive(STORAGE_INDEX, 0, ticket)
    once = await new_peer().reopen(STORAGE_INDEX, 0, ticket)
    await once.write(50_000, [SHARE[50_000:60_000]])
    await once.forget()
    assert await new_peer().share_numbers(STORAGE_INDEX) == set()
    await write_the_rest(await new_peer().reopen(STORAGE_INDEX, 0, ticket))

    assert await content(new_peer(), 0) == SHARE
    with pytest.raises(ShareMissing):
        await new_peer().reopen(STORAGE_INDEX, 0, ticket)


@pytest_twisted.ensureDeferred
async def test_bytes_that_are_lost_since_then_are_missed_before_it_is_too_late(new_peer: NewPeer) -> None:
    ticket = await half_written(new_peer(), 1)

    writer = await new_peer().reopen(STORAGE_INDEX, 1, ticket)
    await writer.write(50_001, [SHARE[50_001:]])
    await writer.write(0, [SHARE[:1000]])

    with pytest.raises(PeerError, match="hasn't kept all bytes"):
        await writer.prepare()
    await writer.abort()


@pytest_twisted.ensureDeferred
async def test_share_whose_ticket_was_lost_is_begun_anew(new_peer: NewPeer) -> None:
    await half_written(new_peer(), 3)

    ticket = await half_written(new_peer(), 3)
    await write_the_rest(await new_peer().reopen(STORAGE_INDEX, 3, ticket))

    assert await content(new_peer(), 3) == SHARE


@pytest_twisted.ensureDeferred
async def test_restart_of_the_node_loses_the_share(node: StorageNode, new_peer: NewPeer) -> None:
    ticket = await half_written(new_peer(), 2)
    node.stop()
    start(node)

    with pytest.raises(ShareMissing, match="restarted"):
        await new_peer().reopen(STORAGE_INDEX, 2, ticket)
