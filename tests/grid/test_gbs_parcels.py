"""Small shares of several files on their way to one storage node, over real TLS on loopback."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from twisted.internet import reactor
from twisted.internet.defer import CancelledError, Deferred

from tahoeish.grid.gbs import GbsPeer
from tahoeish.grid.gbs_client import connections_to
from tahoeish.grid.gbs_exchange import Patience
from tahoeish.grid.peer import IShareWriter, PeerError, PeerUnavailable
from tahoeish.storage.leases import LeaseSecrets
from tahoeish.storage.parcel import LARGEST_ENCLOSED, LARGEST_PARCEL
from tahoeish.streams.body import BodyStream
from tahoeish.streams.request import StreamingRequest
from tests.grid.storage_node import Fault, Serve, StorageNode, answering, cut, served_in_vain, until

CLOCK: Any = reactor
ALONE = "PUT /tahoeish/v1/immutable/"
TOGETHER = "POST /tahoeish/v1/parcels"
TAKEN_BACK = "DELETE /tahoeish/v1/immutable/"


class Sender:
    """
    Sends shares of many files to one storage node, which is kept busy with the first of them until `let_go`.

    A share's content says which file it is of.
    """

    def __init__(self, node: StorageNode, peer: GbsPeer) -> None:
        self.node = node
        self.peer = peer
        self._held: Deferred[None] = Deferred()
        self._writers: dict[int, IShareWriter] = {}

    async def begin(self) -> Deferred[None]:
        self.node.trouble.append((ALONE, self.holding))
        first = await self.send(0)
        await until(lambda: self.node.count(ALONE), "the first share is under way")
        return first

    async def holding(self, request: StreamingRequest, body: BodyStream, serve: Serve) -> None:
        await self._held
        await serve(request, body)

    def let_go(self) -> None:
        held, self._held = self._held, Deferred()
        held.callback(None)

    async def send(self, file: int, share: bytes = b"") -> Deferred[None]:
        """Fires when the storage node has it."""
        share = share or b"file %d" % file
        writer = (await self.peer.allocate_whole(_index(file), [0], len(share))).writers[0]
        await writer.write(0, [share[:3], share[3:]])
        self._writers[file] = writer
        return Deferred.fromCoroutine(writer.commit())

    def take_back(self, file: int) -> Deferred[None]:
        return Deferred.fromCoroutine(self._writers[file].abort())

    async def stored(self, file: int) -> bytes | None:
        if not await self.peer.share_numbers(_index(file)):
            return None
        share = await self.peer.open_share(_index(file), 0)
        try:
            return bytes(await share.read(0, LARGEST_PARCEL))
        finally:
            await share.close()


def _index(file: int) -> bytes:
    return file.to_bytes(16, "big")


@pytest_twisted.async_yield_fixture
async def sender(tmp_path: Path) -> AsyncIterator[Sender]:
    node = StorageNode(tmp_path / "node")
    await node.start()
    connections = connections_to(node.nurl, CLOCK, connect_timeout=5.0)
    peer = GbsPeer(
        connections,
        "node-1",
        bytes(32),
        clock=CLOCK,
        lease_secret=bytes(32),
        tub_id=bytes(20),
        random_bytes=os.urandom,
        patience=Patience(answer=10.0, stall=10.0, farewell=10.0, pause=0.01),
    )
    yield Sender(node, peer)
    await connections.close()
    await node.is_quiet()
    await node.stop()


@pytest_twisted.ensureDeferred
async def test_those_that_come_while_one_is_under_way_go_together(sender: Sender) -> None:
    sending = [await sender.begin(), *[await sender.send(file) for file in (1, 2, 3)]]
    sender.let_go()
    for done in sending:
        await done

    assert (sender.node.count(ALONE), sender.node.count(TOGETHER)) == (1, 1)
    assert [await sender.stored(file) for file in range(4)] == [b"file %d" % file for file in range(4)]


@pytest_twisted.ensureDeferred
async def test_nothing_is_kept_waiting_when_nothing_is_under_way(sender: Sender) -> None:
    for file in range(2):
        await (await sender.send(file))

    assert (sender.node.count(ALONE), sender.node.count(TOGETHER)) == (2, 0)


@pytest_twisted.ensureDeferred
async def test_where_there_are_no_parcels_each_goes_by_itself(sender: Sender) -> None:
    offer = answering(200, '{"finish": 1, "whole": 1000}', "application/json")
    sender.node.trouble.append(("GET /tahoeish/v1/extensions", offer))
    first = await sender.begin()
    await (await sender.send(1))

    assert not first.called
    sender.let_go()
    await first
    assert (sender.node.count(ALONE), sender.node.count(TOGETHER)) == (2, 0)


@pytest_twisted.ensureDeferred
async def test_what_is_too_much_for_one_request_goes_in_several(sender: Sender) -> None:
    share = bytes(LARGEST_ENCLOSED)
    sending = [await sender.begin(), *[await sender.send(file, share) for file in range(1, 6)]]
    sender.let_go()
    for done in sending:
        await done

    assert sender.node.count(TOGETHER) == 2
    assert [await sender.stored(file) for file in range(1, 6)] == [share] * 5


@pytest_twisted.ensureDeferred
async def test_a_larger_one_neither_waits_nor_keeps_others_waiting(sender: Sender) -> None:
    first = await sender.begin()
    await (await sender.send(1, bytes(LARGEST_ENCLOSED + 1)))

    assert not first.called
    sender.let_go()
    await first
    assert (sender.node.count(ALONE), sender.node.count(TOGETHER)) == (2, 0)


@pytest_twisted.ensureDeferred
async def test_one_that_is_refused_is_told_why_and_the_others_are_stored(sender: Sender) -> None:
    first, refused, stored = await sender.begin(), await sender.send(1), await sender.send(2)
    assert sender.node.store is not None
    theirs = sender.node.store.create(_index(1), 0, 6, LeaseSecrets(bytes(32), bytes(32)))
    sender.let_go()
    await first
    await stored

    with pytest.raises(PeerError, match="being sent by somebody else"):
        await refused
    theirs.abort()
    assert [await sender.stored(file) for file in (1, 2)] == [None, b"file 2"]


@pytest.mark.parametrize("fault", [answering(404), answering(500), served_in_vain], ids=["unknown", "failing", "lost"])
@pytest_twisted.ensureDeferred
async def test_a_parcel_that_fails_is_no_harm(sender: Sender, fault: Fault) -> None:
    sender.node.trouble.append((TOGETHER, fault))
    sending = [await sender.begin(), *[await sender.send(file) for file in (1, 2)]]
    sender.let_go()
    for done in sending:
        await done

    assert [await sender.stored(file) for file in (1, 2)] == [b"file 1", b"file 2"]


@pytest_twisted.ensureDeferred
async def test_when_the_storage_node_is_gone_all_are_told(sender: Sender) -> None:
    sender.node.trouble += [(TOGETHER, cut)] * 3
    first, *others = [await sender.begin(), *[await sender.send(file) for file in (1, 2)]]
    sender.let_go()
    await first

    for lost in others:
        with pytest.raises(PeerUnavailable):
            await lost


@pytest_twisted.ensureDeferred
async def test_one_that_is_given_up_in_time_is_not_sent(sender: Sender) -> None:
    first, given_up, stored = await sender.begin(), await sender.send(1), await sender.send(2)
    given_up.cancel()
    with pytest.raises(CancelledError):
        await given_up
    await sender.take_back(1)
    sender.let_go()
    await first
    await stored

    assert [await sender.stored(file) for file in (1, 2)] == [None, b"file 2"]


@pytest_twisted.ensureDeferred
async def test_one_that_is_given_up_too_late_is_taken_back_when_it_is_there(sender: Sender) -> None:
    sender.node.trouble.append((TOGETHER, sender.holding))
    first, given_up, stored = await sender.begin(), await sender.send(1), await sender.send(2)
    sender.let_go()
    await first
    await until(lambda: sender.node.count(TOGETHER), "the parcel is under way")
    given_up.cancel()
    with pytest.raises(CancelledError):
        await given_up
    taken_back = sender.take_back(1)
    assert not sender.node.count(TAKEN_BACK)

    sender.let_go()
    await stored
    await taken_back
    assert [await sender.stored(file) for file in (1, 2)] == [None, b"file 2"]
    assert sender.node.count(TAKEN_BACK) == 1
