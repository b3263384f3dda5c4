"""Files of which something is claimed, and what a client wants to be told of them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.gateway.delivery.shipping import (
    CLAIMS,
    MIB,
    content_of,
    every_claim,
    every_place,
    expect_nothing_stored,
    packed,
    send_chunked,
    stored,
    structured,
)
from tests.nodes import Answer, NodeProcess, curl, head


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
    @every_claim
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

    def test_of_a_packed_file_what_stays_is_looked_at_behind_it_too(self, node: NodeProcess) -> None:
        content = content_of(300_000)
        body = packed(content, "gzip")
        for claimed, status in ((content, 201), (body, 400)):
            headers = {"Content-Encoding": "gzip", "Trailer": "OC-Checksum"}
            trailer = {"OC-Checksum": CLAIMS["OC-Checksum"](claimed)}
            assert send_chunked(node, "/uri", body, headers, trailer).status == status

    @every_claim
    def test_what_was_not_announced_cannot_be_looked_at(self, bare: NodeProcess, field: str) -> None:
        content = content_of(100_000)
        answer = send_chunked(bare, "/uri", content, {}, {field: CLAIMS[field](content)})
        expect_nothing_stored(bare, answer)
        assert "announced" in answer.text


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
