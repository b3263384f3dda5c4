"""What is at the address of an earlier version, and what can't be done there."""

from __future__ import annotations

import pytest

from tests.gateway.dav.webdav import LOCKINFO, Folder


@pytest.fixture
def version(folder: Folder) -> int:
    """Of `file`, that is the older one of two."""
    folder.put("file", b"first")
    folder.put("file", b"second")
    number: int = folder.request("GET", "file?versions").json()["versions"][0]["id"]
    return number


@pytest.mark.parametrize("query", ["version={}", "%76ersion={}", "versions", "restore={}"])
@pytest.mark.parametrize(
    "method", ["PUT", "PATCH", "DELETE", "COPY", "MOVE", "PROPFIND", "PROPPATCH", "MKCOL", "LOCK", "UNLOCK"]
)
def test_what_is_asked_of_a_version_is_not_done_to_the_file(
    folder: Folder, version: int, method: str, query: str
) -> None:
    headers = {"Destination": folder.at("copy"), "Depth": "0", "Lock-Token": "<urn:uuid:x>"}
    body = LOCKINFO.format(scope="exclusive") if method == "LOCK" else ""
    answer = folder.request(method, f"file?{query.format(version)}", body, headers)
    assert answer.status == 400 and b"POST ?restore=ID" in answer.body
    assert folder.get("file") == b"second" and folder.names() == {"file"}
    assert folder.get(f"file?version={version}") == b"first"


def test_nothing_is_posted_to_a_version(folder: Folder, version: int) -> None:
    assert folder.request("POST", f"file?version={version}").status == 400
    assert folder.request("POST", f"file?restore={version}").status == 204
    assert folder.get("file") == b"first"


def test_a_version_has_the_tag_that_the_file_had(folder: Folder) -> None:
    etag = folder.put("file", b"first").headers["ETag"]
    folder.put("file", b"second")
    (number,) = (each["id"] for each in folder.request("GET", "file?versions").json()["versions"])
    assert folder.request("GET", f"file?version={number}").headers["ETag"] == etag
    assert folder.request("GET", f"file?version={number}", headers={"If-None-Match": etag or ""}).status == 304
    assert folder.request("GET", f"file?version={number}", headers={"If-Match": '"other"'}).status == 412
