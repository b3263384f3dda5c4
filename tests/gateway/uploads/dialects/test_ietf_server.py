"""The IETF's resumable uploads at a node that runs: over raw sockets, which see the interim responses."""

from __future__ import annotations

import signal
from collections.abc import Mapping
from http.client import HTTPMessage
from urllib.parse import quote

import pytest

from tahoeish.gateway.uploads.dialects.ietf import INCONSISTENT_LENGTH, MISMATCHING_OFFSET, PARTIAL_UPLOAD
from tests.gateway.uploads.watching import wait_until_received
from tests.nodes import Answer, NodeProcess, RawClient, chunk, content_of, head, wait_until

CONTENT = content_of(3_000_000)
VERSIONS = [3, 4, 5, 6, 7, 8]
NEWEST = {"Upload-Draft-Interop-Version": "8"}


def completeness(version: int | None, complete: bool) -> dict[str, str]:
    """A request's flag, with the version; None is the form without one."""
    if version == 3:
        return {"Upload-Draft-Interop-Version": "3", "Upload-Incomplete": f"?{not complete:d}"}
    stamp = {} if version is None else {"Upload-Draft-Interop-Version": str(version)}
    return {**stamp, "Upload-Complete": f"?{complete:d}"}


def is_complete(version: int | None, headers: HTTPMessage) -> bool:
    if version == 3:
        return headers["Upload-Incomplete"] == "?0"
    return bool(headers["Upload-Complete"] == "?1")


def create(node: NodeProcess, target: str = "/uri", headers: Mapping[str, str] | None = None) -> str:
    """Without content; gives the upload's address."""
    answer = node.request("POST" if target == "/uploads/" else "PUT", target, b"", headers or completeness(8, False))
    assert answer.status == 201, answer
    return str(answer.headers["Location"])


def append(
    node: NodeProcess, location: str, offset: int, content: bytes, *, complete: bool, version: int | None = 8
) -> Answer:
    headers = {"Upload-Offset": str(offset), "Content-Type": PARTIAL_UPLOAD, **completeness(version, complete)}
    return node.request("PATCH", location, content, headers)


def begun(client: RawClient, target: str, size: int, headers: Mapping[str, str]) -> str:
    """A creation whose content is still to come; gives the address that it was told."""
    client.send(head("PUT", target, {"Content-Length": str(size), **headers}))
    interim = client.interim_or_final("PUT")
    assert interim.status == 104, interim
    return str(interim.headers["Location"])


def offset_of(node: NodeProcess, location: str, version: int | None = 8) -> int:
    stamp = {} if version is None else {"Upload-Draft-Interop-Version": str(version)}
    answer = node.request("HEAD", location, headers=stamp)
    assert answer.status == 204, answer
    assert answer.headers["Cache-Control"] == "no-store"
    return int(answer.headers["Upload-Offset"])


def stored(node: NodeProcess, cap: str) -> bytes:
    return node.get(f"/uri/{quote(cap, safe='')}").body


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("method", ["PUT", "POST"])
def test_a_creation_that_breaks_off_is_gone_on_with_at_the_address_of_its_104(
    node: NodeProcess, version: int, method: str
) -> None:
    with node.connect() as client:
        client.send(head(method, "/uri", {"Content-Length": str(len(CONTENT)), **completeness(version, True)}))
        interim = client.interim_or_final(method)
        assert interim.status == 104
        assert interim.headers["Upload-Draft-Interop-Version"] == str(version)
        assert ("Upload-Limit" in interim.headers) == (version >= 6)
        client.send(CONTENT[:1_000_000])
        client.reset()
    location = interim.headers["Location"]
    offset = offset_of(node, location, version)
    assert offset <= 1_000_000
    answer = append(node, location, offset, CONTENT[offset:], complete=True, version=version)
    assert answer.status == 201 and is_complete(version, answer.headers)
    assert stored(node, answer.text) == CONTENT


def test_what_was_sent_before_the_line_broke_is_there(node: NodeProcess) -> None:
    with node.connect() as client:
        location = begun(client, "/uri", len(CONTENT), completeness(8, True))
        client.send(CONTENT[:1_000_000])
        wait_until_received(node, location, 1_000_000)
        client.reset()
    assert offset_of(node, location) == 1_000_000


@pytest.mark.parametrize("headers", [{}, {"Upload-Draft-Interop-Version": "2"}, {"Upload-Draft-Interop-Version": "9"}])
def test_who_has_not_asked_for_a_104_gets_none(node: NodeProcess, headers: dict[str, str]) -> None:
    with node.connect() as client:
        client.send(head("PUT", "/uri", {"Content-Length": "3", "Upload-Complete": "?1", **headers}) + b"abc")
        answer = client.interim_or_final("PUT")
    assert answer.status == 201
    assert stored(node, answer.text) == b"abc"


def test_the_104_comes_before_the_100(node: NodeProcess) -> None:
    with node.connect() as client:
        begun(client, "/uri", 3, {"Expect": "100-continue", **completeness(8, True)})
        assert client.interim_or_final().status == 100
        client.send(b"abc")
        answer = client.interim_or_final()
    assert (answer.status, answer.headers["Upload-Complete"]) == (201, "?1")


def test_104s_tell_how_much_is_safe(node: NodeProcess) -> None:
    content = content_of(40_000_000)
    with node.connect() as client:
        location = begun(client, "/uri", len(content), completeness(8, True))
        client.send(content[:-1])
        told = client.interim_or_final()
        assert told.status == 104 and "Location" not in told.headers
        offset = int(told.headers["Upload-Offset"])
        assert 0 < offset < len(content)
        client.reset()
    assert offset_of(node, location) >= offset


@pytest.mark.parametrize("version", [*VERSIONS, None])
def test_careful_creation_and_then_pieces(node: NodeProcess, version: int | None) -> None:
    location = create(node, headers=completeness(version, False))
    offset = 0
    for size in (1, 999_999, 0, 1_500_000):
        answer = append(node, location, offset, CONTENT[offset : offset + size], complete=False, version=version)
        offset += size
        assert answer.status == 204 and not is_complete(version, answer.headers)
        assert answer.headers["Upload-Offset"] == str(offset) == str(offset_of(node, location, version))
    assert append(node, location, offset, CONTENT[offset:], complete=False, version=version).status == 204
    answer = append(node, location, len(CONTENT), b"", complete=True, version=version)
    assert answer.status == 201 and is_complete(version, answer.headers)
    assert stored(node, answer.text) == CONTENT


def test_the_final_answer_can_be_had_again(node: NodeProcess) -> None:
    location = create(node)
    first, second = (append(node, location, 0, b"abc", complete=True) for _ in range(2))
    assert (first.status, first.text) == (second.status, second.text)
    assert second.headers["Upload-Complete"] == "?1"
    told = node.request("HEAD", location, headers=NEWEST)
    assert (told.headers["Upload-Complete"], told.headers["Upload-Length"]) == ("?1", "3")


def test_a_length_announced_before(node: NodeProcess) -> None:
    location = create(node, headers={"Upload-Length": "10", **completeness(8, False)})
    assert node.request("HEAD", location, headers=NEWEST).headers["Upload-Length"] == "10"
    wrong = append(node, location, 0, b"abc", complete=True)
    assert wrong.status == 400
    assert wrong.headers["Content-Type"] == "application/problem+json"
    assert wrong.json()["type"] == INCONSISTENT_LENGTH
    assert append(node, location, 0, b"0123456789", complete=True).status == 201


def test_too_much_ends_it(node: NodeProcess) -> None:
    location = create(node, headers={"Upload-Length": "4", **completeness(8, False)})
    assert append(node, location, 0, b"abc", complete=False).status == 204
    assert append(node, location, 3, b"de", complete=True).status == 400
    assert append(node, location, 3, b"d", complete=True).status == 410
    assert node.request("DELETE", location, headers=NEWEST).status == 204


def test_more_than_announced_in_a_stream_without_a_length_ends_it(node: NodeProcess) -> None:
    location = create(node, headers={"Upload-Length": "4", **completeness(8, False)})
    headers = {"Transfer-Encoding": "chunked", "Upload-Offset": "0", "Content-Type": PARTIAL_UPLOAD}
    with node.connect() as client:
        client.send(head("PATCH", location, {**headers, **completeness(8, True)}) + chunk(b"abcde") + chunk(b""))
        assert client.answer("PATCH").status == 400
    assert append(node, location, 0, b"abcd", complete=True).status == 410


def test_the_wrong_offset_gets_the_right_one(node: NodeProcess) -> None:
    location = create(node)
    assert append(node, location, 0, b"abc", complete=False).status == 204
    answer = append(node, location, 2, b"cde", complete=True)
    assert answer.status == 409
    assert (answer.headers["Upload-Offset"], answer.headers["Upload-Complete"]) == ("3", "?0")
    problem = answer.json()
    assert problem["type"] == MISMATCHING_OFFSET
    assert (problem["expected-offset"], problem["provided-offset"]) == (3, 2)
    assert append(node, location, 3, b"de", complete=True).status == 201


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Content-Type": PARTIAL_UPLOAD}, 400),
        ({"Content-Type": PARTIAL_UPLOAD, "Upload-Offset": "0"}, 400),
        ({"Content-Type": PARTIAL_UPLOAD, "Upload-Complete": "?1"}, 400),
        ({"Content-Type": PARTIAL_UPLOAD, "Upload-Complete": "?1", "Upload-Offset": "x"}, 400),
        ({"Content-Type": "text/plain", "Upload-Complete": "?1", "Upload-Offset": "0"}, 415),
    ],
)
def test_what_can_not_be_understood_changes_nothing(node: NodeProcess, headers: dict[str, str], status: int) -> None:
    location = create(node)
    assert node.request("PATCH", location, b"abc", {**NEWEST, **headers}).status == status
    assert offset_of(node, location) == 0


def test_cancelling_leaves_nothing(new_node: NodeProcess) -> None:
    new_node.start()
    location = create(new_node)
    assert append(new_node, location, 0, CONTENT, complete=False).status == 204
    assert not new_node.is_empty()
    assert new_node.request("DELETE", location, headers=NEWEST).status == 204
    wait_until(lambda: new_node.request("HEAD", location, headers=NEWEST).status == 404, "nobody knows it any more")
    assert new_node.is_empty()


def test_cancelling_while_it_is_being_brought(node: NodeProcess) -> None:
    with node.connect() as client:
        location = begun(client, "/uri", len(CONTENT), completeness(8, True))
        client.send(CONTENT[:500_000])
        assert node.request("DELETE", location, headers=NEWEST).status == 204
        assert client.answer("PUT").status == 410
    wait_until(lambda: node.request("HEAD", location, headers=NEWEST).status == 404, "nobody knows it any more")


def test_cancelling_what_is_complete_keeps_the_file(node: NodeProcess) -> None:
    location = create(node)
    cap = append(node, location, 0, CONTENT, complete=True).text
    assert node.request("DELETE", location, headers=NEWEST).status == 204
    assert node.request("HEAD", location, headers=NEWEST).status == 404
    assert stored(node, cap) == CONTENT


def test_a_newer_writer_takes_over(node: NodeProcess) -> None:
    with node.connect() as client:
        location = begun(client, "/uri", len(CONTENT), completeness(8, True))
        client.send(CONTENT[:500_000])
        wait_until_received(node, location, 500_000)
        offset = offset_of(node, location)
        older = client.answer("PUT")
        assert (older.status, older.headers["Upload-Complete"]) == (409, "?0")
    answer = append(node, location, offset, CONTENT[offset:], complete=True)
    assert answer.status == 201
    assert stored(node, answer.text) == CONTENT


def test_a_digest_of_one_request(node: NodeProcess) -> None:
    location = create(node)
    wrong = {"Content-Digest": "sha-256=:" + "A" * 43 + "=:", "Upload-Offset": "0", "Content-Type": PARTIAL_UPLOAD}
    assert node.request("PATCH", location, b"abc", {**completeness(8, True), **wrong}).status == 400
    assert offset_of(node, location) == 0
    right = {**wrong, "Content-Digest": "md5=:kAFQmDzST7DWlj99KOF/cg==:"}
    assert node.request("PATCH", location, b"abc", {**completeness(8, True), **right}).status == 201


def test_a_digest_of_the_whole_is_held_against_the_file(node: NodeProcess) -> None:
    wrong = {"Repr-Digest": "sha-256=:" + "A" * 43 + "=:"}
    location = create(node, headers={**completeness(8, False), **wrong})
    assert append(node, location, 0, b"a", complete=False).status == 204
    answer = append(node, location, 1, b"bc", complete=True)
    assert (answer.status, answer.headers["Upload-Complete"]) == (400, "?1")
    right = {"Repr-Digest": "sha-256=:ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0=:"}
    location = create(node, headers={**completeness(8, False), **right})
    assert append(node, location, 0, b"a", complete=False).status == 204
    assert append(node, location, 1, b"bc", complete=True).status == 201


class TestNames:
    def test_a_file_gets_its_name_when_it_is_whole(self, node: NodeProcess) -> None:
        location = create(node, "/files/whole")
        assert append(node, location, 0, CONTENT[:2_000_000], complete=False).status == 204
        assert node.get("/files/whole").status == 404
        answer = append(node, location, 2_000_000, CONTENT[2_000_000:], complete=True)
        assert (answer.status, answer.headers["Upload-Complete"]) == (201, "?1")
        got = node.get("/files/whole")
        assert got.body == CONTENT
        assert got.headers["ETag"] == answer.headers["ETag"]

    def test_a_file_in_place_of_another(self, node: NodeProcess) -> None:
        assert node.request("PUT", "/files/replaced", b"old").status == 201
        answer = node.request("PUT", "/files/replaced", b"new", completeness(8, True))
        assert (answer.status, answer.headers["Upload-Complete"]) == (204, "?1")
        assert node.get("/files/replaced").body == b"new"

    def test_a_post_to_a_folder_names_the_file(self, node: NodeProcess) -> None:
        assert node.request("MKCOL", "/files/inbox/").status == 201
        named = {"Content-Disposition": "inline; filename*=UTF-8''%C3%A4.txt", **completeness(8, True)}
        assert node.request("POST", "/files/inbox/", b"abc", named).status == 201
        assert node.get("/files/inbox/%C3%A4.txt").body == b"abc"
        assert node.request("POST", "/files/inbox/", b"abc", completeness(8, True)).status == 400

    @pytest.mark.parametrize(
        ("target", "headers", "status"),
        [
            ("/files/no/where", {}, 409),
            ("/files/folder/", {}, 405),
            ("/files/there/below", {}, 409),
            ("/files/there", {"If-None-Match": "*"}, 412),
            ("/files/new", {"If-Match": "*"}, 412),
            ("/files/new", {"X-OC-Mtime": "now"}, 400),
            ("/files/new", {"OC-Checksum": "CRC:1"}, 400),
            ("/files/new", {"Content-Encoding": "gzip", "Upload-Complete": "?0"}, 415),
            ("/files/new", {"Upload-Length": "99"}, 400),
        ],
    )
    def test_what_speaks_against_it_is_said_before_anything_is_sent(
        self, node: NodeProcess, target: str, headers: dict[str, str], status: int
    ) -> None:
        node.request("PUT", "/files/there", b"x")
        with node.connect() as client:
            client.send(head("PUT", target, {"Content-Length": "100", **completeness(8, True), **headers}))
            assert client.interim_or_final("PUT").status == status

    def test_a_condition_is_looked_at_again_in_the_end(self, node: NodeProcess) -> None:
        location = create(node, "/files/first", {"If-None-Match": "*", **completeness(8, False)})
        assert node.request("PUT", "/files/first", b"somebody else's").status == 201
        answer = append(node, location, 0, b"mine", complete=True)
        assert (answer.status, answer.headers["Upload-Complete"]) == (412, "?0")
        assert node.get("/files/first").body == b"somebody else's"

    def test_checksum_and_time_are_kept(self, node: NodeProcess) -> None:
        told = {"OC-Checksum": "SHA1:a9993e364706816aba3e25717850c26c9cd0d89d", "X-OC-Mtime": "1000000000"}
        location = create(node, "/files/dated", {**completeness(8, False), **told})
        answer = append(node, location, 0, b"abc", complete=True)
        assert (answer.status, answer.headers["X-OC-Mtime"]) == (201, "accepted")
        got = node.get("/files/dated")
        assert got.headers["OC-Checksum"] == told["OC-Checksum"]
        assert got.headers["Last-Modified"] == "Sun, 09 Sep 2001 01:46:40 GMT"


def test_what_is_too_large_is_refused_with_the_limits(new_node: NodeProcess) -> None:
    with (new_node.directory / "tahoeish.toml").open("a") as config:
        config.write("[gateway]\nmax_upload_size = 1000\n")
    new_node.start()
    for target in ("/uri", "/files/large", "/uploads/"):
        with new_node.connect() as client:
            client.send(head("POST", target, {"Content-Length": "1001", **completeness(8, True)}))
            answer = client.interim_or_final()
            assert answer.status == 413
            assert "max-size=1000" in answer.headers["Upload-Limit"]
    location = create(new_node, "/uploads/")
    assert append(new_node, location, 0, content_of(600), complete=False).status == 204
    assert append(new_node, location, 600, content_of(600), complete=False).status == 413
    assert append(new_node, location, 600, content_of(400), complete=True).status == 201


def test_a_post_to_the_uploads_gives_a_cap(node: NodeProcess) -> None:
    answer = node.request("POST", "/uploads/", b"abc", completeness(8, True))
    assert (answer.status, stored(node, answer.text)) == (201, b"abc")
    assert node.request("POST", "/uploads/", b"abc").status == 400


@pytest.mark.parametrize("target", ["*", "/uri", "/files/any", "/files/", "/uploads/", "/uploads/any"])
def test_options_tell_the_limits(node: NodeProcess, target: str) -> None:
    answer = node.request("OPTIONS", target)
    assert answer.status in (200, 204)
    assert "max-age=" in answer.headers["Upload-Limit"]
    assert answer.headers["Accept-Patch"] == PARTIAL_UPLOAD


def test_part_of_a_file_in_an_unknown_version_is_not_taken_for_a_file(node: NodeProcess) -> None:
    headers = {"Upload-Draft-Interop-Version": "99", "Upload-Complete": "?0"}
    assert node.request("PUT", "/files/part", b"abc", headers).status == 400
    assert node.get("/files/part").status == 404


def test_a_key_from_the_content_needs_it_at_once(node: NodeProcess) -> None:
    assert node.request("PUT", "/uri?convergent=true", b"abc", completeness(8, False)).status == 400


def test_nobody_answers_for_an_upload_that_is_not_there(node: NodeProcess) -> None:
    for method in ("HEAD", "GET", "PATCH", "DELETE"):
        assert node.request(method, "/uploads/nothing", headers=NEWEST).status == 404
        assert node.request(method, "/uploads/nothing").status == 404


def test_it_goes_on_after_the_node_was_killed(new_node: NodeProcess) -> None:
    content = content_of(40_000_000)
    new_node.start()
    with new_node.connect() as client:
        location = begun(client, "/files/survivor", len(content), completeness(8, True))
        client.send(content[:-1])
        told = client.interim_or_final()
        assert told.status == 104
        assert new_node.stop(signal.SIGKILL) == -signal.SIGKILL
    new_node.start()
    offset = offset_of(new_node, location)
    assert offset >= int(told.headers["Upload-Offset"]) > 0
    almost = len(content) - 1000
    assert append(new_node, location, offset, content[offset:almost], complete=False).status == 204
    assert new_node.stop(signal.SIGKILL) == -signal.SIGKILL
    new_node.start()
    assert offset_of(new_node, location) == almost
    answer = append(new_node, location, almost, content[almost:], complete=True)
    assert answer.status == 201
    assert new_node.get("/files/survivor").body == content
    assert "Traceback" not in new_node.said, new_node.said
