"""The client gets files from real servers in this process."""

from __future__ import annotations

from collections.abc import AsyncIterator
from io import BytesIO
from pathlib import Path

import pytest
import pytest_twisted
from twisted.internet import reactor
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import deferLater

from tahoeish.chk.errors import BadCap
from tahoeish.client.client import Client
from tahoeish.client.errors import Refused, TransferBroken
from tests.client.nodes import CONTENT, MORE_THAN_SOCKETS_HOLD, MemoryNode, ScriptedNode, cap_for


async def all_of(pieces: AsyncIterator[bytes]) -> bytes:
    return b"".join([piece async for piece in pieces])


@pytest_twisted.ensureDeferred
async def test_a_file_is_iterated_over(node: MemoryNode, client: Client) -> None:
    async with await client.get(node.store(CONTENT)) as download:
        assert download.length == len(CONTENT)
        assert await all_of(aiter(download)) == CONTENT


@pytest.mark.parametrize(
    ("start", "end", "header"),
    [(10, 20, "bytes=10-19"), (999_990, None, "bytes=999990-1023999"), (None, 5, "bytes=0-4")],
)
@pytest_twisted.ensureDeferred
async def test_a_part_of_a_file_is_asked_for_as_a_range(
    node: MemoryNode, client: Client, start: int | None, end: int | None, header: str
) -> None:
    async with await client.get(node.store(CONTENT), start=start, end=end) as download:
        assert await all_of(aiter(download)) == CONTENT[start:end]
    assert node.header("range") == header


@pytest_twisted.ensureDeferred
async def test_bytes_behind_the_end_are_not_asked_for(node: MemoryNode, client: Client) -> None:
    with pytest.raises(ValueError, match="no bytes from 5 to 3 in a file of 3"):
        await client.get(node.store(b"abc"), start=5)
    assert node.requests == []


@pytest_twisted.ensureDeferred
async def test_a_cap_that_is_none_is_refused_without_asking_the_node(node: MemoryNode, client: Client) -> None:
    with pytest.raises(BadCap):
        await client.get("URI:CHK:nonsense")
    assert node.requests == []


@pytest_twisted.ensureDeferred
async def test_a_file_the_node_cannot_give_is_a_refusal(client: Client) -> None:
    with pytest.raises(Refused, match="Not enough shares: 2 are needed, 1 was found"):
        await client.get(cap_for(b"unknown"))


@pytest_twisted.ensureDeferred
async def test_a_file_appears_under_its_path_with_usual_permissions(
    node: MemoryNode, client: Client, tmp_path: Path
) -> None:
    seen: list[tuple[int, int | None]] = []
    target, usual = tmp_path / "target", tmp_path / "usual"
    usual.touch()
    cap = node.store(CONTENT)
    await client.get_to_file(cap, target, progress=lambda done, total: seen.append((done, total)))
    assert target.read_bytes() == CONTENT
    assert target.stat().st_mode == usual.stat().st_mode
    assert seen[-1] == (len(CONTENT), len(CONTENT))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["target", "usual"]


@pytest_twisted.ensureDeferred
async def test_a_file_that_is_replaced_keeps_its_permissions_and_the_links_to_it(
    node: MemoryNode, client: Client, tmp_path: Path
) -> None:
    target, link = tmp_path / "target", tmp_path / "link"
    target.touch(mode=0o600)
    link.symlink_to(target)
    await client.get_to_file(node.store(CONTENT), link)
    assert link.is_symlink()
    assert target.read_bytes() == CONTENT
    assert target.stat().st_mode & 0o777 == 0o600


@pytest_twisted.ensureDeferred
async def test_a_file_object_gets_the_bytes(node: MemoryNode, client: Client) -> None:
    file = BytesIO()
    await client.get_to_file(node.store(CONTENT), file)
    assert file.getvalue() == CONTENT


@pytest.mark.parametrize(
    "head", [b"Content-Length: %d" % len(CONTENT), b"Transfer-Encoding: chunked", b"Connection: close"]
)
@pytest_twisted.ensureDeferred
async def test_a_download_that_ends_early_is_noticed_and_leaves_no_file(
    scripted: ScriptedNode, scripted_client: Client, tmp_path: Path, head: bytes
) -> None:
    (tmp_path / "target").write_bytes(b"what was there before")
    download = Deferred.fromCoroutine(scripted_client.get_to_file(cap_for(CONTENT), tmp_path / "target"))
    conversation = await scripted.conversations.get()
    await conversation.when_head_is_in()
    conversation.answer(b"HTTP/1.1 200 OK\r\n" + head + b"\r\n\r\n" + b"5\r\nhello\r\n")
    conversation.transport.loseConnection()
    with pytest.raises(TransferBroken, match="the node did not send all of it"):
        await download
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"what was there before"]


@pytest_twisted.ensureDeferred
async def test_a_whole_answer_that_is_shorter_than_the_file_is_noticed(
    scripted: ScriptedNode, scripted_client: Client, tmp_path: Path
) -> None:
    download = Deferred.fromCoroutine(scripted_client.get_to_file(cap_for(CONTENT), tmp_path / "target"))
    conversation = await scripted.conversations.get()
    await conversation.when_head_is_in()
    conversation.answer(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n")
    with pytest.raises(TransferBroken, match=f"the node sent 5 bytes of {len(CONTENT)}"):
        await download
    assert list(tmp_path.iterdir()) == []


@pytest_twisted.ensureDeferred
async def test_an_answer_of_another_length_than_the_file_is_refused_at_once(
    scripted: ScriptedNode, scripted_client: Client
) -> None:
    download = Deferred.fromCoroutine(scripted_client.get(cap_for(CONTENT)))
    conversation = await scripted.conversations.get()
    await conversation.when_head_is_in()
    conversation.answer(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n")
    with pytest.raises(TransferBroken, match=f"offers 9 bytes, but there should be {len(CONTENT)}"):
        await download
    await conversation.when_lost()


@pytest_twisted.ensureDeferred
async def test_a_node_sends_no_more_than_the_reader_takes(scripted: ScriptedNode, scripted_client: Client) -> None:
    pending = Deferred.fromCoroutine(scripted_client.get(cap_for(bytes(MORE_THAN_SOCKETS_HOLD))))
    conversation = await scripted.conversations.get()
    await conversation.when_head_is_in()
    conversation.answer(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % MORE_THAN_SOCKETS_HOLD)
    download = await pending
    conversation.answer(bytes(MORE_THAN_SOCKETS_HOLD))
    await deferLater(reactor, 0.1)
    batch = await download.batch()
    assert 0 < sum(len(piece) for piece in batch) < 2 * 1024 * 1024
    # And what was held back comes when it is asked for.
    while await download.batch():
        pass
    assert download.received == MORE_THAN_SOCKETS_HOLD


@pytest_twisted.ensureDeferred
async def test_closing_a_download_drops_the_connection(scripted: ScriptedNode, scripted_client: Client) -> None:
    pending = Deferred.fromCoroutine(scripted_client.get(cap_for(CONTENT)))
    conversation = await scripted.conversations.get()
    await conversation.when_head_is_in()
    conversation.answer(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\nabc" % len(CONTENT))
    async with await pending as download:
        assert await anext(aiter(download)) == b"abc"
    await conversation.when_lost()


@pytest_twisted.ensureDeferred
async def test_cancelling_a_download_drops_the_connection_and_leaves_no_file(
    scripted: ScriptedNode, scripted_client: Client, tmp_path: Path
) -> None:
    begun: Deferred[None] = Deferred()

    def progress(done: int, total: int | None) -> None:
        # Not at once: what is running can't be cancelled.
        reactor.callLater(0, begun.callback, None)

    download = Deferred.fromCoroutine(
        scripted_client.get_to_file(cap_for(CONTENT), tmp_path / "target", progress=progress)
    )
    conversation = await scripted.conversations.get()
    await conversation.when_head_is_in()
    conversation.answer(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\nabc" % len(CONTENT))
    await begun
    assert len(list(tmp_path.iterdir())) == 1
    download.cancel()
    with pytest.raises(CancelledError):
        await download
    assert list(tmp_path.iterdir()) == []
    await conversation.when_lost()
