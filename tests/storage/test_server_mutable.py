"""Mutable shares over HTTP."""

from __future__ import annotations

from pathlib import Path

import cbor2
import pytest

from tahoeish.storage.shares import ShareStore
from tahoeish.storage.vectors import ShareChange, Test, Write
from tahoeish.storage.wire import (
    Secret,
    dump_corruption,
    dump_read_test_write,
    lease_path,
    load_read_test_write_answer,
    load_share_numbers,
    mutable_path,
    share_path,
    shares_path,
)
from tests.storage.serving import LEASE, MAX_MUTABLE_BODY, WRITE, Answer, Server
from tests.storage.stores import STORAGE_INDEX

PATH = mutable_path(STORAGE_INDEX)
CHANGE = f"{PATH}/read-test-write"
FIRST = {0: ShareChange(writes=[Write(0, b"0123456789")])}


def change(server: Server, changes: dict[int, ShareChange], read: list[tuple[int, int]] | None = None) -> Answer:
    return server.ask("POST", CHANGE, dump_read_test_write(changes, read or []), secrets=WRITE)


def outcome(answer: Answer) -> tuple[bool, dict[int, list[bytes]]]:
    assert answer.status == 200
    return load_read_test_write_answer(answer.body)


def test_shares_are_made_listed_and_read(server: Server) -> None:
    assert load_share_numbers(server.ask("GET", f"{PATH}/shares").body) == set()
    assert outcome(change(server, FIRST)) == (True, {})
    assert load_share_numbers(server.ask("GET", f"{PATH}/shares").body) == {0}
    whole = server.ask("GET", f"{PATH}/0")
    assert (whole.status, whole.body) == (200, b"0123456789")


def test_what_is_read_was_there_before(server: Server) -> None:
    change(server, FIRST)
    update = {0: ShareChange(writes=[Write(8, b"abc")]), 1: ShareChange(writes=[Write(0, b"one")])}
    assert outcome(change(server, update, [(0, 2), (8, 10)])) == (True, {0: [b"01", b"89"]})
    assert server.ask("GET", f"{PATH}/0").body == b"01234567abc"


def test_nothing_is_written_when_a_test_fails(server: Server) -> None:
    change(server, FIRST)
    update = {0: ShareChange([Test(0, 2, b"xx")], [Write(0, b"new")])}
    assert outcome(change(server, update, [(0, 3)])) == (False, {0: [b"012"]})
    assert server.ask("GET", f"{PATH}/0").body == b"0123456789"


def test_a_length_of_nothing_deletes(server: Server) -> None:
    change(server, FIRST)
    assert outcome(change(server, {0: ShareChange(new_length=0)}))[0]
    assert server.ask("GET", f"{PATH}/0").status == 404


def test_another_write_enabler_is_refused(server: Server) -> None:
    change(server, FIRST)
    secrets = ((Secret.WRITE_ENABLER, b"x" * 32), *LEASE)
    answer = server.ask("POST", CHANGE, dump_read_test_write(FIRST, []), secrets=secrets)
    assert answer.status == 401
    assert str(server.store.directory) not in answer.text


@pytest.mark.parametrize(
    ("wanted", "status", "body", "content_range"),
    [
        ("bytes=2-4", 206, b"234", "bytes 2-4/*"),
        ("bytes=8-50", 206, b"89", "bytes 8-9/*"),
        ("bytes=10-12", 204, b"", None),
        ("bytes=2-", 416, None, None),
    ],
)
def test_ranges(server: Server, wanted: str, status: int, body: bytes | None, content_range: str | None) -> None:
    change(server, FIRST)
    answer = server.ask("GET", f"{PATH}/0", headers=(("Range", wanted),))
    assert (answer.status, answer.headers["Content-Range"]) == (status, content_range)
    assert body is None or answer.body == body


def test_a_missing_share(server: Server) -> None:
    assert server.ask("GET", f"{PATH}/0").status == 404
    assert server.ask("POST", f"{PATH}/0/corrupt", dump_corruption("what?")).status == 404


def test_corruption_is_noted(server: Server, quick_store: ShareStore) -> None:
    change(server, FIRST)
    assert server.ask("POST", f"{PATH}/0/corrupt", dump_corruption("signature")).status == 200
    (note,) = (quick_store.directory / "corruption-advisories").iterdir()
    assert "signature" in note.read_text()


def test_leases_are_renewed(server: Server) -> None:
    change(server, FIRST)
    assert server.ask("PUT", lease_path(STORAGE_INDEX), secrets=LEASE).status == 204


def test_the_kinds_of_share_are_kept_apart(server: Server) -> None:
    change(server, FIRST)
    assert server.ask("GET", share_path(STORAGE_INDEX, 0)).status == 404
    assert load_share_numbers(server.ask("GET", shares_path(STORAGE_INDEX)).body) == set()
    server.upload(1, b"one")
    assert server.ask("GET", f"{PATH}/1").status == 404


@pytest.mark.parametrize(
    "message",
    [
        {"test-write-vectors": {}},
        {"test-write-vectors": {}, "read-vector": [{"offset": 0, "size": 1}] * 31},
        {"test-write-vectors": {0: {"test": [], "write": []}}, "read-vector": []},
    ],
)
def test_other_messages_are_refused(server: Server, message: object) -> None:
    assert server.ask("POST", CHANGE, cbor2.dumps(message), secrets=WRITE).status == 400


def test_a_message_has_bounds(server: Server) -> None:
    assert change(server, {0: ShareChange(writes=[Write(0, bytes(MAX_MUTABLE_BODY))])}).status == 413


def test_shares_have_bounds(quick_store: ShareStore) -> None:
    server = Server(quick_store, max_share_size=1000)
    assert change(server, {0: ShareChange(writes=[Write(995, b"12345")])}).status == 200
    assert change(server, {0: ShareChange(writes=[Write(996, b"12345")])}).status == 413


def test_a_read_only_node_changes_nothing(server: Server, quick_store: ShareStore) -> None:
    change(server, FIRST)
    read_only = Server(quick_store, read_only=True)
    assert change(read_only, {0: ShareChange(writes=[Write(0, b"x")])}).status == 403
    assert change(read_only, {0: ShareChange(new_length=0)}).status == 403
    assert outcome(change(read_only, {}, [(0, 3)])) == (True, {0: [b"012"]})


def test_what_lies_in_a_directory_is_served(server: Server, quick_store: ShareStore) -> None:
    change(server, FIRST)
    (path,) = Path(quick_store.directory).glob("shares/*/*/0")
    assert path.read_bytes().startswith(b"Tahoe mutable container v")
    again = Server(quick_store)
    assert again.ask("GET", f"{PATH}/0").body == b"0123456789"
