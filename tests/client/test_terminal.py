"""Which node the commands ask, and what a person sees of them."""

from __future__ import annotations

import os
import pty
import termios
from pathlib import Path

import pytest
import pytest_twisted
from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThread

from tests.client.command import Command
from tests.client.nodes import CONTENT, MemoryNode, ScriptedNode, cap_for


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
