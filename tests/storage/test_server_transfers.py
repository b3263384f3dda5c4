"""Shares while they come in and go out: piece by piece, with whoever is slower deciding the pace."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest
from twisted.internet.defer import Deferred, execute

from tahoeish.storage.container import DATA_OFFSET
from tahoeish.storage.http.receiving import BATCH, LONGEST_SECONDS, MEMORY, SMALLEST_BATCH
from tahoeish.storage.ranges import Range
from tahoeish.storage.recent import SECONDS
from tahoeish.storage.share_file import ShareFile
from tahoeish.storage.shares import ShareStore
from tahoeish.storage.wire import content_range, load_required, share_path
from tests.storage.serving import UPLOAD, Connection, Server, head
from tests.storage.stores import STORAGE_INDEX, open_files_below

SHARE = share_path(STORAGE_INDEX, 0)
SIZE = 3 * BATCH + 5
CONTENT = bytes(index % 251 for index in range(SIZE))
PACKET = 16 * 1024


class HeldThreads:
    """A runner whose work waits until the test lets it go on, if it is told to."""

    def __init__(self) -> None:
        self.hold = False
        self._held: list[tuple[Callable[..., Any], tuple[object, ...], Deferred[Any]]] = []

    def __call__(self, work: Callable[..., Any], /, *args: object) -> Deferred[Any]:
        if not self.hold:
            return execute(work, *args)
        done: Deferred[Any] = Deferred()
        self._held.append((work, args, done))
        return done

    def __len__(self) -> int:
        return len(self._held)

    def let_go(self) -> None:
        held, self._held = self._held, []
        for work, args, done in held:
            execute(work, *args).chainDeferred(done)


@pytest.fixture
def threads() -> HeldThreads:
    return HeldThreads()


@pytest.fixture
def cold(monkeypatch: pytest.MonkeyPatch) -> None:
    """The system has nothing of any share in its memory."""
    monkeypatch.setattr(ShareFile, "read_now", lambda share, offset, length: None)


@pytest.fixture
def held_server(quick_store: ShareStore, threads: HeldThreads) -> Server:
    return Server(quick_store, run_in_thread=threads)


def patch(begin: int, end: int, length: int | None) -> bytes:
    headers = (("Content-Range", content_range(begin, end - 1)),)
    return head("PATCH", SHARE, length, secrets=UPLOAD, headers=headers)


def missing(server: Server) -> list[Range]:
    """What is still to be written, as a client learns it: by writing one byte that is known."""
    return load_required(server.write(0, SIZE - 1, CONTENT[-1:]).body)


def written(store: ShareStore) -> bytes:
    """What is on the disk of the share, which isn't finished yet."""
    (path,) = (path for path in (store.directory / "shares" / "incoming").rglob("*") if path.is_file())
    return path.read_bytes()[DATA_OFFSET:]


class TestComingIn:
    def test_a_body_is_on_the_disk_before_its_end(self, server: Server, quick_store: ShareStore) -> None:
        server.allocate({0}, SIZE)
        connection = Connection(server)
        connection.send(patch(0, SIZE, SIZE))
        for start in range(0, 2 * BATCH, PACKET):
            connection.send(CONTENT[start : start + PACKET])
        (path,) = (quick_store.directory / "shares" / "incoming").glob("*.0")
        assert path.read_bytes()[12:] == CONTENT[: 2 * BATCH]
        assert not connection.answered

    def test_a_small_rest_makes_no_trip_of_its_own(self, held_server: Server, threads: HeldThreads) -> None:
        held_server.allocate({0}, SIZE)
        threads.hold = True
        connection = Connection(held_server)
        connection.send(patch(0, BATCH + 16, BATCH + 16))
        connection.send(CONTENT[:BATCH])
        assert len(threads) == 0
        connection.send(CONTENT[BATCH : BATCH + 16])
        assert len(threads) == 1
        threads.let_go()
        assert connection.answer().status == 200

    def test_what_comes_slowly_is_not_kept_from_the_disk(self, server: Server, quick_store: ShareStore) -> None:
        server.allocate({0}, SIZE)
        connection = Connection(server)
        connection.send(patch(0, SIZE, SIZE))
        for start in range(0, 4 * PACKET, PACKET):
            connection.send(CONTENT[start : start + PACKET])
            server.clock.advance(LONGEST_SECONDS / 2)
        assert written(quick_store) == CONTENT[: 4 * PACKET]
        connection.send(CONTENT[4 * PACKET :])
        assert connection.answer().status == 201
        assert server.read(0).body == CONTENT

    def test_the_more_there_are_the_less_each_keeps(self, server: Server, quick_store: ShareStore) -> None:
        server.allocate({0}, SIZE)
        connections = [Connection(server) for _ in range(MEMORY // SMALLEST_BATCH)]
        for connection in connections:
            connection.send(patch(0, SIZE, SIZE))
        connections[0].send(CONTENT[: SMALLEST_BATCH - 1])
        assert written(quick_store) == b""
        connections[0].send(CONTENT[SMALLEST_BATCH - 1 : SMALLEST_BATCH])
        assert written(quick_store) == CONTENT[:SMALLEST_BATCH]
        for connection in connections[1:]:
            connection.cut()
        connections[0].send(CONTENT[SMALLEST_BATCH:])
        assert connections[0].answer().status == 201

    @pytest.mark.parametrize("length", [SIZE, None])
    def test_what_arrived_before_the_connection_broke_is_kept(self, server: Server, length: int | None) -> None:
        server.allocate({0}, SIZE)
        arrived = BATCH + 3 * PACKET + 7
        connection = Connection(server)
        connection.send(patch(0, SIZE, length))
        connection.send(CONTENT[:arrived] if length else b"%x\r\n%s\r\n" % (arrived, CONTENT[:arrived]))
        connection.cut()
        assert missing(server) == [(arrived, SIZE - 1)]
        answer = server.write(0, arrived, CONTENT[arrived:])
        assert answer.status == 201
        assert server.read(0).body == CONTENT

    def test_a_chunked_body_that_is_too_short_is_kept_and_refused(self, server: Server) -> None:
        server.allocate({0}, SIZE)
        connection = Connection(server)
        connection.send(patch(0, 100, None) + b"5\r\n%s\r\n0\r\n\r\n" % CONTENT[:5])
        assert connection.answer().status == 400
        assert missing(server) == [(5, SIZE - 1)]

    def test_byte_by_byte(self, server: Server) -> None:
        server.allocate({0}, SIZE)
        connection = Connection(server)
        connection.send(patch(0, 200, 200))
        for index in range(200):
            connection.send(CONTENT[index : index + 1])
        assert connection.answer().status == 200
        assert missing(server) == [(200, SIZE - 1)]

    def test_several_connections_at_once(self, server: Server) -> None:
        server.allocate({0}, SIZE)
        bounds = [0, BATCH - 1, 2 * BATCH, SIZE]
        parts = [(Connection(server), begin, end) for begin, end in pairwise(bounds)]
        for connection, begin, end in parts:
            connection.send(patch(begin, end, end - begin))
        for start in range(0, BATCH + 6, PACKET):
            for connection, begin, end in parts:
                connection.send(CONTENT[begin + start : min(end, begin + start + PACKET)])
        statuses = sorted(connection.answer().status for connection, *_ in parts)
        assert statuses == [200, 200, 201]
        assert server.read(0).body == CONTENT

    def test_a_slow_disk_slows_the_client(self, held_server: Server, threads: HeldThreads) -> None:
        held_server.allocate({0}, SIZE)
        threads.hold = True
        connection = Connection(held_server)
        connection.send(patch(0, SIZE, SIZE))
        sent = 0
        while not connection.paused:
            connection.send(CONTENT[sent : sent + PACKET])
            sent += PACKET
        assert sent < BATCH + 100 * 1024
        threads.hold = False
        threads.let_go()
        assert not connection.paused
        connection.send(CONTENT[sent:])
        assert connection.answer().status == 201

    def test_it_is_created_only_when_it_is_visible(self, held_server: Server, threads: HeldThreads) -> None:
        held_server.allocate({0}, 10)
        threads.hold = True
        connection = Connection(held_server)
        connection.send(patch(0, 10, 10) + CONTENT[:10])
        assert not connection.answered
        threads.hold = False
        threads.let_go()
        assert connection.answer().status == 201
        assert held_server.read(0).body == CONTENT[:10]

    def test_a_client_that_leaves_at_the_end_has_still_uploaded(
        self, held_server: Server, threads: HeldThreads
    ) -> None:
        held_server.allocate({0}, 10)
        threads.hold = True
        connection = Connection(held_server)
        connection.send(patch(0, 10, 10) + CONTENT[:10])
        connection.cut()
        threads.hold = False
        threads.let_go()
        assert held_server.read(0).body == CONTENT[:10]
        assert len(held_server.uploads) == 0

    def test_what_is_given_up_during_a_write_is_gone(
        self, held_server: Server, threads: HeldThreads, quick_store: ShareStore
    ) -> None:
        held_server.allocate({0}, SIZE)
        connection = Connection(held_server)
        connection.send(patch(0, SIZE, SIZE))
        threads.hold = True
        connection.send(CONTENT[:BATCH])
        aborting = Connection(held_server)
        aborting.send(head("PUT", f"{SHARE}/abort", 0, secrets=UPLOAD))
        threads.hold = False
        threads.let_go()
        assert aborting.answer().status == 200
        connection.send(CONTENT[BATCH:])
        assert connection.answer().status == 404
        assert open_files_below(quick_store.directory / "shares") == []


class TestGoingOut:
    @pytest.fixture
    def uploaded(self, held_server: Server) -> Server:
        held_server.upload(0, CONTENT)
        return held_server

    def test_a_large_share_comes_whole(self, uploaded: Server) -> None:
        got = uploaded.read(0)
        assert (got.status, got.body) == (200, CONTENT)
        assert uploaded.read(0, f"bytes=7-{SIZE}").body == CONTENT[7:]

    @pytest.mark.usefixtures("cold")
    def test_a_slow_client_slows_the_disk(self, uploaded: Server, threads: HeldThreads) -> None:
        connection = Connection(uploaded)
        threads.hold = True
        connection.send(head("GET", SHARE, 0))
        threads.let_go()
        connection.channel.pauseProducing()
        threads.let_go()
        assert len(threads) == 0, "the next piece isn't asked for before the client has taken this one"
        connection.channel.resumeProducing()
        assert len(threads) == 1
        threads.hold = False
        threads.let_go()
        assert connection.answer().body == CONTENT

    def test_a_share_is_kept_open_for_a_while_when_a_part_of_it_was_sent(self, quick_store: ShareStore) -> None:
        server = Server(quick_store)
        server.upload(0, CONTENT)
        assert server.read(0).body == CONTENT
        assert open_files_below(quick_store.directory / "shares") == []
        assert server.read(0, "bytes=0-9").body == CONTENT[:10]
        assert len(open_files_below(quick_store.directory / "shares")) == 1
        server.clock.advance(SECONDS)
        assert open_files_below(quick_store.directory / "shares") == []

    @pytest.mark.usefixtures("cold")
    @pytest.mark.parametrize("trips", [0, 1, 2])
    def test_a_client_that_leaves_leaves_no_file_open(
        self, uploaded: Server, threads: HeldThreads, quick_store: ShareStore, trips: int
    ) -> None:
        connection = Connection(uploaded)
        threads.hold = True
        connection.send(head("GET", SHARE, 0))
        for _ in range(trips):
            threads.let_go()
        connection.cut()
        threads.hold = False
        threads.let_go()
        assert open_files_below(quick_store.directory / "shares") == []
