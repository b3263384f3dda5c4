"""`PUT /uri`: a body becomes a file."""

from __future__ import annotations

import pytest

from tahoeish.chk.caps import LiteralCap, ReadCap, parse_cap
from tests.nodes import NodeProcess, RawClient, chunk, content_of, curl, head, wait_until


def test_the_answer_is_the_cap_and_where_to_find_it(node: NodeProcess) -> None:
    content = content_of(200_000)

    answer = node.request("PUT", "/uri", content)

    assert answer.status == 201
    assert answer.headers["Content-Type"] == "text/plain; charset=utf-8"
    cap = parse_cap(answer.text)
    assert isinstance(cap, ReadCap) and (cap.size, cap.needed, cap.total) == (200_000, 2, 3)
    assert node.get(answer.headers["Location"]).body == content


@pytest.mark.parametrize("size", [56, 57, 1_048_575, 1_048_576, 1_048_577, 5_000_000])
def test_a_file_comes_back(node: NodeProcess, size: int) -> None:
    content = content_of(size)
    assert node.get(f"/uri/{node.put(content)}").body == content


@pytest.mark.parametrize("size", [0, 1, 55])
def test_a_tiny_file_is_its_own_cap(node: NodeProcess, size: int) -> None:
    content = content_of(size)
    cap = node.put(content)
    assert parse_cap(cap) == LiteralCap(content)
    assert node.get(f"/uri/{cap}").body == content


def test_an_empty_file_is_uri_lit(node: NodeProcess) -> None:
    assert node.put(b"") == "URI:LIT:"


@pytest.mark.parametrize("size", [0, 55, 56, 3_000_000])
def test_the_length_need_not_be_known(node: NodeProcess, size: int) -> None:
    content = content_of(size)
    with node.connect() as client:
        client.send(head("PUT", "/uri", {"Transfer-Encoding": "chunked"}))
        for start in range(0, size, 100_000):
            client.send(chunk(content[start : start + 100_000]))
        client.send(chunk(b""))
        answer = client.answer()
    assert answer.status == 201
    parsed = parse_cap(answer.text)
    assert not isinstance(parsed, str) and parsed.size == size
    assert node.get(f"/uri/{answer.text}").body == content


@pytest.mark.parametrize("query", ["format=CHK", "format=chk", "mutable=false", "mutable=F", "mutable=0", "mutable="])
def test_what_is_asked_for_is_what_there_is(node: NodeProcess, query: str) -> None:
    assert node.request("PUT", f"/uri?{query}", b"x").status == 201


@pytest.mark.parametrize(
    ("query", "status", "told"),
    [
        ("format=SDMF", 501, "mutable"),
        ("format=mdmf", 501, "mutable"),
        ("mutable=true", 501, "mutable"),
        ("mutable=On", 501, "mutable"),
        ("mutable=junk", 400, "'junk'"),
        ("format=other", 400, "'other'"),
        ("t=mkdir", 400, "t="),
    ],
)
def test_what_there_is_not_is_refused(node: NodeProcess, query: str, status: int, told: str) -> None:
    answer = node.request("PUT", f"/uri?{query}", b"x")
    assert answer.status == status and told in answer.text


@pytest.mark.parametrize("method", ["PUT", "POST", "DELETE"])
def test_a_file_never_changes(node: NodeProcess, method: str) -> None:
    answer = node.request(method, "/uri/URI:LIT:", b"x")
    assert answer.status == 405
    assert "GET" in answer.headers["Allow"]


def test_alias(node: NodeProcess) -> None:
    assert node.request("PUT", "/cap", b"abc").text == node.put(b"abc")


class TestOneConnection:
    def test_goes_on_after_an_upload(self, node: NodeProcess) -> None:
        with node.connect() as client:
            caps = [put_on(client, content_of(size)) for size in (70_000, 10, 2_000_000)]
            for cap, size in zip(caps, (70_000, 10, 2_000_000), strict=True):
                client.send(head("GET", f"/uri/{cap}", {}))
                assert client.answer().body == content_of(size)

    def test_carries_pipelined_requests(self, node: NodeProcess) -> None:
        bodies = [content_of(size, seed=size) for size in (100_000, 0, 60, 300_000)]
        with node.connect() as client:
            client.send(b"".join(put_request(body) for body in bodies) + head("GET", "/uri/URI:LIT:me", {}))
            answers = [client.answer() for _ in range(len(bodies) + 1)]
        assert [answer.status for answer in answers] == [201, 201, 201, 201, 200]
        assert answers.pop().body == b"a"
        for answer, body in zip(answers, bodies, strict=True):
            assert node.get(f"/uri/{answer.text}").body == body

    def test_goes_on_after_a_chunked_upload(self, node: NodeProcess) -> None:
        with node.connect() as client:
            for _ in range(2):
                client.send(head("PUT", "/uri", {"Transfer-Encoding": "chunked"}) + chunk(b"a") + chunk(b""))
                assert client.answer().text == "URI:LIT:me"


def test_curl_is_invited_to_send(node: NodeProcess) -> None:
    content = content_of(1_500_000)
    done = curl("-T", "-", "-H", "Expect: 100-continue", f"{node.url}/uri", stdin=content)
    assert done.status == 0 and "< HTTP/1.1 100 Continue" in done.wire
    assert curl(f"{node.url}/uri/{done.output.decode()}").output == content


def test_shares_are_written_while_the_body_arrives(node: NodeProcess) -> None:
    with node.connect() as client:
        client.send(head("PUT", "/uri", {"Content-Length": str(100 * 1024 * 1024)}))
        client.send(content_of(3 * 1024 * 1024))
        wait_until(
            lambda: [path.stat().st_size > 0 for path in node.incoming()] == [True] * 3,
            "each peer has the first bytes of its share",
        )
    wait_until(lambda: not node.incoming(), "the abandoned upload is cleared away")


def put_request(body: bytes) -> bytes:
    return head("PUT", "/uri", {"Content-Length": str(len(body))}) + body


def put_on(client: RawClient, body: bytes) -> str:
    client.send(put_request(body))
    answer = client.answer()
    assert answer.status == 201
    return answer.text
