"""Whole files whose names are in somebody's way: they wait."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping
from urllib.parse import urlsplit

import pytest

from tests.gateway.dav.webdav import Folder
from tests.nodes import Answer, content_of

CONTENT = content_of(1_500_000)
TUS = {"Tus-Resumable": "1.0.0"}


def began_tus(folder: Folder) -> str:
    metadata = f"filename {b64encode(b'file').decode()}"
    headers = {**TUS, "Upload-Length": str(len(CONTENT)), "Upload-Metadata": metadata}
    return urlsplit(folder.request("POST", "", b"", headers).headers["Location"]).path


def patch(folder: Folder, upload: str, offset: int, content: bytes, more: Mapping[str, str]) -> Answer:
    return folder.node.request("PATCH", upload, content, {"Upload-Offset": str(offset), **more})


def ietf(complete: str) -> dict[str, str]:
    return {"Content-Type": "application/partial-upload", "Upload-Complete": complete}


def test_a_lock_that_is_gone_again_costs_a_tus_client_nothing(folder: Folder) -> None:
    upload, chunk = began_tus(folder), {**TUS, "Content-Type": "application/offset+octet-stream"}
    assert patch(folder, upload, 0, CONTENT[:1_000_000], chunk).status == 204
    token = folder.lock("file")
    assert patch(folder, upload, 1_000_000, CONTENT[1_000_000:], chunk).status == 423
    assert folder.node.request("HEAD", upload, headers=TUS).status == 423, "all bytes there would look like success"
    assert patch(folder, upload, len(CONTENT), b"", chunk).status == 423
    assert folder.request("UNLOCK", "file", headers={"Lock-Token": token}).status == 204
    assert patch(folder, upload, len(CONTENT), b"", chunk).status == 204
    assert folder.get("file") == CONTENT


def test_whoever_asks_how_far_it_is_lets_it_try_again(folder: Folder) -> None:
    upload, chunk = began_tus(folder), {**TUS, "Content-Type": "application/offset+octet-stream"}
    token = folder.lock("file")
    assert patch(folder, upload, 0, CONTENT, chunk).status == 423
    assert folder.request("UNLOCK", "file", headers={"Lock-Token": token}).status == 204
    told = folder.node.request("HEAD", upload, headers=TUS)
    assert (told.status, told.headers["Upload-Offset"]) == (200, str(len(CONTENT)))
    assert folder.get("file") == CONTENT


def test_a_folder_that_was_away_gets_the_file_when_it_is_back(folder: Folder) -> None:
    folder.make("sub")
    begun = folder.request("PUT", "sub/file", CONTENT[:1_000_000], {"Upload-Complete": "?0"})
    upload = begun.headers["Location"]
    assert folder.transfer("MOVE", "sub", "elsewhere").status == 201
    refused = patch(folder, upload, 1_000_000, CONTENT[1_000_000:], ietf("?1"))
    assert (refused.status, refused.headers["Upload-Complete"]) == (409, "?0")
    assert folder.node.request("HEAD", upload).headers["Upload-Offset"] == str(len(CONTENT))
    folder.make("sub")
    assert patch(folder, upload, len(CONTENT), b"", ietf("?1")).status == 201
    assert folder.get("sub/file") == CONTENT


def last_piece(folder: Folder, content: bytes = CONTENT[1_000_000:]) -> Answer:
    ranged = {"Content-Range": f"bytes 1000000-{len(CONTENT) - 1}/{len(CONTENT)}"}
    return folder.request("PUT", "file", content, ranged)


def test_the_last_piece_may_come_again(folder: Folder) -> None:
    ranged = {"Content-Range": f"bytes 0-999999/{len(CONTENT)}"}
    assert folder.request("PUT", "file", CONTENT[:1_000_000], ranged).status == 202
    token = folder.lock("file")
    assert last_piece(folder).status == last_piece(folder).status == 423
    assert folder.request("UNLOCK", "file", headers={"Lock-Token": token}).status == 204
    assert last_piece(folder).status in (201, 204)
    assert folder.get("file") == CONTENT


def test_what_begins_anew_isnt_taken_for_the_file_that_waits(folder: Folder) -> None:
    ranged = {"Content-Range": f"bytes 0-999999/{len(CONTENT)}"}
    assert folder.request("PUT", "file", CONTENT[:1_000_000], ranged).status == 202
    token = folder.lock("file")
    assert last_piece(folder).status == 423
    assert folder.request("UNLOCK", "file", headers={"Lock-Token": token}).status == 204
    assert folder.request("PUT", "file", b"new", {"Content-Range": "bytes 0-2/3"}).status in (201, 204)
    assert folder.get("file") == b"new"


@pytest.mark.parametrize("headers", [{}, {"Overwrite": "F"}])
def test_a_move_that_failed_had_no_effect(folder: Folder, headers: dict[str, str]) -> None:
    node, name = folder.node, folder.address.removeprefix("/files/")
    upload = f"/remote.php/dav/uploads/local/{name}"

    def move(to: str, **more: str) -> int:
        return node.request("MOVE", f"{upload}/.file", b"", {"Destination": folder.at(to), **headers, **more}).status

    assert node.request("MKCOL", upload).status == 201
    assert node.request("PUT", f"{upload}/1", CONTENT).status == 201
    folder.put("taken", b"somebody else's")
    token = folder.lock("taken")
    assert move("taken", Overwrite="F") in (412, 423)
    assert move("taken") in (412, 423) and move("missing/file") == 409
    assert folder.request("UNLOCK", "taken", headers={"Lock-Token": token}).status == 204
    assert folder.get("taken") == b"somebody else's"
    assert move("free") == 201
    assert folder.get("free") == CONTENT and folder.get("taken") == b"somebody else's"
