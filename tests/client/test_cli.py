"""The command line as a process of its own, against servers in this one."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
import termios
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import pytest
import pytest_twisted
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater
from twisted.internet.threads import deferToThread

from tests.client.nodes import MemoryNode, ScriptedNode, cap_for, listening

CONTENT = bytes(range(256)) * 4000
MORE_THAN_SOCKETS_HOLD = 64 * 1024 * 1024


class Command:
    """`tahoeish` with some arguments, running."""

    def __init__(
        self,
        *arguments: str | Path,
        url: str,
        stdin: int | IO[bytes] = subprocess.DEVNULL,
        stdout: int | IO[bytes] = subprocess.PIPE,
        stderr: int | IO[bytes] = subprocess.PIPE,
    ) -> None:
        environment = {**os.environ, "TAHOEISH_NODE_URL": url}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tahoeish.node.main", *map(str, arguments)],
            stdin=stdin,
            stdout=stdout,
            stderr=stderr,
            env=environment,
        )

    async def ended(self) -> tuple[int, bytes, str]:
        """Its exit status and its outputs, where they are pipes."""
        out, err = await deferToThread(self.process.communicate)
        return self.process.returncode, out, (err or b"").decode()

    def __enter__(self) -> Command:
        return self

    def __exit__(self, *_: Any) -> None:
        with self.process:
            # Only a test that has failed leaves it running.
            self.process.kill()


@pytest.fixture
def node() -> MemoryNode:
    return MemoryNode()


@pytest.fixture
def url(node: MemoryNode) -> Iterator[str]:
    with listening(node.site()) as url:
        yield url


@pytest.fixture
def scripted() -> ScriptedNode:
    return ScriptedNode()


@pytest.fixture
def scripted_url(scripted: ScriptedNode) -> Iterator[str]:
    with listening(scripted) as url:
        yield url


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "big.iso"
    path.write_bytes(CONTENT)
    return path


@pytest.fixture
def huge_file(tmp_path: Path) -> Path:
    path = tmp_path / "huge.iso"
    path.touch()
    os.truncate(path, MORE_THAN_SOCKETS_HOLD)
    return path


# Putting.


@pytest_twisted.ensureDeferred
async def test_put_prints_the_cap_and_nothing_else(node: MemoryNode, url: str, file: Path) -> None:
    with Command("put", file, url=url) as command:
        assert await command.ended() == (0, cap_for(CONTENT).encode() + b"\n", "")
    assert node.files == {cap_for(CONTENT): CONTENT}


@pytest_twisted.ensureDeferred
async def test_put_takes_a_pipe_and_sends_it_in_chunks(node: MemoryNode, url: str) -> None:
    with Command("put", "-", url=url, stdin=subprocess.PIPE) as command:
        assert command.process.stdin is not None
        await deferToThread(command.process.stdin.write, CONTENT)
        status, cap, _ = await command.ended()
    assert status == 0
    assert node.files[cap.decode().strip()] == CONTENT
    assert node.header("transfer-encoding") == "chunked"


@pytest_twisted.ensureDeferred
async def test_put_takes_a_redirected_file_from_where_it_stands_and_announces_its_length(
    node: MemoryNode, url: str, file: Path
) -> None:
    with file.open("rb", buffering=0) as stdin:
        stdin.seek(24)
        with Command("put", "-", url=url, stdin=stdin) as command:
            status, cap, _ = await command.ended()
    assert status == 0
    assert node.files[cap.decode().strip()] == CONTENT[24:]
    assert node.header("content-length") == str(len(CONTENT) - 24)


@pytest_twisted.ensureDeferred
async def test_put_takes_a_named_pipe(node: MemoryNode, url: str, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with Command("put", tmp_path / "pipe", url=url) as command:
        await deferToThread((tmp_path / "pipe").write_bytes, CONTENT)
        assert (await command.ended())[0] == 0
    assert list(node.files.values()) == [CONTENT]


@pytest_twisted.ensureDeferred
async def test_put_of_a_missing_file_is_said_as_every_tool_says_it(url: str) -> None:
    with Command("put", "missing.iso", url=url) as command:
        assert await command.ended() == (1, b"", "tahoeish: put: missing.iso: No such file or directory\n")


@pytest_twisted.ensureDeferred
async def test_put_says_when_the_cap_cannot_be_written(url: str, file: Path) -> None:
    with open("/dev/full", "wb") as full, Command("put", file, url=url, stdout=full) as command:
        status, _, err = await command.ended()
    assert (status, err) == (1, "tahoeish: put: standard output: No space left on device\n")


@pytest_twisted.ensureDeferred
async def test_put_says_why_the_node_refuses_while_it_is_still_sending(
    scripted: ScriptedNode, scripted_url: str, huge_file: Path
) -> None:
    with Command("put", "--no-resume", huge_file, url=scripted_url) as command:
        conversation = await scripted.conversations.get()
        await conversation.when_head_is_in()
        conversation.transport.pauseProducing()
        problem = b'{"title": "Too long", "detail": "at most 1 MiB is taken here", "status": 413}'
        conversation.transport.write(
            b"HTTP/1.1 413 Content Too Large\r\nContent-Type: application/problem+json\r\n"
            b"Content-Length: %d\r\n\r\n%s" % (len(problem), problem)
        )
        assert await command.ended() == (
            1,
            b"",
            "tahoeish: put: the node refused: Too long: at most 1 MiB is taken here (413)\n",
        )


@pytest.mark.parametrize(("stop", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
@pytest_twisted.ensureDeferred
async def test_put_that_is_stopped_leaves_the_node_with_half_a_request(
    scripted: ScriptedNode, scripted_url: str, huge_file: Path, stop: signal.Signals, status: int
) -> None:
    with Command("put", "--no-resume", huge_file, url=scripted_url) as command:
        conversation = await scripted.conversations.get()
        await conversation.when_head_is_in()
        conversation.transport.pauseProducing()
        command.process.send_signal(stop)
        assert await command.ended() == (status, b"", f"tahoeish: put: stopped by {stop.name}\n")
    conversation.transport.resumeProducing()
    await conversation.when_lost()
    assert len(conversation.received) < MORE_THAN_SOCKETS_HOLD


@pytest_twisted.ensureDeferred
async def test_put_of_a_large_file_to_a_node_that_cannot_resume_is_one_request(
    scripted: ScriptedNode, scripted_url: str, tmp_path: Path
) -> None:
    content = bytes(5 * 1024 * 1024)
    (tmp_path / "large").write_bytes(content)
    with Command("put", tmp_path / "large", url=scripted_url) as command:
        asked = await scripted.conversations.get()
        await asked.when_head_is_in()
        assert asked.received.startswith(b"POST /uploads/ ")
        asked.transport.write(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")
        put = await scripted.conversations.get()
        await put.when(lambda conversation: len(conversation.received) > len(content))
        assert put.received.startswith(b"PUT /uri ")
        cap = cap_for(content).encode()
        put.transport.write(b"HTTP/1.1 201 Created\r\nContent-Length: %d\r\n\r\n%s" % (len(cap), cap))
        assert await command.ended() == (0, cap + b"\n", "")


@pytest_twisted.ensureDeferred
async def test_put_can_be_stopped_while_its_input_stalls(scripted: ScriptedNode, scripted_url: str) -> None:
    with Command("put", "-", url=scripted_url, stdin=subprocess.PIPE) as command:
        conversation = await scripted.conversations.get()
        await conversation.when_head_is_in()
        command.process.send_signal(signal.SIGINT)
        assert (await command.ended())[0] == 130
    await conversation.when_lost()
    assert not conversation.received.endswith(b"0\r\n\r\n")


# Getting.


@pytest_twisted.ensureDeferred
async def test_get_writes_to_a_pipe(node: MemoryNode, url: str) -> None:
    with Command("get", node.store(CONTENT), url=url) as command:
        assert await command.ended() == (0, CONTENT, "")


@pytest_twisted.ensureDeferred
async def test_get_writes_to_a_redirected_output(node: MemoryNode, url: str, tmp_path: Path) -> None:
    target = tmp_path / "target"
    with target.open("wb") as stdout, Command("get", node.store(CONTENT), url=url, stdout=stdout) as command:
        assert (await command.ended())[0] == 0
    assert target.read_bytes() == CONTENT


@pytest_twisted.ensureDeferred
async def test_get_writes_a_file(node: MemoryNode, url: str, tmp_path: Path) -> None:
    with Command("get", node.store(CONTENT), tmp_path / "target", url=url) as command:
        assert await command.ended() == (0, b"", "")
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [CONTENT]


@pytest_twisted.ensureDeferred
async def test_get_writes_into_a_named_pipe_and_leaves_it_one(node: MemoryNode, url: str, tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with Command("get", node.store(CONTENT), pipe, url=url) as command:
        assert await deferToThread(pipe.read_bytes) == CONTENT
        assert (await command.ended())[0] == 0
    assert pipe.is_fifo()


@pytest_twisted.ensureDeferred
async def test_get_into_a_device_does_not_replace_it(node: MemoryNode, url: str) -> None:
    with Command("get", node.store(CONTENT), "/dev/null", url=url) as command:
        assert await command.ended() == (0, b"", "")
    assert Path("/dev/null").is_char_device()


@pytest_twisted.ensureDeferred
async def test_get_takes_a_cap_within_a_url_and_asks_its_own_node(node: MemoryNode, url: str) -> None:
    cap = node.store(CONTENT).replace(":", "%3A")
    with Command("get", f"http://elsewhere.example/uri/{cap}?filename=big.iso", url=url) as command:
        assert await command.ended() == (0, CONTENT, "")


@pytest_twisted.ensureDeferred
async def test_get_of_a_mistyped_cap_does_not_even_ask(node: MemoryNode, url: str) -> None:
    with Command("get", cap_for(CONTENT)[:-9], url=url) as command:
        status, _, err = await command.ended()
    assert status == 2
    assert "tahoeish get: error: argument CAP: " in err
    assert node.requests == []


@pytest_twisted.ensureDeferred
async def test_get_says_what_the_node_says(url: str) -> None:
    with Command("get", cap_for(CONTENT), url=url) as command:
        assert await command.ended() == (
            1,
            b"",
            "tahoeish: get: the node refused: Not enough shares: 2 are needed, 1 was found (410)\n",
        )


@pytest_twisted.ensureDeferred
async def test_get_ends_quietly_when_nobody_reads_on(node: MemoryNode, url: str) -> None:
    with Command("get", node.store(bytes(4 * 1024 * 1024)), url=url) as command:
        assert command.process.stdout is not None
        assert len(await deferToThread(command.process.stdout.read, 1)) == 1
        command.process.stdout.close()
        assert command.process.stderr is not None
        assert await deferToThread(command.process.stderr.read) == b""
        assert await deferToThread(command.process.wait) == 141


@pytest_twisted.ensureDeferred
async def test_get_can_be_stopped_while_nobody_reads(node: MemoryNode, url: str) -> None:
    with Command("get", node.store(bytes(4 * 1024 * 1024)), url=url) as command:
        assert command.process.stdout is not None
        await deferToThread(command.process.stdout.read, 1)
        command.process.send_signal(signal.SIGINT)
        # Its output is not read: it may end only because it was told to.
        assert await deferToThread(command.process.wait) == 130


@pytest_twisted.ensureDeferred
async def test_get_of_a_broken_download_leaves_no_file(
    scripted: ScriptedNode, scripted_url: str, tmp_path: Path
) -> None:
    with Command("get", cap_for(CONTENT), tmp_path / "target", url=scripted_url) as command:
        conversation = await scripted.conversations.get()
        await conversation.when_head_is_in()
        conversation.transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\nhello" % len(CONTENT))
        conversation.transport.loseConnection()
        status, out, err = await command.ended()
    assert (status, out) == (1, b"")
    assert err.startswith("tahoeish: get: the node did not send all of it: ")
    assert err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


@pytest_twisted.ensureDeferred
async def test_get_that_is_stopped_leaves_no_file(scripted: ScriptedNode, scripted_url: str, tmp_path: Path) -> None:
    with Command("get", cap_for(CONTENT), tmp_path / "target", url=scripted_url) as command:
        conversation = await scripted.conversations.get()
        await conversation.when_head_is_in()
        conversation.transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\nhello" % len(CONTENT))
        while not list(tmp_path.iterdir()):
            await deferLater(reactor, 0.01)
        command.process.send_signal(signal.SIGINT)
        assert await command.ended() == (130, b"", "tahoeish: get: stopped by SIGINT\n")
    assert list(tmp_path.iterdir()) == []


@pytest_twisted.ensureDeferred
async def test_get_into_a_folder_that_is_missing_says_so(node: MemoryNode, url: str, tmp_path: Path) -> None:
    target = tmp_path / "missing" / "target"
    with Command("get", node.store(CONTENT), target, url=url) as command:
        assert await command.ended() == (1, b"", f"tahoeish: get: {target}: No such file or directory\n")


# The node, and what a person sees.


@pytest.fixture
def deserted_url() -> str:
    with listening(ScriptedNode()) as url:
        return url


@pytest_twisted.ensureDeferred
async def test_nobody_there_is_said_with_what_to_do(deserted_url: str, file: Path) -> None:
    with Command("put", file, url=deserted_url) as command:
        status, out, err = await command.ended()
    assert (status, out) == (1, b"")
    assert err == (
        f"tahoeish: put: no node answers at {deserted_url} (Connection refused); "
        "start one with `tahoeish run` or give --node-url\n"
    )


@pytest_twisted.ensureDeferred
async def test_the_option_wins_over_the_environment(node: MemoryNode, url: str, file: Path) -> None:
    with Command("put", "--node-url", url, file, url="http://127.0.0.1:1") as command:
        assert (await command.ended())[0] == 0


@pytest_twisted.ensureDeferred
async def test_an_unusable_node_url_is_misuse(file: Path) -> None:
    with Command("put", file, url="nonsense") as command:
        status, _, err = await command.ended()
    assert status == 2
    assert err.startswith("tahoeish: put: $TAHOEISH_NODE_URL: 'nonsense' is not the URL of a node")


async def seen_on_a_terminal(*arguments: str | Path, url: str) -> tuple[int, str]:
    """What `tahoeish` shows on a terminal of 60 columns as its standard error, and its exit status."""
    ours, its = pty.openpty()
    termios.tcsetwinsize(its, (24, 60))
    with Command(*arguments, url=url, stderr=its) as command:
        os.close(its)
        shown = await deferToThread(_read_terminal, ours)
        status, _, _ = await command.ended()
    return status, shown


def _read_terminal(descriptor: int) -> str:
    shown = b""
    with open(descriptor, "rb", buffering=0) as terminal:
        while True:
            try:
                shown += terminal.read(1024)
            except OSError:
                # What Linux says when the other side is closed.
                return shown.decode()


@pytest_twisted.ensureDeferred
async def test_a_person_sees_the_progress_and_then_a_clean_line(url: str, file: Path) -> None:
    status, shown = await seen_on_a_terminal("put", file, url=url)
    assert status == 0
    last = shown.split("\r")[-2:]
    assert last[0].startswith("100%  [####")
    assert "  1.0 MiB of 1.0 MiB  " in last[0]
    assert last[0].rstrip().endswith("done")
    assert last[1] == "\n"
    assert max(len(line.rstrip()) for line in shown.split("\r")) < 60


@pytest_twisted.ensureDeferred
async def test_a_person_sees_an_error_on_a_line_of_its_own(url: str) -> None:
    status, shown = await seen_on_a_terminal("get", cap_for(CONTENT), "/dev/null", url=url)
    assert status == 1
    before, _, message = shown.rpartition("\rtahoeish: ")
    assert message.startswith("get: the node refused: ")
    assert before.split("\r")[-1].strip() == ""


@pytest_twisted.ensureDeferred
async def test_a_person_sees_what_is_waited_for(scripted: ScriptedNode, scripted_url: str, file: Path) -> None:
    seeing = Deferred.fromCoroutine(seen_on_a_terminal("put", file, "--retries", "1", url=scripted_url))
    for _ in range(2):
        conversation = await scripted.conversations.get()
        await conversation.when_head_is_in()
        conversation.transport.write(
            b"HTTP/1.1 503 Service Unavailable\r\nContent-Type: text/plain\r\nContent-Length: 4\r\n\r\nbusy"
        )
    status, shown = await seeing
    assert status == 1
    assert any("%  next try in 0:01: the node refused: Service" in line for line in shown.split("\r"))
    assert "put: the node refused: Service Unavailable: busy (503); given up after 2 tries" in shown


@pytest.mark.parametrize("option", ["--quiet", "--no-progress"])
@pytest_twisted.ensureDeferred
async def test_a_person_who_wants_quiet_has_it(url: str, file: Path, option: str) -> None:
    assert await seen_on_a_terminal("put", option, file, url=url) == (0, "")
