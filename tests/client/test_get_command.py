"""`tahoeish get` as a process of its own, against servers in this one."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest_twisted
from twisted.internet import reactor
from twisted.internet.task import deferLater
from twisted.internet.threads import deferToThread

from tests.client.command import Command
from tests.client.nodes import CONTENT, MemoryNode, ScriptedNode, cap_for


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
