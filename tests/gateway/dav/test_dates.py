"""`If-Unmodified-Since`, for all that changes something."""

from __future__ import annotations

import pytest

from tests.gateway.dav.webdav import LOCKINFO, Folder
from tests.nodes import content_of

EARLIER, THEN = "Sun, 09 Sep 2001 01:46:39 GMT", "Sun, 09 Sep 2001 01:46:40 GMT"

PATCH = b"<propertyupdate xmlns='DAV:'><set><prop><colour xmlns='urn:test'>red</colour></prop></set></propertyupdate>"


@pytest.fixture
def filled(folder: Folder) -> Folder:
    """With a file of `THEN`, and nearly a second later."""
    folder.put("file", b"old", X_OC_Mtime="1000000000.9")
    return folder


@pytest.mark.parametrize(
    ("method", "body", "changed"),
    [
        ("PUT", b"new", 204),
        ("DELETE", b"", 204),
        ("COPY", b"", 201),
        ("MOVE", b"", 201),
        ("PROPPATCH", PATCH, 207),
        ("LOCK", LOCKINFO.format(scope="exclusive").encode(), 200),
    ],
)
def test_what_was_changed_since_stays_as_it_is(filled: Folder, method: str, body: bytes, changed: int) -> None:
    headers = {"Destination": filled.at("there")}
    refused = filled.request(method, "file", body, {**headers, "If-Unmodified-Since": EARLIER})
    assert refused.status == 412 and b"If-Unmodified-Since" in refused.body
    assert filled.get("file") == b"old" and filled.names() == {"file"}
    assert filled.request(method, "file", body, {**headers, "If-Unmodified-Since": THEN}).status == changed


def test_a_tag_counts_more_and_what_is_no_date_nothing(filled: Folder) -> None:
    etag = filled.request("HEAD", "file").headers["ETag"]
    assert filled.put("file", b"1", If_Match=etag, If_Unmodified_Since=EARLIER, X_OC_Mtime="1000000000").status == 204
    for date in ("yesterday", "Sun, 09 Sep 99999999999999999999 01:46:39 GMT"):
        assert filled.put("file", b"2", If_Unmodified_Since=date, X_OC_Mtime="1000000000").status == 204
    assert filled.put("new", If_Unmodified_Since=EARLIER).status == 201


def test_a_file_in_pieces_is_looked_at_again_at_its_end(filled: Folder) -> None:
    def piece(first: int, content: bytes, **headers: str) -> int:
        told = {"Content-Range": f"bytes {first}-{first + len(content) - 1}/2000", **headers}
        return filled.request("PUT", "file", content, told).status

    assert piece(0, content_of(1000), **{"If-Unmodified-Since": THEN}) == 202
    filled.patch("file", "<D:set><D:prop><D:lastmodified>1000000005</D:lastmodified></D:prop></D:set>")
    assert piece(1000, content_of(1000)) == 412
    assert filled.get("file") == b"old"
