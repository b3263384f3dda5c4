"""Where an upload is, as a node tells it, and what it has."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import AsyncIterator

import pytest
import pytest_twisted
from twisted.internet import reactor
from twisted.internet.defer import Deferred

from tahoeish.client.client import Client
from tahoeish.client.errors import ClientError, TransferBroken
from tahoeish.client.tus import SessionGone, TusUploads
from tests.client.nodes import ScriptedNode


async def answered(scripted: ScriptedNode, head: str) -> None:
    conversation = await scripted.conversations.get()
    await conversation.when_head_is_in()
    conversation.answer(f"HTTP/1.1 {head}\r\nContent-Length: 0\r\n\r\n".encode())


def uploads(url: str) -> TusUploads:
    return TusUploads(Client.connect(reactor, url).exchange)


async def created(scripted: ScriptedNode, scripted_url: str, location: str, path: str = "") -> str:
    creating = Deferred.fromCoroutine(uploads(scripted_url + path).create("/uploads/", 10, {}))
    await answered(scripted, f"201 Created\r\nLocation: {location}")
    return await creating


@pytest_twisted.ensureDeferred
async def test_an_upload_is_where_the_node_says_below_its_own_url(scripted: ScriptedNode, scripted_url: str) -> None:
    assert await created(scripted, scripted_url, "/uploads/abc?x=1") == "/uploads/abc?x=1"
    assert await created(scripted, scripted_url, f"{scripted_url}/uploads/abc") == "/uploads/abc"
    # Behind a proxy that adds a path, which the node may know of or not.
    assert await created(scripted, scripted_url, "/uploads/abc", path="/node") == "/uploads/abc"
    assert await created(scripted, scripted_url, "/node/uploads/abc", path="/node") == "/uploads/abc"


@pytest.mark.parametrize("location", ["http://elsewhere.example/uploads/abc", "//elsewhere.example/abc", "abc", ""])
@pytest_twisted.ensureDeferred
async def test_credentials_are_not_taken_to_another_host(
    scripted: ScriptedNode, scripted_url: str, location: str
) -> None:
    with pytest.raises(TransferBroken, match="which is somewhere else"):
        await created(scripted, scripted_url, location)


@pytest.mark.parametrize("offset", ["11", "-1", "many", "\u0661"])
@pytest_twisted.ensureDeferred
async def test_an_offset_that_cannot_be_is_not_believed(scripted: ScriptedNode, scripted_url: str, offset: str) -> None:
    asking = Deferred.fromCoroutine(uploads(scripted_url).ask("/uploads/abc", 10))
    await answered(scripted, f"200 OK\r\nUpload-Offset: {offset}")
    with pytest.raises(TransferBroken, match="of 10 bytes it has"):
        await asking


@pytest.mark.parametrize(
    "head",
    ["404 Not Found", "410 Gone", "200 OK\r\nUpload-Length: 11\r\nUpload-Offset: 3"],
    ids=["404", "410", "other"],
)
@pytest_twisted.ensureDeferred
async def test_an_upload_that_is_not_there_or_is_another_is_gone(
    scripted: ScriptedNode, scripted_url: str, head: str
) -> None:
    asking = Deferred.fromCoroutine(uploads(scripted_url).ask("/uploads/abc", 10))
    await answered(scripted, head)
    with pytest.raises(SessionGone):
        await asking


@pytest_twisted.ensureDeferred
async def test_names_of_all_kinds_are_told_in_the_metadata(scripted: ScriptedNode, scripted_url: str) -> None:
    creating = Deferred.fromCoroutine(
        uploads(scripted_url).create("/files/", 10, {"filename": "Gr\u00fc\u00dfe, x", "mtime": "1"})
    )
    conversation = await scripted.conversations.get()
    await conversation.when_head_is_in()
    name = b64encode("Gr\u00fc\u00dfe, x".encode())
    assert b": filename %s,mtime MQ==\r\n" % name in conversation.received
    conversation.transport.write(b"HTTP/1.1 201 Created\r\nLocation: /uploads/1\r\nContent-Length: 0\r\n\r\n")
    assert await creating == "/uploads/1"


@pytest_twisted.ensureDeferred
async def test_what_is_sent_begins_where_the_node_stands(scripted: ScriptedNode, scripted_url: str) -> None:
    async def rest() -> AsyncIterator[bytes]:
        yield b"defghij"

    passed: list[tuple[int, int | None]] = []
    appending = Deferred.fromCoroutine(
        uploads(scripted_url).append("/uploads/abc", 3, rest(), 10, lambda done, total: passed.append((done, total)))
    )
    conversation = await scripted.conversations.get()
    await conversation.when(lambda conversation: conversation.received.endswith(b"defghij"))
    assert conversation.received.startswith(b"PATCH /uploads/abc ")
    assert b"upload-offset: 3\r\n" in conversation.received.lower()
    conversation.transport.write(b"HTTP/1.1 204 No Content\r\nUpload-Offset: 10\r\nTahoeish-Cap: URI:CHK:x\r\n\r\n")
    standing = await appending
    assert (standing.offset, standing.cap) == (10, "URI:CHK:x")
    assert passed[0] == (3, 10) and passed[-1] == (10, 10)


@pytest_twisted.ensureDeferred
async def test_a_refusal_of_the_creation_is_said_in_the_words_of_the_node(
    scripted: ScriptedNode, scripted_url: str
) -> None:
    creating = Deferred.fromCoroutine(uploads(scripted_url).create("/uploads/", 10, {}))
    await answered(scripted, "507 Insufficient Storage")
    with pytest.raises(ClientError, match="Insufficient Storage"):
        await creating
