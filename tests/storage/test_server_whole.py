"""Small shares that come in one request, and may be taken back for a while."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pytest

from tahoeish.storage.http.extension import MEMORY
from tahoeish.storage.shares import ShareStore
from tahoeish.storage.undoing import MOST, UNDO_SECONDS, NoSuchUpload, Undoing, WrongUploadSecret
from tahoeish.storage.wire import LARGEST_WHOLE_SHARE, Secret, share_path, whole_share_path
from tests.held_work import HeldWork
from tests.storage.serving import ALLOCATE, LEASE, UPLOAD, UPLOAD_SECRET, Answer, Connection, Server, head
from tests.storage.stores import SECRETS, STORAGE_INDEX, StartStore, shares_found

SHARE = whole_share_path(STORAGE_INDEX, 0)
PACKET = 16 * 1024
OTHERS = (*LEASE, (Secret.UPLOAD, b"somebody else's"))


def put(server: Server, content: bytes, secrets: Iterable[tuple[Secret, bytes]] = ALLOCATE) -> Answer:
    return server.ask("PUT", SHARE, content, secrets=secrets)


def asking(server: Server, method: str, secrets: Iterable[tuple[Secret, bytes]], content: bytes = b"") -> Connection:
    """A request that has been sent, and may not have been answered yet."""
    connection = Connection(server)
    connection.send(head(method, SHARE, len(content), secrets=secrets) + content)
    return connection


def undo(server: Server, secret: bytes = UPLOAD_SECRET) -> int:
    return server.ask("DELETE", SHARE, secrets=((Secret.UPLOAD, secret),)).status


class TestStoring:
    def test_it_is_there_at_once_with_its_lease(self, server: Server) -> None:
        assert put(server, b"whole share").status == 201

        assert server.read(0).body == b"whole share"
        assert server.ask("PUT", "/storage/v1/lease/" + SHARE.split("/")[-2], secrets=LEASE).status == 204

    def test_doing_it_again_does_no_harm(self, server: Server) -> None:
        assert put(server, b"whole share").status == 201
        assert put(server, b"whole share").status == 201

    def test_somebody_elses_share_stays(self, server: Server) -> None:
        server.upload(0, b"theirs")

        assert put(server, b"ours", OTHERS).status == 409
        assert server.read(0).body == b"theirs"

    def test_a_share_that_is_on_its_way_is_left_alone(self, server: Server) -> None:
        server.allocate({0}, 6)

        assert put(server, b"ours", OTHERS).status == 409
        assert server.write(0, 0, b"theirs").status == 201

    @pytest.mark.parametrize(("size", "status"), [(0, 400), (LARGEST_WHOLE_SHARE, 201), (LARGEST_WHOLE_SHARE + 1, 413)])
    def test_it_has_bounds(self, server: Server, size: int, status: int) -> None:
        assert put(server, bytes(size)).status == status

    def test_all_secrets_are_wanted(self, server: Server) -> None:
        assert put(server, b"share", UPLOAD).status == 400
        assert server.ask("PUT", SHARE, b"share", secrets=ALLOCATE, authorized=False).status == 401

    def test_what_is_not_taken_is_refused(self, quick_store: ShareStore) -> None:
        assert put(Server(quick_store, read_only=True), b"share").status == 507
        assert put(Server(quick_store, max_share_size=4), b"share").status == 507
        assert shares_found(quick_store) == []

    def test_a_full_disk_keeps_nothing(self, start_store: StartStore, tmp_path: Path) -> None:
        store = start_store(tmp_path, reserved_space=2**62)

        assert put(Server(store), b"share").status == 507
        assert shares_found(store) == []


class TestWhileItIsUnderWay:
    """Each step is taken when the test says so."""

    @pytest.fixture
    def threads(self) -> HeldWork:
        return HeldWork()

    @pytest.fixture
    def held_server(self, quick_store: ShareStore, threads: HeldWork) -> Server:
        return Server(quick_store, run_in_thread=threads)

    def test_taking_it_back_waits_for_it(self, held_server: Server, threads: HeldWork, quick_store: ShareStore) -> None:
        putting = asking(held_server, "PUT", ALLOCATE, b"whole share")
        undoing = asking(held_server, "DELETE", UPLOAD)
        assert not undoing.answered

        threads.do_all()
        assert (putting.answer().status, undoing.answer().status) == (201, 200)
        assert shares_found(quick_store) == []

    def test_taking_it_back_waits_for_what_has_not_come_yet(
        self, held_server: Server, threads: HeldWork, quick_store: ShareStore
    ) -> None:
        putting = Connection(held_server)
        putting.send(head("PUT", SHARE, 11, secrets=ALLOCATE) + b"whole")
        undoing = asking(held_server, "DELETE", UPLOAD)
        assert not undoing.answered

        putting.send(b" share")
        threads.do_all()
        assert undoing.answer().status == 200
        assert shares_found(quick_store) == []

    def test_what_never_comes_needs_no_taking_back(self, held_server: Server, threads: HeldWork) -> None:
        putting = Connection(held_server)
        putting.send(head("PUT", SHARE, 11, secrets=ALLOCATE) + b"whole")
        undoing = asking(held_server, "DELETE", UPLOAD)
        putting.cut()

        assert undoing.answer().status == 404
        assert len(threads) == 0

    def test_whoever_takes_it_back_may_leave_at_once(
        self, held_server: Server, threads: HeldWork, quick_store: ShareStore
    ) -> None:
        for method, secrets in (("PUT", ALLOCATE), ("DELETE", UPLOAD)):
            asking(held_server, method, secrets, b"whole share").cut()

        threads.do_all()
        assert shares_found(quick_store) == []

    def test_sending_it_again_waits_for_it(self, held_server: Server, threads: HeldWork) -> None:
        first, second = (asking(held_server, "PUT", ALLOCATE, b"whole share") for _ in range(2))
        threads.do_next()

        assert (first.answer().status, second.answer().status) == (201, 201)
        assert len(threads) == 0, "it is stored once"

    def test_sending_it_again_waits_for_no_connection_that_is_stuck(
        self, held_server: Server, threads: HeldWork
    ) -> None:
        stuck = Connection(held_server)
        stuck.send(head("PUT", SHARE, 11, secrets=ALLOCATE) + b"whole")
        again = asking(held_server, "PUT", ALLOCATE, b"whole share")
        threads.do_all()

        assert again.answer().status == 201

    def test_sending_it_again_helps_when_it_failed(
        self, held_server: Server, threads: HeldWork, quick_store: ShareStore
    ) -> None:
        theirs = quick_store.create(STORAGE_INDEX, 0, 6, SECRETS)
        first, second = (asking(held_server, "PUT", ALLOCATE, b"whole share") for _ in range(2))
        threads.do_next()
        theirs.abort()
        threads.do_all()

        assert (first.answer().status, second.answer().status) == (409, 201)

    def test_somebody_else_does_not_wait(self, held_server: Server, threads: HeldWork) -> None:
        ours = asking(held_server, "PUT", ALLOCATE, b"whole share")

        assert asking(held_server, "DELETE", ((Secret.UPLOAD, b"somebody else's"),)).answer().status == 404
        theirs = asking(held_server, "PUT", OTHERS, b"their share")
        threads.do_all()
        assert (ours.answer().status, theirs.answer().status) == (201, 409)

    def test_only_so_much_is_taken_into_memory_at_once(self, held_server: Server, threads: HeldWork) -> None:
        number = MEMORY // LARGEST_WHOLE_SHARE + 2
        connections = [Connection(held_server) for _ in range(number)]
        for index, connection in enumerate(connections):
            path = whole_share_path(STORAGE_INDEX, index)
            connection.send(head("PUT", path, LARGEST_WHOLE_SHARE, secrets=ALLOCATE))
        for connection in connections:
            for _ in range(LARGEST_WHOLE_SHARE // PACKET):
                if not connection.paused:
                    connection.send(bytes(PACKET))
        waiting = [connection for connection in connections if connection.paused]
        assert len(connections) - len(waiting) <= MEMORY // LARGEST_WHOLE_SHARE

        threads.do_all()
        assert not any(connection.paused for connection in waiting)


class TestUndoing:
    def test_it_is_gone(self, server: Server, quick_store: ShareStore) -> None:
        put(server, b"whole share")

        assert undo(server) == 200
        assert undo(server) == 404
        assert shares_found(quick_store) == []

    def test_it_can_be_stored_anew(self, server: Server) -> None:
        put(server, b"first")
        undo(server)

        assert put(server, b"second").status == 201
        assert server.read(0).body == b"second"

    def test_only_its_uploader_may(self, server: Server) -> None:
        put(server, b"whole share")

        assert undo(server, b"somebody else's") == 401
        assert server.read(0).status == 200

    def test_a_share_that_came_in_pieces_can_be_taken_back_too(self, server: Server) -> None:
        server.upload(0, b"in pieces")

        assert undo(server) == 200
        assert server.read(0).status == 404

    def test_after_a_while_it_stays(self, server: Server) -> None:
        put(server, b"whole share")
        server.clock.advance(UNDO_SECONDS)

        assert undo(server) == 404
        assert server.read(0).status == 200

    def test_the_protocol_itself_still_takes_nothing_back(self, server: Server) -> None:
        put(server, b"whole share")

        assert server.ask("PUT", f"{share_path(STORAGE_INDEX, 0)}/abort", secrets=UPLOAD).status == 405

    def test_there_is_an_end_to_what_is_remembered(self, server: Server) -> None:
        undoing = Undoing(server.clock)
        for number in range(MOST + 1):
            undoing.allow((STORAGE_INDEX, number), b"secret")

        with pytest.raises(NoSuchUpload):
            undoing.expect((STORAGE_INDEX, 0), b"secret")
        with pytest.raises(WrongUploadSecret):
            undoing.expect((STORAGE_INDEX, 1), b"other")
        undoing.expect((STORAGE_INDEX, 1), b"secret")
