"""What every `IStoragePeer` has to do, as tests that each kind of peer inherits."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator

import pytest
import pytest_twisted
from twisted.internet.defer import CancelledError, Deferred
from zope.interface.verify import verifyObject

from tahoeish.grid.peer import Allocation, IShareSource, IShareWriter, IStoragePeer, PeerError, ShareMissing

STORAGE_INDEX = bytes(range(16))
SHARE = bytes.fromhex("00000001") + os.urandom(100_000)
"""It begins as all shares do."""
OTHER_STORAGE_INDEX = bytes(16)


async def allocated(peer: IStoragePeer, number: int, size: int | None) -> IShareWriter:
    allocation = await peer.allocate(STORAGE_INDEX, [number], size)
    assert allocation.refusal is None
    return allocation.writers[number]


async def half_written(peer: IStoragePeer, number: int, size: int | None = len(SHARE)) -> str:
    """Write half of a share that lasts, and forget it; gives its ticket."""
    writer = (await peer.allocate(STORAGE_INDEX, [number], size, lasting=True)).writers[number]
    await writer.write(1000, [SHARE[1000:50_000]])
    await writer.secure()
    ticket = writer.ticket
    await writer.forget()
    assert ticket is not None
    return ticket


async def write_the_rest(writer: IShareWriter) -> None:
    """A little of it again."""
    await writer.write(40_000, [SHARE[40_000:]])
    await writer.write(0, [SHARE[:1000]])
    await writer.prepare()
    await writer.commit()


async def store(peer: IStoragePeer, number: int, data: bytes) -> None:
    writer = await allocated(peer, number, len(data))
    await writer.write(0, [data])
    await writer.prepare()
    await writer.commit()


async def store_whole(peer: IStoragePeer, number: int, data: bytes) -> IShareWriter:
    writer = (await peer.allocate_whole(STORAGE_INDEX, [number], len(data))).writers[number]
    await writer.write(0, [data[:3], memoryview(data)[3:]])
    await writer.prepare()
    await writer.commit()
    return writer


async def content(peer: IStoragePeer, number: int) -> bytes:
    source = await peer.open_share(STORAGE_INDEX, number)
    data = await source.read(0, 1_000_000)
    await source.close()
    return bytes(data)


class PeerContract:
    """
    Inherit from it as `class TestSomePeer(PeerContract)`, override the fixture `peer`, and say what is
    special.
    """

    takes_unknown_sizes = True
    """Whether a share may be begun before its length is known."""
    hides_prepared_shares = True
    """Whether a share with all its bytes stays invisible until it is committed."""
    removes_committed_shares = True
    """Whether `abort` still helps after `commit`."""

    @pytest.fixture
    def peer(self) -> IStoragePeer | AsyncIterator[IStoragePeer]:
        """A peer without shares, with room for a megabyte and more."""
        raise NotImplementedError

    @pytest_twisted.ensureDeferred
    async def test_everything_provides_its_interface(self, peer: IStoragePeer) -> None:
        await store(peer, 0, b"share")
        writer = await allocated(peer, 1, 10)
        source = await peer.open_share(STORAGE_INDEX, 0)

        assert verifyObject(IStoragePeer, peer)
        assert verifyObject(IShareWriter, writer)
        assert verifyObject(IShareSource, source)
        assert (writer.number, source.number) == (1, 0)
        await source.close()
        await writer.abort()

    @pytest_twisted.ensureDeferred
    async def test_place_in_the_ring_is_known(self, peer: IStoragePeer) -> None:
        assert len(peer.permutation_seed) >= 20

    @pytest_twisted.ensureDeferred
    async def test_unknown_file_has_no_shares(self, peer: IStoragePeer) -> None:
        await store(peer, 0, b"share")

        assert await peer.share_numbers(OTHER_STORAGE_INDEX) == set()

    @pytest_twisted.ensureDeferred
    async def test_committed_share_can_be_seen_and_read(self, peer: IStoragePeer) -> None:
        writer = await allocated(peer, 5, 11)

        await writer.write(0, [b"hel", memoryview(b"lo"), bytearray(b" ")])
        assert await peer.share_numbers(STORAGE_INDEX) == set()
        await writer.write(6, [b"world"])
        await writer.prepare()
        if self.hides_prepared_shares:
            assert await peer.share_numbers(STORAGE_INDEX) == set()
        await writer.commit()

        assert await peer.share_numbers(STORAGE_INDEX) == {5}
        assert await content(peer, 5) == b"hello world"

    @pytest_twisted.ensureDeferred
    async def test_beginning_may_be_written_last(self, peer: IStoragePeer) -> None:
        writer = await allocated(peer, 0, 11)

        await writer.write(6, [b"world"])
        await writer.write(0, [b"hello "])
        await writer.prepare()
        await writer.commit()

        assert await content(peer, 0) == b"hello world"

    @pytest_twisted.ensureDeferred
    async def test_length_may_show_in_the_end(self, peer: IStoragePeer) -> None:
        if not self.takes_unknown_sizes:
            pytest.skip("this kind of peer has to know the size first")
        writer = await allocated(peer, 0, None)

        await writer.write(4, [b"data"])
        await writer.write(0, [b"head"])
        await writer.prepare()
        await writer.commit()

        assert await content(peer, 0) == b"headdata"

    @pytest_twisted.ensureDeferred
    async def test_buffers_may_be_used_again_after_the_write(self, peer: IStoragePeer) -> None:
        writer = await allocated(peer, 0, 200_000)
        buffer = bytearray(b"a" * 100_000)

        await writer.write(0, [buffer])
        buffer[:] = b"b" * 100_000
        await writer.write(100_000, [buffer])
        await writer.prepare()
        await writer.commit()

        assert await content(peer, 0) == b"a" * 100_000 + b"b" * 100_000

    @pytest_twisted.ensureDeferred
    async def test_reads_end_where_the_share_ends(self, peer: IStoragePeer) -> None:
        await store(peer, 0, b"0123456789")
        source = await peer.open_share(STORAGE_INDEX, 0)

        assert await source.read(2, 3) == b"234"
        assert await source.read(8, 100) == b"89"
        assert await source.read(10, 1) == b""
        assert await source.read(5000, 1) == b""
        await source.close()

    @pytest_twisted.ensureDeferred
    async def test_several_reads_may_be_under_way(self, peer: IStoragePeer) -> None:
        await store(peer, 0, b"0123456789")
        source = await peer.open_share(STORAGE_INDEX, 0)

        reads = [Deferred.fromCoroutine(source.read(offset, 2)) for offset in (4, 0, 8)]

        assert [await read for read in reads] == [b"45", b"01", b"89"]
        await source.close()

    @pytest_twisted.ensureDeferred
    async def test_missing_share_can_not_be_opened(self, peer: IStoragePeer) -> None:
        await store(peer, 0, b"share")

        with pytest.raises(ShareMissing, match=peer.name):
            await peer.open_share(STORAGE_INDEX, 1)

    @pytest_twisted.ensureDeferred
    async def test_existing_shares_are_reported_and_kept(self, peer: IStoragePeer) -> None:
        await store(peer, 0, b"zero")
        await store(peer, 3, b"three")

        allocation = await peer.allocate(STORAGE_INDEX, {0, 1}, 10)

        assert allocation.existing == {0, 3}
        assert set(allocation.writers) == {1}
        assert await content(peer, 0) == b"zero"
        await allocation.writers[1].abort()

    @pytest_twisted.ensureDeferred
    async def test_asking_for_nothing_tells_what_exists(self, peer: IStoragePeer) -> None:
        await store(peer, 0, b"zero")

        allocation = await peer.allocate(STORAGE_INDEX, [], 10)

        assert allocation == Allocation(existing=frozenset({0}))

    @pytest_twisted.ensureDeferred
    async def test_share_that_is_being_written_is_refused(self, peer: IStoragePeer) -> None:
        first = await allocated(peer, 0, 5)

        second = await peer.allocate(STORAGE_INDEX, [0, 1], 5)

        assert second.existing == frozenset()
        assert set(second.writers) == {1}
        assert second.refusal
        await second.writers[1].abort()
        await first.write(0, [b"first"])
        await first.prepare()
        await first.commit()
        assert await content(peer, 0) == b"first"

    @pytest_twisted.ensureDeferred
    async def test_aborted_share_leaves_room_for_another_try(self, peer: IStoragePeer) -> None:
        writer = await allocated(peer, 0, 10)
        await writer.write(0, [b"01234"])

        await writer.abort()
        await writer.abort()

        assert await peer.share_numbers(STORAGE_INDEX) == set()
        await store(peer, 0, b"another try")
        assert await content(peer, 0) == b"another try"

    @pytest_twisted.ensureDeferred
    async def test_prepared_share_can_be_aborted(self, peer: IStoragePeer) -> None:
        if not self.hides_prepared_shares:
            pytest.skip("with this kind of peer, a prepared share is as good as committed")
        writer = await allocated(peer, 0, 5)
        await writer.write(0, [b"share"])
        await writer.prepare()

        await writer.abort()

        assert await peer.share_numbers(STORAGE_INDEX) == set()

    @pytest_twisted.ensureDeferred
    async def test_abort_after_commit_removes_the_share_where_it_can(self, peer: IStoragePeer) -> None:
        writer = await allocated(peer, 0, 5)
        await writer.write(0, [b"share"])
        await writer.prepare()
        await writer.commit()

        await writer.abort()

        expected = set() if self.removes_committed_shares else {0}
        assert await peer.share_numbers(STORAGE_INDEX) == expected

    @pytest_twisted.ensureDeferred
    async def test_small_share_goes_whole(self, peer: IStoragePeer) -> None:
        allocation = await peer.allocate_whole(STORAGE_INDEX, [2, 4], 11)
        writers = [allocation.writers[number] for number in (2, 4)]

        for writer in writers:
            await writer.write(0, [b"hello ", bytearray(b"world")])
            await writer.prepare()
        assert await peer.share_numbers(STORAGE_INDEX) == set()
        await writers[0].commit()
        await writers[1].abort()

        assert await peer.share_numbers(STORAGE_INDEX) == {2}
        assert await content(peer, 2) == b"hello world"

    @pytest_twisted.ensureDeferred
    async def test_whole_share_is_removed_again_where_that_can_be(self, peer: IStoragePeer) -> None:
        writer = await store_whole(peer, 0, b"share")

        await writer.abort()
        await writer.abort()

        assert await peer.share_numbers(STORAGE_INDEX) == (set() if self.removes_committed_shares else {0})

    @pytest_twisted.ensureDeferred
    async def test_cancelled_write_can_be_aborted(self, peer: IStoragePeer) -> None:
        writer = await allocated(peer, 0, 1_000_000)
        writing = Deferred.fromCoroutine(writer.write(0, [bytes(500_000)]))
        # The peer may have been faster.
        writing.addErrback(lambda reason: reason.trap(CancelledError))

        writing.cancel()
        await writing
        await writer.abort()

        assert await peer.share_numbers(STORAGE_INDEX) == set()
        await store(peer, 0, b"another try")

    @pytest_twisted.ensureDeferred
    async def test_corruption_can_be_reported(self, peer: IStoragePeer) -> None:
        await store(peer, 0, b"share")

        await peer.report_corruption(STORAGE_INDEX, 0, "block 7 isn't what it was")
        with pytest.raises(ShareMissing):
            await peer.report_corruption(STORAGE_INDEX, 1, "there is no such share")

    @pytest_twisted.ensureDeferred
    async def test_available_space_is_plausible_if_it_is_known(self, peer: IStoragePeer) -> None:
        space = await peer.available_space()

        assert space is None or space > 1_000_000

    @pytest.fixture
    def successor(self, peer: IStoragePeer) -> IStoragePeer:
        """What another process knows the peer as. It may be the same."""
        return peer

    @pytest.mark.parametrize("size", [len(SHARE), None])
    @pytest_twisted.ensureDeferred
    async def test_lasting_share_is_gone_on_with(
        self, peer: IStoragePeer, successor: IStoragePeer, size: int | None
    ) -> None:
        if size is None and not self.takes_unknown_sizes:
            pytest.skip("this kind of peer has to know the size first")
        ticket = await half_written(peer, 3, size)
        assert await peer.share_numbers(STORAGE_INDEX) == set()

        once = await successor.reopen(STORAGE_INDEX, 3, ticket)
        assert once.number == 3 and once.ticket == ticket
        await once.write(50_000, [SHARE[50_000:60_000]])
        await once.forget()
        again = await peer.reopen(STORAGE_INDEX, 3, ticket)
        await write_the_rest(again)

        assert await content(peer, 3) == SHARE

    @pytest_twisted.ensureDeferred
    async def test_share_is_gone_on_with_when_it_had_been_prepared(
        self, peer: IStoragePeer, successor: IStoragePeer
    ) -> None:
        ticket = await half_written(peer, 0)
        prepared = await peer.reopen(STORAGE_INDEX, 0, ticket)
        await prepared.write(50_000, [SHARE[50_000:]])
        await prepared.write(0, [SHARE[:1000]])
        await prepared.prepare()
        await prepared.forget()

        await write_the_rest(await successor.reopen(STORAGE_INDEX, 0, ticket))

        assert await content(peer, 0) == SHARE

    @pytest_twisted.ensureDeferred
    async def test_share_whose_ticket_was_lost_is_begun_anew(self, peer: IStoragePeer, successor: IStoragePeer) -> None:
        await half_written(peer, 0)

        ticket = await half_written(successor, 0)
        await write_the_rest(await successor.reopen(STORAGE_INDEX, 0, ticket))

        assert await content(peer, 0) == SHARE

    @pytest_twisted.ensureDeferred
    async def test_reopened_share_can_be_aborted(self, peer: IStoragePeer, successor: IStoragePeer) -> None:
        ticket = await half_written(peer, 0)

        await (await successor.reopen(STORAGE_INDEX, 0, ticket)).abort()

        with pytest.raises(ShareMissing, match=peer.name):
            await successor.reopen(STORAGE_INDEX, 0, ticket)
        with pytest.raises(ShareMissing, match=peer.name):
            await successor.keep_alive(STORAGE_INDEX, 0, ticket)

    @pytest_twisted.ensureDeferred
    async def test_committed_share_is_no_longer_unfinished(self, peer: IStoragePeer, successor: IStoragePeer) -> None:
        ticket = await half_written(peer, 0)
        await write_the_rest(await peer.reopen(STORAGE_INDEX, 0, ticket))

        with pytest.raises(ShareMissing, match=peer.name):
            await successor.reopen(STORAGE_INDEX, 0, ticket)

    @pytest_twisted.ensureDeferred
    async def test_keeping_a_share_alive_does_not_change_it(self, peer: IStoragePeer, successor: IStoragePeer) -> None:
        ticket = await half_written(peer, 0)

        await successor.keep_alive(STORAGE_INDEX, 0, ticket)
        writer = await successor.reopen(STORAGE_INDEX, 0, ticket)
        await writer.write(50_000, [SHARE[50_000:]])
        await peer.keep_alive(STORAGE_INDEX, 0, ticket)
        await write_the_rest(writer)

        assert await content(peer, 0) == SHARE

    @pytest.mark.parametrize("ticket", ["", "no JSON", "[]", '{"size": "large"}', '{"upload-secret": "8"}'])
    @pytest_twisted.ensureDeferred
    async def test_what_is_no_ticket_opens_nothing(self, peer: IStoragePeer, ticket: str) -> None:
        with pytest.raises(PeerError, match="isn't of its kind") as refused:
            await peer.reopen(STORAGE_INDEX, 0, ticket)
        assert type(refused.value) is PeerError

    @pytest_twisted.ensureDeferred
    async def test_share_that_goes_whole_has_no_ticket(self, peer: IStoragePeer) -> None:
        writer = (await peer.allocate_whole(STORAGE_INDEX, [0], 5)).writers[0]
        await writer.write(0, [b"share"])
        await writer.secure()

        await writer.forget()

        assert writer.ticket is None
        assert await peer.share_numbers(STORAGE_INDEX) == set()
