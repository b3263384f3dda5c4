"""PUT and GET of files."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from base64 import b64encode
from pathlib import Path

import pytest

from tests.gateway.dav.webdav import Folder, responses
from tests.nodes import NOT_DURABLE, NodeProcess, RawClient, chunk, content_of, head, running, wait_until


@pytest.mark.parametrize("size", [0, 1, 55, 56, 200_000, 3_000_000])
def test_a_file_comes_back(folder: Folder, size: int) -> None:
    content = content_of(size)
    put = folder.put("file", content)
    got = folder.request("GET", "file")
    assert put.status == 201 and got.body == content
    assert put.headers["ETag"] == got.headers["ETag"] and put.headers["ETag"].startswith('"')
    assert folder.put("file", content).status == 204


@pytest.mark.parametrize("size", [0, 55, 56, 2_000_000])
def test_the_length_need_not_be_known(folder: Folder, size: int) -> None:
    content = content_of(size)
    with folder.node.connect() as client:
        client.send(head("PUT", folder.at("file"), {"Transfer-Encoding": "chunked"}))
        for start in range(0, size, 100_000):
            client.send(chunk(content[start : start + 100_000]))
        client.send(chunk(b""))
        assert client.answer().status == 201
    assert folder.get("file") == content


def test_nothing_at_all_costs_no_shares(tmp_path: Path) -> None:
    with running(tmp_path / "node", NOT_DURABLE) as node:
        assert node.request("PUT", "/files/empty").status == 201
        assert node.request("PUT", "/files/tiny", b"x" * 55).status == 201
        assert node.is_empty()
        assert node.get("/files/empty").body == b""


def test_a_part_is_served(folder: Folder) -> None:
    folder.put("file", content_of(300_000))
    answer = folder.request("GET", "file", headers={"Range": "bytes=1000-1999"})
    assert answer.status == 206 and answer.body == content_of(300_000)[1000:2000]
    assert folder.request("GET", "file", headers={"Range": "bytes=300000-"}).status == 416


def test_the_head_is_that_of_the_file(folder: Folder) -> None:
    folder.put("page.html", content_of(100), X_OC_Mtime="1000000000")
    answer = folder.request("HEAD", "page.html")
    assert (answer.headers["Content-Length"], answer.headers["Content-Type"]) == ("100", "text/html")
    assert answer.headers["Last-Modified"] == "Sun, 09 Sep 2001 01:46:40 GMT"
    assert answer.headers["Content-Security-Policy"] == "sandbox"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize(
    ("name", "told", "served"),
    [
        ("picture", "image/png", "image/png"),
        ("picture.jpg", "application/octet-stream", "image/jpeg"),
        ("note.txt", "text/html; charset=UTF-8", "text/html; charset=utf-8"),
        ("note.txt", "application/x-unheard-of", "text/plain; charset=utf-8"),
        ("note.txt", "text/plain", "text/plain; charset=utf-8"),
        ("note.txt", "text/plain; charset=windows-1252", "text/plain; charset=windows-1252"),
    ],
)
def test_the_type_is_what_the_client_says_if_that_says_something(
    folder: Folder, name: str, told: str, served: str
) -> None:
    folder.put(name, Content_Type=told)
    answer = folder.request("GET", name)
    assert answer.headers["Content-Type"] == served
    assert (answer.headers["Content-Security-Policy"] == "sandbox") == ("html" in served)
    assert folder.property(name, "{DAV:}getcontenttype") == served


def test_what_a_client_has_is_not_sent_again(folder: Folder) -> None:
    etag = folder.put("file", X_OC_Mtime="1000000000").headers["ETag"]
    for headers in ({"If-None-Match": etag}, {"If-Modified-Since": "Sun, 09 Sep 2001 01:46:40 GMT"}):
        answer = folder.request("GET", "file", headers=headers)
        assert answer.status == 304 and answer.body == b""
    for headers in (
        {"If-None-Match": '"other"', "If-Modified-Since": "Sun, 09 Sep 2001 01:46:40 GMT"},
        {"If-Modified-Since": "Sun, 09 Sep 2001 01:46:39 GMT"},
        {"If-Modified-Since": "yesterday"},
        {"If-Match": etag},
    ):
        assert folder.request("GET", "file", headers=headers).status == 200
    for headers in ({"If-Match": '"other"'}, {"If-Unmodified-Since": "Sun, 09 Sep 2001 01:46:39 GMT"}):
        assert folder.request("GET", "file", headers=headers).status == 412


class TestRefusals:
    """All come before the client is told to go on."""

    def refused(self, folder: Folder, path: str, headers: dict[str, str]) -> int:
        with folder.node.connect() as client:
            length = {} if "Transfer-Encoding" in headers else {"Content-Length": "1000000"}
            client.send(head("PUT", folder.at(path), {**length, "Expect": "100-continue", **headers}))
            return client.interim_or_final("PUT").status

    @pytest.mark.parametrize(
        ("path", "headers", "status"),
        [
            ("no/where", {}, 409),
            ("here", {}, 405),
            ("here/", {}, 405),
            ("new/", {}, 405),
            ("file/below", {}, 409),
            ("new", {"Content-Range": "bytes 0-9/2000000"}, 400),
            ("new", {"Content-Encoding": "compress"}, 415),
            ("new", {"If-Match": "*"}, 412),
            ("file", {"If-None-Match": "*"}, 412),
            ("file", {"If-Match": '"other"'}, 412),
            ("file", {"If": '(["other"])'}, 412),
            ("file", {"If": "nonsense"}, 400),
            ("new", {"OC-Checksum": "CRC:1"}, 400),
            ("new", {"X-OC-Mtime": "now"}, 400),
            ("new", {"Transfer-Encoding": "chunked", "X-Expected-Entity-Length": "much"}, 400),
        ],
    )
    def test_by_what_the_head_says(self, folder: Folder, path: str, headers: dict[str, str], status: int) -> None:
        folder.make("here")
        folder.put("file", b"old")
        assert self.refused(folder, path, headers) == status
        assert folder.get("file") == b"old" and folder.names() == {"here/", "file"}

    def test_where_somebody_has_a_lock(self, folder: Folder) -> None:
        folder.put("file", b"old")
        token = folder.lock("file")
        assert self.refused(folder, "file", {}) == 423
        assert self.refused(folder, "file", {"If": f"({token})"}) == 100


def test_what_nothing_speaks_against_is_invited(folder: Folder) -> None:
    etag = folder.put("file").headers["ETag"]
    with folder.node.connect() as client:
        headers = {"Content-Length": "100", "Expect": "100-continue", "If-Match": etag}
        client.send(head("PUT", folder.at("file"), headers))
        assert client.interim_or_final("PUT").status == 100
        client.send(content_of(100))
        assert client.answer("PUT").status == 204
    assert folder.get("file") == content_of(100)


def begun(folder: Folder, path: str, headers: dict[str, str] | None = None) -> RawClient:
    """A PUT of 2 MB of which half is there."""
    client = folder.node.connect()
    client.send(head("PUT", folder.at(path), {"Content-Length": "2000000", **(headers or {})}))
    client.send(content_of(1_000_000))
    return client


def test_the_old_file_is_there_until_the_new_one_is_whole(folder: Folder) -> None:
    folder.put("file", b"old")
    with begun(folder, "file") as client:
        assert folder.get("file") == b"old"
        client.send(content_of(2_000_000)[1_000_000:])
        assert client.answer("PUT").status == 204
    assert folder.get("file") == content_of(2_000_000)


def test_a_put_that_breaks_off_changes_nothing(folder: Folder) -> None:
    folder.put("file", b"old")
    etag = folder.request("HEAD", "file").headers["ETag"]
    for path in ("file", "new"):
        with begun(folder, path) as client:
            client.reset()
    wait_until(lambda: not folder.node.incoming(), "the abandoned uploads are cleared away")
    assert folder.get("file") == b"old" and folder.request("HEAD", "file").headers["ETag"] == etag
    assert folder.names() == {"file"}


def test_conditions_are_looked_at_again_at_the_end(folder: Folder) -> None:
    with begun(folder, "file", {"If-None-Match": "*"}) as client:
        folder.put("file", b"somebody else's")
        client.send(content_of(1_000_000))
        assert client.answer("PUT").status == 412
    assert folder.get("file") == b"somebody else's"


def test_a_lock_that_came_in_between_is_respected(folder: Folder) -> None:
    folder.put("file", b"old")
    with begun(folder, "file") as client:
        folder.lock("file")
        client.send(content_of(1_000_000))
        assert client.answer("PUT").status == 423
    assert folder.get("file") == b"old"


class TestChecksums:
    CONTENT = content_of(1_500_000)
    SHA1 = hashlib.sha1(CONTENT).hexdigest()
    MD5 = hashlib.md5(CONTENT).hexdigest()
    NAME = "{http://owncloud.org/ns}checksums"

    @pytest.mark.parametrize("checksum", [f"SHA1:{SHA1}", f"MD5:{MD5}", f"SHA1:{SHA1} MD5:{MD5}"])
    def test_are_verified_and_told(self, folder: Folder, checksum: str) -> None:
        folder.put("file", self.CONTENT, OC_Checksum=checksum)
        told = f"SHA1:{self.SHA1} MD5:{self.MD5}"
        assert folder.property("file", self.NAME) == told
        assert folder.request("HEAD", "file").headers["OC-Checksum"] == told

    def test_that_are_wrong_let_nothing_be_stored(self, folder: Folder) -> None:
        folder.put("file", b"old")
        shares = len(folder.node.shares())
        answer = folder.request("PUT", "file", self.CONTENT, {"OC-Checksum": f"SHA1:{self.SHA1[::-1]}"})
        assert answer.status == 400 and self.SHA1 in answer.text
        assert folder.get("file") == b"old" and len(folder.node.shares()) == shares

    def test_are_gone_with_the_content(self, folder: Folder) -> None:
        folder.put("file", self.CONTENT, OC_Checksum=f"MD5:{self.MD5}")
        folder.put("file", b"other")
        assert folder.property("file", self.NAME) is None


def test_a_time_is_accepted(folder: Folder) -> None:
    assert folder.put("file", X_OC_Mtime="1000000000").headers["X-OC-Mtime"] == "accepted"
    assert folder.put("other").headers["X-OC-Mtime"] is None
    assert folder.property("file", "{DAV:}getlastmodified") == "Sun, 09 Sep 2001 01:46:40 GMT"


class TestExpectedLength:
    """What Finder says of a file that it sends in chunks."""

    def put(self, node: NodeProcess, target: str, expected: int, content: bytes) -> int:
        with node.connect() as client:
            headers = {"Transfer-Encoding": "chunked", "X-Expected-Entity-Length": str(expected)}
            client.send(head("PUT", target, headers) + chunk(content) + chunk(b""))
            return client.answer("PUT").status

    def test_is_the_length(self, folder: Folder) -> None:
        assert self.put(folder.node, folder.at("file"), 100_000, content_of(100_000)) == 201
        assert folder.get("file") == content_of(100_000)

    @pytest.mark.parametrize("size", [0, 10, 99_999, 100_001])
    def test_has_to_be_true(self, folder: Folder, size: int) -> None:
        assert self.put(folder.node, folder.at("file"), 100_000, content_of(size)) == 400
        assert folder.names() == set()

    def test_counts_before_anything_is_sent(self, tmp_path: Path) -> None:
        with running(tmp_path / "node", {**NOT_DURABLE, "gateway": {"max_upload_size": 1000}}) as node:
            headers = {"Transfer-Encoding": "chunked", "Expect": "100-continue", "X-Expected-Entity-Length": "1001"}
            with node.connect() as client:
                client.send(head("PUT", "/files/file", headers))
                assert client.interim_or_final("PUT").status == 413
            assert self.put(node, "/files/file", 1000, content_of(1000)) == 201


class TestQuota:
    """Of 1 MB, of which 300 kB are used."""

    ANN = {"Authorization": f"Basic {b64encode(b'ann:correct horse').decode()}"}  # noqa: RUF012

    @pytest.fixture
    def node(self, new_node: NodeProcess) -> NodeProcess:
        add = [sys.executable, "-m", "tahoeish.node.main", "user", "add", "ann", "--quota", "1000000"]
        options = ["--node-dir", str(new_node.directory), "--password-file", "-"]
        subprocess.run([*add, *options], input=b"correct horse\n", stdout=subprocess.DEVNULL, check=True)
        new_node.start()
        assert new_node.request("PUT", "/files/used", content_of(300_000), self.ANN).status == 201
        return new_node

    def test_refuses_what_is_known_to_be_too_long(self, node: NodeProcess) -> None:
        for headers in (
            {"Content-Length": "700001"},
            {"Transfer-Encoding": "chunked", "X-Expected-Entity-Length": "700001"},
        ):
            with node.connect() as client:
                client.send(head("PUT", "/files/new", {"Expect": "100-continue", **headers, **self.ANN}))
                answer = client.interim_or_final("PUT")
                assert answer.status == 507 and b"quota-not-exceeded" in answer.body

    def test_ends_what_turns_out_to_be_too_long(self, node: NodeProcess) -> None:
        with node.connect() as client:
            client.send(head("PUT", "/files/new", {"Transfer-Encoding": "chunked", **self.ANN}))
            client.send(b"".join(chunk(content_of(100_000)) for _ in range(8)))
            assert client.answer("PUT").status == 507
        assert node.get("/files/new", self.ANN).status == 404
        wait_until(lambda: not node.incoming(), "the upload is cleared away")

    def test_ends_what_turns_out_to_be_too_long_in_its_second_piece(self, node: NodeProcess) -> None:
        begun = {**self.ANN, "Upload-Complete": "?0"}
        location = node.request("PUT", "/files/new", content_of(600_000), begun).headers["Location"]
        onward = {"Upload-Offset": "600000", "Content-Type": "application/partial-upload"}
        assert node.request("PATCH", location, content_of(200_000), {**begun, **onward}).status == 507
        assert node.request("DELETE", location, headers=begun).status == 204
        ranges = {**self.ANN, "Content-Range": "bytes 0-599999/700001"}
        assert node.request("PUT", "/files/new", content_of(600_000), ranges).status == 507

    def test_lets_in_what_fits_and_what_takes_another_one_s_place(self, node: NodeProcess) -> None:
        assert node.request("PUT", "/files/new", content_of(700_000), self.ANN).status == 201
        assert node.request("PUT", "/files/new", content_of(700_000, seed=1), self.ANN).status == 204
        with node.connect() as client:
            chunks = b"".join(chunk(content_of(70_000)) for _ in range(10)) + chunk(b"")
            client.send(head("PUT", "/files/new", {"Transfer-Encoding": "chunked", **self.ANN}) + chunks)
            assert client.answer("PUT").status == 204

    def test_is_told(self, node: NodeProcess) -> None:
        body = b"<propfind xmlns='DAV:'><prop><quota-used-bytes/><quota-available-bytes/></prop></propfind>"
        found = responses(node.request("PROPFIND", "/files", body, {"Depth": "1", **self.ANN}))
        told = {name: element.text for name, element in found["/files/"][200].items()}
        assert told == {"{DAV:}quota-used-bytes": "300000", "{DAV:}quota-available-bytes": "700000"}
        assert set(found["/files/used"]) == {404}


def test_names_that_are_not_wanted_get_nothing_new(tmp_path: Path) -> None:
    settings = {**NOT_DURABLE, "files": {"refuse": ["._*", ".DS_Store"]}}
    with running(tmp_path / "node", settings) as node:
        root = Folder(node, "/files")
        root.put("file")
        for name in ("._file", ".DS_Store"):
            assert root.request("PUT", name, b"x").status == 403
            assert root.request("MKCOL", name).status == 403
            assert root.transfer("COPY", "file", name).status == 403
            assert root.transfer("MOVE", "file", name).status == 403
            assert root.request("PROPFIND", name).status == 404
        root.put("a._b", b"x")
        assert root.names() == {"file", "a._b"}
