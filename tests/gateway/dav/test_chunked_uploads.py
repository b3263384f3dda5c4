"""Nextcloud's chunked uploads, and its addresses of files."""

from __future__ import annotations

import hashlib
import signal
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from urllib.parse import unquote

import pytest

from tests.gateway.dav.webdav import Folder, responses
from tests.nodes import Answer, NodeProcess, content_of, head, wait_until

SIZE = 1_200_000
CHUNKS = [content_of(SIZE, seed=number) for number in range(4)]
CONTENT = b"".join(CHUNKS)


@dataclass(frozen=True)
class Upload:
    """One that is begun, for the file `name` in `/files`."""

    node: NodeProcess
    name: str

    @property
    def address(self) -> str:
        return f"/remote.php/dav/uploads/local/{self.name}"

    def begin(self) -> None:
        assert self.request("MKCOL", "").status == 201

    def request(self, method: str, path: str, content: bytes = b"", **headers: str) -> Answer:
        more = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.node.request(method, f"{self.address}/{path}", content, more)

    def put(self, number: int) -> int:
        return self.request("PUT", f"{number + 1:05}", CHUNKS[number]).status

    def close(self, **headers: str) -> Answer:
        there = f"http://node/remote.php/dav/files/local/{self.name}"
        return self.request("MOVE", ".file", b"", Destination=there, **headers)

    def stored(self) -> bytes:
        return self.node.get(f"/files/{self.name}").body

    def there(self) -> set[str]:
        answers = responses(self.request("PROPFIND", "", Depth="1"))
        return {unquote(href).removeprefix(f"{self.address}/") for href in answers} - {""}


@pytest.fixture
def upload(node: NodeProcess, request: pytest.FixtureRequest) -> Upload:
    name = "".join(character if character.isalnum() else "-" for character in request.node.name)
    upload = Upload(node, name)
    upload.begin()
    return upload


def test_chunks_become_a_file(upload: Upload) -> None:
    assert [upload.put(number) for number in range(4)] == [201] * 4
    assert upload.there() == {"00001", "00002", "00003", "00004"}
    told = {"OC_Total_Length": str(len(CONTENT)), "X_OC_Mtime": "1580608922"}
    moved = upload.close(**told)
    assert moved.status == 201 and moved.headers["ETag"] and moved.headers["X-OC-Mtime"] == "accepted"
    assert upload.stored() == CONTENT
    assert upload.close(**told).status == 201, "the answer may have been lost"


def test_chunks_that_come_together_are_put_in_order(upload: Upload) -> None:
    with ThreadPoolExecutor(4) as threads:
        assert list(threads.map(upload.put, [3, 2, 1, 0])) == [201] * 4
    assert upload.close().status == 201 and upload.stored() == CONTENT


def test_a_chunk_for_which_nothing_makes_way_is_kept(upload: Upload) -> None:
    assert [upload.put(number) for number in (1, 0, 2, 3)] == [201] * 4
    assert upload.close().status == 201 and upload.stored() == CONTENT


def test_a_chunk_that_broke_off_is_sent_again(upload: Upload) -> None:
    upload.put(0)
    with upload.node.connect() as client:
        client.send(head("PUT", f"{upload.address}/00002", {"Content-Length": str(SIZE)}) + CHUNKS[1][:500_000])
        client.finish_sending()
        assert client.ended()
    assert upload.close().status == 409
    assert [upload.put(number) for number in (1, 2, 3)] == [201] * 3
    assert upload.close().status == 201 and upload.stored() == CONTENT


def test_chunks_may_come_twice(upload: Upload) -> None:
    assert [upload.put(number) for number in (0, 0, 1, 2, 1, 3)] == [201] * 6
    assert upload.close().status == 201 and upload.stored() == CONTENT


@pytest.mark.parametrize("number", [0, 2])
def test_other_bytes_for_a_chunk_that_is_there_are_refused(upload: Upload, number: int) -> None:
    """Whether it is stored already, or kept because it was early."""
    assert upload.put(0) == upload.put(2) == 201
    name, other = f"{number + 1:05}", content_of(SIZE, seed=7)
    assert upload.request("PUT", name, other).status == 409
    assert [upload.put(each) for each in (number, 1, number, 3)] == [201] * 4
    assert upload.request("PUT", name, other).status == 409
    assert upload.close().status == 201 and upload.stored() == CONTENT


def test_chunks_are_known_again_after_a_restart(new_node: NodeProcess) -> None:
    new_node.start()
    upload = Upload(new_node, "file")
    upload.begin()
    upload.put(0)
    new_node.stop(signal.SIGKILL)
    new_node.start()
    assert upload.request("PUT", "00001", content_of(SIZE, seed=7)).status == 409
    assert upload.put(0) == 201


def test_only_the_same_move_gets_the_same_answer_again(upload: Upload) -> None:
    upload.put(0)
    there = f"http://node/remote.php/dav/files/local/{upload.name}"
    assert upload.close().status == upload.close().status == 201
    assert upload.request("MOVE", ".file", Destination=f"{there}-elsewhere").status == 409
    assert upload.close(X_OC_Mtime="1580608922").status == 409
    assert upload.close(OC_Total_Length="7").status == 409
    assert upload.close(OC_Total_Length=str(SIZE)).status == 201
    assert upload.node.get(f"/files/{upload.name}-elsewhere").status == 404


def test_what_was_acknowledged_outlives_the_node(new_node: NodeProcess) -> None:
    new_node.start()
    upload = Upload(new_node, "file")
    upload.begin()
    assert upload.put(0) == upload.put(1) == 201
    new_node.stop(signal.SIGKILL)
    new_node.start()
    assert upload.there() == {"00001", "00002"}
    assert upload.put(2) == upload.put(3) == 201
    assert upload.close().status == 201 and upload.stored() == CONTENT
    assert "Traceback" not in new_node.said, new_node.said


def test_all_chunks_are_not_yet_a_file_though_their_length_was_told(new_node: NodeProcess) -> None:
    new_node.start()
    upload = Upload(new_node, "file")
    upload.begin()
    total = str(len(CONTENT))
    for number, chunk in enumerate(CHUNKS, 1):
        assert upload.request("PUT", f"{number:05}", chunk, OC_Total_Length=total).status == 201
    new_node.stop(signal.SIGKILL)
    new_node.start()
    assert upload.put(0) == 201
    assert upload.close(OC_Total_Length=total).status == 201 and upload.stored() == CONTENT


def test_more_than_the_length_that_was_told_is_refused(upload: Upload) -> None:
    assert upload.request("PUT", "00001", CHUNKS[0], OC_Total_Length=str(SIZE + 1)).status == 201
    assert upload.request("PUT", "00002", CHUNKS[1]).status == 409
    assert upload.close().status == 409


def test_a_file_with_a_piece_missing_isnt_made(upload: Upload) -> None:
    upload.put(0)
    refused = upload.close(OC_Total_Length=str(len(CONTENT)))
    assert refused.status == 400 and upload.node.get(f"/files/{upload.name}").status == 404


def test_checksums_are_compared(upload: Upload) -> None:
    upload.put(0)
    digest = hashlib.sha1(CHUNKS[0]).hexdigest()
    assert upload.close(OC_Checksum=f"SHA1:{digest}").status == 201
    again = Upload(upload.node, f"{upload.name}-again")
    again.begin()
    again.put(0)
    wrong = hashlib.sha1(CHUNKS[1]).hexdigest()
    assert again.close(OC_Checksum=f"SHA1:{wrong}").status == 400
    assert again.node.get(f"/files/{again.name}").status == 404


def test_an_upload_is_begun_anew(upload: Upload) -> None:
    upload.put(1 - 1)
    assert upload.request("MKCOL", "").status == 405
    assert upload.request("DELETE", "").status == 204
    assert upload.request("PUT", "00001", b"x").status == 404
    upload.begin()
    assert [upload.put(number) for number in range(4)] == [201] * 4
    assert upload.close().status == 201 and upload.stored() == CONTENT
    upload.begin()


def test_where_it_goes_is_looked_at_before_it_is_too_late(upload: Upload) -> None:
    upload.put(0)
    nowhere = "http://node/remote.php/dav/files/local/no/such/folder/file"
    assert upload.request("MOVE", ".file", Destination=nowhere).status == 409
    assert upload.close(OC_Total_Length=str(SIZE)).status == 201


def test_nothing_is_overwritten_that_mustnt_be(upload: Upload) -> None:
    upload.node.request("PUT", f"/files/{upload.name}", b"old")
    upload.put(0)
    assert upload.close(Overwrite="F").status == 412
    assert upload.stored() == b"old"


@pytest.mark.parametrize("top", ["/remote.php/dav/files/local", "/remote.php/webdav"])
def test_files_are_at_nextclouds_addresses_too(folder: Folder, top: str) -> None:
    there = Folder(folder.node, folder.address.replace("/files", top))
    there.put("a", b"content")
    there.make("sub")
    assert folder.get("a") == b"content" and there.names() == {"a", "sub/"}
    assert there.transfer("MOVE", "a", "sub/b").status == 201
    assert folder.get("sub/b") == b"content"


def test_a_chunk_waits_for_the_one_before_it_without_being_read(upload: Upload) -> None:
    with upload.node.connect() as early:
        early.send(head("PUT", f"{upload.address}/00002", {"Content-Length": str(SIZE)}))
        assert upload.put(0) == 201
        early.send(CHUNKS[1])
        assert early.answer().status == 201
    wait_until(lambda: upload.there() == {"00001", "00002"}, "both are there")
