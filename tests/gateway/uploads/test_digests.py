"""What clients claim of what comes over several requests: the same rule in every dialect."""

from __future__ import annotations

import itertools
from base64 import b64encode
from collections.abc import Callable, Mapping
from typing import NamedTuple
from urllib.parse import quote, urlsplit

import pytest

from tests.gateway.delivery.shipping import CLAIMS, structured
from tests.nodes import Answer, NodeProcess, chunk, content_of, head

CONTENT = content_of(200_000)
HALF = len(CONTENT) // 2

OF_REQUEST = [field for field in CLAIMS if field not in ("Repr-Digest", "OC-Checksum")]
OF_WHOLE = ["Repr-Digest", "OC-Checksum"]

TUS = {"Tus-Resumable": "1.0.0"}
TUS_CHUNK = {**TUS, "Content-Type": "application/offset+octet-stream"}
PARTIAL = {"Content-Type": "application/partial-upload"}

_numbers = itertools.count()


def wrong(field: str) -> dict[str, str]:
    return {field: CLAIMS[field](b"something else")}


def right(field: str, content: bytes) -> dict[str, str]:
    return {field: CLAIMS[field](content)}


def name() -> str:
    return f"/files/claimed-{next(_numbers)}"


def path_of(answer: Answer) -> str:
    assert answer.status in (201, 202), answer
    return urlsplit(answer.headers["Location"]).path


class Sent(NamedTuple):
    """A request for a part of `CONTENT`, all but what it claims."""

    method: str
    target: str
    content: bytes
    headers: Mapping[str, str]

    def by(self, node: NodeProcess, claims: Mapping[str, str]) -> Answer:
        return node.request(self.method, self.target, self.content, {**self.headers, **claims})

    def with_trailer(self, node: NodeProcess, announced: Mapping[str, str], trailer: Mapping[str, str]) -> Answer:
        headers = {"Transfer-Encoding": "chunked", **self.headers, **announced}
        end = "".join(f"{field}: {value}\r\n" for field, value in trailer.items())
        with node.connect() as client:
            client.send(head(self.method, self.target, headers) + chunk(self.content))
            client.send(f"0\r\n{end}\r\n".encode())
            return client.answer(self.method)


def tus_creation(node: NodeProcess, target: str = "/uploads/") -> Sent:
    metadata = f"filename {b64encode(name().removeprefix('/files/').encode()).decode()}"
    return Sent("POST", target, CONTENT, {**TUS_CHUNK, "Upload-Length": "200000", "Upload-Metadata": metadata})


def tus_patch(node: NodeProcess) -> Sent:
    upload = path_of(node.request("POST", "/uploads/", b"", {**TUS, "Upload-Length": "200000"}))
    return Sent("PATCH", upload, CONTENT, {**TUS_CHUNK, "Upload-Offset": "0"})


def ietf_whole(node: NodeProcess, target: str = "/uri") -> Sent:
    return Sent("PUT", target, CONTENT, {"Upload-Complete": "?1"})


def ietf_append(node: NodeProcess) -> Sent:
    upload = path_of(node.request("PUT", name(), CONTENT[:HALF], {"Upload-Complete": "?0"}))
    return Sent("PATCH", upload, CONTENT[HALF:], {**PARTIAL, "Upload-Offset": str(HALF), "Upload-Complete": "?1"})


def last_piece(node: NodeProcess) -> Sent:
    target = name()
    ranged = f"bytes 0-{HALF - 1}/{len(CONTENT)}"
    assert node.request("PUT", target, CONTENT[:HALF], {"Content-Range": ranged}).status == 202
    return Sent("PUT", target, CONTENT[HALF:], {"Content-Range": f"bytes {HALF}-{len(CONTENT) - 1}/{len(CONTENT)}"})


def plain_bytes(node: NodeProcess) -> Sent:
    return Sent("PATCH", name(), CONTENT, {"Content-Type": "application/octet-stream", "Upload-Complete": "?1"})


Making = Callable[[NodeProcess], Sent]

LAST = [
    pytest.param(tus_patch, id="tus"),
    pytest.param(tus_creation, id="tus with its creation"),
    pytest.param(lambda node: tus_creation(node, "/files/"), id="tus in a folder"),
    pytest.param(ietf_whole, id="ietf at once"),
    pytest.param(lambda node: ietf_whole(node, "/uploads/"), id="ietf among the uploads"),
    pytest.param(ietf_append, id="ietf"),
    pytest.param(last_piece, id="pieces"),
    pytest.param(plain_bytes, id="plain bytes"),
]
every_dialect = pytest.mark.parametrize("making", LAST)


@every_dialect
@pytest.mark.parametrize("field", OF_REQUEST)
def test_what_a_request_claims_of_its_content_is_compared(node: NodeProcess, making: Making, field: str) -> None:
    refused = making(node).by(node, wrong(field))
    assert refused.status in (400, 460) and field in refused.text, refused
    sent = making(node)
    assert sent.by(node, right(field, sent.content)).status in (201, 204)


@every_dialect
@pytest.mark.parametrize("field", OF_REQUEST)
def test_so_is_what_its_trailer_claims(node: NodeProcess, making: Making, field: str) -> None:
    refused = making(node).with_trailer(node, {"Trailer": field}, wrong(field))
    assert refused.status in (400, 460) and field in refused.text, refused
    sent = making(node)
    assert sent.with_trailer(node, {"Trailer": field}, right(field, sent.content)).status in (201, 204)


@every_dialect
@pytest.mark.parametrize("field", OF_WHOLE)
def test_what_any_request_claims_of_the_whole_is_compared_with_the_whole(
    node: NodeProcess, making: Making, field: str
) -> None:
    assert making(node).by(node, wrong(field)).status == 400
    assert making(node).by(node, right(field, CONTENT)).status in (201, 204)
    assert making(node).with_trailer(node, {"Trailer": field}, wrong(field)).status == 400
    assert making(node).with_trailer(node, {"Trailer": field}, right(field, CONTENT)).status in (201, 204)


@every_dialect
@pytest.mark.parametrize("field", [*OF_REQUEST, *OF_WHOLE])
def test_a_trailer_that_nobody_announced_is_refused(node: NodeProcess, making: Making, field: str) -> None:
    refused = making(node).with_trailer(node, {}, right(field, CONTENT))
    assert refused.status == 400 and "announced" in refused.text, refused


@pytest.mark.parametrize("making", [tus_patch, ietf_append, last_piece])
def test_a_damaged_request_leaves_the_offset_where_it_was(node: NodeProcess, making: Making) -> None:
    sent = making(node)
    assert sent.by(node, wrong("x-amz-checksum-crc32")).status in (400, 460)
    assert sent.by(node, right("x-amz-checksum-crc32", sent.content)).status in (201, 204)


@pytest.mark.parametrize("target", ["/uploads/", "/files/"])
@pytest.mark.parametrize("field", OF_WHOLE)
def test_what_begins_a_tus_upload_may_claim_what_the_whole_will_be(node: NodeProcess, target: str, field: str) -> None:
    for claims, status in ((right(field, CONTENT), 204), (wrong(field), 400)):
        creation = tus_creation(node, target)
        upload = path_of(creation._replace(content=b"").by(node, claims))
        assert Sent("PATCH", upload, CONTENT, {**TUS_CHUNK, "Upload-Offset": "0"}).by(node, {}).status == status


def test_requests_that_contradict_each_other_are_told_so_before_any_byte(node: NodeProcess) -> None:
    digest = structured("sha-256", CONTENT)
    begun = node.request("PUT", "/uri", CONTENT[:HALF], {"Upload-Complete": "?0", "Repr-Digest": digest})
    headers = {**PARTIAL, "Upload-Offset": str(HALF), "Upload-Complete": "?1"}
    last = Sent("PATCH", path_of(begun), CONTENT[HALF:], headers)
    refused = last.by(node, {"Repr-Digest": structured("sha-256", b"something else")})
    assert refused.status == 400 and "before" in refused.text
    assert last.by(node, {"Repr-Digest": digest}).status == 201


def test_a_first_piece_that_was_damaged_takes_its_claims_with_it(node: NodeProcess) -> None:
    sent = Sent("PUT", name(), CONTENT[:HALF], {"Content-Range": f"bytes 0-{HALF - 1}/{len(CONTENT)}"})
    assert sent.by(node, wrong("Content-MD5") | wrong("Repr-Digest")).status == 400
    assert sent.by(node, right("Repr-Digest", CONTENT)).status == 202


def test_parts_that_are_put_together_have_nothing_to_compare_a_digest_of_the_request_with(node: NodeProcess) -> None:
    creation = tus_creation(node)
    part = creation.by(node, {"Upload-Concat": "partial", **right("Repr-Digest", CONTENT)})
    final = Sent("POST", "/uploads/", b"", {**TUS, "Upload-Concat": f"final;{path_of(part)}"})
    assert final.by(node, wrong("Content-MD5")).status == 400
    assert final.by(node, wrong("Repr-Digest")).status == 400
    assert final.by(node, right("Repr-Digest", CONTENT)).status == 201


def test_of_a_piece_in_a_form_nothing_is_claimed(node: NodeProcess) -> None:
    ranged = {"Content-Range": "bytes 0-2/9", "Content-Type": "multipart/form-data; boundary=limit"}
    disposition = b'--limit\r\nContent-Disposition: form-data; name="f"; filename="a"\r\n'
    bare, claiming = (disposition + more + b"\r\nabc\r\n--limit--\r\n" for more in (b"", b"Content-MD5: AAAA\r\n"))
    assert Sent("POST", "/uri", bare, ranged).by(node, right("x-amz-checksum-crc32", bare)).status == 400
    assert Sent("POST", "/uri", claiming, ranged).by(node, {}).status == 400
    assert Sent("POST", "/uri", bare, ranged).by(node, {}).status == 202


class TestNextcloud:
    """Whose chunks are files of their own."""

    def begun(self, node: NodeProcess) -> tuple[str, dict[str, str]]:
        target = name()
        address = f"/remote.php/dav/uploads/local/{target.removeprefix('/files/')}"
        assert node.request("MKCOL", address).status == 201
        return address, {"Destination": f"http://node{quote(target)}"}

    @pytest.mark.parametrize("field", CLAIMS)
    def test_a_chunk_is_what_is_claimed_of_it(self, node: NodeProcess, field: str) -> None:
        address, there = self.begun(node)
        for number, part in ((1, CONTENT[:HALF]), (2, CONTENT[HALF:])):
            sent = Sent("PUT", f"{address}/{number}", part, {})
            assert sent.by(node, wrong(field)).status == 400
            assert sent.with_trailer(node, {"Trailer": field}, wrong(field)).status == 400
            assert sent.by(node, right(field, part)).status == 201
        assert node.request("MOVE", f"{address}/.file", b"", there).status == 201

    @pytest.mark.parametrize("field", OF_WHOLE)
    def test_what_is_moved_out_is_what_is_claimed_of_the_whole(self, node: NodeProcess, field: str) -> None:
        for claims, status in ((wrong(field), 400), (right(field, CONTENT), 201)):
            address, there = self.begun(node)
            assert node.request("PUT", f"{address}/1", CONTENT).status == 201
            assert node.request("MOVE", f"{address}/.file", b"", {**there, **claims}).status == status

    @pytest.mark.parametrize("field", OF_REQUEST)
    def test_what_has_no_content_has_nothing_to_compare_it_with(self, node: NodeProcess, field: str) -> None:
        address, there = self.begun(node)
        assert node.request("PUT", f"{address}/1", CONTENT).status == 201
        assert node.request("MOVE", f"{address}/.file", b"", {**there, **right(field, CONTENT)}).status == 400
        assert node.request("MKCOL", f"{address}-more", b"", right(field, CONTENT)).status == 400
        assert node.request("MOVE", f"{address}/.file", b"", there).status == 201
