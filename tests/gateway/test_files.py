"""`GET` and `HEAD`: a cap becomes a file again."""

from __future__ import annotations

import json
from email.message import Message
from urllib.parse import quote, unquote

import pytest

from tahoeish.chk.caps import ReadCap, parse_cap
from tests.nodes import NodeProcess, content_of, curl

SIZE = 2_500_000
CONTENT = content_of(SIZE)


@pytest.fixture(scope="module")
def cap(node: NodeProcess) -> str:
    return node.put(CONTENT)


def test_a_whole_file(node: NodeProcess, cap: str) -> None:
    answer = node.get(f"/uri/{cap}")
    assert answer.status == 200
    assert answer.body == CONTENT
    assert answer.headers["Content-Length"] == str(SIZE)
    assert answer.headers["Accept-Ranges"] == "bytes"
    assert answer.headers["Content-Type"] == "text/plain; charset=utf-8"


def test_curl_gets_it_into_a_file(node: NodeProcess, cap: str) -> None:
    assert curl("--fail", f"{node.url}/uri/{cap}").output == CONTENT


@pytest.mark.parametrize("place", ["uri", "cap", "file", "named"])
def test_aliases_and_percent_encoding(node: NodeProcess, cap: str, place: str) -> None:
    assert node.get(f"/{place}/{quote(cap, safe='')}").body == CONTENT


def test_head_tells_the_same_without_the_bytes(node: NodeProcess, cap: str) -> None:
    full = node.get(f"/uri/{cap}?filename=a.html&save=true")
    brief = node.request("HEAD", f"/uri/{cap}?filename=a.html&save=true")
    assert brief.status == 200 and brief.body == b""
    assert strip_date(brief.headers) == strip_date(full.headers)


def test_head_is_about_the_whole_file(node: NodeProcess, cap: str) -> None:
    answer = node.request("HEAD", f"/uri/{cap}", headers={"Range": "bytes=0-9"})
    assert answer.status == 200 and answer.headers["Content-Length"] == str(SIZE)


def test_every_answer_protects_the_secret_in_its_address(node: NodeProcess, cap: str) -> None:
    for answer in (node.get(f"/uri/{cap}"), node.get("/uri/junk"), node.get("/nowhere"), node.get("/")):
        assert answer.headers["X-Frame-Options"] == "DENY"
        assert answer.headers["Referrer-Policy"] == "no-referrer"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"


class TestNames:
    @pytest.mark.parametrize(
        ("name", "kind"),
        [
            ("a.txt", "text/plain; charset=utf-8"),
            ("page.html", "text/html"),
            ("photo.JPG", "image/jpeg"),
            ("film.mp4", "video/mp4"),
            ("backup.tar.gz", "application/gzip"),
            ("noending", "text/plain; charset=utf-8"),
            ("what.isthis", "text/plain; charset=utf-8"),
        ],
    )
    def test_the_name_decides_the_type(self, node: NodeProcess, name: str, kind: str) -> None:
        assert node.get(f"/uri/URI:LIT:me?filename={name}").headers["Content-Type"] == kind
        assert node.get(f"/file/URI:LIT:me/@@named=/{name}").headers["Content-Type"] == kind
        assert node.get(f"/named/URI:LIT:me/what/ever/{name}").headers["Content-Type"] == kind

    def test_filename_wins_over_the_address(self, node: NodeProcess) -> None:
        answer = node.get("/file/URI:LIT:me/@@named=/a.txt?filename=b.html")
        assert answer.headers["Content-Type"] == "text/html"

    @pytest.mark.parametrize("name", ["a.html", "a.svg", "a.xhtml", "a.xml", "a.rdf", "data:TEXT/HTML,x"])
    def test_what_a_browser_would_run_is_put_in_a_sandbox(self, node: NodeProcess, name: str) -> None:
        answer = node.get(f"/uri/URI:LIT:me?filename={quote(name)}")
        in_sandbox = answer.headers["Content-Security-Policy"] == "sandbox"
        assert in_sandbox or answer.headers["Content-Type"] == "text/plain; charset=utf-8"

    @pytest.mark.parametrize(
        "name",
        ["plain.txt", "with space.txt", 'quo"te.txt', "back\\slash.txt", "100%.txt", "Käse.txt", "日本語.txt",
         "a;b.txt", "line\r\nSet-Cookie: x=y.txt", "'single'.txt", "\N{PILE OF POO}.txt"],
    )  # fmt: skip
    def test_a_file_is_saved_under_its_name(self, node: NodeProcess, name: str) -> None:
        answer = node.get(f"/uri/URI:LIT:me?save=true&filename={quote(name, safe='')}")
        assert answer.headers["Set-Cookie"] is None
        assert saved_as(answer.headers["Content-Disposition"]) == name

    def test_save_without_a_name(self, node: NodeProcess) -> None:
        assert node.get("/uri/URI:LIT:me?save=1").headers["Content-Disposition"] == "attachment"

    def test_not_saved_unless_asked(self, node: NodeProcess) -> None:
        assert node.get("/uri/URI:LIT:me?filename=a.txt").headers["Content-Disposition"] is None
        assert node.get("/uri/URI:LIT:me?filename=a.txt&save=off").headers["Content-Disposition"] is None

    def test_save_is_yes_or_no(self, node: NodeProcess) -> None:
        assert node.get("/uri/URI:LIT:me?save=perhaps").status == 400


class TestRanges:
    @pytest.mark.parametrize(
        ("header", "first", "last"),
        [
            ("bytes=0-0", 0, 0),
            ("bytes=0-", 0, SIZE - 1),
            ("bytes=1048570-1048580", 1048570, 1048580),
            ("bytes=10-99999999999", 10, SIZE - 1),
            (f"bytes={SIZE - 1}-", SIZE - 1, SIZE - 1),
            ("bytes=-1", SIZE - 1, SIZE - 1),
            ("bytes=-100000", SIZE - 100000, SIZE - 1),
            ("bytes=-99999999999", 0, SIZE - 1),
            ("bytes=5-9,20-30", 5, 9),
            ("Bytes= 5-9 , -1", 5, 9),
        ],
    )
    def test_a_range(self, node: NodeProcess, cap: str, header: str, first: int, last: int) -> None:
        answer = node.get(f"/uri/{cap}", {"Range": header})
        assert answer.status == 206
        assert answer.headers["Content-Range"] == f"bytes {first}-{last}/{SIZE}"
        assert answer.body == CONTENT[first : last + 1]

    @pytest.mark.parametrize(
        "header", ["bytes=", "bytes=a-b", "bytes=9-5", "bytes=5", "lines=1-2", "junk", "bytes=--5"]
    )
    def test_what_is_no_range_is_passed_over(self, node: NodeProcess, header: str) -> None:
        cap = node.put(b"0123456789")
        answer = node.get(f"/uri/{cap}", {"Range": header})
        assert (answer.status, answer.body) == (200, b"0123456789")

    @pytest.mark.parametrize("header", ["bytes=2500000-", f"bytes={10**19}-", "bytes=-0"])
    def test_beyond_the_end(self, node: NodeProcess, cap: str, header: str) -> None:
        answer = node.get(f"/uri/{cap}", {"Range": header})
        assert answer.status == 416
        assert answer.headers["Content-Range"] == f"bytes */{SIZE}"
        assert "2500000 bytes" in answer.text

    def test_of_a_literal_file(self, node: NodeProcess) -> None:
        cap = node.put(b"0123456789")
        assert node.get(f"/uri/{cap}", {"Range": "bytes=-3"}).body == b"789"
        assert node.get(f"/uri/{cap}", {"Range": "bytes=10-"}).status == 416

    def test_of_an_empty_file_there_is_none(self, node: NodeProcess) -> None:
        assert node.get("/uri/URI:LIT:", {"Range": "bytes=0-"}).status == 416
        assert node.get("/uri/URI:LIT:").body == b""

    def test_curl_resumes(self, node: NodeProcess, cap: str) -> None:
        assert curl("--fail", "-r", "2000000-", f"{node.url}/uri/{cap}").output == CONTENT[2_000_000:]


class TestConditions:
    def test_the_tag_is_strong_and_hides_the_key(self, node: NodeProcess, cap: str) -> None:
        tag = node.get(f"/uri/{cap}").headers["ETag"]
        assert tag[0] == tag[-1] == '"' and len(tag) > 20
        assert tag.strip('"') not in cap
        assert tag == node.get(f"/uri/{cap}").headers["ETag"]

    @pytest.mark.parametrize("target", ["/uri/{}", "/file/{}/@@named=/a.txt"])
    @pytest.mark.parametrize("form", ["{}", "W/{}", '"a", {} , "b"', ",, {}", "*"])
    @pytest.mark.parametrize("method", ["GET", "HEAD"])
    def test_what_the_client_has_is_not_sent(
        self, node: NodeProcess, cap: str, target: str, form: str, method: str
    ) -> None:
        tag = node.get(f"/uri/{cap}").headers["ETag"]
        answer = node.request(method, target.format(cap), headers={"If-None-Match": form.format(tag)})
        assert (answer.status, answer.body) == (304, b"")
        assert answer.headers["ETag"] == tag

    def test_a_list_may_take_several_lines(self, node: NodeProcess, cap: str) -> None:
        tag = node.get(f"/uri/{cap}").headers["ETag"]
        with node.connect() as client:
            client.send(
                f'GET /uri/{cap} HTTP/1.1\r\nHost: h\r\nIf-None-Match: {tag}\r\nIf-None-Match: "b"\r\n\r\n'.encode()
            )
            assert client.answer().status == 304

    def test_what_it_has_not_is_sent(self, node: NodeProcess) -> None:
        cap = node.put(b"abc")
        for header in ('"other"', "abc", "", 'W/"x", "y"'):
            assert node.get(f"/uri/{cap}", {"If-None-Match": header}).body == b"abc"

    def test_files_differ_in_their_tags(self, node: NodeProcess, cap: str) -> None:
        caps = [cap, node.put(content_of(60)), node.put(b"a"), node.put(b"b"), "URI:LIT:"]
        assert len({node.request("HEAD", f"/uri/{cap}").headers["ETag"] for cap in caps}) == len(caps)

    def test_a_range_goes_with_the_right_tag_only(self, node: NodeProcess) -> None:
        content = content_of(100)
        cap = node.put(content)
        tag = node.get(f"/uri/{cap}").headers["ETag"]
        for condition, status in [
            (tag, 206), (f"W/{tag}", 200), ('"other"', 200), ("Sat, 29 Oct 1994 19:43:31 GMT", 200)
        ]:  # fmt: skip
            answer = node.get(f"/uri/{cap}", {"Range": "bytes=0-4", "If-Range": condition})
            assert answer.status == status, condition
            assert answer.body == (content[:5] if status == 206 else content)


class TestDescriptions:
    def test_json(self, node: NodeProcess, cap: str) -> None:
        answer = node.get(f"/uri/{cap}?t=json")
        parsed = parse_cap(cap)
        assert isinstance(parsed, ReadCap)
        assert answer.headers["Content-Type"] == "text/plain; charset=utf-8"
        assert answer.text.endswith("\n")
        assert answer.json() == [
            "filenode",
            {"mutable": False, "format": "CHK", "size": SIZE, "ro_uri": cap, "verify_uri": str(parsed.verify_cap)},
        ]
        assert answer.headers["ETag"] != node.request("HEAD", f"/uri/{cap}").headers["ETag"]

    def test_json_of_a_literal_cap(self, node: NodeProcess) -> None:
        kind, facts = node.get("/uri/URI:LIT:me?t=json").json()
        assert kind == "filenode"
        assert facts == {"mutable": False, "format": "CHK", "size": 1, "ro_uri": "URI:LIT:me"}

    @pytest.mark.parametrize("t", ["uri", "readonly-uri"])
    def test_cap(self, node: NodeProcess, cap: str, t: str) -> None:
        assert node.get(f"/uri/{cap}?t={t}").text == cap

    def test_anything_else(self, node: NodeProcess, cap: str) -> None:
        answer = node.get(f"/uri/{cap}?t=other")
        assert answer.status == 400 and "'other'" in answer.text

    def test_a_verify_cap_is_described_but_not_read(self, node: NodeProcess, cap: str) -> None:
        parsed = parse_cap(cap)
        assert isinstance(parsed, ReadCap)
        verify_cap = parsed.verify_cap
        answer = node.get(f"/uri/{verify_cap}")
        assert answer.status == 400 and "verify cap" in answer.text
        assert node.get(f"/uri/{verify_cap}?t=json").json() == [
            "filenode",
            {"mutable": False, "format": "CHK", "size": SIZE, "verify_uri": str(verify_cap)},
        ]


class TestRedirect:
    def test_from_the_form_of_the_welcome_page(self, node: NodeProcess, cap: str) -> None:
        answer = node.get(f"/uri?uri={quote(cap, safe='')}")
        assert answer.status == 302
        assert answer.headers["Location"] == f"/uri/{quote(cap, safe='')}"
        assert curl("--location", f"{node.url}/uri?uri={cap}").output == CONTENT

    def test_other_arguments_go_along(self, node: NodeProcess) -> None:
        answer = node.get("/uri?uri=URI:LIT:me&filename=K%C3%A4se%20%26.txt&save=true")
        assert answer.headers["Location"] == "/uri/URI%3ALIT%3Ame?filename=K%C3%A4se+%26.txt&save=true"

    def test_what_was_pasted_with_blanks(self, node: NodeProcess) -> None:
        assert node.get("/uri?uri=%20URI:LIT:me%0A").headers["Location"] == "/uri/URI%3ALIT%3Ame"

    @pytest.mark.parametrize("target", ["/uri", "/uri/", "/uri?uri=", "/uri?t=json"])
    def test_without_a_cap(self, node: NodeProcess, target: str) -> None:
        answer = node.get(target)
        assert answer.status == 400 and "/uri/CAP" in answer.text


def saved_as(disposition: str) -> str:
    """The name that a client that knows RFC 6266 takes."""
    message = Message()
    message["Content-Disposition"] = disposition
    assert message.get_content_disposition() == "attachment"
    plain = message.get_param("filename", header="Content-Disposition")
    for part in disposition.split("; "):
        if part.startswith("filename*=UTF-8''"):
            return unquote(part.removeprefix("filename*=UTF-8''"), errors="strict")
    assert isinstance(plain, str)
    return plain


def strip_date(headers: Message) -> list[tuple[str, str]]:
    return [(name, value) for name, value in headers.items() if name != "Date"]


def test_json_is_json_for_programs_too(node: NodeProcess) -> None:
    assert json.loads(curl(f"{node.url}/uri/URI:LIT:?t=json").output)[1]["size"] == 0
