"""A storage node as a peer, over real TLS on loopback."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from twisted.internet import reactor
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import deferLater

from tahoeish.grid.gbs import GbsPeer
from tahoeish.grid.gbs_client import connections_to
from tahoeish.grid.gbs_exchange import Patience
from tahoeish.grid.peer import NeedsLength, PeerError, PeerFull, PeerUnavailable, ShareMissing
from tahoeish.grid.tickets import UploadTicket
from tahoeish.storage.leases import LeaseSecrets
from tahoeish.storage.nurl import Nurl
from tahoeish.storage.ranges import Range
from tahoeish.storage.wire import dump_required
from tahoeish.streams.body import BodyStream
from tahoeish.streams.exchange.connections import Connections
from tahoeish.streams.request import StreamingRequest
from tahoeish.streams.tasks import together
from tests.grid.peer_contract import (
    SHARE,
    STORAGE_INDEX,
    PeerContract,
    allocated,
    content,
    half_written,
    store,
    store_whole,
    write_the_rest,
)
from tests.grid.storage_node import (
    SPACE,
    Fault,
    Serve,
    StorageNode,
    Talker,
    answering,
    cut,
    cut_in_the_middle,
    halting,
    served_in_vain,
    silence,
    until,
)

LEASE_SECRET = bytes(range(32))
SEED = bytes(range(40, 72))
TUB_ID = bytes(range(20))
QUICK = Patience(answer=5.0, stall=5.0, farewell=2.0, pause=0.01)
MORE_THAN_SOCKETS_HOLD = 16_000_000
IMPATIENT = Patience(answer=0.1, stall=0.1, farewell=0.1, pause=0.01)


class Grid:
    """Makes peers, and sees to it that nothing of them stays open."""

    def __init__(self, node: StorageNode) -> None:
        self.node = node
        self._connections: list[Connections] = []

    def peer(self, nurl: Nurl | None = None, *, patience: Patience = QUICK, **settings: Any) -> GbsPeer:
        clock: Any = reactor
        nurl = nurl or self.node.nurl
        connections = connections_to(nurl, clock, connect_timeout=5.0)
        self._connections.append(connections)
        return GbsPeer(
            connections,
            "node-1",
            SEED,
            clock=clock,
            lease_secret=LEASE_SECRET,
            tub_id=TUB_ID,
            random_bytes=os.urandom,
            patience=patience,
            **settings,
        )

    async def close(self) -> None:
        for connections in self._connections:
            await connections.close()
        await self.node.is_quiet()
        await self.node.stop()


@pytest_twisted.async_yield_fixture
async def grid(tmp_path: Path) -> AsyncIterator[Grid]:
    node = StorageNode(tmp_path / "node")
    await node.start()
    grid = Grid(node)
    yield grid
    await grid.close()


@pytest_twisted.async_yield_fixture
async def stock_grid(tmp_path: Path) -> AsyncIterator[Grid]:
    node = StorageNode(tmp_path / "node", stock=True)
    await node.start()
    grid = Grid(node)
    yield grid
    await grid.close()


class TestOurs(PeerContract):
    @pytest.fixture
    def peer(self, grid: Grid) -> GbsPeer:
        return grid.peer()

    @pytest.fixture
    def successor(self, grid: Grid) -> GbsPeer:
        return grid.peer()


class TestStock(PeerContract):
    takes_unknown_sizes = False
    removes_committed_shares = False

    @pytest.fixture
    def peer(self, stock_grid: Grid) -> GbsPeer:
        return stock_grid.peer()

    @pytest.fixture
    def successor(self, stock_grid: Grid) -> GbsPeer:
        return stock_grid.peer()


class TestWholeShares:
    @pytest_twisted.ensureDeferred
    async def test_ours_takes_one_in_one_request(self, grid: Grid) -> None:
        peer = grid.peer()

        for number in range(3):
            await store_whole(peer, number, b"whole share")

        assert await content(peer, 2) == b"whole share"
        puts = [asked for asked in grid.node.asked if asked.startswith("PUT /tahoeish/v1/immutable/")]
        assert len(puts) == 3
        assert grid.node.asked[0] == "GET /tahoeish/v1/extensions"
        assert not grid.node.count("POST") and not grid.node.count("PATCH")

    @pytest_twisted.ensureDeferred
    async def test_a_stock_one_takes_it_in_one_piece(self, stock_grid: Grid) -> None:
        await store_whole(stock_grid.peer(), 0, b"whole share")

        assert stock_grid.node.count("PATCH") == 1

    @pytest_twisted.ensureDeferred
    async def test_nothing_is_sent_to_ours_before_the_commit(self, grid: Grid) -> None:
        await self.give_up_before_commit(grid)

    @pytest_twisted.ensureDeferred
    async def test_nothing_is_sent_to_a_stock_one_before_the_commit(self, stock_grid: Grid) -> None:
        await self.give_up_before_commit(stock_grid)

    async def give_up_before_commit(self, grid: Grid) -> None:
        writer = (await grid.peer().allocate_whole(STORAGE_INDEX, [0], 5)).writers[0]
        await writer.write(0, [b"share"])
        await writer.prepare()
        await writer.abort()

        assert not grid.node.count("PATCH") and not grid.node.count("PUT /tahoeish")
        assert grid.node.files() == set()

    @pytest_twisted.ensureDeferred
    async def test_one_that_has_refused_is_asked_first(self, grid: Grid) -> None:
        peer = grid.peer()
        grid.node.trouble.append(("PUT /tahoeish", answering(507)))

        with pytest.raises(PeerFull):
            await store_whole(peer, 0, b"share")
        await store_whole(peer, 0, b"share")
        await store_whole(peer, 1, b"share")

        assert grid.node.count("POST /storage/v1/immutable/") == 1
        assert await peer.share_numbers(STORAGE_INDEX) == {0, 1}

    @pytest_twisted.ensureDeferred
    async def test_an_answer_that_gets_lost_does_not_matter(self, grid: Grid) -> None:
        grid.node.trouble.append(("PUT /tahoeish", served_in_vain))

        await store_whole(grid.peer(), 0, b"share")

        assert await content(grid.peer(), 0) == b"share"

    @pytest_twisted.ensureDeferred
    async def test_one_that_is_away_is_found_out_before_anything_is_sent(self, grid: Grid) -> None:
        peer = grid.peer()
        await store_whole(peer, 0, b"share")
        await grid.node.stop()

        with pytest.raises(PeerUnavailable):
            await store_whole(peer, 1, b"share")
        with pytest.raises(PeerUnavailable):
            await peer.allocate_whole(STORAGE_INDEX, [2], 5)


class TestWriting:
    @pytest_twisted.ensureDeferred
    async def test_writes_may_be_under_way_together_and_in_any_order(self, grid: Grid) -> None:
        peer = grid.peer(parallel_writes=4)
        data = os.urandom(1_000_000)
        writer = await allocated(peer, 0, len(data))
        assert writer.parallel_writes == 4

        await together(writer.write(start, [data[start : start + 250_000]]) for start in (750_000, 0, 250_000, 500_000))
        await writer.prepare()
        await writer.commit()

        assert await content(peer, 0) == data

    @pytest.mark.parametrize("trouble", [cut, cut_in_the_middle, answering(500), answering(503, "busy")])
    @pytest_twisted.ensureDeferred
    async def test_a_write_that_fails_is_repeated(self, grid: Grid, trouble: Fault) -> None:
        peer = grid.peer()
        data = os.urandom(900_000)
        writer = await allocated(peer, 0, len(data))
        grid.node.trouble = [("PATCH", trouble), ("PATCH", trouble)]

        await writer.write(100_000, [data[100_000:]])
        await writer.write(0, [data[:100_000]])
        await writer.prepare()
        await writer.commit()

        assert await content(peer, 0) == data
        assert grid.node.count("PATCH") == 4

    @pytest_twisted.ensureDeferred
    async def test_a_node_that_fails_again_and_again_is_given_up(self, grid: Grid) -> None:
        peer = grid.peer()
        writer = await allocated(peer, 0, 10)
        grid.node.trouble = [("PATCH", answering(500, f"no. {number}")) for number in range(9)]

        with pytest.raises(PeerError, match=r"^node-1: it answered with status 500: no\. 2$"):
            await writer.write(5, [b"56789"])
        assert grid.node.count("PATCH") == QUICK.attempts
        await writer.abort()

    @pytest_twisted.ensureDeferred
    async def test_a_disk_that_is_full_isnt_asked_again(self, grid: Grid) -> None:
        writer = await allocated(grid.peer(), 0, 10)
        grid.node.trouble = [("PATCH", answering(507, "full"))]

        with pytest.raises(PeerFull):
            await writer.write(5, [b"56789"])
        assert grid.node.count("PATCH") == 1

    @pytest_twisted.ensureDeferred
    async def test_a_node_that_says_nothing_is_given_up_in_time(self, grid: Grid) -> None:
        writer = await allocated(grid.peer(patience=IMPATIENT), 0, 10)
        grid.node.trouble = [("PATCH", silence)]

        with pytest.raises(PeerUnavailable, match=r"nothing was heard of it for 0\.1 seconds"):
            await writer.write(5, [b"56789"])
        assert grid.node.count("PATCH") == 1
        await grid.node.is_quiet()

    @pytest_twisted.ensureDeferred
    async def test_a_node_that_stops_reading_is_given_up_in_time(self, grid: Grid) -> None:
        given_up: Deferred[None] = Deferred()

        async def deaf(request: StreamingRequest, body: BodyStream, serve: Serve) -> None:
            await given_up
            await body.read_all(MORE_THAN_SOCKETS_HOLD)

        writer = await allocated(grid.peer(patience=IMPATIENT), 0, MORE_THAN_SOCKETS_HOLD)
        grid.node.trouble = [("PATCH", deaf)]

        with pytest.raises(PeerUnavailable, match="nothing was heard"):
            await writer.write(1, [bytes(MORE_THAN_SOCKETS_HOLD - 1)])
        given_up.callback(None)
        await grid.node.is_quiet()

    @pytest_twisted.ensureDeferred
    async def test_a_restart_loses_the_share(self, grid: Grid) -> None:
        peer = grid.peer()
        writer = await allocated(peer, 0, 10)
        await writer.write(5, [b"567"])

        await grid.node.stop()
        await grid.node.start()

        with pytest.raises(ShareMissing, match="restarted"):
            await writer.write(8, [b"89"])
        await writer.abort()
        assert await peer.share_numbers(STORAGE_INDEX) == set()

    @pytest_twisted.ensureDeferred
    async def test_a_refusal_is_heard_while_much_is_still_to_be_sent(self, grid: Grid) -> None:
        peer = grid.peer()
        writer = await allocated(peer, 0, MORE_THAN_SOCKETS_HOLD)
        await writer.abort()

        with pytest.raises(ShareMissing):
            await writer.write(1, [bytes(MORE_THAN_SOCKETS_HOLD - 1)])
        assert grid.node.count("PATCH") == 1
        await grid.node.is_quiet()

    @pytest_twisted.ensureDeferred
    async def test_a_short_absence_does_no_harm(self, grid: Grid) -> None:
        peer = grid.peer(patience=replace(QUICK, pause=0.2))
        assert await peer.share_numbers(STORAGE_INDEX) == set()
        await grid.node.stop()

        answer = Deferred.fromCoroutine(peer._client.request("GET", "/storage/v1/version", insist=True))
        await grid.node.start()

        assert (await answer).status == 200

    @pytest_twisted.ensureDeferred
    async def test_what_the_node_refuses_is_told(self, grid: Grid) -> None:
        writer = await allocated(grid.peer(), 0, 10)
        await writer.write(5, [b"567"])

        with pytest.raises(PeerError, match="status 409: bytes 5 to 7 have been written before") as refused:
            await writer.write(5, [b"765"])
        assert type(refused.value) is PeerError
        await writer.abort()

    @pytest_twisted.ensureDeferred
    async def test_words_for_browsers_are_not_passed_on(self, grid: Grid) -> None:
        writer = await allocated(grid.peer(), 0, 10)
        grid.node.trouble = [("PATCH", answering(400, "<h1>Bad</h1>", "text/html"))]

        with pytest.raises(PeerError) as refused:
            await writer.write(5, [b"567"])
        assert str(refused.value) == "node-1: it answered with status 400"

    @pytest_twisted.ensureDeferred
    async def test_bytes_that_the_node_has_lost_are_missed_before_it_is_too_late(self, grid: Grid) -> None:
        writer = await allocated(grid.peer(), 0, 10)
        claims = dump_required([Range(0, 7)])
        grid.node.trouble = [("PATCH", answering(200, claims.decode("latin-1"), "application/cbor"))]
        await writer.write(5, [b"56789"])
        await writer.write(0, [b"01234"])

        with pytest.raises(PeerError, match="hasn't kept all bytes"):
            await writer.prepare()
        await writer.abort()

    @pytest_twisted.ensureDeferred
    async def test_an_answer_that_makes_no_sense_is_an_error(self, grid: Grid) -> None:
        writer = await allocated(grid.peer(), 0, 10)
        grid.node.trouble = [("PATCH", answering(200, "all right"))]

        with pytest.raises(PeerError, match="isn't what the protocol has"):
            await writer.write(5, [b"567"])

    @pytest.mark.parametrize("size", [10, None])
    @pytest_twisted.ensureDeferred
    async def test_a_commit_whose_answer_is_lost_has_happened(self, grid: Grid, size: int | None) -> None:
        peer = grid.peer()
        writer = await allocated(peer, 0, size)
        await writer.write(5, [b"56789"])
        await writer.write(0, [b"01234"])
        await writer.prepare()
        grid.node.trouble = [("P", served_in_vain)]

        await writer.commit()

        assert await content(peer, 0) == b"0123456789"

    @pytest_twisted.ensureDeferred
    async def test_a_commit_that_never_happened_fails(self, grid: Grid) -> None:
        writer = await allocated(grid.peer(), 0, 10)
        await writer.write(5, [b"56789"])
        await writer.write(0, [b"01234"])
        await writer.prepare()
        await grid.node.stop()
        await grid.node.start()

        with pytest.raises(ShareMissing):
            await writer.commit()

    @pytest_twisted.ensureDeferred
    async def test_more_than_was_set_aside_is_not_sent(self, grid: Grid) -> None:
        writer = await allocated(grid.peer(unknown_length_limit=1000), 0, None)

        with pytest.raises(PeerFull, match="only 1000 bytes"):
            await writer.write(500, [bytes(501)])
        assert grid.node.count("PATCH") == 0

    @pytest.mark.parametrize("trouble", [silence, cut])
    @pytest_twisted.ensureDeferred
    async def test_an_abort_takes_no_longer_than_it_is_worth(self, grid: Grid, trouble: Fault) -> None:
        writer = await allocated(grid.peer(patience=replace(IMPATIENT, answer=60)), 0, 10)
        grid.node.trouble = [("PUT", trouble), ("PUT", trouble)]

        with pytest.raises(PeerUnavailable):
            await writer.abort()


class TestGoingOn:
    @pytest_twisted.ensureDeferred
    async def test_a_stock_node_that_is_restarted_loses_the_share(self, stock_grid: Grid) -> None:
        ticket = await half_written(stock_grid.peer(), 0)
        await stock_grid.node.stop()
        await stock_grid.node.start()

        with pytest.raises(ShareMissing, match="restarted"):
            await stock_grid.peer().reopen(STORAGE_INDEX, 0, ticket)

    @pytest.mark.parametrize("size", [len(SHARE), None])
    @pytest_twisted.ensureDeferred
    async def test_ours_keeps_it_over_a_restart(self, grid: Grid, size: int | None) -> None:
        ticket = await half_written(grid.peer(), 0, size)
        await grid.node.stop()
        await grid.node.start()

        await write_the_rest(await grid.peer().reopen(STORAGE_INDEX, 0, ticket))

        assert await content(grid.peer(), 0) == SHARE

    @pytest_twisted.ensureDeferred
    async def test_a_writer_goes_on_after_a_restart(self, grid: Grid) -> None:
        peer = grid.peer()
        writer = await peer.reopen(STORAGE_INDEX, 0, await half_written(peer, 0))
        await grid.node.stop()
        await grid.node.start()

        await writer.secure()
        await write_the_rest(writer)

        assert await content(peer, 0) == SHARE

    @pytest_twisted.ensureDeferred
    async def test_a_writer_waits_for_a_node_that_is_being_restarted(self, grid: Grid) -> None:
        peer = grid.peer(patience=replace(QUICK, lasting_attempts=1000))
        writer = await peer.reopen(STORAGE_INDEX, 0, await half_written(peer, 0))
        await grid.node.stop()
        securing = Deferred.fromCoroutine(writer.secure())
        writing = Deferred.fromCoroutine(writer.write(50_000, [SHARE[50_000:]]))
        await deferLater(reactor, 2 * QUICK.attempts * QUICK.pause)
        assert not securing.called and not writing.called

        await grid.node.start()
        await securing
        await writing
        await write_the_rest(writer)

        assert await content(peer, 0) == SHARE

    @pytest_twisted.ensureDeferred
    async def test_a_node_that_fails_is_not_waited_for_as_long(self, grid: Grid) -> None:
        peer = grid.peer()
        writer = await peer.reopen(STORAGE_INDEX, 0, await half_written(peer, 0))
        grid.node.asked.clear()
        grid.node.trouble = [("PATCH", answering(500)) for _ in range(QUICK.lasting_attempts)]

        with pytest.raises(PeerError, match="status 500"):
            await writer.write(50_000, [SHARE[50_000:]])

        assert grid.node.count("PATCH") == QUICK.attempts
        grid.node.trouble = []

    @pytest_twisted.ensureDeferred
    async def test_what_can_not_be_secured_is_told(self, grid: Grid) -> None:
        peer = grid.peer()
        writer = (await peer.allocate(STORAGE_INDEX, [0], 5, lasting=True)).writers[0]
        grid.node.trouble = [("POST", answering(507))]

        with pytest.raises(PeerFull):
            await writer.secure()
        await writer.abort()

    @pytest_twisted.ensureDeferred
    async def test_there_is_nothing_to_secure_at_a_stock_node(self, stock_grid: Grid) -> None:
        writer = (await stock_grid.peer().allocate(STORAGE_INDEX, [0], 5, lasting=True)).writers[0]

        await writer.secure()

        assert stock_grid.node.count("POST") == 1
        await writer.abort()

    @pytest_twisted.ensureDeferred
    async def test_a_node_that_is_away_may_still_have_it(self, grid: Grid) -> None:
        ticket = await half_written(grid.peer(), 0)
        await grid.node.stop()

        with pytest.raises(PeerUnavailable):
            await grid.peer().reopen(STORAGE_INDEX, 0, ticket)

    @pytest_twisted.ensureDeferred
    async def test_bytes_that_are_lost_since_then_are_missed_before_it_is_too_late(self, grid: Grid) -> None:
        ticket = await half_written(grid.peer(), 0)
        writer = await grid.peer().reopen(STORAGE_INDEX, 0, ticket)
        await writer.write(50_001, [SHARE[50_001:]])
        await writer.write(0, [SHARE[:1000]])

        with pytest.raises(PeerError, match="hasn't kept all bytes"):
            await writer.prepare()

    @pytest_twisted.ensureDeferred
    async def test_a_share_that_is_kept_alive_is_not_given_up(self, grid: Grid) -> None:
        ticket = await half_written(grid.peer(), 0)
        [upload] = grid.node.uploads._uploads.values()  # type: ignore[union-attr]
        due = upload._idle_call.getTime()

        await grid.peer().keep_alive(STORAGE_INDEX, 0, ticket)

        assert upload._idle_call.getTime() > due
        assert grid.node.asked[-1].startswith("PATCH")

    @pytest_twisted.ensureDeferred
    async def test_who_has_no_ticket_can_not_go_on(self, grid: Grid) -> None:
        ticket = await half_written(grid.peer(), 0)
        another = UploadTicket(bytes(32), UploadTicket.load(ticket).allocated, False).dump()

        with pytest.raises(PeerError, match="status 401"):
            await grid.peer().reopen(STORAGE_INDEX, 0, another)


class TestAllocating:
    @pytest_twisted.ensureDeferred
    async def test_room_that_was_made_in_vain_is_given_back_and_made_again(self, grid: Grid) -> None:
        peer = grid.peer()
        grid.node.trouble = [("POST", served_in_vain)]

        allocation = await peer.allocate(STORAGE_INDEX, [0, 1], 5)

        assert set(allocation.writers) == {0, 1}
        assert allocation.refusal is None
        for writer in allocation.writers.values():
            await writer.write(0, [b"share"])
            await writer.prepare()
            await writer.commit()
        assert await peer.share_numbers(STORAGE_INDEX) == {0, 1}

    @pytest_twisted.ensureDeferred
    async def test_room_that_nobody_waits_for_is_given_back(self, grid: Grid) -> None:
        served: Deferred[None] = Deferred()

        async def held_back(request: StreamingRequest, body: BodyStream, serve: Serve) -> None:
            request.write = lambda data: None  # type: ignore[method-assign]
            await serve(request, body)
            served.callback(None)
            await Deferred()

        grid.node.trouble = [("POST", held_back)]
        allocating = Deferred.fromCoroutine(grid.peer().allocate(STORAGE_INDEX, [0, 1], 5))
        await served
        assert grid.node.files() == {"0", "1"}

        allocating.cancel()

        with pytest.raises(CancelledError):
            await allocating
        await until(lambda: not grid.node.files(), "the room is given back")

    @pytest_twisted.ensureDeferred
    async def test_a_node_without_room_refuses(self, grid: Grid) -> None:
        grid.node.uploads._read_only = True  # type: ignore[union-attr]

        allocation = await grid.peer().allocate(STORAGE_INDEX, [0], 5)

        assert not allocation.writers
        assert "no room" in str(allocation.refusal)

    @pytest_twisted.ensureDeferred
    async def test_leases_are_those_of_a_tahoe_node_with_our_secret(self, grid: Grid) -> None:
        peer = grid.peer()
        await store(peer, 0, b"share")
        [share] = (grid.node.directory / "shares").glob("*/*/0")

        secrets = LeaseSecrets.derived(LEASE_SECRET, STORAGE_INDEX, TUB_ID).as_stored(2)

        assert share.read_bytes()[-72:-4] == bytes(4) + secrets.renew + secrets.cancel

    @pytest.mark.parametrize(
        ("limit", "largest", "shares", "expected"),
        [(2**40, 2**40, 1, SPACE // 2), (2**40, 2**40, 2, SPACE // 4), (1000, 2**40, 1, 1000), (2**40, 500, 1, 500)],
    )
    @pytest_twisted.ensureDeferred
    async def test_shares_of_unknown_length_get_room_that_leaves_some_to_others(
        self, grid: Grid, limit: int, largest: int, shares: int, expected: int
    ) -> None:
        grid.node.max_share_size = largest
        await grid.node.stop()
        await grid.node.start()

        allocation = await grid.peer(unknown_length_limit=limit).allocate(STORAGE_INDEX, range(shares), None)

        for writer in allocation.writers.values():
            with pytest.raises(PeerFull, match=f"only {expected} bytes"):
                await writer.write(expected, [b"."])

    @pytest_twisted.ensureDeferred
    async def test_a_full_node_has_no_room_for_shares_of_unknown_length(self, grid: Grid) -> None:
        grid.node.space = 0
        await grid.node.stop()
        await grid.node.start()

        with pytest.raises(PeerFull):
            await grid.peer().allocate(STORAGE_INDEX, [0], None)

    @pytest_twisted.ensureDeferred
    async def test_stock_nodes_need_to_know_the_length(self, stock_grid: Grid) -> None:
        peer = stock_grid.peer()
        for _ in range(2):
            with pytest.raises(NeedsLength):
                await peer.allocate(STORAGE_INDEX, [0], None)
        assert stock_grid.node.asked == ["GET /tahoeish/v1/extensions"]

    @pytest_twisted.ensureDeferred
    async def test_a_node_that_was_away_may_have_become_another(self, grid: Grid) -> None:
        peer = grid.peer()
        await (await allocated(peer, 0, None)).abort()
        await grid.node.stop()
        with pytest.raises(PeerUnavailable):
            await peer.version()
        grid.node.stock = True
        await grid.node.start()

        with pytest.raises(NeedsLength):
            await peer.allocate(STORAGE_INDEX, [0], None)


class TestReading:
    @pytest_twisted.ensureDeferred
    async def test_small_shares_come_when_they_are_opened(self, grid: Grid) -> None:
        peer = grid.peer()
        await store(peer, 0, b"0123456789")
        grid.node.asked.clear()

        source = await peer.open_share(STORAGE_INDEX, 0)

        assert [await source.read(0, 4), await source.read(8, 2048), await source.read(99, 1)] == [b"0123", b"89", b""]
        assert len(grid.node.asked) == 1

    @pytest_twisted.ensureDeferred
    async def test_large_shares_are_read_piece_by_piece(self, grid: Grid) -> None:
        peer = grid.peer()
        data = os.urandom(1_000_000)
        await store(peer, 0, data)

        source = await peer.open_share(STORAGE_INDEX, 0)

        assert await source.read(0, 100) == data[:100]
        assert await source.read(2000, 100) == data[2000:2100]
        assert await source.read(500_000, 1_000_000) == data[500_000:]
        assert await source.read(1_000_000, 10) == b""
        assert await source.read(500_000, 0) == b""

    @pytest.mark.parametrize("content_range", ["bytes 3-5/*", "bytes 2-9/*", "bytes 2-3/*", "bytes */*", ""])
    @pytest_twisted.ensureDeferred
    async def test_other_bytes_than_those_asked_for_are_an_error(self, grid: Grid, content_range: str) -> None:
        grid.node.trouble = [("GET", answering(206, "abc", headers={"Content-Range": content_range}))]
        with pytest.raises(PeerError):
            await grid.peer().open_share(STORAGE_INDEX, 0)

    @pytest_twisted.ensureDeferred
    async def test_a_whole_share_instead_of_a_part_is_an_error(self, grid: Grid) -> None:
        grid.node.trouble = [("GET", answering(200, "abc"))]
        with pytest.raises(PeerError, match="status 200"):
            await grid.peer().open_share(STORAGE_INDEX, 0)

    @pytest_twisted.ensureDeferred
    async def test_an_endless_answer_is_not_taken(self, grid: Grid) -> None:
        async def endless(request: StreamingRequest, body: BodyStream, serve: Serve) -> None:
            while not request._disconnected:
                request.write(bytes(100_000))
                await deferLater(reactor, 0)

        grid.node.trouble = [("GET", endless)]
        with pytest.raises(PeerError, match="longer than"):
            await grid.peer().open_share(STORAGE_INDEX, 0)
        await grid.node.is_quiet()

    @pytest_twisted.ensureDeferred
    async def test_a_stall_in_the_middle_is_noticed(self, grid: Grid) -> None:
        grid.node.trouble = [("GET", halting)]
        with pytest.raises(PeerUnavailable, match="nothing was heard"):
            await grid.peer(patience=IMPATIENT).open_share(STORAGE_INDEX, 0)
        await grid.node.is_quiet()

    @pytest.mark.parametrize("trouble", [silence, halting])
    @pytest_twisted.ensureDeferred
    async def test_cancelling_drops_the_connection(self, grid: Grid, trouble: Fault) -> None:
        grid.node.trouble = [("GET", trouble)]
        reading = Deferred.fromCoroutine(grid.peer().open_share(STORAGE_INDEX, 0))
        await until(lambda: grid.node.asked, "the request has come")

        reading.cancel()

        with pytest.raises(CancelledError):
            await reading
        await grid.node.is_quiet()


class TestConnections:
    @pytest_twisted.ensureDeferred
    async def test_one_connection_serves_many_requests(self, grid: Grid) -> None:
        peer = grid.peer()
        for number in range(5):
            await store(peer, number, b"share")
        assert grid.node.connections == 1

    @pytest_twisted.ensureDeferred
    async def test_a_kept_connection_that_was_closed_meanwhile_does_no_harm(self, grid: Grid) -> None:
        peer = grid.peer()
        await store(peer, 0, b"share")
        grid.node.trouble = [("GET", cut)]

        assert await content(peer, 0) == b"share"

    @pytest_twisted.ensureDeferred
    async def test_connections_that_break_again_and_again_are_an_error(self, grid: Grid) -> None:
        grid.node.trouble = [("GET", cut)] * 9
        with pytest.raises(PeerUnavailable, match=r"^node-1: the connection broke: "):
            await grid.peer().share_numbers(STORAGE_INDEX)
        assert grid.node.count("GET") == 2

    @pytest_twisted.ensureDeferred
    async def test_a_node_that_is_off_is_told_at_once(self, grid: Grid) -> None:
        await grid.node.stop()
        with pytest.raises(PeerUnavailable, match=r"^node-1: it can't be reached: Connection.*refused"):
            await grid.peer().share_numbers(STORAGE_INDEX)

    @pytest_twisted.ensureDeferred
    async def test_another_key_is_refused(self, grid: Grid) -> None:
        with pytest.raises(PeerUnavailable, match="node-1: the server has another key"):
            await grid.peer(replace(grid.node.nurl, spki_hash=bytes(32))).version()
        assert grid.node.asked == []

    @pytest_twisted.ensureDeferred
    async def test_a_wrong_swissnum_is_told_and_not_shown(self, grid: Grid) -> None:
        swissnum = "geheim"
        with pytest.raises(PeerError, match="status 401: Wrong Authorization header") as refused:
            await grid.peer(replace(grid.node.nurl, swissnum=swissnum)).version()
        assert swissnum not in str(refused.value)
        assert swissnum not in repr(refused.value)

    @pytest_twisted.ensureDeferred
    async def test_what_is_no_storage_node_is_told(self, grid: Grid) -> None:
        other = Talker(b"SSH-2.0-OpenSSH_9.2\r\n")
        with pytest.raises(PeerUnavailable, match="TLS failed: "):
            await grid.peer(replace(grid.node.nurl, port=other.port)).version()
        await other.stop()
