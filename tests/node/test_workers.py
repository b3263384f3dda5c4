"""A node whose clients are served by two processes: together they must be as one."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tahoeish.node.config import Config, Gateway, Grid, Memory, Peer, Storage, default_text
from tahoeish.node.config.quantities import MIB
from tahoeish.node.crew import messages
from tahoeish.node.crew.board import Board, Row
from tahoeish.node.crew.messages import Messages, message
from tahoeish.node.crew.portion import portion_of, portion_of_patience
from tests.nodes import (
    ANY_PORT,
    NOT_DURABLE,
    PATIENCE,
    RUN,
    TWIST,
    TWISTD,
    NodeProcess,
    RawClient,
    Settings,
    content_of,
    head,
    running,
    wait_until,
)

SIZE = 8_000_000
SENT = 3_000_000
CONTENT = content_of(SIZE)
DEATH_OF_WORKERS = """
import os, sys
if "tahoeish.node.crew.process" in sys.orig_argv:
    os.write(2, b"a bad start")
    os._exit(3)
"""
WORKER_WITH = """
import json, os, sys
given = json.loads(sys.argv.pop(1))
for there, here in given.items():
    os.dup2(here, 100 + int(there))
for there in map(int, given):
    os.dup2(100 + there, there)
from tahoeish.node.crew.process import main
main()
"""
"""A worker with descriptors where the crew would have put them."""

TWO: Settings = {"gateway": {"workers": 2}, **NOT_DURABLE}


@pytest.fixture
def node(tmp_path: Path) -> Iterator[NodeProcess]:
    with NodeProcess(tmp_path / "node", TWO) as node:
        yield node


def workers(node: NodeProcess) -> list[dict[str, int]]:
    return list(node.get("/?t=json").json()["workers"])


def children(node: NodeProcess) -> list[int]:
    assert node.process is not None
    listed = Path(f"/proc/{node.process.pid}/task/{node.process.pid}/children").read_text()
    return [int(pid) for pid in listed.split()]


def uploads_in_both(node: NodeProcess, left_open: ExitStack) -> list[RawClient]:
    """Two clients in the middle of a body, the first one's in the first worker, with all shares on their way."""
    found: dict[int, RawClient] = {}
    pids = children(node)
    while len(found) < len(pids):
        others = set(node.incoming())
        client = left_open.enter_context(node.connect())
        client.send(head("PUT", "/uri", {"Content-Length": str(SIZE)}) + CONTENT[:SENT])
        wait_until(lambda: len(node.incoming()) == len(others) + 3, "the shares are on their way")  # noqa: B023
        pid = holder(next(path for path in node.incoming() if path not in others), pids)
        if pid in found:
            # Who is busy may let clients in all the same, when the other one is slow to come.
            client.reset()
            wait_until(lambda: len(node.incoming()) == len(others), "it is cleared away")  # noqa: B023
        else:
            found[pid] = client
    return [found[pid] for pid in pids]


def holder(path: Path, pids: Sequence[int]) -> int:
    """Which process has a file open."""
    for pid in pids:
        if any(os.path.realpath(descriptor) == str(path) for descriptor in Path(f"/proc/{pid}/fd").iterdir()):
            return pid
    raise AssertionError(f"nobody has {path}")


def finish_upload(client: RawClient) -> str:
    client.send(CONTENT[SENT:])
    answer = client.answer("PUT")
    assert answer.status == 201, answer
    return answer.text


class TestServing:
    @pytest.mark.parametrize("command", [RUN, TWISTD, TWIST], ids=["tahoeish run", "twistd", "twist"])
    def test_each_way_to_start(self, node: NodeProcess, command: Sequence[str]) -> None:
        node.start(command=command)
        cap = node.put(CONTENT)
        assert node.get(f"/uri/{cap}").body == CONTENT
        assert [worker["pid"] for worker in workers(node)] == children(node)
        assert int((node.directory / "node.lock").read_text()) == node.process.pid  # type: ignore[union-attr]
        assert node.stop() == (0 if command is RUN else -signal.SIGTERM)
        assert not (node.directory / "node.url").exists()
        assert "Traceback" not in node.said, node.said

    def test_uploads_and_downloads_are_spread_over_both(self, node: NodeProcess) -> None:
        node.start()
        with ExitStack() as left_open:
            uploads = uploads_in_both(node, left_open)
            assert sorted(worker["transfers"] for worker in workers(node)) == [1, 2], "one more asks"
            caps = [finish_upload(client) for client in uploads]

        def both_have_answered() -> bool:
            for cap in caps:
                assert node.get(f"/uri/{cap}").body == CONTENT
            return all(f"worker {number}: GET /uri" in node.said for number in (0, 1))

        wait_until(both_have_answered, "both have sent something")

    def test_several_addresses(self, node: NodeProcess) -> None:
        path = node.directory / "socket"
        node.start("--listen", f"unix:{path}", "--listen", ANY_PORT, "--listen", ANY_PORT)
        for _ in range(4):
            with socket.socket(socket.AF_UNIX) as client:
                client.connect(str(path))
                client.sendall(head("GET", "/uri/URI:LIT:me", {}))
                assert client.recv(1000).endswith(b"\r\n\r\na")
        assert node.stop() == 0
        assert not path.exists()

    def test_names_are_the_same_for_both(self, node: NodeProcess) -> None:
        node.start()
        with ExitStack() as left_open:
            clients = [left_open.enter_context(node.connect()) for _ in range(4)]
            for number, client in enumerate(clients):
                client.send(head("PUT", f"/files/{number}", {"Content-Length": "1"}) + b"%d" % number)
            for client in clients:
                assert client.answer("PUT").status == 201
            for number, client in enumerate(reversed(clients)):
                client.send(head("GET", f"/files/{number}", {}))
                assert client.answer().body == b"%d" % number

    def test_storage_is_the_first_ones(self, tmp_path: Path) -> None:
        settings = {**TWO, "storage": {"enabled": True, "listen": ANY_PORT}}
        with running(tmp_path / "node", settings) as node:
            (told,) = [line for line in node.said.splitlines() if "serving the shares in" in line]
            assert "worker 0: " in told
            nurl = (node.directory / "private" / "storage.nurl").read_text().strip()
            wait_until(lambda: f"  storage {nurl}\n" in node.said, "the announcement")
            first, second = children(node)
            os.kill(first, signal.SIGKILL)
            wait_until(lambda: node.said.count("serving the shares in") == 2, "it is begun anew")
            assert (node.directory / "private" / "storage.nurl").read_text().strip() == nurl
            assert second in children(node)
            assert node.stop() == 0


class TestDeath:
    def test_the_other_goes_on(self, node: NodeProcess) -> None:
        node.start()
        with ExitStack() as left_open:
            doomed, safe = uploads_in_both(node, left_open)
            first, second = children(node)
            spared = {path for path in node.incoming() if holder(path, [first, second]) == second}
            os.kill(first, signal.SIGKILL)
            wait_until(lambda: node.said.count("worker 0: listening at") == 2, "another one takes its place")
            # What the dead one left is gone, and nothing else.
            assert set(node.incoming()) == spared and len(spared) == 3
            with pytest.raises((ConnectionError, AssertionError)):
                finish_upload(doomed)
            cap = finish_upload(safe)
        assert node.incoming() == []
        assert len(node.shares()) == len(node.shares(cap)) == 3
        assert node.get(f"/uri/{cap}").body == CONTENT
        assert "worker 0 has ended (SIGKILL); another one takes its place" in node.said
        assert children(node)[0] == second
        assert node.stop() == 0

    def test_one_is_replaced_that_was_told_to_end(self, node: NodeProcess) -> None:
        node.start()
        first, second = children(node)
        os.kill(second, signal.SIGTERM)
        wait_until(lambda: node.said.count("worker 1: listening at") == 2, "another one listens")
        assert first in children(node) and second not in children(node)

    def test_nobody_outlives_the_crew(self, node: NodeProcess) -> None:
        node.start()
        with ExitStack() as left_open:
            uploads_in_both(node, left_open)
            pids = children(node)
            node.stop(signal.SIGKILL)
            wait_until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in pids), "they end")
        assert node.is_empty()
        node.start()
        assert node.get("/uri/URI:LIT:me").body == b"a"

    def test_after_a_kill_the_node_starts_at_once(self, node: NodeProcess) -> None:
        for _ in range(3):
            node.start()
            node.stop(signal.SIGKILL)
            # Its second worker has just been launched then, and takes a while to notice anything.
            (node.directory / "private/peers.json").unlink()
            node.launch()
            wait_until((node.directory / "private/peers.json").exists, "it has begun")
            node.stop(signal.SIGKILL)
        assert "already runs" not in node.said

    def test_one_that_the_crew_has_left_before_it_could_begin_ends(self, tmp_path: Path) -> None:
        order = {
            "config": default_text(),
            "log_level": "info",
            "number": 0,
            "processes": 1,
            "crew": "c",
            "listeners": [],
        }
        (commands, telling), (hearing, replies), board = os.pipe(), os.pipe(), Board.make(1)
        with ExitStack() as ends:
            for end in (telling, hearing):
                ends.callback(os.close, end)
            ours = {messages.COMMANDS: commands, messages.REPLIES: replies, messages.BOARD: board.descriptor}
            worker = subprocess.Popen(
                [sys.executable, "-c", WORKER_WITH, json.dumps(ours), str(tmp_path / "gone")], pass_fds=ours.values()
            )
            os.write(telling, message(messages.BEGIN, **order))
        for descriptor in (commands, replies):
            os.close(descriptor)
        board.close()
        try:
            # There is no such node, so it can't begin, and there is nobody whom it could tell.
            worker.wait(PATIENCE)
        finally:
            worker.kill()
            worker.wait()


class TestStop:
    def test_transfers_in_both_are_finished(self, node: NodeProcess) -> None:
        node.start()
        with ExitStack() as left_open:
            uploads = uploads_in_both(node, left_open)
            node.tell(signal.SIGTERM)
            wait_until(lambda: node.said.count("waiting for 1 transfers") == 2, "both know")
            with pytest.raises(ConnectionRefusedError):
                node.connect()
            caps = [finish_upload(client) for client in uploads]
        assert node.ended() == 0
        assert "Traceback" not in node.said and "has ended" not in node.said, node.said
        node.start()
        for cap in caps:
            assert node.get(f"/uri/{cap}").body == CONTENT

    @pytest.mark.parametrize("whom", ["the node", "its process group"])
    def test_who_is_told_twice_hurries(self, node: NodeProcess, whom: str) -> None:
        node.start(wrapper=["setsid"])
        assert node.process is not None
        group = whom != "the node"
        with ExitStack() as left_open:
            uploads = uploads_in_both(node, left_open)
            for _ in range(2):
                if group:
                    os.killpg(node.process.pid, signal.SIGINT)
                else:
                    node.tell(signal.SIGINT)
                wait_until(lambda: node.said.count("waiting for 1 transfers") == 2, "both know")
            assert [client.answer("PUT").status for client in uploads] == [503, 503]
            assert node.ended() == 0
        assert node.is_empty()

    @pytest.mark.parametrize("command", [RUN, TWISTD], ids=["tahoeish run", "twistd"])
    def test_at_any_moment_of_its_start(self, node: NodeProcess, command: Sequence[str]) -> None:
        for wait_for in ("node.lock", "private/peers.json"):
            (node.directory / wait_for).unlink(missing_ok=True)
            node.launch(command=command)
            wait_until((node.directory / wait_for).exists, "it has begun")
            assert node.stop() in (0, -signal.SIGTERM)
            assert "Traceback" not in node.said, node.said
            assert not (node.directory / "node.url").exists()


class TestReload:
    @pytest.mark.parametrize("command", [RUN, TWISTD], ids=["tahoeish run", "twistd"])
    def test_both_have_the_new_peers(self, node: NodeProcess, command: Sequence[str]) -> None:
        node.start(command=command)
        _list_peers(node, ["other/1", "other/2", "other/3"])
        node.tell(signal.SIGHUP)
        wait_until(lambda: node.said.count("3 peers from now on") == 2, "both have changed")

        with ExitStack() as left_open:
            for client in uploads_in_both(node, left_open):
                finish_upload(client)
        assert len(node.shares()) == 6
        assert len({path.read_text() for path in node.directory.glob("other/*/permutation-seed")}) == 3

    def test_who_comes_later_has_them_too(self, node: NodeProcess) -> None:
        node.start()
        _list_peers(node, ["other/1", "other/2", "other/3"])
        node.tell(signal.SIGHUP)
        wait_until(lambda: node.said.count("3 peers from now on") == 2, "both have changed")
        for pid in children(node):
            os.kill(pid, signal.SIGKILL)
        wait_until(lambda: node.said.count(": listening at") == 4, "both are new")
        assert len(node.shares(node.put(CONTENT))) == 3

    def test_a_wrong_configuration_changes_nothing(self, node: NodeProcess) -> None:
        node.start()
        (node.directory / "tahoeish.toml").write_text("[grid]\npears = []\n")
        node.tell(signal.SIGHUP)
        wait_until(lambda: "the peers stay as they are: " in node.said, "the node says no")
        assert len(node.shares(node.put(CONTENT))) == 3


def _list_peers(node: NodeProcess, folders: Sequence[str]) -> None:
    sections = [f"[[grid.peers]]\ndirectory = {json.dumps(folder)}\n" for folder in folders]
    (node.directory / "tahoeish.toml").write_text("".join(sections))
    node.peers = [node.directory / folder for folder in folders]


class TestCannotStart:
    @pytest.mark.parametrize("command", [RUN, TWISTD, TWIST], ids=["tahoeish run", "twistd", "twist"])
    def test_another_process_runs_the_node(self, node: NodeProcess, command: Sequence[str]) -> None:
        node.start()
        done = subprocess.run(
            [*command, "--node-dir", str(node.directory), "--listen", ANY_PORT],
            cwd=node.directory,
            capture_output=True,
            timeout=30,
            check=False,
        )
        assert done.returncode == 1
        assert f"already runs the node in {node.directory}".encode() in done.stdout + done.stderr

    def test_the_address_is_taken(self, node: NodeProcess) -> None:
        with socket.create_server(("127.0.0.1", 0)) as other:
            endpoint = f"tcp:{other.getsockname()[1]}:interface=127.0.0.1"
            node.launch("--listen", endpoint)
            assert node.ended() == 1
        assert f"can't listen at {endpoint}" in node.said

    def test_an_address_that_can_not_be_shared(self, node: NodeProcess) -> None:
        node.launch("--listen", "systemd:domain=INET:index=0")
        assert node.ended() == 1
        assert "can't listen at systemd:domain=INET:index=0 with several workers" in node.said

    def test_a_worker_says_why_not(self, node: NodeProcess) -> None:
        (node.directory / "private").mkdir()
        known = node.directory / "private" / "peers.json"
        known.write_text("{")
        node.launch()
        assert node.ended() == 1
        assert f"tahoeish: can't read {known}" in node.said
        assert "Traceback" not in node.said

    def test_workers_that_die_at_once(self, node: NodeProcess, tmp_path: Path) -> None:
        (tmp_path / "sitecustomize.py").write_text(DEATH_OF_WORKERS)
        node.launch(wrapper=["env", f"PYTHONPATH={tmp_path}"])
        assert node.ended() == 1
        assert node.said.count("a bad start") >= 3
        assert "tahoeish: worker 0: exit status 3, a bad start" in node.said


CONFIG = Config(
    gateway=Gateway(workers=4),
    grid=Grid(peers=(Peer(directory=Path("/peer")),), connections_per_peer=16),
    memory=Memory(uploads=128 * MIB, work=64 * MIB, downloads=6 * MIB),
    storage=Storage(enabled=True),
)


class TestPortion:
    def test_memory_is_divided(self) -> None:
        memory = portion_of(CONFIG, 4, leads=True).memory
        assert (memory.uploads, memory.work) == (32 * MIB, 16 * MIB)

    def test_nobody_gets_too_little_to_work_with(self) -> None:
        assert portion_of(CONFIG, 4, leads=True).memory.downloads == 4 * MIB

    def test_only_one_keeps_shares_for_others(self) -> None:
        assert portion_of(CONFIG, 4, leads=True).storage.enabled
        assert not portion_of(CONFIG, 4, leads=False).storage.enabled

    def test_connections_are_divided(self) -> None:
        assert portion_of(CONFIG, 4, leads=True).grid.connections_per_peer == 4
        assert portion_of(CONFIG, 40, leads=True).grid.connections_per_peer == 1

    def test_who_guesses_passwords_gets_no_more_tries(self) -> None:
        one, each = portion_of_patience(1), portion_of_patience(2)
        assert 2 * each.free_per_user == one.free_per_user
        assert 2 * each.free_per_address == one.free_per_address
        assert each.first_delay == 2 * one.first_delay


def test_a_board_is_seen_by_all_who_have_its_descriptor() -> None:
    board = Board.make(2)
    other = Board(os.dup(board.descriptor), 2)
    board.write(0, Row(17, True, 3, 2))
    other.write(1, Row(18, False, 1, 1))
    assert list(board) == list(other) == [Row(17, True, 3, 2), Row(18, False, 1, 1)]
    board.close()
    other.close()


@pytest.mark.parametrize("cut", [1, 7, 1000])
def test_messages_may_come_in_pieces(cut: int) -> None:
    data = message("log", text="line\nbreak") + message("stop")
    messages = Messages()
    received: list[dict[str, Any]] = []
    for start in range(0, len(data), cut):
        received += messages.feed(data[start : start + cut])
    assert received == [{"kind": "log", "text": "line\nbreak"}, {"kind": "stop"}]
