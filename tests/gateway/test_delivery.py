"""Files that come packed, and files of which something is claimed."""

from __future__ import annotations

import gzip
import hashlib
import random
import zlib
from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import brotli
import pytest
from backports import zstd

from tests.nodes import NOT_DURABLE, Answer, NodeProcess, chunk, curl, head, running
from tests.people import add_user, basic

KIB, MIB = 1 << 10, 1 << 20

PACKERS: Mapping[str, Callable[[bytes], bytes]] = {
    "gzip": lambda data: gzip.compress(data, 1),
    "deflate": lambda data: zlib.compress(data, 1),
    "br": lambda data: brotli.compress(data, quality=1),
    "zstd": lambda data: zstd.compress(data, 1),
}
every_coding = pytest.mark.parametrize("coding", PACKERS)
every_place = pytest.mark.parametrize("target", ["/uri", "/uri?convergent=true", "/files/delivered"])


def content_of(size: int) -> bytes:
    """Half of it can be packed away."""
    noise = random.Random(size).randbytes(size // 2)
    return noise + bytes(size - len(noise))


def packed(content: bytes, *codings: str) -> bytes:
    for coding in codings:
        content = PACKERS[coding](content)
    return content


def structured(algorithm: str, content: bytes) -> str:
    return f"{algorithm}=:{base64_of(algorithm, content)}:"


def base64_of(algorithm: str, content: bytes) -> str:
    return b64encode(hashlib.new(algorithm.replace("-", ""), content).digest()).decode()


CLAIMS: Mapping[str, Callable[[bytes], str]] = {
    "Content-MD5": lambda content: base64_of("md5", content),
    "Content-Digest": lambda content: structured("sha-256", content),
    "Repr-Digest": lambda content: structured("sha-512", content),
    "OC-Checksum": lambda content: f"SHA1:{hashlib.sha1(content).hexdigest()}",
    "x-amz-checksum-sha256": lambda content: base64_of("sha-256", content),
    "x-amz-checksum-crc32": lambda content: b64encode(zlib.crc32(content).to_bytes(4, "big")).decode(),
}
every_claim = pytest.mark.parametrize("field", CLAIMS)


def stored(node: NodeProcess, target: str, answer: Answer) -> bytes:
    """What became of it."""
    assert answer.status in (201, 204), answer
    return node.get(answer.headers["Location"] if target.startswith("/uri") else target).body


def send_chunked(
    node: NodeProcess,
    target: str,
    body: bytes,
    headers: Mapping[str, str],
    trailer: Mapping[str, str] | None = None,
) -> Answer:
    with node.connect() as client:
        client.send(head("PUT", target, {"Transfer-Encoding": "chunked", **headers}))
        for start in range(0, len(body), 100_000):
            client.send(chunk(body[start : start + 100_000]))
        end = "".join(f"{name}: {value}\r\n" for name, value in (trailer or {}).items())
        client.send(f"0\r\n{end}\r\n".encode())
        return client.answer("PUT")


def peak_memory(node: NodeProcess) -> int:
    assert node.process is not None
    status = Path(f"/proc/{node.process.pid}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) * KIB


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NodeProcess]:
    """A node where nothing is ever stored."""
    settings = {**NOT_DURABLE, "gateway": {"max_upload_size": 4 * MIB}}
    with running(tmp_path_factory.mktemp("bare") / "node", settings) as node:
        yield node
        assert node.stop() == 0, node.said
        assert "Traceback" not in node.said, node.said


def expect_nothing_stored(node: NodeProcess, answer: Answer, status: int = 400) -> None:
    assert answer.status == status, answer
    assert node.is_empty()
    assert node.get("/files/delivered").status == 404


class TestPacked:
    @every_place
    @every_coding
    def test_files_are_stored_as_they_were(self, node: NodeProcess, target: str, coding: str) -> None:
        content = content_of(1_500_000)
        answer = node.request("PUT", target, packed(content, coding), {"Content-Encoding": coding})
        assert stored(node, target, answer) == content

    @pytest.mark.parametrize("size", [0, 10, 55, 56, 100_000])
    def test_small_ones_too(self, node: NodeProcess, size: int) -> None:
        answer = node.request("PUT", "/uri", packed(content_of(size), "gzip"), {"Content-Encoding": "gzip"})
        assert stored(node, "/uri", answer) == content_of(size)

    @every_place
    def test_several_times_over_they_are_unpacked_in_turn(self, node: NodeProcess, target: str) -> None:
        content = content_of(300_000)
        body = packed(content, "deflate", "br", "gzip")
        answer = send_chunked(node, target, body, {"Content-Encoding": "deflate, br, gzip"})
        assert stored(node, target, answer) == content

    @every_coding
    def test_a_convergent_cap_is_that_of_what_was_packed(self, node: NodeProcess, coding: str) -> None:
        content = content_of(200_000)
        plain = node.request("PUT", "/uri?convergent=true", content)
        answer = node.request("PUT", "/uri?convergent=true", packed(content, coding), {"Content-Encoding": coding})
        assert answer.text == plain.text

    def test_a_directory_may_be_made_of_packed_json(self, node: NodeProcess) -> None:
        body = packed(b'{"a": ["filenode", {"ro_uri": "URI:LIT:me"}]}', "zstd")
        answer = node.request("POST", "/uri?t=mkdir-immutable", body, {"Content-Encoding": "zstd"})
        assert answer.status == 201 and node.get(f"/uri/{answer.text}/a").body == b"a"

    def test_curl_sends_what_gzip_has_packed(self, node: NodeProcess) -> None:
        content = content_of(700_000)
        done = curl("-T", "-", "-H", "Content-Encoding: gzip", f"{node.url}/uri", stdin=gzip.compress(content))
        assert done.status == 0
        assert node.get(f"/uri/{done.output.decode()}").body == content

    @every_place
    @every_coding
    def test_one_that_ends_in_the_middle_is_not_stored(self, bare: NodeProcess, target: str, coding: str) -> None:
        for body in (packed(content_of(1_500_000), coding)[:-20], b""):
            answer = bare.request("PUT", target, body, {"Content-Encoding": coding})
            expect_nothing_stored(bare, answer)
            assert "ends in the middle" in answer.text

    @every_coding
    def test_one_that_is_damaged_is_not_stored(self, bare: NodeProcess, coding: str) -> None:
        for body in (content_of(300_000), packed(content_of(300_000), coding) + b"garbage"):
            expect_nothing_stored(bare, bare.request("PUT", "/files/delivered", body, {"Content-Encoding": coding}))

    @pytest.mark.parametrize("method", ["PUT", "POST"])
    def test_what_cannot_be_unpacked_is_refused_before_it_is_sent(self, bare: NodeProcess, method: str) -> None:
        with bare.connect() as client:
            told = {"Content-Encoding": "compress", "Content-Length": "1000", "Expect": "100-continue"}
            client.send(head(method, "/uri", {**told, "Content-Type": "multipart/form-data; boundary=b"}))
            answer = client.interim_or_final(method)
        assert answer.status == 415
        assert answer.headers["Accept-Encoding"] == "gzip, deflate, br, zstd"

    def test_what_can_be_unpacked_is_offered(self, bare: NodeProcess) -> None:
        for target in ("/uri", "/files/"):
            answer = bare.request("OPTIONS", target)
            assert answer.headers["Accept-Encoding"] == "gzip, deflate, br, zstd"


class TestSize:
    """It is that of what is stored."""

    @every_place
    @every_coding
    def test_a_file_that_is_larger_unpacked_is_refused(self, bare: NodeProcess, target: str, coding: str) -> None:
        answer = bare.request("PUT", target, packed(bytes(5 * MIB), coding), {"Content-Encoding": coding})
        expect_nothing_stored(bare, answer, 413)

    def test_one_that_is_larger_packed_is_not(self, tmp_path: Path) -> None:
        content = random.Random(0).randbytes(100_000)
        with running(tmp_path / "node", {**NOT_DURABLE, "gateway": {"max_upload_size": len(content)}}) as node:
            body = packed(content, "gzip")
            assert len(body) > len(content)
            assert node.request("PUT", "/uri", body, {"Content-Encoding": "gzip"}).status == 201
            assert node.request("PUT", "/uri", body + bytes(10_000), {"Content-Encoding": "gzip"}).status == 413

    def test_what_was_expected_is_the_unpacked_one(self, node: NodeProcess) -> None:
        content = content_of(100_000)
        body, coded = packed(content, "gzip"), {"Content-Encoding": "gzip"}
        put = "PUT", "/files/expected", body
        assert node.request(*put, coded | {"X-Expected-Entity-Length": str(len(body))}).status == 400
        assert node.request(*put, coded | {"X-Expected-Entity-Length": str(len(content))}).status == 201

    def test_the_quota_is_for_the_unpacked_one(self, new_node: NodeProcess) -> None:
        new_node.start()
        add_user(new_node, "alice", "--quota", "1 MB")
        as_alice = {**basic("alice"), "Content-Encoding": "gzip"}
        answer = new_node.request("PUT", "/files/delivered", packed(bytes(2 * MIB), "gzip"), as_alice)
        assert answer.status == 507 and new_node.is_empty()
        small = new_node.request("PUT", "/files/delivered", packed(bytes(900_000), "gzip"), as_alice)
        assert small.status == 201

    @pytest.mark.parametrize("codings", [("br",), ("zstd",), ("gzip", "gzip")])
    def test_more_than_anybody_means_is_refused_without_a_bound_too(
        self, node: NodeProcess, codings: tuple[str, ...]
    ) -> None:
        bomb = packed(bytes(256 * MIB), *codings)
        before, peak_before = set(node.shares()), peak_memory(node)
        answer = node.request("PUT", "/uri", bomb, {"Content-Encoding": ", ".join(codings)})
        assert answer.status == 413 and "times as many" in answer.text
        assert set(node.shares()) == before and not node.incoming()
        assert peak_memory(node) < peak_before + 64 * MIB


class TestUploadsOverSeveralRequests:
    """They come as they are."""

    @pytest.mark.parametrize(
        ("method", "target", "headers"),
        [
            ("POST", "/uploads/", {"Tus-Resumable": "1.0.0", "Upload-Length": "1000"}),
            (
                "POST",
                "/files/",
                {"Tus-Resumable": "1.0.0", "Upload-Length": "1000", "Upload-Metadata": "filename YQ=="},
            ),
            ("PATCH", "/uploads/anything", {"Tus-Resumable": "1.0.0", "Upload-Offset": "0"}),
            ("PUT", "/files/delivered", {"Content-Range": "bytes 0-999/2000"}),
            ("PUT", "/files/delivered", {"Upload-Complete": "?0", "Upload-Draft-Interop-Version": "8"}),
        ],
    )
    def test_packed_ones_are_refused(
        self, bare: NodeProcess, method: str, target: str, headers: Mapping[str, str]
    ) -> None:
        told = {"Content-Type": "application/offset+octet-stream", "Content-Encoding": "gzip", **headers}
        answer = bare.request(method, target, bytes(1000), told)
        expect_nothing_stored(bare, answer, 415)
        assert "without Content-Encoding" in answer.text and answer.headers["Accept-Encoding"] == "identity"

    def test_one_that_comes_whole_needs_to_be_none_of_them(self, node: NodeProcess) -> None:
        headers = {"Content-Encoding": "gzip", "Upload-Complete": "?1", "Upload-Draft-Interop-Version": "8"}
        answer = node.request("PUT", "/uri", packed(content_of(100_000), "gzip"), headers)
        assert stored(node, "/uri", answer) == content_of(100_000)


class TestClaims:
    @every_place
    @every_claim
    def test_a_file_that_is_what_was_claimed_is_stored(self, node: NodeProcess, target: str, field: str) -> None:
        content = content_of(1_500_000)
        headers = {field: CLAIMS[field](content)}
        assert stored(node, target, node.request("PUT", target, content, headers)) == content
        assert stored(node, target, send_chunked(node, target, content, headers)) == content

    @every_place
    @every_claim
    @pytest.mark.parametrize("size", [10, 60_000, 1_500_000])
    def test_a_file_that_is_not_is_nowhere(self, bare: NodeProcess, target: str, field: str, size: int) -> None:
        headers = {field: CLAIMS[field](b"something else")}
        answer = bare.request("PUT", target, content_of(size), headers | {"Accept": "application/json"})
        expect_nothing_stored(bare, answer)
        assert answer.headers["Content-Type"] == "application/problem+json"
        assert field in answer.json()["detail"]
        expect_nothing_stored(bare, send_chunked(bare, target, content_of(size), headers))

    @every_claim
    def test_of_a_packed_file_it_is_what_was_sent_that_counts_but_for_what_stays(
        self, node: NodeProcess, field: str
    ) -> None:
        content = content_of(100_000)
        body, coded = packed(content, "zstd"), {"Content-Encoding": "zstd"}
        right, wrong = (content, body) if field == "OC-Checksum" else (body, content)
        assert node.request("PUT", "/uri", body, coded | {field: CLAIMS[field](right)}).status == 201
        assert node.request("PUT", "/uri", body, coded | {field: CLAIMS[field](wrong)}).status == 400

    @every_claim
    def test_what_is_no_digest_is_refused_before_the_file_is_sent(self, bare: NodeProcess, field: str) -> None:
        with bare.connect() as client:
            client.send(
                head("PUT", "/uri", {"Content-Length": "9", "Expect": "100-continue", field: "sha-256=nonsense"})
            )
            assert client.interim_or_final("PUT").status == 400


class TestTrailers:
    @pytest.mark.parametrize("announcing", ["Trailer", "x-amz-trailer"])
    @pytest.mark.parametrize("field", [field for field in CLAIMS if field != "OC-Checksum"])
    def test_what_comes_behind_is_looked_at_as_well(self, node: NodeProcess, field: str, announcing: str) -> None:
        content = content_of(300_000)
        before = set(node.shares())
        wrong = send_chunked(node, "/uri", content, {announcing: field}, {field: CLAIMS[field](b"other")})
        assert wrong.status == 400 and set(node.shares()) == before
        right = send_chunked(node, "/uri", content, {announcing: field}, {field: CLAIMS[field](content)})
        assert stored(node, "/uri", right) == content

    def test_of_packed_files_too(self, node: NodeProcess) -> None:
        content = content_of(300_000)
        body = packed(content, "br")
        for claimed, status in ((body, 201), (content, 400)):
            headers = {"Content-Encoding": "br", "Trailer": "Content-Digest"}
            trailer = {"Content-Digest": structured("sha-256", claimed)}
            assert send_chunked(node, "/files/trailed", body, headers, trailer).status == status

    def test_what_was_not_announced_cannot_be_looked_at(self, bare: NodeProcess) -> None:
        content = content_of(100_000)
        answer = send_chunked(bare, "/uri", content, {}, {"Content-Digest": structured("sha-256", content)})
        expect_nothing_stored(bare, answer)
        assert "announced" in answer.text


class TestForms:
    """Each part has header fields of its own."""

    BOUNDARY = "----boundary"
    FORM = f"multipart/form-data; boundary={BOUNDARY}"

    def part(self, name: str, content: bytes, headers: Mapping[str, str] | None = None) -> bytes:
        fields = {"Content-Disposition": f'form-data; name="file"; filename="{name}"', **(headers or {})}
        lines = "".join(f"{field}: {value}\r\n" for field, value in fields.items())
        return f"--{self.BOUNDARY}\r\n{lines}\r\n".encode() + content + b"\r\n"

    def form(self, *parts: bytes) -> bytes:
        return b"".join(parts) + f"--{self.BOUNDARY}--\r\n".encode()

    def post(self, node: NodeProcess, form: bytes, headers: Mapping[str, str] | None = None) -> Answer:
        told = {"Content-Type": self.FORM, "Accept": "application/json", **(headers or {})}
        return node.request("POST", "/uri?t=upload", form, told)

    @every_coding
    def test_a_part_may_be_packed(self, node: NodeProcess, coding: str) -> None:
        content = content_of(200_000)
        form = self.form(
            self.part("packed", packed(content, coding), {"Content-Encoding": coding}), self.part("b", b"b")
        )
        one, other = self.post(node, form).json()
        assert (one["size"], node.get(f"/uri/{one['cap']}").body) == (200_000, content)
        assert node.get(f"/uri/{other['cap']}").body == b"b"

    @every_claim
    def test_a_part_that_is_not_what_was_claimed_is_left_out(self, node: NodeProcess, field: str) -> None:
        content = content_of(200_000)
        claim = {field: CLAIMS[field](content)}
        form = self.form(self.part("a", b"damaged" * 1000, claim), self.part("b", content, claim))
        before = len(node.shares())
        answer = self.post(node, form)
        damaged, good = answer.json()
        assert answer.status == 400 and damaged["error"]["status"] == 400
        assert node.get(f"/uri/{good['cap']}").body == content
        assert len(node.shares()) == before + 3

    @pytest.mark.parametrize(
        ("headers", "status"), [({"Content-Encoding": "gzip"}, 400), ({"Content-Encoding": "compress"}, 415)]
    )
    def test_a_part_that_cannot_be_unpacked_is_left_out(
        self, node: NodeProcess, headers: Mapping[str, str], status: int
    ) -> None:
        answer = self.post(node, self.form(self.part("a", content_of(100_000), headers), self.part("b", b"b")))
        bad, good = answer.json()
        assert answer.status == bad["error"]["status"] == status and good["cap"] == "URI:LIT:mi"

    @every_coding
    def test_all_of_it_may_be_packed(self, node: NodeProcess, coding: str) -> None:
        contents = [content_of(200_000), content_of(5)]
        form = self.form(*(self.part(str(number), content) for number, content in enumerate(contents)))
        results = self.post(node, packed(form, coding), {"Content-Encoding": coding}).json()
        assert [node.get(f"/uri/{result['cap']}").body for result in results] == contents

    def test_a_form_that_ends_in_the_middle_is_no_answer_for_its_files(self, bare: NodeProcess) -> None:
        form = packed(self.form(self.part("a", content_of(2 * MIB)), self.part("b", b"b")), "gzip")
        answer = self.post(bare, form[: len(form) // 2], {"Content-Encoding": "gzip"})
        expect_nothing_stored(bare, answer)
        assert "ends in the middle" in answer.json()["detail"]

    @pytest.mark.parametrize("field", [field for field in CLAIMS if field != "OC-Checksum"])
    def test_a_digest_of_the_form_is_that_of_its_one_file(self, bare: NodeProcess, field: str) -> None:
        form = self.form(self.part("a", content_of(100_000)))
        answer = self.post(bare, form, {field: CLAIMS[field](content_of(100_000))})
        expect_nothing_stored(bare, answer)
        form = self.form(self.part("a", b"a"))
        assert self.post(bare, form, {field: CLAIMS[field](form)}).status == 201

    def test_of_several_files_it_would_come_too_late(self, bare: NodeProcess) -> None:
        form = self.form(self.part("a", content_of(100_000)), self.part("b", b"b"))
        answer = self.post(bare, form, {"Content-Digest": structured("sha-256", form)})
        expect_nothing_stored(bare, answer)
        assert "one file" in answer.json()["detail"]


class TestWanted:
    @every_place
    @pytest.mark.parametrize("algorithm", ["sha-256", "sha-512"])
    def test_the_digest_is_told_when_the_file_is_stored(self, node: NodeProcess, target: str, algorithm: str) -> None:
        content = content_of(300_000)
        wanted = {"Want-Repr-Digest": f"{algorithm}=10, unixsum=3"}
        for body, headers in ((content, {}), (packed(content, "gzip"), {"Content-Encoding": "gzip"})):
            answer = node.request("PUT", target, body, wanted | headers)
            assert answer.headers["Repr-Digest"] == structured(algorithm, content)

    def test_nobody_is_told_who_does_not_ask(self, node: NodeProcess) -> None:
        for wanted in ({}, {"Want-Repr-Digest": "md5=10, sha-256=0"}):
            assert node.request("PUT", "/uri", b"abc", wanted).headers["Repr-Digest"] is None


class TestWantedOfFiles:
    """When they are read."""

    def read(self, node: NodeProcess, target: str, headers: Mapping[str, str], method: str = "GET") -> Answer:
        return node.request(method, target, headers={"Want-Repr-Digest": "sha-256=1", **headers})

    @pytest.mark.parametrize("told", [{"Want-Repr-Digest": "sha-256=5"}, {"Repr-Digest": ""}, {"Content-Digest": ""}])
    def test_what_was_told_of_a_name_is_told_again(self, node: NodeProcess, told: Mapping[str, str]) -> None:
        content = content_of(300_000)
        digest = structured("sha-256", content)
        headers = {name: value or digest for name, value in told.items()}
        assert node.request("PUT", "/files/known", content, headers).status in (201, 204)
        for method in ("GET", "HEAD"):
            assert self.read(node, "/files/known", {}, method).headers["Repr-Digest"] == digest
        part = self.read(node, "/files/known", {"Range": "bytes=5-9", "Want-Content-Digest": "sha-256=1"})
        assert (part.status, part.headers["Repr-Digest"], part.headers["Content-Digest"]) == (206, digest, None)
        whole = self.read(node, "/files/known", {"Want-Content-Digest": "sha-256=1"})
        assert whole.headers["Content-Digest"] == digest

    def test_what_is_in_a_cap_is_told_at_once(self, node: NodeProcess) -> None:
        wanted = {"Want-Content-Digest": "sha-512=1"}
        for method in ("GET", "HEAD"):
            answer = self.read(node, "/uri/URI:LIT:mfrgg", wanted, method)
            assert answer.headers["Repr-Digest"] == structured("sha-256", b"abc")
            assert answer.headers["Content-Digest"] == structured("sha-512", b"abc")

    def test_the_rest_comes_behind_the_file_for_those_who_read_on(self, node: NodeProcess, tmp_path: Path) -> None:
        content = content_of(3 * MIB)
        cap = node.put(content)
        wants = ["-H", "TE: trailers", "-H", "Want-Repr-Digest: sha-256=1", "-H", "Want-Content-Digest: sha-512=1"]
        wants += ["-D", str(tmp_path / "fields")]
        done = curl(*wants, f"{node.url}/uri/{cap}")
        assert done.status == 0 and done.output == content
        fields = (tmp_path / "fields").read_text()
        assert "\nTrailer: Repr-Digest, Content-Digest\n" in fields
        assert f"\nRepr-Digest: {structured('sha-256', content)}\n" in fields
        assert f"\nContent-Digest: {structured('sha-512', content)}\n" in fields
        assert curl(*wants, "-r", "100-199", f"{node.url}/uri/{cap}").output == content[100:200]
        fields = (tmp_path / "fields").read_text()
        assert f"\nContent-Digest: {structured('sha-512', content[100:200])}\n" in fields
        assert "\nRepr-Digest" not in fields

    def test_and_for_others_it_does_not(self, node: NodeProcess) -> None:
        cap = node.put(content_of(100_000))
        answer = self.read(node, f"/uri/{cap}", {})
        assert answer.headers["Content-Length"] == "100000" and answer.headers["Repr-Digest"] is None
        head = self.read(node, f"/uri/{cap}", {"TE": "trailers"}, "HEAD")
        assert head.headers["Content-Length"] == "100000" and head.headers["Trailer"] is None
