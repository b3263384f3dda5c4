"""Files in pieces at a node that runs: Content-Range, plain bytes behind one another, and forms."""

from __future__ import annotations

import signal
from collections.abc import Mapping
from urllib.parse import quote

import pytest

from tests.nodes import Answer, NodeProcess, chunk, content_of, head, wait_until

CONTENT = content_of(3_000_000)
PLAIN = {"Content-Type": "application/octet-stream"}


def piece(
    node: NodeProcess,
    target: str,
    first: int,
    content: bytes,
    total: int | str,
    headers: Mapping[str, str] | None = None,
    method: str = "PUT",
) -> Answer:
    reach = {"Content-Range": f"bytes {first}-{first + len(content) - 1}/{total}"}
    return node.request(method, target, content, {**reach, **(headers or {})})


def form_piece(
    node: NodeProcess,
    target: str,
    first: int,
    content: bytes,
    total: int,
    headers: Mapping[str, str] | None = None,
    *,
    name: str = "photo.jpg",
) -> Answer:
    """As jQuery File Upload sends its chunks."""
    body = (
        b'--limit\r\nContent-Disposition: form-data; name="album"\r\n\r\n7\r\n--limit\r\n'
        b'Content-Disposition: form-data; name="files[]"; filename="%s"\r\n'
        b"Content-Type: application/octet-stream\r\n\r\n%s\r\n--limit--\r\n" % (name.encode(), content)
    )
    reach = {
        "Content-Range": f"bytes {first}-{first + len(content) - 1}/{total}",
        "Content-Disposition": f'attachment; filename="{quote(name)}"',
        "Content-Type": "multipart/form-data; boundary=limit",
    }
    return node.request("POST", target, body, {**reach, **(headers or {})})


def how_far(node: NodeProcess, target: str) -> int:
    return int(node.request("PUT", target, headers={"Content-Range": "bytes */*"}).headers["Upload-Offset"])


def stored(node: NodeProcess, cap: str) -> bytes:
    return node.get(f"/uri/{quote(cap.strip(), safe='')}").body


@pytest.mark.parametrize("method", ["PUT", "POST", "PATCH"])
def test_pieces_in_order_become_a_file(node: NodeProcess, method: str) -> None:
    named = {"X-Session-Id": f"by-{method}"}
    for first in (0, 1_000_000):
        answer = piece(node, "/uri", first, CONTENT[first : first + 1_000_000], len(CONTENT), named, method)
        assert answer.status == 202
        assert answer.headers["Range"] == f"bytes=0-{first + 999_999}"
        assert answer.headers["Upload-Offset"] == str(first + 1_000_000)
    answer = piece(node, "/uri", 2_000_000, CONTENT[2_000_000:], len(CONTENT), named, method)
    assert (answer.status, answer.headers["Upload-Complete"]) == (201, "?1")
    assert stored(node, answer.text) == CONTENT


@pytest.mark.parametrize("target", ["/files/pieces", "/uri", "/uploads/"])
def test_a_gap_and_an_overlap_are_told_where_it_stands(node: NodeProcess, target: str) -> None:
    named = {"X-Session-Id": "wrong"}
    early = piece(node, target, 5, b"56789", 10, named)
    assert (early.status, early.headers["Upload-Offset"]) == (409, "0")
    assert piece(node, target, 0, b"0123", 10, named).status == 202
    for first in (0, 2, 5):
        answer = piece(node, target, first, b"xx", 10, {**named, "Accept": "application/json"})
        assert (answer.status, answer.headers["Upload-Offset"], answer.headers["Range"]) == (409, "4", "bytes=0-3")
        assert answer.json()["expected-offset"] == 4
    assert piece(node, target, 4, b"456789", 10, named).status == 201


def test_asking_how_far_it_is(node: NodeProcess) -> None:
    target, question = "/files/asked", {"Content-Range": "bytes */*"}
    nothing = node.request("PUT", target, headers=question)
    assert (nothing.status, nothing.headers["Upload-Offset"], nothing.headers["Range"]) == (200, "0", None)
    assert piece(node, target, 0, b"012", 10).status == 202
    told = node.request("PUT", target, headers=question)
    assert (told.status, told.headers["Upload-Length"], told.headers["Range"]) == (200, "10", "bytes=0-2")


def test_a_name_is_there_when_its_last_piece_is(node: NodeProcess) -> None:
    assert piece(node, "/files/late", 0, CONTENT[:1_500_000], len(CONTENT)).status == 202
    assert node.get("/files/late").status == 404
    last = piece(node, "/files/late", 1_500_000, CONTENT[1_500_000:], len(CONTENT))
    assert (last.status, "ETag" in last.headers) == (201, True)
    assert node.get("/files/late").body == CONTENT


def test_the_next_file_of_that_name_begins_again(node: NodeProcess) -> None:
    for content, status in ((b"first", 201), (b"second one", 204), (b"3.", 204)):
        assert piece(node, "/files/again", 0, content[:1], len(content)).status == 202
        assert piece(node, "/files/again", 1, content[1:], len(content)).status == status
        assert node.get("/files/again").body == content
    assert piece(node, "/files/again", 0, b"all at once", 11).status == 204
    assert node.get("/files/again").body == b"all at once"


def test_an_answer_that_got_lost_can_be_had_again(node: NodeProcess) -> None:
    assert piece(node, "/files/lost", 0, b"01", 4).status == 202
    first, second = (piece(node, "/files/lost", 2, b"23", 4) for _ in range(2))
    assert (first.status, first.headers["ETag"]) == (second.status, second.headers["ETag"])


def test_what_was_refused_can_be_sent_again_from_its_beginning(node: NodeProcess) -> None:
    assert piece(node, "/files/refused", 0, b"01", 4, {"If-None-Match": "*"}).status == 202
    assert node.request("PUT", "/files/refused", b"somebody's").status == 201
    assert piece(node, "/files/refused", 2, b"23", 4).status == 412
    assert piece(node, "/files/refused", 0, b"01", 4).status == 202
    assert piece(node, "/files/refused", 2, b"23", 4).status == 204
    assert node.get("/files/refused").body == b"0123"


def test_a_total_that_is_not_known_yet(node: NodeProcess) -> None:
    assert piece(node, "/files/open", 0, b"01", "*").status == 202
    assert piece(node, "/files/open", 2, b"23", "*", {"Upload-Complete": "?1"}).status == 201
    assert node.get("/files/open").body == b"0123"
    assert piece(node, "/files/open", 0, b"01", "*").status == 202
    assert piece(node, "/files/open", 2, b"2", 3).status == 204
    assert node.get("/files/open").body == b"012"


def test_a_total_that_changes_is_refused(node: NodeProcess) -> None:
    assert piece(node, "/files/changing", 0, b"01", 4).status == 202
    assert piece(node, "/files/changing", 2, b"2", 3).status == 400
    assert piece(node, "/files/changing", 2, b"23", 4).status == 201


def test_plain_bytes_go_behind_what_is_there(node: NodeProcess) -> None:
    for number, content in enumerate((b"one ", b"two ", b"three")):
        last = {"Upload-Complete": "?1"} if number == 2 else {}
        answer = node.request("PATCH", "/files/appended", content, {**PLAIN, **last})
        assert answer.status == (201 if last else 202)
    assert node.get("/files/appended").body == b"one two three"


def test_plain_bytes_can_be_closed_by_a_range(node: NodeProcess) -> None:
    assert node.request("PATCH", "/files/closed", b"0123", PLAIN).status == 202
    assert piece(node, "/files/closed", 4, b"45", 6, PLAIN, "PATCH").status == 201
    assert node.get("/files/closed").body == b"012345"


def test_plain_bytes_after_the_end_need_to_say_that_they_are_new(node: NodeProcess) -> None:
    last = {**PLAIN, "Upload-Complete": "?1"}
    assert node.request("PATCH", "/files/ended", b"old", last).status == 201
    assert node.request("PATCH", "/files/ended", b"more", PLAIN).status == 409
    assert node.request("PATCH", "/files/ended", b"new", {**last, "Upload-Offset": "0"}).status == 204
    assert node.get("/files/ended").body == b"new"


def test_plain_bytes_neither_replace_a_file_nor_go_behind_it(node: NodeProcess) -> None:
    assert node.request("PUT", "/files/log", b"line 1\n").status == 201
    refused = node.request("PATCH", "/files/log", b"line 2\n", PLAIN)
    assert refused.status == 409 and b"Upload-Offset: 0" in refused.body
    assert how_far(node, "/files/log") == 0 and node.get("/files/log").body == b"line 1\n"
    anew = {**PLAIN, "Upload-Offset": "0"}
    assert node.request("PATCH", "/files/log", b"one ", anew).status == 202
    assert node.request("PATCH", "/files/log", b"two", {**PLAIN, "Upload-Complete": "?1"}).status == 204
    assert node.get("/files/log").body == b"one two"
    assert node.request("PUT", "/files/empty").status == 201
    assert node.request("PATCH", "/files/empty", b"x", {**PLAIN, "Upload-Complete": "?1"}).status == 204


def test_what_was_left_behind_can_be_ended_by_the_address_that_is_told(node: NodeProcess) -> None:
    assert node.request("PATCH", "/files/left", b"abc", PLAIN).status == 202
    refused = piece(node, "/files/left", 0, b"01", 4)
    assert refused.status == 409 and b"DELETE" in refused.body
    assert node.request("DELETE", refused.headers["Location"] or "").status == 204
    assert piece(node, "/files/left", 0, b"0123", 4).status == 201


def test_plain_bytes_are_nothing_else(node: NodeProcess) -> None:
    assert node.request("PATCH", "/files/typed", b"x", {"Content-Type": "text/plain"}).status == 415


class TestForms:
    def test_chunks_become_a_file(self, node: NodeProcess) -> None:
        assert form_piece(node, "/uri", 0, CONTENT[:2_000_000], len(CONTENT)).status == 202
        answer = form_piece(node, "/uri", 2_000_000, CONTENT[2_000_000:], len(CONTENT))
        assert answer.status == 201
        assert stored(node, answer.text) == CONTENT

    def test_chunks_posted_to_a_folder_get_a_name_there(self, node: NodeProcess) -> None:
        node.request("MKCOL", "/files/album/")
        for first in range(0, len(CONTENT), 1_000_000):
            answer = form_piece(
                node, "/files/album/", first, CONTENT[first : first + 1_000_000], len(CONTENT), name="größe 1.jpg"
            )
            assert answer.status == (201 if first == 2_000_000 else 202), answer
        assert node.get(f"/files/album/{quote('größe 1.jpg')}").body == CONTENT

    def test_two_files_at_once_do_not_mix(self, node: NodeProcess) -> None:
        names = ("one.bin", "two.bin")
        for name in names:
            assert form_piece(node, "/files/", 0, name.encode(), 2 * len(name), name=name).status == 202
        for name in names:
            assert form_piece(node, "/files/", len(name), name.encode(), 2 * len(name), name=name).status == 201
            assert node.get(f"/files/{name}").body == 2 * name.encode()

    def test_programs_in_browsers_get_json(self, node: NodeProcess) -> None:
        wanted = {"Accept": "application/json"}
        assert form_piece(node, "/uri", 0, b"01", 4, wanted, name="json").json() == {"received": 2, "length": 4}
        (told,) = form_piece(node, "/uri", 2, b"23", 4, wanted, name="json").json()
        assert told["size"] == 4 and stored(node, told["cap"]) == b"0123"

    def test_a_form_with_another_content_than_its_range_tells(self, node: NodeProcess) -> None:
        body_is_longer = {"Content-Range": "bytes 0-1/10"}
        assert form_piece(node, "/uri", 0, b"01234", 10, body_is_longer, name="odd").status == 400
        body_is_shorter = {"Content-Range": "bytes 0-8/10"}
        assert form_piece(node, "/uri", 0, b"01234", 10, body_is_shorter, name="odd2").status == 400


def test_a_piece_without_a_name_is_nobodys(node: NodeProcess) -> None:
    assert piece(node, "/uri", 0, b"01", 4).status == 400
    whole = piece(node, "/uri", 0, b"0123", 4)
    assert (whole.status, stored(node, whole.text)) == (201, b"0123")


@pytest.mark.parametrize(
    ("target", "headers", "status"),
    [
        ("/files/no/where", {}, 409),
        ("/files/folder/", {"X-Session-Id": "f"}, 405),
        ("/files/new", {"If-Match": "*"}, 412),
        ("/files/new", {"Content-Encoding": "gzip"}, 415),
        ("/files/new", {"OC-Checksum": "CRC:1"}, 400),
        ("/files/new", {"Content-Range": "bytes 0-98/200"}, 400),
        ("/files/new", {"Content-Range": "bytes 9-8/200"}, 400),
        ("/files/new", {"Content-Range": "lines 0-99/200"}, 400),
        ("/uri?convergent=true", {"X-Session-Id": "c"}, 400),
        ("/uri?format=SDMF", {"X-Session-Id": "m"}, 501),
        ("/uri/URI:LIT:", {}, 405),
    ],
)
def test_what_speaks_against_a_piece_is_said_before_it_is_sent(
    node: NodeProcess, target: str, headers: dict[str, str], status: int
) -> None:
    with node.connect() as client:
        client.send(head("PUT", target, {"Content-Length": "100", "Content-Range": "bytes 0-99/200", **headers}))
        assert client.interim_or_final("PUT").status == status


def test_a_piece_without_a_content_length(node: NodeProcess) -> None:
    headers = {"Transfer-Encoding": "chunked", "Content-Range": "bytes 0-3/8"}
    with node.connect() as client:
        client.send(head("PUT", "/files/chunked", headers) + chunk(b"01") + chunk(b"23") + chunk(b""))
        assert client.answer("PUT").status == 202
    assert piece(node, "/files/chunked", 4, b"4567", 8).status == 201


def test_a_damaged_piece_is_sent_again(node: NodeProcess) -> None:
    damaged = {"Content-MD5": "AAAAAAAAAAAAAAAAAAAAAA=="}
    assert piece(node, "/files/damaged", 0, b"abc", 6).status == 202
    assert piece(node, "/files/damaged", 3, b"xxx", 6, damaged).status == 400
    assert piece(node, "/files/damaged", 3, b"def", 6).status == 201
    assert node.get("/files/damaged").body == b"abcdef"


def test_a_newer_piece_takes_over(node: NodeProcess) -> None:
    with node.connect() as older:
        reach = {"Content-Range": f"bytes 0-1999999/{len(CONTENT)}"}
        older.send(head("PUT", "/files/twice", {"Content-Length": "2000000", **reach}) + CONTENT[:1_000_000])
        wait_until(lambda: how_far(node, "/files/twice"), "its first bytes are safe")
        assert older.answer("PUT").status == 409
    offset = how_far(node, "/files/twice")
    assert 0 < offset <= 1_000_000
    assert piece(node, "/files/twice", offset, CONTENT[offset:], len(CONTENT)).status == 201
    assert node.get("/files/twice").body == CONTENT


def test_it_can_be_ended_at_its_address(node: NodeProcess) -> None:
    location = piece(node, "/files/given-up", 0, b"01", 4).headers["Location"]
    assert node.request("HEAD", location).headers["Upload-Offset"] == "2"
    assert node.request("DELETE", location).status == 204
    assert piece(node, "/files/given-up", 2, b"23", 4).status in (409, 410)
    assert piece(node, "/files/given-up", 0, b"0", 1).status == 201


def test_pieces_can_go_to_its_address_as_well(node: NodeProcess) -> None:
    location = piece(node, "/files/elsewhere", 0, b"01", 6).headers["Location"]
    assert piece(node, location, 2, b"23", 6).status == 202
    assert node.request("PATCH", location, b"45", {**PLAIN, "Upload-Complete": "?1"}).status == 415
    assert form_piece(node, location, 4, b"45", 6).status == 201
    assert node.get("/files/elsewhere").body == b"012345"


def test_pieces_go_on_after_the_node_was_killed(new_node: NodeProcess) -> None:
    new_node.start()
    assert piece(new_node, "/files/survivor", 0, CONTENT[:1_000_000], len(CONTENT)).status == 202
    assert new_node.stop(signal.SIGKILL) == -signal.SIGKILL
    new_node.start()
    assert how_far(new_node, "/files/survivor") == 1_000_000
    assert piece(new_node, "/files/survivor", 1_000_000, CONTENT[1_000_000:], len(CONTENT)).status == 201
    assert new_node.get("/files/survivor").body == CONTENT
