"""Immutable shares over HTTP: every row of the protocol's tables."""

from __future__ import annotations

from pathlib import Path

import cbor2
import pytest

from tahoeish.storage.ranges import Range
from tahoeish.storage.shares import ShareStore
from tahoeish.storage.wire import (
    LARGEST_WHOLE_SHARE,
    Allocation,
    Secret,
    abort_path,
    finish_path,
    immutable_path,
    load_allocation,
    load_required,
    load_share_numbers,
    share_path,
    shares_path,
)
from tests.storage.serving import ALLOCATE, IDLE_LIMIT, UPLOAD, UPLOAD_SECRET, Answer, Server
from tests.storage.stores import STORAGE_INDEX, StartStore, full_disk_behind, shares_found

OTHER_SECRET = b"somebody else's"
SHARE = share_path(STORAGE_INDEX, 0)
CONTENT = bytes(range(100))


def allocation(answer: Answer) -> Allocation:
    assert answer.status == 200
    assert answer.headers["Content-Type"] == "application/cbor"
    return load_allocation(answer.body)


def required(answer: Answer) -> list[Range]:
    return load_required(answer.body)


def numbers(*these: int) -> frozenset[int]:
    return frozenset(these)


class TestAllocation:
    def test_new_shares_are_allocated(self, server: Server) -> None:
        assert allocation(server.allocate({1, 2, 300}, 10)) == Allocation(numbers(), numbers(1, 2, 300))

    def test_complete_shares_are_told_asked_for_or_not(self, server: Server) -> None:
        server.upload(1, b"one")
        server.upload(5, b"five")
        assert allocation(server.allocate({1, 2}, 10)) == Allocation(numbers(1, 5), numbers(2))

    def test_complete_shares_get_the_lease(self, server: Server, quick_store: ShareStore) -> None:
        server.upload(0, b"zero")
        other = ((Secret.LEASE_RENEW, b"R" * 32), (Secret.LEASE_CANCEL, b"C" * 32), *UPLOAD)
        message = cbor2.dumps({"share-numbers": set(), "allocated-size": 1})
        answer = server.ask("POST", immutable_path(STORAGE_INDEX), message, secrets=other)
        assert allocation(answer) == Allocation(numbers(0), numbers())
        (path,) = quick_store.directory.glob("shares/*/*/0")
        assert path.stat().st_size == 12 + 4 + 2 * 72

    @pytest.mark.parametrize("secret", [UPLOAD_SECRET, OTHER_SECRET])
    def test_shares_on_their_way_are_left_alone(self, server: Server, secret: bytes) -> None:
        server.allocate({0}, 100)
        server.write(0, 0, CONTENT[:50])
        assert allocation(server.allocate({0, 1}, 70, secret=secret)) == Allocation(numbers(), numbers(1))
        assert server.write(0, 50, CONTENT[50:]).status == 201

    def test_asking_for_nothing_tells_what_is_there(self, server: Server) -> None:
        server.upload(3, b"three")
        assert allocation(server.allocate((), 0)) == Allocation(numbers(3), numbers())

    def test_without_room_nothing_is_allocated(self, start_store: StartStore, tmp_path: Path) -> None:
        server = Server(start_store(tmp_path / "full", reserved_space=2**60))
        assert allocation(server.allocate({0, 1}, 10)) == Allocation(numbers(), numbers())

    def test_the_room_of_unfinished_shares_is_taken(self, start_store: StartStore, tmp_path: Path) -> None:
        free = start_store(tmp_path / "measured").available_space()
        server = Server(start_store(tmp_path / "store"))
        size = free * 3 // 5
        assert allocation(server.allocate({0, 1}, size)) == Allocation(numbers(), numbers(0))
        assert server.ask("PUT", abort_path(STORAGE_INDEX, 0), secrets=UPLOAD).status == 200
        assert allocation(server.allocate({1}, size)) == Allocation(numbers(), numbers(1))

    def test_a_read_only_node_allocates_nothing(self, server: Server, quick_store: ShareStore) -> None:
        server.upload(0, b"zero")
        read_only = Server(quick_store, read_only=True)
        assert allocation(read_only.allocate({0, 1}, 10)) == Allocation(numbers(0), numbers())

    @pytest.mark.parametrize(("size", "allocated"), [(1000, numbers(0)), (1001, numbers())])
    def test_larger_shares_than_allowed_are_not_allocated(
        self, quick_store: ShareStore, size: int, allocated: frozenset[int]
    ) -> None:
        server = Server(quick_store, max_share_size=1000)
        assert allocation(server.allocate({0}, size)) == Allocation(numbers(), allocated)

    @pytest.mark.parametrize(
        "message",
        [
            {"share-numbers": set(range(257)), "allocated-size": 1},
            {"share-numbers": {-1}, "allocated-size": 1},
            {"share-numbers": [1], "allocated-size": 1},
            {"share-numbers": {1}, "allocated-size": 1, "more": 1},
        ],
    )
    def test_other_messages_are_refused(self, server: Server, message: object) -> None:
        body = cbor2.dumps(message)
        assert server.ask("POST", immutable_path(STORAGE_INDEX), body, secrets=ALLOCATE).status == 400


class TestWriting:
    def test_in_any_order_with_holes(self, server: Server) -> None:
        server.allocate({0}, 100)
        answer = server.write(0, 60, CONTENT[60:80])
        assert (answer.status, required(answer)) == (200, [(0, 60), (80, 100)])
        answer = server.write(0, 0, CONTENT[:60])
        assert (answer.status, required(answer)) == (200, [(80, 100)])
        assert server.read(0).status == 404
        answer = server.write(0, 80, CONTENT[80:])
        assert (answer.status, required(answer)) == (201, [])
        assert server.read(0).body == CONTENT

    def test_a_complete_share_is_where_others_look_for_it(self, server: Server, quick_store: ShareStore) -> None:
        server.upload(0, CONTENT)
        assert load_share_numbers(server.ask("GET", shares_path(STORAGE_INDEX)).body) == {0}
        (name,) = shares_found(quick_store)
        assert not name.startswith("incoming")
        assert len(server.uploads) == 0

    @pytest.mark.parametrize("content_type", ["application/octet-stream", "text/plain"])
    @pytest.mark.parametrize("total", ["*", "100", "7"])
    def test_the_length_of_the_whole_says_nothing(self, server: Server, content_type: str, total: str) -> None:
        server.allocate({0}, 100)
        headers = (("Content-Range", f"bytes 0-9/{total}"), ("Content-Type", content_type))
        assert server.ask("PATCH", SHARE, CONTENT[:10], secrets=UPLOAD, headers=headers).status == 200

    @pytest.mark.parametrize(
        "value",
        [
            None,
            "bytes=0-9/*",
            "items 0-9/*",
            "bytes 0-9",
            "bytes 5-9/5",
            "bytes 9-0/*",
            "bytes */100",
            "bytes 91-100/*",
        ],
    )
    def test_impossible_ranges(self, server: Server, value: str | None) -> None:
        server.allocate({0}, 100)
        headers = () if value is None else (("Content-Range", value),)
        assert server.ask("PATCH", SHARE, CONTENT[:10], secrets=UPLOAD, headers=headers).status == 416
        assert required(server.write(0, 0, CONTENT[:1])) == [(1, 100)]

    def test_with_somebody_elses_secret(self, server: Server) -> None:
        server.allocate({0}, 100)
        assert server.write(0, 0, CONTENT, secret=OTHER_SECRET).status == 401

    def test_what_is_not_being_uploaded(self, server: Server) -> None:
        assert server.write(0, 0, CONTENT).status == 404
        server.upload(0, CONTENT)
        assert server.write(0, 0, CONTENT).status == 404

    def test_the_same_again_is_fine(self, server: Server) -> None:
        server.allocate({0}, 100)
        server.write(0, 20, CONTENT[20:40])
        server.write(0, 60, CONTENT[60:70])
        answer = server.write(0, 10, CONTENT[10:80])
        assert (answer.status, required(answer)) == (200, [(0, 10), (80, 100)])
        assert server.write(0, 0, CONTENT).status == 201
        assert server.read(0).body == CONTENT

    def test_something_else_is_a_conflict_and_changes_nothing(self, server: Server) -> None:
        server.allocate({0}, 100)
        server.write(0, 20, CONTENT[20:40])
        assert server.write(0, 10, bytes(90)).status == 409
        answer = server.write(0, 0, CONTENT)
        assert (answer.status, server.read(0).body) == (201, CONTENT)

    def test_a_body_that_announces_too_little_is_refused(self, server: Server) -> None:
        server.allocate({0}, 100)
        headers = (("Content-Range", "bytes 0-99/*"),)
        assert server.ask("PATCH", SHARE, CONTENT[:50], secrets=UPLOAD, headers=headers).status == 400
        assert required(server.write(0, 99, CONTENT[99:])) == [(0, 99)]

    def test_what_is_too_much_is_ignored(self, server: Server) -> None:
        server.allocate({0}, 100)
        headers = (("Content-Range", "bytes 0-49/*"),)
        answer = server.ask("PATCH", SHARE, CONTENT, secrets=UPLOAD, headers=headers)
        assert (answer.status, required(answer)) == (200, [(50, 100)])

    def test_a_share_of_no_bytes_is_never_complete(self, server: Server) -> None:
        server.allocate({0}, 0)
        assert server.write(0, 0, b"x").status == 416
        assert server.read(0).status == 404

    def test_a_full_disk_ends_the_upload_and_leaves_nothing(self, server: Server, quick_store: ShareStore) -> None:
        server.allocate({0}, 100)
        server.write(0, 0, CONTENT[:10])
        full_disk_behind(quick_store.directory / "shares" / "incoming")
        assert server.write(0, 10, CONTENT[10:20]).status == 507
        assert shares_found(quick_store) == []
        assert server.write(0, 20, CONTENT[20:]).status == 404
        server.upload(0, CONTENT)


class TestAbort:
    def abort(self, server: Server, secret: bytes = UPLOAD_SECRET) -> int:
        return server.ask("PUT", abort_path(STORAGE_INDEX, 0), secrets=((Secret.UPLOAD, secret),)).status

    def test_nothing_is_left(self, server: Server, quick_store: ShareStore) -> None:
        server.allocate({0}, 100)
        server.write(0, 0, CONTENT[:50])
        assert self.abort(server) == 200
        assert shares_found(quick_store) == []
        assert self.abort(server) == 404
        assert server.write(0, 50, CONTENT[50:]).status == 404

    def test_somebody_elses(self, server: Server) -> None:
        server.allocate({0}, 100)
        assert self.abort(server, OTHER_SECRET) == 401
        assert server.write(0, 0, CONTENT).status == 201

    def test_a_complete_share(self, server: Server) -> None:
        server.upload(0, CONTENT)
        assert self.abort(server) == 405
        assert server.read(0).body == CONTENT


class TestIdleUploads:
    def test_they_are_removed(self, server: Server, quick_store: ShareStore) -> None:
        server.allocate({0, 1}, 100)
        server.clock.advance(IDLE_LIMIT - 1)
        server.write(0, 0, CONTENT[:1])
        # Neither of these is a write.
        server.allocate({1}, 100)
        server.write(1, 0, CONTENT, secret=OTHER_SECRET)
        server.clock.advance(2)
        assert server.write(1, 0, CONTENT).status == 404
        server.clock.advance(IDLE_LIMIT - 3)
        assert server.write(0, 1, CONTENT[1:2]).status == 200
        server.clock.advance(IDLE_LIMIT + 1)
        assert shares_found(quick_store) == []

    def test_ended_ones_leave_no_clock_ticking(self, server: Server) -> None:
        server.upload(0, CONTENT)
        server.allocate({1}, 100)
        server.ask("PUT", abort_path(STORAGE_INDEX, 1), secrets=UPLOAD)
        ticking = [call for call in server.clock.getDelayedCalls() if call.getTime() > server.clock.seconds() + 100]
        assert ticking == []


class TestReading:
    @pytest.mark.parametrize(
        ("wanted", "answer", "content_range"),
        [
            ("bytes=0-99", CONTENT, "bytes 0-99/*"),
            ("bytes=10-19", CONTENT[10:20], "bytes 10-19/*"),
            ("bytes=99-99", CONTENT[99:], "bytes 99-99/*"),
            ("bytes=90-200", CONTENT[90:], "bytes 90-99/*"),
            ("bytes=0-18446744073709551615", CONTENT, "bytes 0-99/*"),
        ],
    )
    def test_a_range(self, server: Server, wanted: str, answer: bytes, content_range: str) -> None:
        server.upload(0, CONTENT)
        got = server.read(0, wanted)
        assert (got.status, got.body) == (206, answer)
        assert got.headers["Content-Range"] == content_range
        assert got.headers["Content-Type"] == "application/octet-stream"

    def test_the_whole(self, server: Server) -> None:
        server.upload(0, CONTENT)
        got = server.read(0)
        assert (got.status, got.body, got.headers["Content-Type"]) == (200, CONTENT, "application/octet-stream")
        assert got.headers["Content-Range"] is None

    @pytest.mark.parametrize("wanted", ["bytes=100-100", "bytes=100-200", "bytes=5000-6000"])
    def test_beyond_the_end(self, server: Server, wanted: str) -> None:
        server.upload(0, CONTENT)
        got = server.read(0, wanted)
        assert (got.status, got.body, got.headers["Content-Length"]) == (204, b"", None)

    def test_one_range_after_the_other(self, server: Server) -> None:
        server.upload(0, CONTENT)
        pieces = [server.read(0, f"bytes={begin}-{begin + 9}") for begin in range(0, 100, 10)]
        assert b"".join(piece.body for piece in pieces) == CONTENT
        assert {piece.status for piece in pieces} == {206}

    def test_other_answers_for_a_share_that_is_still_open(self, server: Server) -> None:
        server.upload(0, CONTENT)
        assert server.read(0, "bytes=0-0").body == CONTENT[:1]
        assert server.read(0, "bytes=100-200").status == 204
        assert server.read(0, "nonsense").status == 416
        assert server.read(0, method="HEAD").headers["Content-Length"] == "100"
        assert server.read(0).body == CONTENT
        assert server.read(0, "bytes=90-200").body == CONTENT[90:]

    def test_a_share_that_is_removed_between_two_ranges_is_gone(self, server: Server, quick_store: ShareStore) -> None:
        server.upload(0, CONTENT)
        assert server.read(0, "bytes=0-9").status == 206
        quick_store.remove(STORAGE_INDEX, 0)
        assert server.read(0, "bytes=10-19").status == 404

    @pytest.mark.parametrize("wanted", ["bytes=0-", "bytes=-5", "bytes=0-1,4-5", "items=0-5", "garbage", "bytes=5-4"])
    def test_other_ranges(self, server: Server, wanted: str) -> None:
        server.upload(0, CONTENT)
        assert server.read(0, wanted).status == 416

    def test_what_is_missing_or_unfinished(self, server: Server) -> None:
        server.allocate({0}, 100)
        server.write(0, 0, CONTENT[:50])
        assert server.read(0, "bytes=0-9").status == 404
        assert server.read(1).status == 404

    @pytest.mark.parametrize(("wanted", "status", "length"), [(None, "200", "100"), ("bytes=5-9", "206", "5")])
    def test_head(self, server: Server, wanted: str | None, status: str, length: str) -> None:
        server.upload(0, CONTENT)
        got = server.read(0, wanted, "HEAD")
        assert (str(got.status), got.headers["Content-Length"], got.body) == (status, length, b"")


class TestFinishingEarly:
    def finish(self, server: Server, body: str, secret: bytes = UPLOAD_SECRET) -> Answer:
        path = finish_path(STORAGE_INDEX, 0)
        return server.ask("POST", path, body.encode(), secrets=((Secret.UPLOAD, secret),))

    def test_it_is_offered(self, server: Server) -> None:
        answer = server.ask("GET", "/tahoeish/v1/extensions")
        assert answer.status == 200
        assert answer.json() == {"finish": 1, "whole": LARGEST_WHOLE_SHARE, "lasting": 1, "parcels": 1}
        assert server.ask("GET", "/tahoeish/v1/extensions", authorized=False).status == 401

    def test_the_share_ends_where_it_is_told(self, server: Server) -> None:
        server.allocate({0}, 1_000_000)
        server.write(0, 0, CONTENT)
        answer = self.finish(server, '{"size": 100}')
        assert (answer.status, answer.body) == (201, b"")
        assert server.read(0).body == CONTENT

    def test_what_was_written_beyond_is_dropped(self, server: Server, quick_store: ShareStore) -> None:
        server.allocate({0}, 1_000_000)
        server.write(0, 0, CONTENT)
        server.write(0, 5000, CONTENT)
        assert self.finish(server, '{"size": 60}').status == 201
        assert server.read(0).body == CONTENT[:60]
        (path,) = quick_store.directory.glob("shares/*/*/0")
        assert path.stat().st_size == 12 + 60 + 72

    def test_what_is_missing_is_told_and_can_be_sent(self, server: Server) -> None:
        server.allocate({0}, 1_000_000)
        server.write(0, 10, CONTENT[10:20])
        answer = self.finish(server, '{"size": 100}')
        assert answer.status == 409
        assert answer.json() == {"required": [{"begin": 0, "end": 10}, {"begin": 20, "end": 100}]}
        server.write(0, 0, CONTENT)
        assert self.finish(server, '{"size": 100}').status == 201

    def test_whose_upload_it_is_not(self, server: Server) -> None:
        server.allocate({0}, 1000)
        server.write(0, 0, CONTENT)
        assert self.finish(server, '{"size": 100}', OTHER_SECRET).status == 401

    def test_what_is_not_being_uploaded(self, server: Server) -> None:
        assert self.finish(server, '{"size": 100}').status == 404
        server.upload(0, CONTENT)
        assert self.finish(server, '{"size": 100}').status == 404

    @pytest.mark.parametrize(
        "body", ["", "{}", "100", '{"size": 0}', '{"size": 1001}', '{"size": true}', '{"size": 1, "x": 1}', "[" * 1000]
    )
    def test_odd_sizes_change_nothing(self, server: Server, body: str) -> None:
        server.allocate({0}, 1000)
        server.write(0, 0, CONTENT)
        assert self.finish(server, body).status == 400
        assert self.finish(server, '{"size": 100}').status == 201


def test_stopping_removes_what_is_unfinished(server: Server, quick_store: ShareStore) -> None:
    server.upload(0, CONTENT)
    server.allocate({1, 2}, 100)
    server.write(1, 0, CONTENT[:50])
    stopping = server.stop()
    assert stopping.called
    (name,) = shares_found(quick_store)
    assert name.endswith("/0")
    assert len(server.uploads) == 0
