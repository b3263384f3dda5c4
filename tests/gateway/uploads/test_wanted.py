"""Digests that clients want to have of what they send over several requests (RFC 9530)."""

from __future__ import annotations

import hashlib
import signal
from base64 import b64encode

import pytest

from tests.nodes import Answer, NodeProcess, content_of

CONTENT = content_of(3_000_000)
HALF = len(CONTENT) // 2
WANTED = {"Want-Repr-Digest": "sha-256=10, sha-512=1"}
TUS = {"Tus-Resumable": "1.0.0"}
TUS_CHUNK = {**TUS, "Content-Type": "application/offset+octet-stream"}
IETF = {"Upload-Draft-Interop-Version": "8"}
PARTIAL = {**IETF, "Content-Type": "application/partial-upload"}


def digest_of(content: bytes) -> str:
    return f"sha-256=:{b64encode(hashlib.sha256(content).digest()).decode()}:"


def in_tus(node: NodeProcess, *, restart: bool) -> Answer:
    upload = node.request("POST", "/uploads/", headers={**TUS, "Upload-Length": str(len(CONTENT))}).headers["Location"]
    answer = node.request("PATCH", upload, CONTENT[:HALF], {**TUS_CHUNK, **WANTED, "Upload-Offset": "0"})
    assert answer.status == 204 and answer.headers["Repr-Digest"] is None
    if restart:
        node.stop(signal.SIGKILL)
        node.start()
    return node.request("PATCH", upload, CONTENT[HALF:], {**TUS_CHUNK, **WANTED, "Upload-Offset": str(HALF)})


def in_one(node: NodeProcess) -> Answer:
    return node.request("PUT", "/files/in-one", CONTENT, {**IETF, **WANTED, "Upload-Complete": "?1"})


def in_pieces(node: NodeProcess) -> Answer:
    for begin, end in ((0, HALF), (HALF, len(CONTENT))):
        sent = {"Content-Range": f"bytes {begin}-{end - 1}/{len(CONTENT)}"}
        answer = node.request("PUT", "/files/in-pieces", CONTENT[begin:end], {**sent, **WANTED})
    return answer


def in_chunks(node: NodeProcess) -> Answer:
    there = "/remote.php/dav/uploads/local/wanted"
    assert node.request("MKCOL", there).status == 201
    for number, content in enumerate((CONTENT[:HALF], CONTENT[HALF:]), 1):
        assert node.request("PUT", f"{there}/{number:05}", content).status == 201
    destination = {"Destination": "http://node/remote.php/dav/files/local/in-chunks"}
    return node.request("MOVE", f"{there}/.file", headers={**destination, **WANTED})


@pytest.mark.parametrize("send", [in_one, in_pieces, in_chunks])
def test_the_last_answer_tells_the_digest_of_the_whole(node: NodeProcess, send: object) -> None:
    assert callable(send)
    answer = send(node)
    assert answer.status == 201 and answer.headers["Repr-Digest"] == digest_of(CONTENT)


def test_so_it_does_when_the_node_was_killed_on_the_way(new_node: NodeProcess) -> None:
    new_node.start()
    answer = in_tus(new_node, restart=True)
    assert answer.status == 204 and answer.headers["Repr-Digest"] == digest_of(CONTENT)


def test_what_is_so_small_that_its_cap_holds_it(node: NodeProcess) -> None:
    answer = node.request("POST", "/uploads/", b"abc", {**IETF, **WANTED, "Upload-Complete": "?1"})
    assert answer.status == 201 and answer.headers["Repr-Digest"] == digest_of(b"abc")


def test_what_was_claimed_is_told_again(node: NodeProcess) -> None:
    claimed = {"Repr-Digest": digest_of(b"abc"), "Upload-Complete": "?1"}
    answer = node.request("POST", "/uploads/", b"abc", {**IETF, **WANTED, **claimed})
    assert answer.status == 201 and answer.headers["Repr-Digest"] == digest_of(b"abc")


def test_nobody_is_told_of_what_could_not_be_stored(node: NodeProcess) -> None:
    claimed = {"Repr-Digest": digest_of(b"other"), "Upload-Complete": "?1"}
    answer = node.request("POST", "/uploads/", b"abc", {**IETF, **WANTED, **claimed})
    assert answer.status == 400 and answer.headers["Repr-Digest"] is None
    assert "isn't what was sent" in answer.text


def test_a_grid_that_has_lost_the_file_by_then_tells_none(new_node: NodeProcess) -> None:
    new_node.start()
    created = new_node.request("POST", "/uploads/", headers={**TUS, "Upload-Length": str(len(CONTENT))})
    upload = created.headers["Location"]
    assert new_node.request("PATCH", upload, CONTENT, {**TUS_CHUNK, "Upload-Offset": "0"}).status == 204
    for share in new_node.shares():
        share.unlink()
    again = new_node.request("PATCH", upload, b"", {**TUS_CHUNK, **WANTED, "Upload-Offset": str(len(CONTENT))})
    assert again.status == 204 and again.headers["Repr-Digest"] is None
