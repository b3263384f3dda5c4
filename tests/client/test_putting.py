"""The client puts files to real servers in this process."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from io import BytesIO
from pathlib import Path

import pytest
import pytest_twisted
from twisted.internet import reactor
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import deferLater

from tahoeish.client.client import Client
from tahoeish.client.errors import FileChanged, NodeUnreachable, Refused, TransferBroken
from tests.client.nodes import CONTENT, MORE_THAN_SOCKETS_HOLD, Conversation, MemoryNode, ScriptedNode, cap_for


async def pieces_of(content: bytes, size: int = 100_000) -> AsyncIterator[bytes]:
    for start in range(0, len(content), size):
        yield content[start : start + size]


class Endless:
    """A source that gives bytes for ever, and knows whether it was closed."""

    def __init__(self) -> None:
        self.given = 0
        self.closed = False

    def __aiter__(self) -> Endless:
        return self

    async def __anext__(self) -> bytes:
        self.given += 65536
        return bytes(65536)

    async def aclose(self) -> None:
        self.closed = True


async def begun(
    scripted: ScriptedNode, client: Client, source: Endless, *, length: int | None = None
) -> tuple[Deferred[str], Conversation]:
    """An upload whose head has come, and the node's end of it."""
    upload = Deferred.fromCoroutine(client.put(source, length=length))
    conversation = await scripted.conversations.get()
    await conversation.when_head_is_in()
    return upload, conversation


@pytest_twisted.ensureDeferred
async def test_bytes_are_stored_and_their_cap_returned(node: MemoryNode, client: Client) -> None:
    assert await client.put(CONTENT) == cap_for(CONTENT)
    assert node.files[cap_for(CONTENT)] == CONTENT
    assert node.header("content-length") == str(len(CONTENT))


@pytest_twisted.ensureDeferred
async def test_an_empty_file_is_stored(node: MemoryNode, client: Client) -> None:
    assert node.files[await client.put(b"")] == b""


@pytest_twisted.ensureDeferred
async def test_a_path_is_stored_with_its_length_announced(node: MemoryNode, client: Client, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(CONTENT)
    assert node.files[await client.put(path)] == CONTENT
    assert node.header("content-length") == str(len(CONTENT))


@pytest_twisted.ensureDeferred
async def test_a_file_object_is_stored_from_where_it_stands(node: MemoryNode, client: Client) -> None:
    file = BytesIO(CONTENT)
    file.seek(10)
    assert node.files[await client.put(file)] == CONTENT[10:]
    assert node.header("content-length") == str(len(CONTENT) - 10)


@pytest_twisted.ensureDeferred
async def test_a_pipe_is_stored_in_chunks(node: MemoryNode, client: Client) -> None:
    reading, writing = os.pipe()
    os.write(writing, b"from a pipe")
    os.close(writing)
    with open(reading, "rb") as pipe:
        assert node.files[await client.put(pipe)] == b"from a pipe"
    assert node.header("transfer-encoding") == "chunked"


@pytest_twisted.ensureDeferred
async def test_a_stream_is_stored_in_chunks(node: MemoryNode, client: Client) -> None:
    assert node.files[await client.put(pieces_of(CONTENT))] == CONTENT
    assert node.header("transfer-encoding") == "chunked"


@pytest_twisted.ensureDeferred
async def test_a_stream_of_known_length_is_announced(node: MemoryNode, client: Client) -> None:
    assert node.files[await client.put(pieces_of(CONTENT), length=len(CONTENT))] == CONTENT
    assert node.header("content-length") == str(len(CONTENT))


@pytest_twisted.ensureDeferred
async def test_progress_of_an_upload_goes_from_nothing_to_all(client: Client) -> None:
    seen: list[tuple[int, int | None]] = []
    await client.put(CONTENT, progress=lambda done, total: seen.append((done, total)))
    assert seen[0] == (0, len(CONTENT))
    assert seen[-1] == (len(CONTENT), len(CONTENT))
    assert seen == sorted(seen)
    assert len(seen) > 2


@pytest_twisted.ensureDeferred
async def test_a_missing_file_is_said_as_the_system_says_it(client: Client, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        await client.put(tmp_path / "missing")


@pytest_twisted.ensureDeferred
async def test_a_source_that_fails_fails_the_upload_with_its_own_error(
    scripted: ScriptedNode, scripted_client: Client
) -> None:
    async def source() -> AsyncIterator[bytes]:
        yield b"some"
        raise LookupError("the source has no more")

    with pytest.raises(LookupError, match="no more"):
        await scripted_client.put(source())
    conversation = await scripted.conversations.get()
    await conversation.when_lost()
    assert not conversation.received.endswith(b"0\r\n\r\n")


@pytest_twisted.ensureDeferred
async def test_a_file_that_grows_is_not_stored(scripted: ScriptedNode, scripted_client: Client, tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(CONTENT)

    def grow(done: int, total: int | None) -> None:
        if done == 0:
            with path.open("ab") as file:
                file.write(b"one more line")

    with pytest.raises(FileChanged, match=f"grew while it was being sent; it had {len(CONTENT)} bytes"):
        await scripted_client.put(path, progress=grow)
    conversation = await scripted.conversations.get()
    await conversation.when_lost()
    assert len(conversation.received.partition(b"\r\n\r\n")[2]) < len(CONTENT)


@pytest_twisted.ensureDeferred
async def test_a_file_that_shrinks_is_not_stored(
    scripted: ScriptedNode, scripted_client: Client, tmp_path: Path
) -> None:
    path = tmp_path / "log"
    path.write_bytes(CONTENT)

    def shrink(done: int, total: int | None) -> None:
        os.truncate(path, 1000)

    with pytest.raises(FileChanged, match=f"shrank while it was being sent, from {len(CONTENT)} bytes to 1000"):
        await scripted_client.put(path, progress=shrink)
    await (await scripted.conversations.get()).when_lost()


@pytest_twisted.ensureDeferred
async def test_cancelling_an_upload_drops_the_connection_and_closes_the_source(
    scripted: ScriptedNode, scripted_client: Client
) -> None:
    source = Endless()
    upload, conversation = await begun(scripted, scripted_client, source)
    conversation.transport.pauseProducing()
    upload.cancel()
    with pytest.raises(CancelledError):
        await upload
    assert source.closed
    conversation.transport.resumeProducing()
    await conversation.when_lost()
    assert not conversation.received.endswith(b"0\r\n\r\n")


@pytest_twisted.ensureDeferred
async def test_cancelling_an_upload_that_waits_for_its_answer_drops_the_connection(
    scripted: ScriptedNode, scripted_client: Client
) -> None:
    upload = Deferred.fromCoroutine(scripted_client.put(b"all of it"))
    conversation = await scripted.conversations.get()
    await conversation.when(lambda seen: seen.received.endswith(b"all of it"))
    upload.cancel()
    with pytest.raises(CancelledError):
        await upload
    await conversation.when_lost()


@pytest_twisted.ensureDeferred
async def test_a_node_that_reads_slowly_slows_the_source(scripted: ScriptedNode, scripted_client: Client) -> None:
    source = Endless()
    upload = Deferred.fromCoroutine(scripted_client.put(source))
    conversation = await scripted.conversations.get()
    conversation.transport.pauseProducing()
    given = -1
    while source.given != given:
        # Nothing moves any more once the kernel's buffers are full.
        given = source.given
        await deferLater(reactor, 0.05)
    assert given < MORE_THAN_SOCKETS_HOLD
    upload.cancel()
    with pytest.raises(CancelledError):
        await upload


@pytest.mark.parametrize("length", [None, MORE_THAN_SOCKETS_HOLD])
@pytest_twisted.ensureDeferred
async def test_a_refusal_is_heard_while_a_node_that_stopped_reading_is_sent_to(
    scripted: ScriptedNode, scripted_client: Client, length: int | None
) -> None:
    source = Endless()
    upload, conversation = await begun(scripted, scripted_client, source, length=length)
    conversation.transport.pauseProducing()
    conversation.answer(b"HTTP/1.1 413 Content Too Large\r\nContent-Type: text/plain\r\nContent-Length: 14\r\n\r\n")
    # The head alone, for a while: an answer that comes in two parts must not get stuck between them.
    await deferLater(reactor, 0.05)
    conversation.answer(b"1 GB are taken")
    with pytest.raises(Refused) as refused:
        await upload
    assert (refused.value.status, refused.value.detail) == (413, "1 GB are taken")
    assert source.closed
    conversation.transport.resumeProducing()
    await conversation.when_lost()


@pytest_twisted.ensureDeferred
async def test_an_early_answer_without_end_does_not_fill_the_memory(
    scripted: ScriptedNode, scripted_client: Client
) -> None:
    upload, conversation = await begun(scripted, scripted_client, Endless())
    conversation.transport.pauseProducing()
    conversation.answer(b"HTTP/1.1 500 Oh\r\nContent-Length: 100000000\r\n\r\n" + bytes(4 * 1024 * 1024))
    with pytest.raises(TransferBroken):
        await upload


@pytest_twisted.ensureDeferred
async def test_a_connection_that_breaks_in_an_upload_is_said_so(
    scripted: ScriptedNode, scripted_client: Client
) -> None:
    source = Endless()
    upload, conversation = await begun(scripted, scripted_client, source)
    conversation.transport.abortConnection()
    with pytest.raises(TransferBroken, match=f"the connection to {scripted_client.url} broke"):
        await upload
    assert source.closed


@pytest_twisted.ensureDeferred
async def test_a_node_that_stored_less_than_was_sent_is_found_out(
    scripted: ScriptedNode, scripted_client: Client
) -> None:
    upload = Deferred.fromCoroutine(scripted_client.put(b"all of it"))
    conversation = await scripted.conversations.get()
    cap = cap_for(b"all").encode()
    conversation.answer(b"HTTP/1.1 201 Created\r\nContent-Length: %d\r\n\r\n%s" % (len(cap), cap))
    with pytest.raises(TransferBroken, match="stored 3 bytes, but 9 were sent"):
        await upload


@pytest_twisted.ensureDeferred
async def test_an_answer_without_a_cap_is_not_taken_for_one(scripted: ScriptedNode, scripted_client: Client) -> None:
    upload = Deferred.fromCoroutine(scripted_client.put(b"all of it"))
    conversation = await scripted.conversations.get()
    conversation.answer(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nIt works!")
    with pytest.raises(TransferBroken, match="not a storage node"):
        await upload


@pytest_twisted.ensureDeferred
async def test_nobody_there_is_said_with_what_to_do(deserted_url: str) -> None:
    with pytest.raises(NodeUnreachable) as unreachable:
        await Client.connect(reactor, deserted_url).put(b"")
    assert str(unreachable.value) == (
        f"no node answers at {deserted_url} (Connection refused); start one with `tahoeish run` or give --node-url"
    )


@pytest.mark.parametrize(
    ("kind", "body", "message"),
    [
        (
            b"application/problem+json",
            b'{"type": "about:blank", "title": "Disk full", "detail": "no peer has room", "status": 507}',
            "the node refused: Disk full: no peer has room (507)",
        ),
        (b"application/problem+json; charset=utf-8", b"[]", "the node refused: Insufficient Storage (507)"),
        (b"text/plain", b"no peer has room\n", "the node refused: Insufficient Storage: no peer has room (507)"),
        (b"text/html", b"<p>no peer has room", "the node refused: Insufficient Storage (507)"),
    ],
)
@pytest_twisted.ensureDeferred
async def test_a_refusal_is_said_in_the_words_of_the_node(
    scripted: ScriptedNode, scripted_client: Client, kind: bytes, body: bytes, message: str
) -> None:
    upload = Deferred.fromCoroutine(scripted_client.put(b"all of it"))
    conversation = await scripted.conversations.get()
    conversation.answer(
        b"HTTP/1.1 507 Insufficient Storage\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n%s"
        % (kind, len(body), body),
    )
    with pytest.raises(Refused) as refused:
        await upload
    assert str(refused.value) == message
