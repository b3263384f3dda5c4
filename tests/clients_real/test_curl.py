"""curl: whole files, streams of unknown length, and being refused before anything is sent."""

from __future__ import annotations

import pytest

from tests.nodes import NodeProcess, content_of, curl

pytestmark = pytest.mark.clients


def test_a_stream_without_a_length_becomes_a_file(node: NodeProcess) -> None:
    content = content_of(2_000_000)
    done = curl("-T", "-", "-w", "%{http_code}", f"{node.url}/files/curl-stream", stdin=content)
    assert (done.status, done.output) == (0, b"201")
    assert curl(f"{node.url}/files/curl-stream").output == content


def test_a_refusal_comes_before_the_body(node: NodeProcess) -> None:
    target = f"{node.url}/files/no-such-folder/file"
    done = curl("-T", "-", "-H", "Expect: 100-continue", target, stdin=content_of(5_000_000))
    assert "< HTTP/1.1 409" in done.wire and "100 Continue" not in done.wire
    assert b"make it first" in done.output


def test_a_folder_in_the_address_gets_the_file(node: NodeProcess, tmp_path_factory: pytest.TempPathFactory) -> None:
    source = tmp_path_factory.mktemp("curl") / "named"
    source.write_bytes(b"content")
    assert curl("-T", str(source), f"{node.url}/files/").status == 0
    assert node.get("/files/named").body == b"content"


def test_a_download_goes_on_where_it_was(node: NodeProcess) -> None:
    content = content_of(1_000_000)
    assert node.request("PUT", "/files/resumed", content).status == 201
    assert curl("-r", "600000-", f"{node.url}/files/resumed").output == content[600_000:]
