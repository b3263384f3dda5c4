"""Several small shares in one request."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from contextlib import closing

import pytest

from tahoeish.storage.parcel import LARGEST_PARCEL, PARCELS_PATH, Enclosed, dump_parcel, load_parcel, load_statuses
from tahoeish.storage.shares import ShareStore
from tahoeish.storage.wire import BadMessage, Secret, whole_share_path
from tests.held_work import HeldWork
from tests.storage.serving import ALLOCATE, UPLOAD, Connection, Server, head
from tests.storage.stores import OTHER_SECRETS, SECRETS, STORAGE_INDEX, shares_found

OTHER_INDEX = bytes(range(16, 32))
ONE = Enclosed((STORAGE_INDEX, 0), SECRETS, b"one")
TWO = Enclosed((OTHER_INDEX, 7), OTHER_SECRETS, b"another one")
SOMEBODY_ELSES = ((Secret.UPLOAD, b"somebody else's"),)


def packed(*shares: Enclosed) -> bytes:
    return b"".join(dump_parcel(shares))


def post(server: Server, body: bytes, secrets: Iterable[tuple[Secret, bytes]] = UPLOAD) -> tuple[int, object]:
    answer = server.ask("POST", PARCELS_PATH, body, secrets=secrets)
    return answer.status, answer.json() if answer.status == 200 else None


def undo(server: Server, share: Enclosed) -> int:
    return server.ask("DELETE", whole_share_path(*share.key), secrets=UPLOAD).status


class TestItsForm:
    def test_what_was_packed_is_unpacked(self) -> None:
        assert load_parcel(packed(ONE, TWO)) == [ONE, TWO]

    def test_its_fields_have_their_places(self) -> None:
        fields = struct.pack(">16sQ32s32sL", OTHER_INDEX, 7, OTHER_SECRETS.renew, OTHER_SECRETS.cancel, 11)
        assert packed(TWO) == fields + b"another one"

    @pytest.mark.parametrize(
        "body",
        [
            packed(ONE)[:-1],
            packed(ONE) + b"more",
            packed(ONE) + packed(TWO)[:92],
            packed(Enclosed(ONE.key, SECRETS, b"")) + packed(TWO),
        ],
    )
    def test_what_is_not_whole_is_none(self, body: bytes) -> None:
        with pytest.raises(BadMessage):
            load_parcel(body)

    @pytest.mark.parametrize("body", [b"", b"201", b"[201]", b"[201, 201, 201]", b'[201, "201"]', b"[201, true]"])
    def test_there_is_a_status_for_each_share(self, body: bytes) -> None:
        assert load_statuses(b"[201, 409]", 2) == [201, 409]
        with pytest.raises(BadMessage):
            load_statuses(body, 2)


class TestStoring:
    def test_all_are_there_at_once(self, server: Server, quick_store: ShareStore) -> None:
        assert post(server, packed(ONE, TWO)) == (200, [201, 201])

        assert server.read(0).body == b"one"
        with closing(quick_store.open(*TWO.key)) as share:
            assert share.read(0, 100) == b"another one"

    def test_each_has_its_own_lease(self, server: Server) -> None:
        post(server, packed(ONE, TWO))

        for share in (ONE, TWO):
            path = "/storage/v1/lease/" + whole_share_path(*share.key).split("/")[-2]
            secrets = ((Secret.LEASE_RENEW, share.lease.renew), (Secret.LEASE_CANCEL, share.lease.cancel))
            assert server.ask("PUT", path, secrets=secrets).status == 204

    def test_one_that_is_refused_does_not_hurt_the_others(self, server: Server) -> None:
        server.upload(0, b"theirs")

        assert post(server, packed(ONE, TWO), SOMEBODY_ELSES) == (200, [409, 201])
        assert server.read(0).body == b"theirs"

    def test_doing_it_again_does_no_harm(self, server: Server) -> None:
        assert [post(server, packed(ONE, TWO)) for _ in range(2)] == [(200, [201, 201])] * 2

    def test_the_same_share_alone_and_with_others_is_stored_once(self, server: Server) -> None:
        server.ask("PUT", whole_share_path(*ONE.key), b"one", secrets=ALLOCATE)

        assert post(server, packed(ONE)) == (200, [201])

    def test_what_is_not_taken_is_refused(self, quick_store: ShareStore) -> None:
        assert post(Server(quick_store, read_only=True), packed(ONE)) == (200, [507])
        assert post(Server(quick_store, max_share_size=3), packed(ONE, TWO)) == (200, [201, 507])

    @pytest.mark.parametrize(("body", "status"), [(packed(ONE)[:-1], 400), (bytes(LARGEST_PARCEL + 1), 413)])
    def test_nothing_is_taken_of_what_is_no_parcel(
        self, server: Server, quick_store: ShareStore, body: bytes, status: int
    ) -> None:
        assert post(server, body) == (status, None)
        assert shares_found(quick_store) == []

    def test_its_secret_is_wanted(self, server: Server) -> None:
        assert server.ask("POST", PARCELS_PATH, packed(ONE)).status == 400
        assert server.ask("POST", PARCELS_PATH, packed(ONE), secrets=UPLOAD, authorized=False).status == 401


class TestTakingBack:
    """Each share by itself."""

    def test_the_others_stay(self, server: Server) -> None:
        post(server, packed(ONE, TWO))

        assert undo(server, TWO) == 200
        assert server.read(0).body == b"one"

    def test_it_waits_for_a_parcel_that_has_not_come_yet(self, quick_store: ShareStore) -> None:
        threads = HeldWork()
        server = Server(quick_store, run_in_thread=threads)
        posting = beginning(server, ONE, TWO)
        undoing = Connection(server)
        undoing.send(head("DELETE", whole_share_path(*ONE.key), 0, secrets=UPLOAD))
        assert not undoing.answered

        posting.send(packed(ONE, TWO)[10:])
        threads.do_all()
        assert (posting.answer().json(), undoing.answer().status) == ([201, 201], 200)
        assert len(shares_found(quick_store)) == 1

    def test_somebody_else_does_not_wait(self, quick_store: ShareStore) -> None:
        server = Server(quick_store, run_in_thread=HeldWork())
        beginning(server, ONE)

        path = whole_share_path(*ONE.key)
        assert server.ask("DELETE", path, secrets=SOMEBODY_ELSES).status == 404


def beginning(server: Server, *shares: Enclosed) -> Connection:
    """A parcel of which ten bytes have come."""
    body = packed(*shares)
    connection = Connection(server)
    connection.send(head("POST", PARCELS_PATH, len(body), secrets=UPLOAD) + body[:10])
    return connection
