"""A body that isn't wanted: the client is told at once, and gets to read it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.nodes import NOT_DURABLE, NodeProcess, chunk, content_of, curl, head, running

LIMIT = 1_000_000
TOO_MUCH = 20_000_000


@pytest.fixture(scope="module")
def small_node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NodeProcess]:
    """Takes a million bytes."""
    settings = {**NOT_DURABLE, "gateway": {"max_upload_size": LIMIT}}
    with running(tmp_path_factory.mktemp("small") / "node", settings) as node:
        yield node
        assert not node.shares() and not node.incoming()


@pytest.fixture(scope="module")
def too_large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("files") / "too-large"
    path.write_bytes(content_of(TOO_MUCH))
    return path


def test_who_asks_first_is_refused_instead_of_invited(small_node: NodeProcess, too_large: Path) -> None:
    done = curl("-T", str(too_large), "-H", "Expect: 100-continue", f"{small_node.url}/uri")
    assert done.status == 0
    assert b"at most 1000000" in done.output
    assert "< HTTP/1.1 413" in done.wire
    assert "100 Continue" not in done.wire
    assert "We are completely uploaded" not in done.wire


def test_who_sends_at_once_reads_the_answer_too(small_node: NodeProcess, too_large: Path) -> None:
    done = curl("-T", str(too_large), "-H", "Expect:", f"{small_node.url}/uri")
    assert b"at most 1000000" in done.output and "< HTTP/1.1 413" in done.wire


def test_who_reads_only_at_the_end_finds_it_there(small_node: NodeProcess, too_large: Path) -> None:
    with small_node.connect() as client:
        client.send(head("PUT", "/uri", {"Content-Length": str(TOO_MUCH)}))
        client.send(too_large.read_bytes())
        answer = client.answer()
        assert answer.status == 413 and f"{TOO_MUCH} bytes long" in answer.text
        assert answer.headers["Connection"] == "close"
        assert client.ended()


def test_a_body_of_unknown_length_is_refused_when_it_is_too_long(small_node: NodeProcess) -> None:
    with small_node.connect() as client:
        client.send(head("PUT", "/uri", {"Transfer-Encoding": "chunked"}))
        for _ in range(200):
            client.send(chunk(bytes(100_000)))
        client.send(chunk(b""))
        answer = client.answer()
        assert answer.status == 413 and "longer than the 1000000 bytes" in answer.text
        assert client.ended()


def test_a_directory_is_a_file_too(small_node: NodeProcess) -> None:
    with small_node.connect() as client:
        announced = {"Content-Length": str(LIMIT + 1), "Expect": "100-continue"}
        client.send(head("POST", "/uri?t=mkdir-immutable", announced))
        answer = client.interim_or_final()
        assert answer.status == 413 and "at most 1000000" in answer.text


def test_exactly_the_limit_is_taken(tmp_path: Path) -> None:
    settings = {**NOT_DURABLE, "gateway": {"max_upload_size": LIMIT}}
    with running(tmp_path / "node", settings) as node:
        assert node.get(f"/uri/{node.put(bytes(LIMIT))}").body == bytes(LIMIT)


@pytest.mark.parametrize("target", ["/nowhere", "/uri?format=SDMF", "/uri?t=mkdir", "/uri/URI:LIT:"])
def test_other_refusals_come_as_early(small_node: NodeProcess, target: str) -> None:
    with small_node.connect() as client:
        client.send(head("PUT", target, {"Content-Length": "500000", "Expect": "100-continue"}))
        assert client.interim_or_final().status in (400, 404, 405, 501)


@pytest.mark.parametrize("query", ["t=mkdir", "format=other", "when_done=ftp://x"])
def test_forms_are_refused_as_early(small_node: NodeProcess, query: str) -> None:
    with small_node.connect() as client:
        headers = {"Content-Length": "500000", "Content-Type": "multipart/form-data; boundary=x"}
        client.send(head("POST", f"/uri?{query}", {**headers, "Expect": "100-continue"}))
        assert client.interim_or_final().status == 400


def test_a_short_body_that_was_refused_keeps_the_connection(small_node: NodeProcess) -> None:
    with small_node.connect() as client:
        for _ in range(3):
            client.send(head("PUT", "/uri?format=SDMF", {"Content-Length": "60000"}) + bytes(60_000))
            assert client.answer().status == 501
        client.send(head("GET", "/uri/URI:LIT:me", {}))
        assert client.answer().body == b"a"


def test_who_sends_on_for_ever_is_cut_off(tmp_path: Path) -> None:
    settings = {"gateway": {"max_upload_size": LIMIT, "linger_bytes": "4 MiB"}}
    with running(tmp_path / "node", settings) as node, node.connect() as client:
        client.send(head("PUT", "/uri", {"Content-Length": str(10**12)}))
        with pytest.raises(ConnectionError):
            client.send(bytes(200_000_000))
