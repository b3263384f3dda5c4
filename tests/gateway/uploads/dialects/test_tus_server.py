"""tus, spoken with a real node."""

from __future__ import annotations

import hashlib
import signal
from base64 import b64encode
from collections.abc import Mapping
from urllib.parse import quote, urlsplit

import pytest

from tests.nodes import NOT_DURABLE, Answer, NodeProcess, RawClient, chunk, content_of, head, running, wait_until

VERSION = {"Tus-Resumable": "1.0.0"}
CHUNK = {**VERSION, "Content-Type": "application/offset+octet-stream"}
CONTENT = content_of(3_000_000)


def create(node: NodeProcess, size: int | None, body: bytes = b"", **headers: str) -> str:
    length = {"Upload-Defer-Length": "1"} if size is None else {"Upload-Length": str(size)}
    more = {name.replace("_", "-"): value for name, value in headers.items()}
    answer = node.request("POST", "/uploads/", body, {**(CHUNK if body else VERSION), **length, **more})
    assert answer.status == 201, answer
    return answer.headers["Location"]


def patch(node: NodeProcess, upload: str, offset: int, body: bytes, headers: Mapping[str, str] | None = None) -> Answer:
    answer = node.request("PATCH", upload, body, {**CHUNK, "Upload-Offset": str(offset), **(headers or {})})
    assert answer.headers["Tus-Resumable"] == "1.0.0"
    return answer


def offset_of(node: NodeProcess, upload: str) -> int:
    answer = node.request("HEAD", upload, headers=VERSION)
    assert answer.status == 200 and answer.headers["Cache-Control"] == "no-store"
    return int(answer.headers["Upload-Offset"])


def file_behind(node: NodeProcess, answer: Answer) -> bytes:
    return node.get(f"/uri/{quote(answer.headers['Tahoeish-Cap'], safe='')}").body


def sent_partly(node: NodeProcess, upload: str, sent: bytes) -> RawClient:
    """A client in the middle of sending all of `CONTENT`, when the node has all of what was `sent`."""
    client = node.connect()
    client.send(head("PATCH", upload, {**CHUNK, "Upload-Offset": "0", "Content-Length": str(len(CONTENT))}) + sent)
    return client


def test_a_file_comes_in_pieces(node: NodeProcess) -> None:
    upload = create(node, len(CONTENT))
    first = patch(node, upload, 0, CONTENT[:300_000])
    assert first.status == 204 and first.headers["Upload-Offset"] == "300000" and first.headers["Upload-Expires"]
    last = patch(node, upload, 300_000, CONTENT[300_000:])
    assert last.status == 204 and last.headers["Upload-Offset"] == "3000000"
    assert file_behind(node, last) == CONTENT


def test_the_first_piece_comes_with_the_creation(node: NodeProcess) -> None:
    upload = create(node, len(CONTENT), CONTENT[:500_000])
    assert offset_of(node, upload) == 500_000
    assert file_behind(node, patch(node, upload, 500_000, CONTENT[500_000:])) == CONTENT


@pytest.mark.parametrize("size", [0, 1, 55, 56])
def test_small_files(node: NodeProcess, size: int) -> None:
    upload = create(node, size, CONTENT[:size])
    answer = node.request("HEAD", upload, headers=VERSION)
    assert answer.headers["Upload-Offset"] == answer.headers["Upload-Length"] == str(size)


def test_the_length_comes_later(node: NodeProcess) -> None:
    upload = create(node, None)
    patch(node, upload, 0, CONTENT[:400_000])
    told = node.request("HEAD", upload, headers=VERSION).headers
    assert told["Upload-Defer-Length"] == "1" and told["Upload-Length"] is None
    last = patch(node, upload, 400_000, CONTENT[400_000:], {"Upload-Length": str(len(CONTENT))})
    assert file_behind(node, last) == CONTENT


def test_what_came_before_the_line_broke_is_kept(node: NodeProcess) -> None:
    upload = create(node, len(CONTENT))
    with sent_partly(node, upload, CONTENT[:700_000]) as client:
        client.finish_sending()
        assert client.ended()
    assert offset_of(node, upload) == 700_000
    assert file_behind(node, patch(node, upload, 700_000, CONTENT[700_000:])) == CONTENT


def test_a_newer_request_stops_the_one_that_hangs(node: NodeProcess) -> None:
    upload = create(node, len(CONTENT))
    with sent_partly(node, upload, CONTENT[:200_000]) as hanging:
        wait_until(lambda: offset_of(node, upload), "something is there")
        offset = offset_of(node, upload)
        last = patch(node, upload, offset, CONTENT[offset:])
        assert file_behind(node, last) == CONTENT
        assert hanging.answer().status == 409


def test_an_offset_that_was_told_outlives_the_node(new_node: NodeProcess) -> None:
    new_node.start()
    upload = create(new_node, len(CONTENT))
    patch(new_node, upload, 0, CONTENT[:600_001])
    new_node.stop(signal.SIGKILL)
    new_node.start()
    assert offset_of(new_node, upload) == 600_001
    assert file_behind(new_node, patch(new_node, upload, 600_001, CONTENT[600_001:])) == CONTENT


def test_what_has_come_is_kept_when_the_node_is_told_to_stop(new_node: NodeProcess) -> None:
    new_node.start()
    upload = create(new_node, len(CONTENT))
    with sent_partly(new_node, upload, CONTENT[:2_000_000]):
        wait_until(new_node.incoming, "something is there")
        new_node.tell(signal.SIGTERM)
        wait_until(lambda: "waiting for 1 transfers" in new_node.said, "the node waits for it")
        new_node.tell(signal.SIGTERM)
        assert new_node.ended() == 0, new_node.said
    new_node.start()
    assert offset_of(new_node, upload) > 1_000_000
    offset = offset_of(new_node, upload)
    assert file_behind(new_node, patch(new_node, upload, offset, CONTENT[offset:])) == CONTENT
    assert "Traceback" not in new_node.said, new_node.said


def test_a_lost_answer_is_given_again(node: NodeProcess) -> None:
    upload = create(node, len(CONTENT))
    answers = [patch(node, upload, offset, CONTENT[offset:]) for offset in (0, len(CONTENT))]
    assert [answer.status for answer in answers] == [204, 204]
    assert answers[0].headers["Tahoeish-Cap"] == answers[1].headers["Tahoeish-Cap"]


def test_metadata_is_told_as_it_was_given(node: NodeProcess) -> None:
    upload = create(node, 3, Upload_Metadata="filename Zm9v,is_public")
    assert node.request("HEAD", upload, headers=VERSION).headers["Upload-Metadata"] == "filename Zm9v,is_public"


class TestCreatingAgain:
    """When the answer to a creation was lost."""

    KEY = '"ec2a1c1e-0fe0-4a8d-8dd5"'

    def begin(
        self, node: NodeProcess, size: int, body: bytes, key: str = KEY, *, to: str = "/uploads/", name: str = "Zm9v"
    ) -> Answer:
        told = {"Idempotency-Key": key, "Upload-Length": str(size), "Upload-Metadata": f"filename {name}"}
        return node.request("POST", to, body, {**(CHUNK if body else VERSION), **told})

    def test_what_was_brought_completely_is_told_again(self, new_node: NodeProcess) -> None:
        new_node.start()
        upload = self.begin(new_node, 300_000, CONTENT[:300_000]).headers["Location"]
        for restarts in (False, True):
            if restarts:
                new_node.stop(signal.SIGKILL)
                new_node.start()
            again = self.begin(new_node, 300_000, CONTENT[:300_000])
            assert again.status == 201 and again.headers["Location"] == upload
            assert again.headers["Upload-Offset"] == "300000"
            assert file_behind(new_node, again) == CONTENT[:300_000]
        assert len({path.parent for path in new_node.shares()}) == len(new_node.peers)

    @pytest.mark.parametrize("size", [0, 1, 300_000])
    def test_what_was_only_begun_goes_on(self, node: NodeProcess, size: int) -> None:
        begun = [self.begin(node, 3_000_000, CONTENT[:size], f"only-begun-so-far-{size}") for _ in range(2)]
        upload = begun[0].headers["Location"]
        assert begun[1].headers["Location"] == upload and begun[1].headers["Upload-Offset"] == str(size)
        assert file_behind(node, patch(node, upload, size, CONTENT[size:])) == CONTENT

    def test_what_hangs_in_the_middle_is_stopped(self, node: NodeProcess) -> None:
        headers = {**CHUNK, "Idempotency-Key": "hangs-in-the-middle", "Upload-Metadata": "filename Zm9v"}
        headers |= {"Upload-Length": "300000", "Content-Length": "300000"}
        with node.connect() as hanging:
            hanging.send(head("POST", "/uploads/", headers) + CONTENT[:200_000])
            wait_until(lambda: _received(node, 200_000), "so much has come")
            answer = self.begin(node, 300_000, CONTENT[:300_000], "hangs-in-the-middle")
        assert answer.status == 201 and answer.headers["Upload-Offset"] == "200000"
        done = patch(node, answer.headers["Location"], 200_000, CONTENT[200_000:300_000])
        assert file_behind(node, done) == CONTENT[:300_000]

    def test_another_key_or_place_is_another_upload(self, node: NodeProcess) -> None:
        begun = [
            self.begin(node, 3, b""),
            self.begin(node, 3, b"", "another-random-one"),
            self.begin(node, 3, b"", to="/files/"),
        ]
        assert len({urlsplit(answer.headers["Location"]).path for answer in begun}) == 3

    def test_an_upload_that_was_cancelled_is_not_found(self, node: NodeProcess) -> None:
        upload = self.begin(node, 3, b"", "cancelled-meanwhile").headers["Location"]
        assert node.request("DELETE", upload, headers=VERSION).status == 204
        begun = self.begin(node, 3, b"", "cancelled-meanwhile")
        assert begun.status == 201 and begun.headers["Location"] != upload

    def test_keys_that_do_not_fit(self, node: NodeProcess) -> None:
        assert self.begin(node, 3, b"", "of-a-file-called-foo").status == 201
        assert self.begin(node, 3, b"", "of-a-file-called-foo", name="YmFy").status == 422
        assert self.begin(node, 3, b"", "too short").status == 400


def _received(node: NodeProcess, size: int) -> bool:
    return any(one["done"] >= size for one in node.get("/status?t=json").json()["requests"])


class TestChecksums:
    def test_right_bytes_count(self, node: NodeProcess) -> None:
        upload = create(node, len(CONTENT))
        digest = b64encode(hashlib.sha1(CONTENT).digest()).decode()
        assert file_behind(node, patch(node, upload, 0, CONTENT, {"Upload-Checksum": f"sha1 {digest}"})) == CONTENT

    def test_damaged_bytes_dont(self, node: NodeProcess) -> None:
        upload = create(node, len(CONTENT))
        patch(node, upload, 0, CONTENT[:300_000])
        digest = b64encode(hashlib.sha256(CONTENT[300_000:]).digest()).decode()
        checksum = {"Upload-Checksum": f"sha256 {digest}"}
        assert patch(node, upload, 300_000, b"x" * 2_700_000, checksum).status == 460
        assert offset_of(node, upload) == 300_000
        assert file_behind(node, patch(node, upload, 300_000, CONTENT[300_000:], checksum)) == CONTENT

    @pytest.mark.parametrize(("content", "status"), [(CONTENT, 204), (CONTENT[:-1] + b"\xff", 460)])
    def test_a_trailer_tells_them_too(self, node: NodeProcess, content: bytes, status: int) -> None:
        upload = create(node, len(CONTENT))
        digest = b64encode(hashlib.sha1(CONTENT).digest()).decode()
        headers = {**CHUNK, "Upload-Offset": "0", "Transfer-Encoding": "chunked", "Trailer": "Upload-Checksum"}
        with node.connect() as client:
            client.send(head("PATCH", upload, headers) + chunk(content))
            client.send(f"0\r\nUpload-Checksum: sha1 {digest}\r\n\r\n".encode())
            assert client.answer().status == status
        assert offset_of(node, upload) == (len(CONTENT) if status == 204 else 0)

    def test_unknown_ones_are_refused(self, node: NodeProcess) -> None:
        upload = create(node, 3)
        assert patch(node, upload, 0, b"abc", {"Upload-Checksum": "crc99 AAAA"}).status == 400


class TestJoining:
    def test_parts_become_a_file_in_the_order_that_is_told(self, node: NodeProcess) -> None:
        halves = CONTENT[:600_000], CONTENT[600_000:]
        parts = [create(node, len(half), Upload_Concat="partial") for half in halves]
        for part, half in reversed(list(zip(parts, halves, strict=True))):
            assert patch(node, part, 0, half).status == 204
        concat = f"final;{parts[0]} {node.url}{parts[1]}"
        answer = node.request("POST", "/uploads/", headers={**VERSION, "Upload-Concat": concat})
        assert answer.status == 201 and file_behind(node, answer) == CONTENT
        whole = answer.headers["Location"]
        told = node.request("HEAD", whole, headers=VERSION).headers
        assert told["Upload-Concat"] == concat and told["Upload-Length"] == "3000000"
        assert patch(node, whole, 3_000_000, b"").status == 403

    def test_unfinished_parts_dont(self, node: NodeProcess) -> None:
        part = create(node, 10, Upload_Concat="partial")
        answer = node.request("POST", "/uploads/", headers={**VERSION, "Upload-Concat": f"final;{part}"})
        assert answer.status == 409 and answer.headers["Tus-Resumable"] == "1.0.0"

    def test_uploads_that_arent_parts_dont(self, node: NodeProcess) -> None:
        upload = create(node, 3, b"abc")
        answer = node.request("POST", "/uploads/", headers={**VERSION, "Upload-Concat": f"final;{upload}"})
        assert answer.status == 400


class TestRefusals:
    def test_another_version(self, node: NodeProcess) -> None:
        answer = node.request("POST", "/uploads/", headers={"Tus-Resumable": "0.2.2", "Upload-Length": "3"})
        assert answer.status == 412 and answer.headers["Tus-Version"] == "1.0.0"

    @pytest.mark.parametrize(
        ("headers", "status"),
        [
            ({"Upload-Offset": "1"}, 409),
            ({"Upload-Offset": "x"}, 400),
            ({"Content-Type": "text/plain"}, 415),
            ({"Upload-Length": "5"}, 400),
        ],
    )
    def test_pieces_that_dont_fit(self, node: NodeProcess, headers: dict[str, str], status: int) -> None:
        assert patch(node, create(node, 3), 0, b"abc", headers).status == status

    def test_more_than_was_announced(self, node: NodeProcess) -> None:
        upload = create(node, 3)
        assert patch(node, upload, 0, b"abcd").status == 413
        assert offset_of(node, upload) == 0

    def test_what_isnt_there(self, node: NodeProcess) -> None:
        answer = patch(node, "/uploads/none", 0, b"abc")
        assert answer.status == 404

    def test_too_large_files(self, tmp_path_factory: pytest.TempPathFactory) -> None:
        settings = {**NOT_DURABLE, "gateway": {"max_upload_size": "1 MiB"}}
        with running(tmp_path_factory.mktemp("small") / "node", settings) as node:
            assert node.request("OPTIONS", "/uploads/").headers["Tus-Max-Size"] == "1048576"
            answer = node.request("POST", "/uploads/", headers={**VERSION, "Upload-Length": "1048577"})
            assert answer.status == 413
            upload = create(node, None)
            assert patch(node, upload, 0, bytes(1048577)).status == 413


def test_an_upload_that_isnt_wanted_any_more_leaves_nothing(new_node: NodeProcess) -> None:
    new_node.start()
    upload = create(new_node, len(CONTENT))
    patch(new_node, upload, 0, CONTENT[:2_000_000])
    assert new_node.incoming()
    assert new_node.request("DELETE", upload, headers=VERSION).status == 204
    assert new_node.request("HEAD", upload, headers=VERSION).status in (404, 410)
    wait_until(new_node.is_empty, "the peers have forgotten it")


def test_clients_that_know_only_post_say_what_they_mean(node: NodeProcess) -> None:
    upload = create(node, 3)
    headers = {**CHUNK, "Upload-Offset": "0", "X-HTTP-Method-Override": "PATCH"}
    assert node.request("POST", upload, b"abc", headers).status == 204


def test_what_there_is_here_is_told(node: NodeProcess) -> None:
    for place in ("/uploads/", "/files/", "/files/some/folder"):
        told = node.request("OPTIONS", place).headers
        assert told["Tus-Version"] == "1.0.0" and "sha1" in told["Tus-Checksum-Algorithm"]
        assert "concatenation" in told["Tus-Extension"] and "checksum-trailer" in told["Tus-Extension"]


def test_locations_lead_back_here(node: NodeProcess) -> None:
    answer = node.request("POST", "/uploads/", headers={**VERSION, "Upload-Length": "3"})
    assert urlsplit(answer.headers["Location"]).path.startswith("/uploads/")
