"""`tahoeish put` as a process of its own, against servers in this one."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import pytest_twisted
from twisted.internet.threads import deferToThread

from tahoeish.client.put_command import How, put
from tahoeish.client.terminal import Where
from tests.client.command import Command
from tests.client.nodes import CONTENT, MORE_THAN_SOCKETS_HOLD, MemoryNode, ScriptedNode, cap_for

TOO_LONG = "y" * 300
LITERAL = cap_for(b"literal")


@pytest.fixture
def huge_file(tmp_path: Path) -> Path:
    path = tmp_path / "huge.iso"
    path.touch()
    os.truncate(path, MORE_THAN_SOCKETS_HOLD)
    return path


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
async def test_put_of_a_file_that_is_longer_than_it_says_does_not_store_nothing(node: MemoryNode, url: str) -> None:
    words = "tahoeish: put: /proc/version: It says that it is empty, but isn't; send it through a pipe\n"
    with Command("put", "/proc/version", url=url) as command:
        assert await command.ended() == (1, b"", words)
    assert node.requests == []


@pytest_twisted.ensureDeferred
async def test_put_of_a_missing_file_is_said_as_every_tool_says_it(url: str) -> None:
    with Command("put", "missing.iso", url=url) as command:
        assert await command.ended() == (1, b"", "tahoeish: put: missing.iso: No such file or directory\n")


@pytest.mark.parametrize(
    ("name", "words"),
    [(TOO_LONG, f"{TOO_LONG}: File name too long"), ("loop", "loop: Too many levels of symbolic links")],
)
@pytest_twisted.ensureDeferred
async def test_put_of_what_the_system_does_not_even_look_at_is_said_in_one_line(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, words: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "loop").symlink_to("loop")
    with Command("put", name, url=url) as command:
        assert await command.ended() == (1, b"", f"tahoeish: put: {words}\n")


@pytest.mark.parametrize("arguments", [["file\udcff", "--to", "/files/x/"], ["folder\udcff"]])
@pytest_twisted.ensureDeferred
async def test_put_under_a_name_of_its_own_that_is_no_utf_8_is_said_in_one_line(
    node: MemoryNode, url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file\udcff").write_bytes(b"content")
    (tmp_path / "folder\udcff").mkdir()
    with Command("put", *arguments, url=url) as command:
        status, _, err = await command.ended()
    name = arguments[0].replace("\udcff", "\\udcff")
    words = f"tahoeish: put: {name}: its name isn't UTF-8; give it another one by --to /files/NAME\n"
    assert (status, err, node.requests) == (1, words, [])


@pytest_twisted.ensureDeferred
async def test_put_where_the_folder_one_is_in_is_gone_is_said_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "gone").mkdir()
    command = f'cd "{tmp_path}/gone" && rmdir ../gone && exec "{sys.executable}" -m tahoeish.node.main put .'
    done = await deferToThread(subprocess.run, ["sh", "-c", command], capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (1, b"tahoeish: put: .: No such file or directory\n")


def test_put_of_a_file_in_a_folder_that_may_not_be_searched_is_said_in_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    # Tests may run as root, to whom nothing is forbidden.
    def forbidden(path: str, **_: object) -> os.stat_result:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), path)

    with monkeypatch.context() as patching:
        patching.setattr(os, "stat", forbidden)
        status = put("locked/file", where=Where(), how=How())
    assert (status, capsys.readouterr().err) == (1, "tahoeish: put: locked/file: Permission denied\n")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["put", ""], "tahoeish: put: the name of the file is empty\n"),
        (["get", LITERAL, ""], "tahoeish: get: the name of the file is empty\n"),
        (["snapshot", ""], "tahoeish: snapshot: the name of the folder is empty\n"),
        (["restore", "URI:DIR2-LIT:", ""], "tahoeish: restore: the name of the folder is empty\n"),
    ],
)
@pytest_twisted.ensureDeferred
async def test_a_name_that_is_empty_is_misuse_and_no_folder(
    node: MemoryNode, url: str, arguments: list[str], words: str
) -> None:
    with Command(*arguments, url=url) as command:
        assert await command.ended() == (2, b"", words)
    assert node.requests == []


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
async def test_put_that_is_refused_in_the_middle_says_how_much_the_node_has(
    scripted: ScriptedNode, scripted_url: str, tmp_path: Path
) -> None:
    (tmp_path / "large").write_bytes(bytes(5 * 1024 * 1024))
    answers = {
        b"POST ": b"201 Created\r\nLocation: /uploads/1",
        b"PATCH ": b"507 Insufficient Storage",
        b"HEAD ": b"200 OK\r\nUpload-Length: 5242880\r\nUpload-Offset: 3145728",
    }
    with Command("put", tmp_path / "large", url=scripted_url) as command:
        for method, answer in answers.items():
            conversation = await scripted.conversations.get()
            await conversation.when_head_is_in()
            assert conversation.received.startswith(method)
            conversation.answer(b"HTTP/1.1 " + answer + b"\r\nContent-Length: 0\r\n\r\n")
        status, _, err = await command.ended()
    assert status == 1
    assert err.endswith("tahoeish: put: 3.0 MiB of 5.0 MiB are there; run the same command again to go on\n")


@pytest_twisted.ensureDeferred
async def test_put_can_be_stopped_while_its_input_stalls(scripted: ScriptedNode, scripted_url: str) -> None:
    with Command("put", "-", url=scripted_url, stdin=subprocess.PIPE) as command:
        conversation = await scripted.conversations.get()
        await conversation.when_head_is_in()
        command.process.send_signal(signal.SIGINT)
        assert (await command.ended())[0] == 130
    await conversation.when_lost()
    assert not conversation.received.endswith(b"0\r\n\r\n")
