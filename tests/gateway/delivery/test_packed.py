"""Files that come packed are stored as they were before."""

from __future__ import annotations

import gzip
import random
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.gateway.delivery.shipping import (
    KIB,
    MIB,
    content_of,
    every_coding,
    every_place,
    expect_nothing_stored,
    packed,
    send_chunked,
    stored,
)
from tests.nodes import NOT_DURABLE, NodeProcess, curl, head, running
from tests.people import add_user, basic


def peak_memory(node: NodeProcess) -> int:
    assert node.process is not None
    status = Path(f"/proc/{node.process.pid}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) * KIB


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
