"""Uploads to a storage node that go on in its next process."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from tahoeish.storage import logbook
from tahoeish.storage.errors import StoreError
from tahoeish.storage.lasting_upload import LastingUpload
from tahoeish.storage.ranges import Range, RangeSet
from tahoeish.storage.shares import CLEAR_SECONDS, LASTING_LIMIT, ShareStore
from tahoeish.storage.wire import (
    Allocation,
    AllocationRequest,
    Secret,
    abort_path,
    dump_allocation_request,
    finish_path,
    lasting_path,
    load_allocation,
    load_required,
    secure_path,
    whole_share_path,
)
from tests.storage.serving import IDLE_LIMIT, LEASE, UPLOAD, UPLOAD_SECRET, Answer, Connection, Server, head
from tests.storage.stores import (
    NAME,
    NOW,
    SECRETS,
    STORAGE_INDEX,
    StartStore,
    finished,
    full_disk_behind,
    open_files_below,
    shares_found,
)
from tests.storage.test_durability import SyncedPaths
from tests.storage.test_server_transfers import HeldThreads

CONTENT = os.urandom(10_000)
OTHER_SECRET = b"somebody else's"
SHARE = f"incoming/{NAME}.0.lasting"
LOGBOOK = f"incoming/{NAME}.0.lasting-log"
FINISHED = f"{NAME[:2]}/{NAME}/0"


def allocate(server: Server, size: int = len(CONTENT), secret: bytes = UPLOAD_SECRET) -> Allocation:
    """A lasting upload of share 0."""
    message = dump_allocation_request(AllocationRequest(frozenset({0}), size))
    answer = server.ask("POST", lasting_path(STORAGE_INDEX), message, secrets=(*LEASE, (Secret.UPLOAD, secret)))
    assert answer.status == 200
    return load_allocation(answer.body)


def secure(server: Server, secret: bytes = UPLOAD_SECRET) -> int:
    return server.ask("POST", secure_path(STORAGE_INDEX, 0), secrets=((Secret.UPLOAD, secret),)).status


def abort(server: Server, secret: bytes = UPLOAD_SECRET) -> int:
    return server.ask("PUT", abort_path(STORAGE_INDEX, 0), secrets=((Secret.UPLOAD, secret),)).status


def finish(server: Server, size: int) -> int:
    return server.ask("POST", finish_path(STORAGE_INDEX, 0), b'{"size": %d}' % size, secrets=UPLOAD).status


def put(server: Server, begin: int, end: int) -> Answer:
    return server.write(0, begin, CONTENT[begin:end])


def missing(answer: Answer) -> list[Range]:
    assert answer.status == 200, answer
    return load_required(answer.body)


class Node:
    """A storage node that is killed and started again: what its process had in memory is gone."""

    def __init__(self, directory: Path, *, durable: bool) -> None:
        self.directory = directory
        self._durable = durable
        self.start()

    def start(self) -> None:
        self.store = ShareStore(self.directory, durable=self._durable, now=lambda: NOW)
        self.store.start()
        self.server = Server(self.store)

    def kill(self) -> None:
        self.store.stop()
        for upload in self.server.uploads._uploads.values():
            upload._share._file.close()
            if isinstance(upload, LastingUpload):
                upload._logbook.close()

    def restart(self) -> Server:
        self.kill()
        self.start()
        return self.server

    def files(self) -> list[str]:
        return shares_found(self.store)

    def share_is_idle_for(self, seconds: float) -> None:
        path = self.directory / "shares" / SHARE
        os.utime(path, (NOW - seconds, NOW - seconds))


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    node = Node(tmp_path / "node", durable=True)
    yield node
    node.kill()


@pytest.fixture
def quick_node(tmp_path: Path) -> Iterator[Node]:
    node = Node(tmp_path / "quick", durable=False)
    yield node
    node.kill()


@pytest.fixture
def power_cut(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """The machine runs anew, and what wasn't on the disk may be lost."""
    return lambda: monkeypatch.setattr(logbook, "boot_id", lambda: "another time")


# After a restart


def test_what_was_confirmed_is_there_after_a_restart(node: Node, start_store: StartStore, tmp_path: Path) -> None:
    allocate(node.server)
    put(node.server, 0, 1000)
    put(node.server, 2000, 3000)
    server = node.restart()

    assert missing(put(server, 500, 600)) == [(1000, 2000), (3000, 10_000)]
    put(server, 1000, 4000)
    server = node.restart()
    assert put(server, 4000, 10_000).status == 201

    assert server.read(0).body == CONTENT
    assert node.files() == [FINISHED]
    undisturbed = finished(start_store(tmp_path / "undisturbed"), 0, CONTENT)
    assert (node.directory / "shares" / FINISHED).read_bytes() == undisturbed.read_bytes()


def test_it_can_be_finished_early_and_taken_back_after_a_restart(node: Node) -> None:
    allocate(node.server, 1_000_000)
    put(node.server, 0, 10_000)
    server = node.restart()

    assert finish(server, 10_000) == 201
    assert server.read(0).body == CONTENT
    assert server.ask("DELETE", whole_share_path(STORAGE_INDEX, 0), secrets=UPLOAD).status == 200
    assert node.files() == []


def test_a_node_that_is_stopped_in_good_order_keeps_it_too(node: Node) -> None:
    allocate(node.server)
    put(node.server, 0, 1000)
    node.server.stop()
    assert open_files_below(node.directory / "shares") == []

    assert missing(put(node.restart(), 0, 1)) == [(1000, 10_000)]


def test_other_uploads_are_forgotten(node: Node) -> None:
    node.server.allocate({0}, len(CONTENT))
    put(node.server, 0, 1000)
    server = node.restart()

    assert put(server, 1000, 2000).status == 404
    assert node.files() == []


def test_bytes_that_were_written_do_not_become_others(node: Node) -> None:
    allocate(node.server)
    put(node.server, 0, 1000)

    assert node.restart().write(0, 999, b"no" + CONTENT[1001:1100]).status == 409


def test_several_requests_at_once_go_on_with_it(node: Node) -> None:
    allocate(node.server)
    put(node.server, 0, 1000)
    node.restart()
    threads = HeldThreads()
    node.server = server = Server(node.store, run_in_thread=threads)
    threads.hold = True
    connections = [Connection(server) for _ in range(3)]
    for index, connection in enumerate(connections):
        begin, end = 1000 + 3000 * index, 4000 + 3000 * index
        headers = (("Content-Range", f"bytes {begin}-{end - 1}/*"),)
        connection.send(head("PATCH", f"/storage/v1/immutable/{NAME}/0", 3000, secrets=UPLOAD, headers=headers))
        connection.send(CONTENT[begin:end])
    while threads:
        threads.let_go()

    assert sorted(connection.answer().status for connection in connections) == [200, 200, 201]
    threads.hold = False
    assert server.read(0).body == CONTENT


# Whose it is


@pytest.mark.parametrize("restarted", [True, False])
def test_nobody_else_gets_at_it(node: Node, restarted: bool) -> None:
    allocate(node.server)
    put(node.server, 0, 1000)
    server = node.restart() if restarted else node.server

    assert server.write(0, 1000, b"more", secret=OTHER_SECRET).status == 401
    assert secure(server, OTHER_SECRET) == 401
    assert abort(server, OTHER_SECRET) == 401
    assert allocate(server, secret=OTHER_SECRET) == Allocation(frozenset(), frozenset())
    assert load_allocation(server.allocate({0}, 10, secret=OTHER_SECRET).body) == Allocation(frozenset(), frozenset())
    assert put(server, 1000, 10_000).status == 201


def test_the_secret_is_not_on_the_disk(node: Node) -> None:
    allocate(node.server)
    path = node.directory / "shares" / LOGBOOK

    assert UPLOAD_SECRET not in path.read_bytes()
    assert path.stat().st_mode & 0o777 == 0o600


def test_whoever_began_it_can_remove_it_and_begin_anew(node: Node) -> None:
    allocate(node.server)
    put(node.server, 0, 1000)
    server = node.restart()

    assert abort(server) == 200
    assert node.files() == []
    assert secure(server) == 404
    assert allocate(server).allocated == {0}
    assert missing(put(server, 5, 10)) == [(0, 5), (10, 10_000)]


def test_it_is_not_there_before_it_has_been_allocated(node: Node) -> None:
    threads = HeldThreads()
    node.server = Server(node.store, run_in_thread=threads)
    threads.hold = True
    message = dump_allocation_request(AllocationRequest(frozenset({0}), 10))
    secrets = (*LEASE, *UPLOAD)
    connection = Connection(node.server)
    connection.send(head("POST", lasting_path(STORAGE_INDEX), len(message), secrets=secrets) + message)

    assert put(node.server, 0, 10).status == 404
    threads.let_go()
    assert load_allocation(connection.answer().body).allocated == {0}


def test_a_share_that_somebody_else_writes_is_not_begun(node: Node) -> None:
    share = node.store.create(STORAGE_INDEX, 0, 10, SECRETS)

    assert load_allocation(node.server.allocate({0, 1}, 10).body).allocated == {1}
    share.abort()


# What is sure


def test_what_was_secured_is_on_the_disk(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    allocate(node.server)
    put(node.server, 0, 1000)
    synced = SyncedPaths(monkeypatch)

    assert secure(node.server) == 200

    shares = node.directory / "shares"
    assert synced.take() == {shares / SHARE, shares / LOGBOOK, shares / "incoming"}


def test_after_a_power_cut_only_what_was_secured_is_known(node: Node, power_cut: Callable[[], None]) -> None:
    allocate(node.server)
    put(node.server, 0, 1000)
    put(node.server, 5000, 6000)
    secure(node.server)
    put(node.server, 1000, 5000)
    power_cut()
    server = node.restart()

    assert missing(put(server, 0, 1)) == [(1000, 5000), (6000, 10_000)]
    put(server, 1000, 5000)
    assert put(node.restart(), 6000, 10_000).status == 201
    assert node.server.read(0).body == CONTENT


def test_a_share_of_which_nothing_is_sure_is_gone(quick_node: Node, power_cut: Callable[[], None]) -> None:
    allocate(quick_node.server)
    put(quick_node.server, 0, 1000)
    assert secure(quick_node.server) == 200
    power_cut()
    server = quick_node.restart()

    assert put(server, 1000, 2000).status == 404
    assert quick_node.files() == []
    assert allocate(server).allocated == {0}


@pytest.mark.parametrize("torn", [b'{"written": [1000, 2', b'{"written": [1000, 2000]}', bytes(50), b"\xff\n", b"7\n"])
def test_what_a_torn_line_says_has_not_happened(node: Node, torn: bytes) -> None:
    allocate(node.server)
    put(node.server, 0, 1000)
    node.kill()
    with (node.directory / "shares" / LOGBOOK).open("ab") as file:
        file.write(torn)
    node.start()

    assert missing(put(node.server, 3000, 4000)) == [(1000, 3000), (4000, 10_000)]
    assert missing(put(node.restart(), 0, 1)) == [(1000, 3000), (4000, 10_000)]


@pytest.mark.parametrize(
    "first", [b"", b"no JSON\n", b"[]\n", b'{"size": 10, "secret": "8", "renew": "", "cancel": ""}\n']
)
def test_a_share_that_nobody_is_known_to_have_begun_is_removed(node: Node, first: bytes) -> None:
    allocate(node.server)
    node.kill()
    (node.directory / "shares" / LOGBOOK).write_bytes(first)
    node.start()

    assert put(node.server, 0, 1).status == 404
    assert node.files() == []


def test_a_file_that_was_cut_is_not_taken_for_whole(node: Node) -> None:
    allocate(node.server)
    put(node.server, 0, 5000)
    node.kill()
    os.truncate(node.directory / "shares" / SHARE, 12 + 2000)
    node.start()

    assert missing(put(node.server, 0, 1)) == [(2000, 10_000)]


def test_bytes_that_were_cut_off_at_the_end_are_not_known_any_more(node: Node, power_cut: Callable[[], None]) -> None:
    threads = HeldThreads()
    node.server = Server(node.store, run_in_thread=threads)
    allocate(node.server)
    put(node.server, 0, 1000)
    put(node.server, 4000, 5000)
    secure(node.server)
    threads.hold = True
    connection = Connection(node.server)
    connection.send(head("POST", finish_path(STORAGE_INDEX, 0), 14, secrets=UPLOAD) + b'{"size": 1000}')
    threads.let_go()
    node.kill()
    assert len(threads) == 1 and not connection.answered

    path = node.directory / "shares" / LOGBOOK
    assert logbook.read(path).written == RangeSet().with_range(0, 1000)
    power_cut()
    assert logbook.read(path).written == RangeSet().with_range(0, 1000)
    node.start()
    assert finish(node.server, 1000) == 201
    assert node.server.read(0).body == CONTENT[:1000]


def test_where_the_system_does_not_tell_only_the_same_process_is_sure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logbook, "_BOOT_ID", Path("/nowhere"))
    logbook.boot_id.cache_clear()
    try:
        first = logbook.boot_id()
        assert logbook.boot_id() == first
        logbook.boot_id.cache_clear()
        assert logbook.boot_id() != first
    finally:
        logbook.boot_id.cache_clear()


# When the disk fails


def test_an_upload_of_which_nothing_can_be_noted_ends(node: Node) -> None:
    allocate(node.server)
    full_disk_behind(node.directory / "shares" / LOGBOOK)

    assert put(node.server, 0, 1000).status == 507
    assert node.files() == []


def test_a_logbook_that_can_not_be_begun_leaves_nothing(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(self: logbook.Logbook, line: object) -> None:
        raise StoreError("the disk is broken")

    monkeypatch.setattr(logbook.Logbook, "_append", fail)
    message = dump_allocation_request(AllocationRequest(frozenset({0}), 10))
    assert node.server.ask("POST", lasting_path(STORAGE_INDEX), message, secrets=(*LEASE, *UPLOAD)).status == 500
    assert node.files() == []
    assert open_files_below(node.directory / "shares") == []


def test_a_logbook_that_can_not_be_gone_on_with_takes_nothing_away(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    allocate(node.server)
    put(node.server, 0, 1000)
    node.server.stop()
    server = node.restart()

    def fail(self: logbook.Logbook, line: object) -> None:
        raise StoreError("the disk is broken")

    with monkeypatch.context() as context:
        context.setattr(logbook.Logbook, "_append", fail)
        assert put(server, 1000, 2000).status == 500
    assert open_files_below(node.directory / "shares") == []

    assert missing(put(server, 0, 1)) == [(1000, 10_000)]


# When nobody writes to it


def test_it_rests_when_nothing_is_written_for_a_while(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "statvfs", lambda path: SimpleNamespace(f_bavail=1_000_000, f_frsize=1))
    allocate(node.server)
    put(node.server, 0, 1000)
    assert node.store.available_space() < 1_000_000

    node.server.clock.advance(IDLE_LIMIT + 1)

    assert open_files_below(node.directory / "shares") == []
    assert node.store.available_space() == 1_000_000
    assert node.files() == [SHARE, LOGBOOK]
    assert put(node.server, 1000, 10_000).status == 201


def test_what_is_abandoned_is_cleared_away_while_the_node_runs(node: Node) -> None:
    allocate(node.server)
    put(node.server, 0, 1000)
    node.server.stop()
    server = node.restart()
    server.uploads.start()

    node.share_is_idle_for(LASTING_LIMIT - 1)
    server.clock.advance(CLEAR_SECONDS)
    assert node.files() == [SHARE, LOGBOOK]
    node.share_is_idle_for(LASTING_LIMIT + 1)
    server.clock.advance(CLEAR_SECONDS)
    assert node.files() == []
    server.stop()


def test_time_counts_on_over_a_restart(node: Node) -> None:
    allocate(node.server)
    put(node.server, 0, 1000)
    node.server.stop()

    node.share_is_idle_for(LASTING_LIMIT - 1)
    node.restart()
    assert node.files() == [SHARE, LOGBOOK]
    node.share_is_idle_for(LASTING_LIMIT + 1)
    node.restart()
    assert node.files() == []


def test_writing_known_bytes_again_keeps_it_alive(node: Node) -> None:
    allocate(node.server)
    put(node.server, 0, 1000)
    node.share_is_idle_for(LASTING_LIMIT + 1)
    put(node.server, 0, 4)
    node.server.stop()

    node.restart()

    assert node.files() == [SHARE, LOGBOOK]


def test_a_disk_that_fails_is_cleared_later(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    attempts = []

    def fail() -> None:
        attempts.append(1)
        raise StoreError("the disk is broken")

    monkeypatch.setattr(node.store, "clear_lasting", fail)
    node.server.uploads.start()
    node.server.clock.advance(CLEAR_SECONDS)
    node.server.clock.advance(CLEAR_SECONDS)
    assert len(attempts) == 2
    node.server.stop()


def test_the_logbook_of_a_share_that_had_just_been_finished_goes(node: Node) -> None:
    allocate(node.server)
    node.kill()
    (node.directory / "shares" / SHARE).unlink()

    node.start()

    assert node.files() == []
    assert put(node.server, 0, 1).status == 404


def test_a_logbook_is_of_no_use_without_its_share(node: Node) -> None:
    allocate(node.server)
    node.server.stop()
    (node.directory / "shares" / SHARE).unlink()

    assert put(node.server, 0, 1).status == 404


def test_a_share_that_is_begun_anew_has_no_old_logbook(node: Node) -> None:
    allocate(node.server)
    put(node.server, 0, 1000)
    node.restart()

    node.store.create(STORAGE_INDEX, 0, None, SECRETS, lasting=True).forget()

    assert node.files() == [SHARE]


# Beside others


def test_securing_another_upload_changes_nothing(node: Node) -> None:
    node.server.allocate({0}, len(CONTENT))
    put(node.server, 0, 1000)

    assert secure(node.server) == 200
    assert missing(put(node.server, 0, 1)) == [(1000, 10_000)]
