"""tus on the addresses of folders, as for ownCloud Infinite Scale."""

from __future__ import annotations

import hashlib
from base64 import b64encode
from urllib.parse import urlsplit

import pytest

from tests.gateway.dav.webdav import Folder
from tests.nodes import Answer, content_of

VERSION = {"Tus-Resumable": "1.0.0"}
CONTENT = content_of(2_500_000)


def metadata(**values: str) -> str:
    return ",".join(f"{key} {b64encode(value.encode()).decode()}" for key, value in values.items())


def create(folder: Folder, path: str = "", size: int = len(CONTENT), **headers: str) -> Answer:
    more = {name.replace("_", "-"): value for name, value in headers.items()}
    return folder.request("POST", path, b"", {**VERSION, "Upload-Length": str(size), **more})


def send(folder: Folder, created: Answer, content: bytes = CONTENT) -> Answer:
    assert created.status == 201, created
    headers = {**VERSION, "Content-Type": "application/offset+octet-stream", "Upload-Offset": "0"}
    return folder.node.request("PATCH", urlsplit(created.headers["Location"]).path, content, headers)


def test_the_file_gets_its_name_time_and_type_when_it_is_whole(folder: Folder) -> None:
    said = metadata(filename="grüße.bin", mtime="1580608922", filetype="image/png")
    created = create(folder, "", Upload_Metadata=said)
    assert folder.names() == set()
    sent = send(folder, created)
    assert sent.status == 204 and sent.headers["ETag"]
    got = folder.request("GET", "gr%C3%BC%C3%9Fe.bin")
    assert got.body == CONTENT and got.headers["ETag"] == sent.headers["ETag"]
    assert (
        got.headers["Last-Modified"] == "Sun, 02 Feb 2020 02:02:02 GMT" and got.headers["Content-Type"] == "image/png"
    )


def test_the_whole_address_of_the_upload_is_told(folder: Folder) -> None:
    location = create(folder, "", Upload_Metadata=metadata(filename="a")).headers["Location"]
    assert location.startswith("http://node/uploads/")


def test_a_proxy_says_how_it_is_called(folder: Folder) -> None:
    created = create(
        folder,
        Upload_Metadata=metadata(filename="a"),
        X_Forwarded_Proto="https",
        X_Forwarded_Host="cloud.example",
    )
    assert created.headers["Location"].startswith("https://cloud.example/uploads/")


def test_an_empty_file_is_there_at_once(folder: Folder) -> None:
    assert create(folder, "", 0, Upload_Metadata=metadata(filename="empty")).status == 201
    assert folder.get("empty") == b""


def test_checksums_are_compared_and_kept(folder: Folder) -> None:
    digest = hashlib.sha1(CONTENT).hexdigest()
    said = metadata(filename="a")
    assert send(folder, create(folder, "", Upload_Metadata=said, OC_Checksum=f"SHA1:{digest}")).status == 204
    assert folder.request("GET", "a").headers["OC-Checksum"] == f"SHA1:{digest}"
    damaged = send(folder, create(folder, "", Upload_Metadata=said, OC_Checksum=f"SHA1:{digest}"), CONTENT[:-1] + b"?")
    assert damaged.status == 400 and folder.get("a") == CONTENT


@pytest.mark.parametrize(
    ("path", "name", "status"), [("", "", 400), ("", "a/b", 400), ("", "..", 400), ("nowhere", "a", 409)]
)
def test_what_cant_be_named_is_refused_before_it_comes(folder: Folder, path: str, name: str, status: int) -> None:
    answer = create(folder, path, Upload_Metadata=metadata(filename=name))
    assert answer.status == status and answer.headers["Tus-Resumable"] == "1.0.0"


def test_conditions_hold_until_the_end(folder: Folder) -> None:
    created = create(folder, "", Upload_Metadata=metadata(filename="a"), If_None_Match="*")
    folder.put("a", b"somebody was faster")
    assert send(folder, created).status == 412
    assert folder.get("a") == b"somebody was faster"
    assert create(folder, "", Upload_Metadata=metadata(filename="a"), If_None_Match="*").status == 412
