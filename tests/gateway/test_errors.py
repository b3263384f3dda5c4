"""What clients are told when something is wrong, each in the form that it understands."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tahoeish.gateway.errors import is_mishap, problem_of
from tahoeish.namespace.errors import NoSuchUpload, Superseded
from tahoeish.streams.codings import ACCEPTED, ExpandsTooFar, UnknownCoding
from tahoeish.streams.digests import BadDigest
from tahoeish.streams.expansion import BrokenCoding
from tests.nodes import NOT_DURABLE, BrokenOff, NodeProcess, content_of, head, running
from tests.people import add_user, basic

UNKNOWN = "URI:CHK:aaaaaaaaaaaaaaaaaaaaaaaaaa:" + 52 * "a" + ":2:3:1000"


@pytest.mark.parametrize(
    ("error", "mishap"),
    [(BadDigest("it isn't one"), False), (NoSuchUpload("x"), False), (KeyError("x"), True)],
)
def test_only_what_no_status_tells_is_a_mishap(error: Exception, mishap: bool) -> None:
    assert is_mishap(error) is mishap


@pytest.mark.parametrize(
    "cap",
    ["junk", "URI:CHK:", "URI:CHK:a:b:2:3:4", "URI:LIT:0", "URI:SSK:aaaa", UNKNOWN + "x", UNKNOWN + ":5",
     "URI%3ACHK%3A", "%ff%fe", "x" * 10_000, UNKNOWN.replace(":2:3:", ":3:2:"), UNKNOWN.replace("aaaa:", "aaa1:")],
)  # fmt: skip
@pytest.mark.parametrize("target", ["/uri/{}", "/file/{}/@@named=/a.txt", "/uri/{}/child"])
def test_a_malformed_cap(node: NodeProcess, cap: str, target: str) -> None:
    answer = node.get(target.format(cap))
    assert answer.status == 400
    assert answer.headers["Content-Type"] == "text/plain; charset=utf-8"
    assert 10 < len(answer.text) < 1000


def test_people_read_text_and_programs_problem_json(node: NodeProcess) -> None:
    detail = node.get("/uri/junk").text.removesuffix("\n")

    for accept in ("application/json", "application/problem+json, */*"):
        answer = node.get("/uri/junk", {"Accept": accept})
        assert answer.status == 400 and answer.headers["Content-Type"] == "application/problem+json"
        assert answer.json() == {"type": "about:blank", "title": "Bad request", "status": 400, "detail": detail}


@pytest.mark.parametrize(
    ("error", "status"),
    [(BadDigest("?"), 400), (BrokenCoding("?"), 400), (ExpandsTooFar("?"), 413), (UnknownCoding("?"), 415)],
)
def test_a_body_that_is_not_what_it_should_be_has_the_status_of_its_error(error: Exception, status: int) -> None:
    assert problem_of(error).status == status
    assert problem_of(error).headers == ({"Accept-Encoding": ACCEPTED} if status == 415 else {})


def test_an_error_may_quote_what_is_no_text(tmp_path: Path) -> None:
    with running(tmp_path / "node", NOT_DURABLE) as node:
        add_user(node, "alice")
        answer = node.request("POST", "/links", b'{"half \\ud800": 1}', basic("alice"))
        assert answer.status == 400 and "half \\ud800" in answer.text


def test_an_upload_that_is_gone_or_with_another_process() -> None:
    assert problem_of(NoSuchUpload("1")).status == 404
    taken_over = problem_of(Superseded("1"))
    assert taken_over.status == 409 and "another process of the node has taken over" in taken_over.detail


class TestTooFewShares:
    def test_none(self, node: NodeProcess) -> None:
        answer = node.get(f"/uri/{UNKNOWN}")
        assert answer.status == 410
        assert answer.text == "2 different shares are needed, none was found\n"

    def test_how_many_were_found_where(self, node: NodeProcess) -> None:
        cap = node.put(content_of(100_000, seed=1))
        kept, *lost = node.shares(cap)
        for share in lost:
            share.unlink()
        peer = f"peers/{kept.relative_to(node.directory / 'peers').parts[0]}"

        answer = node.get(f"/uri/{cap}")
        assert answer.status == 410
        assert answer.text == f"2 different shares are needed, 1 found: {kept.name} on {peer}\n"

        problem = node.get(f"/uri/{cap}", {"Accept": "application/json"}).json()
        assert (problem["title"], problem["needed"]) == ("Not enough shares", 2)
        assert problem["found"] == {kept.name: [peer]}

    def test_head_asks_no_peer(self, node: NodeProcess) -> None:
        answer = node.request("HEAD", f"/uri/{UNKNOWN}")
        assert answer.status == 200 and answer.headers["Content-Length"] == "1000"

    def test_a_damaged_share_is_replaced_and_reported(self, tmp_path: Path) -> None:
        with running(tmp_path / "node", NOT_DURABLE) as node:
            content = content_of(3_000_000)
            cap = node.put(content)
            damaged = next(share for share in node.shares() if share.name == "0")
            _damage(damaged)
            assert node.get(f"/uri/{cap}").body == content
            # A share that never came into use may be damaged unnoticed; this one came first.
            advisories = list(node.directory.glob("peers/*/corruption-advisories/*"))
            assert len(advisories) == 1 and "share number: 0" in advisories[0].read_text()

    def test_found_out_too_late_for_a_status_the_response_breaks_off(self, tmp_path: Path) -> None:
        with running(tmp_path / "node", NOT_DURABLE) as node:
            cap = node.put(content_of(12_000_000))
            for share in node.shares()[:2]:
                _damage(share)
            with node.connect() as client:
                client.send(head("GET", f"/uri/{cap}", {}))
                with pytest.raises(BrokenOff):
                    client.answer()


class TestUnhappyUploads:
    def test_too_few_peers_are_there(self, tmp_path: Path) -> None:
        with running(tmp_path / "node", NOT_DURABLE) as node:
            for peer in node.peers[:2]:
                peer.rename(peer.with_name(f"{peer.name}.away"))
            with node.connect() as client:
                client.send(head("PUT", "/uri", {"Content-Length": "1000000", "Expect": "100-continue"}))
                answer = client.interim_or_final()
            assert answer.status == 503 and answer.headers["Retry-After"] == "60"
            assert "1 peers only, 2 are wanted" in answer.text
            assert "peers/1" in answer.text and "peers/2" in answer.text and "peers/3:" not in answer.text
            assert not node.shares() and not node.incoming()

            for peer in node.peers[:2]:
                peer.with_name(f"{peer.name}.away").rename(peer)
            assert node.get(f"/uri/{node.put(content_of(1000))}").body == content_of(1000)

    def test_larger_than_the_format_allows(self, node: NodeProcess) -> None:
        with node.connect() as client:
            client.send(head("PUT", "/uri", {"Content-Length": str(10**15)}))
            answer = client.answer()
        assert answer.status == 413 and "too large" in answer.text

    def test_no_room_for_what_was_announced(self, node: NodeProcess) -> None:
        size = 4 * 10**12
        if shutil.disk_usage(node.directory).free > size:
            pytest.skip("NOT TESTED: the disk has room for the largest file that there can be")
        with node.connect() as client:
            client.send(head("PUT", "/uri", {"Content-Length": str(size), "Accept": "application/problem+json"}))
            answer = client.answer()
        assert answer.status == 507
        problem = answer.json()
        assert problem["title"] == "The grid is full"
        assert set(problem["reasons"]) == {"peers/1", "peers/2", "peers/3"}
        assert "no room" in problem["reasons"]["peers/1"]
        assert not node.incoming()


class TestAddressesAndMethods:
    @pytest.mark.parametrize("target", ["/nowhere", "/nowhere/", "/uri.txt", "//uri", "/favicon.ico"])
    def test_where_there_is_nothing(self, node: NodeProcess, target: str) -> None:
        assert node.get(target).status == 404

    @pytest.mark.parametrize(
        ("target", "told"),
        [
            ("/uri/URI:LIT:/child", "no children"),
            ("/uri/URI:LIT:/", "no children"),
            ("/file", "/file/CAP"),
            ("/file/", "/file/CAP"),
        ],
    )
    def test_what_makes_no_sense(self, node: NodeProcess, target: str, told: str) -> None:
        answer = node.get(target)
        assert answer.status == 400 and told in answer.text

    @pytest.mark.parametrize("method", ["DELETE", "MKCOL", "get", "on_GET", "respond"])
    def test_methods_that_do_not_exist(self, node: NodeProcess, method: str) -> None:
        answer = node.request(method, "/uri")
        assert answer.status == 405 and answer.headers["Allow"] == "GET, HEAD, OPTIONS, PATCH, POST, PUT"
        assert method in answer.text

    @pytest.mark.parametrize("target", ["/uri", "*"])
    def test_options(self, node: NodeProcess, target: str) -> None:
        answer = node.request("OPTIONS", target)
        assert answer.status == 200 and "GET" in answer.headers["Allow"]

    def test_an_address_may_name_the_server(self, node: NodeProcess) -> None:
        assert node.get(f"{node.url}/uri/URI:LIT:me?filename=a.html").body == b"a"

    def test_a_request_without_host(self, node: NodeProcess) -> None:
        with node.connect() as client:
            client.send(b"GET / HTTP/1.1\r\n\r\n")
            answer = client.answer()
        assert answer.status == 400 and "Host" in answer.text
        assert answer.headers["X-Frame-Options"] == "DENY"


class TestWelcome:
    def test_a_terminal_reads_how_to_go_on(self, node: NodeProcess) -> None:
        assert "curl -T FILE http://node/uri" in node.get("/").text

    def test_a_browser_gets_a_page(self, node: NodeProcess) -> None:
        answer = node.get("/", {"Accept": "text/html"})
        assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
        assert "any 2 of 3 shares" in answer.text and "peers/3" in answer.text and "GB free" in answer.text
        assert "default-src 'none'" in answer.headers["Content-Security-Policy"]

    def test_tools_read_the_grid_s_state(self, node: NodeProcess) -> None:
        state = node.get("/?t=json").json()
        assert [server["connection_status"] for server in state["servers"]] == ["connected"] * 3
        assert all(server["available_space"] > 0 for server in state["servers"])
        assert state["introducers"] == {"statuses": []}

    def test_anything_else(self, node: NodeProcess) -> None:
        assert node.get("/?t=junk").status == 400


def _damage(share: Path) -> None:
    """Flip a bit in the middle of each block's bytes, far behind the header."""
    content = bytearray(share.read_bytes())
    for offset in range(len(content) // 2, len(content) - 100_000, 100_000):
        content[offset] ^= 1
    copy = share.with_name("copy")
    copy.write_bytes(content)
    shutil.move(copy, share)
