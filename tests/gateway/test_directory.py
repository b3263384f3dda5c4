"""Immutable directories: made of JSON, listed, described, and walked through."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

import pytest

from tahoeish.chk import base32
from tahoeish.chk.caps import LiteralCap, ReadCap
from tahoeish.chk.directory_caps import DirectoryCap, parse_any_cap
from tests.nodes import Answer, NodeProcess, content_of, head

CONTENT = content_of(100_000)
UNKNOWN = "imm.lafs://future"
FIELDS = f"{base32.encode(b'k' * 16)}:{base32.encode(b'h' * 32)}:2:3:1000"


def mkdir(node: NodeProcess, children: object) -> Answer:
    return node.request("POST", "/uri?t=mkdir-immutable", json.dumps(children).encode())


def made(node: NodeProcess, children: Mapping[str, tuple[str, Mapping[str, Any]]]) -> str:
    """A directory's cap, of names, caps and metadata."""
    answer = mkdir(node, {name: ["?", {"ro_uri": cap, "metadata": it}] for name, (cap, it) in children.items()})
    assert answer.status == 201, answer.text
    return answer.text


def link_in(page: str, beginning: str) -> str:
    """The first one that begins like this."""
    return beginning + page.partition(f'<a href="{beginning}')[2].partition('"')[0]


@pytest.fixture(scope="module")
def file(node: NodeProcess) -> str:
    return node.put(CONTENT)


@pytest.fixture(scope="module")
def tree(node: NodeProcess, file: str) -> str:
    """
    A directory with a bit of everything in it:

        page.html  sub/Käse.txt  sub/empty/  strange
    """
    sub = made(node, {"Käse.txt": (file, {"own": [1]}), "empty": ("URI:DIR2-LIT:", {})})
    metadata = {"tahoe": {"linkcrtime": 1.5, "linkmotime": 1.7e9}}
    return made(node, {"sub": (sub, {}), "page.html": ("URI:LIT:me", metadata), "strange": (UNKNOWN, {"a": 1})})


class TestMaking:
    def test_the_empty_one(self, node: NodeProcess) -> None:
        answer = mkdir(node, {})
        assert (answer.status, answer.text) == (201, "URI:DIR2-LIT:")
        assert answer.headers["Location"] == "/uri/URI%3ADIR2-LIT%3A"
        assert node.request("POST", "/uri?t=mkdir-immutable").text == "URI:DIR2-LIT:"

    def test_a_small_one_is_in_its_cap(self, node: NodeProcess) -> None:
        table = b"34:3:lit,16:URI:LIT:nbswy3dp,0:,2:{},,"
        for facts in ({"ro_uri": "URI:LIT:nbswy3dp"}, {"rw_uri": "URI:LIT:nbswy3dp", "metadata": {}}):
            assert mkdir(node, {"lit": ["filenode", facts]}).text == str(DirectoryCap(LiteralCap(table)))

    def test_a_larger_one_is_a_file(self, node: NodeProcess, tree: str) -> None:
        assert tree.startswith("URI:DIR2-CHK:")
        cap = parse_any_cap(tree)
        assert isinstance(cap, DirectoryCap) and isinstance(cap.contents, ReadCap)
        assert len(node.shares(str(cap.contents))) == 3
        table = node.get(f"/uri/{cap.contents}").body
        assert table.index(b"9:page.html,10:URI:LIT:me,0:,") < table.index(b"7:strange,") < table.index(b"3:sub,")

    @pytest.mark.parametrize("kind", ["SSK", "SSK-RO", "MDMF-RO", "DIR2", "DIR2-RO"])
    @pytest.mark.parametrize("slot", ["ro_uri", "rw_uri"])
    def test_mutable_children(self, node: NodeProcess, kind: str, slot: str) -> None:
        answer = mkdir(node, {"good": ["filenode", {"ro_uri": "URI:LIT:"}], "bad": ["?", {slot: f"URI:{kind}:a:b"}]})
        assert answer.status == 400
        assert answer.text.startswith("MustBeDeepImmutableError: ") and "'bad'" in answer.text

    def test_unknown_children_that_may_be_mutable(self, node: NodeProcess) -> None:
        answer = mkdir(node, {"a": ["?", {"ro_uri": "lafs://future"}]})
        assert answer.status == 400 and answer.text.startswith("MustBeDeepImmutableError: ")

    @pytest.mark.parametrize(
        ("children", "complaint"),
        [
            ([], "JSON object"),
            ("junk", "JSON object"),
            ({"a": "URI:LIT:"}, "'a' should be written as"),
            ({"a": ["filenode"]}, "'a' should be written as"),
            ({"a": ["filenode", "URI:LIT:"]}, "'a' should be written as"),
            ({"a": ["filenode", {}]}, "'a' has no ro_uri"),
            ({"a": ["filenode", {"ro_uri": 5}]}, "'a' has no ro_uri"),
            ({"a": ["filenode", {"ro_uri": "URI:CHK:cut-off"}]}, "'a': this cap should have 5 fields"),
            ({"a": ["filenode", {"ro_uri": f"URI:CHK-Verifier:{FIELDS}"}]}, "only verifies"),
            ({"a": ["filenode", {"ro_uri": "URI:LIT:", "metadata": None}]}, "metadata of the child 'a'"),
            ({"a": ["filenode", {"ro_uri": "URI:LIT:", "metadata": {"x": float("inf")}}]}, "metadata of 'a'"),
            ({"a/b": ["filenode", {"ro_uri": "URI:LIT:"}]}, "'a/b'"),
            ({"": ["filenode", {"ro_uri": "URI:LIT:"}]}, "can't be named ''"),
            ({"\ud800": ["filenode", {"ro_uri": "URI:LIT:"}]}, "Unicode"),
            ({"ä": ["?", {"ro_uri": "URI:LIT:"}], "a\u0308": ["?", {"ro_uri": "URI:LIT:"}]}, "same name"),
        ],
    )
    def test_what_is_wrong_is_said(self, node: NodeProcess, children: object, complaint: str) -> None:
        answer = mkdir(node, children)
        assert answer.status == 400 and complaint in answer.text
        assert "cut-off" not in answer.text

    @pytest.mark.parametrize("body", [b"{", b"\xff", b"[" * 100_000, b"{}{}", b"1" * 10_000])
    def test_what_is_not_json(self, node: NodeProcess, body: bytes) -> None:
        answer = node.request("POST", "/uri?t=mkdir-immutable", body)
        assert answer.status == 400 and "JSON" in answer.text

    def test_more_than_is_taken_is_refused_before_it_is_sent(self, node: NodeProcess) -> None:
        with node.connect() as client:
            announced = {"Content-Length": str(10**9), "Expect": "100-continue"}
            client.send(head("POST", "/uri?t=mkdir-immutable", announced))
            assert client.interim_or_final().status == 413

    def test_other_directories_are_not_made(self, node: NodeProcess) -> None:
        for method in ("PUT", "POST"):
            assert node.request(method, "/uri?t=mkdir").status == 400


class TestDescribing:
    def test_a_directory(self, node: NodeProcess, tree: str, file: str) -> None:
        answer = node.get(f"/uri/{tree}?t=json")
        kind, facts = answer.json()
        assert answer.headers["Content-Type"] == "text/plain; charset=utf-8" and answer.text.endswith("]\n")
        cap = parse_any_cap(tree)
        assert isinstance(cap, DirectoryCap)
        children = facts.pop("children")
        assert (kind, facts) == (
            "dirnode",
            {"mutable": False, "ro_uri": tree, "verify_uri": str(cap.verify_cap)},
        )
        assert list(children) == ["page.html", "strange", "sub"]
        assert children["page.html"] == [
            "filenode",
            {
                "mutable": False,
                "format": "CHK",
                "size": 1,
                "ro_uri": "URI:LIT:me",
                "metadata": {"tahoe": {"linkcrtime": 1.5, "linkmotime": 1.7e9}},
            },
        ]
        assert children["strange"] == ["unknown", {"ro_uri": UNKNOWN, "metadata": {"a": 1}}]
        kind, facts = children["sub"]
        assert kind == "dirnode" and facts.keys() == {"mutable", "ro_uri", "verify_uri", "metadata"}
        kind, facts = node.get(f"/uri/{facts['ro_uri']}?t=json").json()
        assert facts["children"]["Käse.txt"][1]["ro_uri"] == file
        assert facts["children"]["empty"] == ["dirnode", {"mutable": False, "ro_uri": "URI:DIR2-LIT:", "metadata": {}}]

    def test_the_empty_directory(self, node: NodeProcess) -> None:
        facts = {"mutable": False, "ro_uri": "URI:DIR2-LIT:", "children": {}}
        assert node.get("/uri/URI:DIR2-LIT:?t=json").json() == ["dirnode", facts]

    def test_what_is_described_can_be_made_again(self, node: NodeProcess, tree: str) -> None:
        children = node.get(f"/uri/{tree}?t=json").json()[1]["children"]
        again = mkdir(node, children)
        assert again.status == 201
        assert node.get(f"/uri/{again.text}?t=json").json()[1]["children"] == children

    @pytest.mark.parametrize("t", ["uri", "readonly-uri"])
    def test_its_cap(self, node: NodeProcess, tree: str, t: str) -> None:
        assert node.get(f"/uri/{tree}?t={t}").text == tree
        assert node.get(f"/uri/{tree}/sub/empty/?t={t}").text == "URI:DIR2-LIT:"

    def test_anything_else(self, node: NodeProcess, tree: str) -> None:
        answer = node.get(f"/uri/{tree}?t=other")
        assert answer.status == 400 and "'other'" in answer.text

    def test_a_verify_cap_is_described_but_not_read(self, node: NodeProcess, tree: str) -> None:
        cap = parse_any_cap(tree)
        assert isinstance(cap, DirectoryCap)
        verify_cap = str(cap.verify_cap)
        assert node.get(f"/uri/{verify_cap}?t=json").json() == ["dirnode", {"mutable": False, "verify_uri": verify_cap}]
        for target in (f"/uri/{verify_cap}", f"/uri/{verify_cap}/page.html"):
            answer = node.get(target)
            assert answer.status == 400 and "verify cap" in answer.text


class TestWalking:
    def test_to_a_file(self, node: NodeProcess, tree: str) -> None:
        answer = node.get(f"/uri/{tree}/page.html")
        assert (answer.status, answer.body) == (200, b"a")
        assert answer.headers["Content-Type"] == "text/html"
        assert answer.headers["Content-Security-Policy"] == "sandbox"

    @pytest.mark.parametrize("name", ["K\u00e4se.txt", "Ka\u0308se.txt"])
    def test_to_a_name_however_it_is_composed(self, node: NodeProcess, tree: str, name: str) -> None:
        answer = node.get(f"/uri/{quote(tree, safe='')}/sub/{quote(name)}", {"Range": "bytes=0-9"})
        assert (answer.status, answer.body) == (206, CONTENT[:10])
        assert answer.headers["Content-Type"] == "text/plain; charset=utf-8"

    def test_a_file_s_metadata_are_its_directory_s(self, node: NodeProcess, tree: str, file: str) -> None:
        kind, facts = node.get(f"/uri/{tree}/sub/K%C3%A4se.txt?t=json").json()
        assert kind == "filenode" and facts["ro_uri"] == file and facts["metadata"] == {"own": [1]}
        assert "metadata" not in node.get(f"/uri/{file}?t=json").json()[1]

    def test_to_a_file_s_cap(self, node: NodeProcess, tree: str, file: str) -> None:
        assert node.get(f"/uri/{tree}/sub/K%C3%A4se.txt?t=uri").text == file

    def test_to_a_directory(self, node: NodeProcess, tree: str) -> None:
        plain, slash = (node.get(f"/uri/{tree}/sub{end}?t=json").json() for end in ("", "/"))
        assert plain == slash and list(plain[1]["children"]) == ["Käse.txt", "empty"]

    @pytest.mark.parametrize(
        ("path", "name"),
        [
            ("nope", "nope"),
            ("nope/", "nope"),
            ("nope/page.html", "nope"),
            ("nope?t=json", "nope"),
            ("sub/nope", "nope"),
            ("PAGE.HTML", "PAGE.HTML"),
            ("sub%2Fempty", "sub/empty"),
            ("..", ".."),
        ],
    )
    def test_nowhere(self, node: NodeProcess, tree: str, path: str, name: str) -> None:
        answer = node.get(f"/uri/{tree}/{path}")
        assert (answer.status, answer.text) == (404, f"No such child: {name}\n")

    @pytest.mark.parametrize("path", ["//page.html", "//", "/sub//empty", "/sub/empty//", "/page.html//x"])
    def test_empty_names(self, node: NodeProcess, tree: str, path: str) -> None:
        answer = node.get(f"/uri/{tree}{path}")
        assert answer.status == 400 and "two slashes" in answer.text

    @pytest.mark.parametrize(("path", "name"), [("page.html/x", "x"), ("page.html/", ""), ("strange/x", "x")])
    def test_through_what_is_no_directory(self, node: NodeProcess, tree: str, path: str, name: str) -> None:
        answer = node.get(f"/uri/{tree}/{path}")
        assert answer.status == 400 and answer.text == f"Files have no children named {name!r}\n"

    def test_to_what_nobody_here_knows(self, node: NodeProcess, tree: str) -> None:
        answer = node.get(f"/uri/{tree}/strange")
        assert answer.status == 400 and "t=json" in answer.text
        facts = {"ro_uri": UNKNOWN, "metadata": {"a": 1}}
        assert node.get(f"/uri/{tree}/strange?t=json").json() == ["unknown", facts]

    @pytest.mark.parametrize("place", ["file", "named"])
    def test_a_directory_is_no_file(self, node: NodeProcess, tree: str, place: str) -> None:
        for target in (f"/{place}/{tree}", f"/{place}/{tree}/@@named=/page.html"):
            answer = node.get(target)
            assert answer.status == 400 and "directory" in answer.text

    def test_head(self, node: NodeProcess, tree: str) -> None:
        for target in (f"/uri/{tree}/page.html", f"/uri/{tree}/", f"/uri/{tree}?t=json"):
            full, brief = node.get(target), node.request("HEAD", target)
            assert brief.status == 200 and brief.body == b""
            assert brief.headers["Content-Length"] == full.headers["Content-Length"] == str(len(full.body))


class TestEntityTags:
    def test_each_form_has_its_own(self, node: NodeProcess, tree: str) -> None:
        cap = parse_any_cap(tree)
        assert isinstance(cap, DirectoryCap) and isinstance(cap.contents, ReadCap)
        identity = base32.encode(cap.contents.storage_index)
        assert node.get(f"/uri/{tree}").headers["ETag"] == f'"DIR:{identity}"'
        assert node.get(f"/uri/{tree}?t=json").headers["ETag"] == f'"DIR:{identity}-json"'

    @pytest.mark.parametrize("path", ["", "/", "?t=json", "/sub?t=json", "/sub/K%C3%A4se.txt", "/page.html?t=json"])
    def test_who_has_it_need_not_fetch_it_again(self, node: NodeProcess, tree: str, path: str) -> None:
        etag = node.get(f"/uri/{tree}{path}").headers["ETag"]
        answer = node.get(f"/uri/{tree}{path}", {"If-None-Match": etag})
        assert (answer.status, answer.body) == (304, b"")
        assert node.get(f"/uri/{tree}{path}", {"If-None-Match": '"other"'}).status == 200

    def test_literals_tell_no_secrets(self, node: NodeProcess) -> None:
        empty, other = (
            node.get(f"/uri/{mkdir(node, it).text}").headers["ETag"]
            for it in ({}, {"a": ["?", {"ro_uri": "URI:LIT:"}]})
        )
        assert empty != other and len(other) < 40


class TestPage:
    def test_all_children_are_on_it(self, node: NodeProcess, tree: str) -> None:
        answer = node.get(f"/uri/{tree}/")
        assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
        assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
        assert '<a href="/file/URI%3ALIT%3Ame/@@named=/page.html"><bdi>page.html</bdi></a>' in answer.text
        assert "1 bytes" in answer.text and "2023-11-14 22:13 UTC" in answer.text
        assert "<bdi>strange</bdi> (unknown)" in answer.text

    def test_links_lead_on(self, node: NodeProcess, tree: str) -> None:
        sub = node.get(link_in(node.get(f"/uri/{tree}").text, "/uri/"))
        assert sub.status == 200 and "K%C3%A4se.txt" in sub.text
        assert node.get(link_in(sub.text, "/file/")).body == CONTENT

    def test_an_empty_directory_says_so(self, node: NodeProcess, tree: str) -> None:
        text = node.get(f"/uri/{tree}/sub/empty").text
        assert "Directory empty" in text and "It is empty" in text


class TestWhatIsNoDirectory:
    @pytest.mark.parametrize("t", ["", "?t=json", "/child"])
    def test_a_file(self, node: NodeProcess, file: str, t: str) -> None:
        for cap in (file.replace("URI:CHK:", "URI:DIR2-CHK:"), "URI:DIR2-LIT:nbswy3dp"):
            answer = node.get(f"/uri/{cap}{t}")
            assert answer.status == 400 and "netstring" in answer.text

    def test_one_that_is_too_large_to_be_read(self, node: NodeProcess) -> None:
        answer = node.get(f"/uri/URI:DIR2-CHK:{FIELDS}000000")
        assert answer.status == 400 and "1000000000 bytes" in answer.text

    def test_one_that_is_not_there(self, node: NodeProcess) -> None:
        assert node.get(f"/uri/URI:DIR2-CHK:{FIELDS}").status == 410
        assert node.get(f"/uri/URI:DIR2-CHK:{FIELDS}/child").status == 410

    @pytest.mark.parametrize("kind", ["DIR2", "DIR2-RO", "SSK", "MDMF"])
    def test_what_is_mutable(self, node: NodeProcess, kind: str) -> None:
        answer = node.get(f"/uri/URI:{kind}:{FIELDS}")
        assert answer.status == 400 and "mutable" in answer.text
