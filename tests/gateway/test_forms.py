"""`POST /uri`: the files of a form, stored while they arrive."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import quote

import pytest

from tests.nodes import NOT_DURABLE, Answer, NodeProcess, chunk, content_of, curl, head, running, wait_until

BOUNDARY = "----boundary"
FORM = f"multipart/form-data; boundary={BOUNDARY}"


def part(content: bytes, name: str = "file", filename: str | None = "a.txt") -> bytes:
    named = "" if filename is None else f'; filename="{filename}"'
    header = f'Content-Disposition: form-data; name="{name}"{named}\r\n'
    return f"--{BOUNDARY}\r\n{header}\r\n".encode() + content + b"\r\n"


END = f"--{BOUNDARY}--\r\n".encode()


def post(node: NodeProcess, *parts: bytes, end: bytes = END, query: str = "?t=upload", accept: str = "*/*") -> Answer:
    headers = {"Content-Type": FORM, "Accept": accept}
    return node.request("POST", f"/uri{query}", b"".join(parts) + end, headers)


def fetch(node: NodeProcess, cap: str) -> bytes:
    return node.get(f"/uri/{cap}").body


class TestOneFile:
    def test_a_terminal_sees_the_cap(self, node: NodeProcess, tmp_path: Path) -> None:
        content = content_of(1_200_000)
        (tmp_path / "f").write_bytes(content)
        done = curl("-F", f"file=@{tmp_path}/f", f"{node.url}/uri?t=upload")
        assert fetch(node, done.output.decode()) == content

    def test_a_program_gets_json(self, node: NodeProcess) -> None:
        content = content_of(100)
        answer = post(node, part(content), accept="application/json")
        assert answer.status == 201 and answer.headers["Content-Type"] == "application/json"
        (result,) = answer.json()
        assert (result["filename"], result["size"]) == ("a.txt", 100)
        assert fetch(node, result["cap"]) == content

    def test_a_browser_gets_a_page_with_a_link(self, node: NodeProcess) -> None:
        answer = post(node, part(b"abc", filename="<b>&amp;.txt"), accept="text/html,*/*;q=0.8")
        assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
        cap = node.put(b"abc")
        assert f'href="/file/{quote(cap, safe="")}/@@named=/%3Cb%3E%26amp%3B.txt"' in answer.text
        assert "&lt;b&gt;&amp;amp;.txt" in answer.text and "<b>&amp;.txt" not in answer.text

    def test_a_browser_is_told_what_was_not_stored(self, tmp_path: Path) -> None:
        with running(tmp_path / "node", {"gateway": {"max_upload_size": 2048}}) as node:
            small, large = part(b"abc", filename="small"), part(bytes(2049), filename="large")
            for parts, status, heading in (
                ([small], 201, "Stored"),
                ([small, large], 413, "Not all of it was stored"),
                ([large], 413, "Not stored"),
            ):
                answer = post(node, *parts, accept="text/html")
                assert answer.status == status and f"<h2>{heading}</h2>" in answer.text
                told = "<b><bdi>large</bdi></b> was not stored: it is larger than the 2 KiB that are taken here"
                assert (told in answer.text) == (large in parts) and ("(3 B)" in answer.text) == (small in parts)

    def test_a_browser_is_sent_on_when_done(self, node: NodeProcess) -> None:
        cap = quote(node.put(b"abc"), safe="")
        answer = post(node, part(b"abc"), query="?t=upload&when_done=/list%3Fnew%3D%25(uri)s%26again%3D%25(uri)s")
        assert (answer.status, answer.headers["Location"]) == (302, f"/list?new={cap}&again={cap}")

    def test_t_may_be_left_out(self, node: NodeProcess) -> None:
        assert post(node, part(b"abc"), query="").text == node.put(b"abc")

    @pytest.mark.parametrize("name", ["file", "upload", ""])
    def test_the_field_may_have_any_name(self, node: NodeProcess, name: str) -> None:
        assert post(node, part(b"abc", name=name)).status == 201

    @pytest.mark.parametrize("size", [0, 55, 56, 200_000])
    def test_every_size(self, node: NodeProcess, size: int) -> None:
        assert fetch(node, post(node, part(content_of(size))).text) == content_of(size)

    def test_bytes_that_look_like_the_boundary_are_the_file_s(self, node: NodeProcess) -> None:
        content = (f"\r\n--{BOUNDARY[:-1]}\r\n--\r\n\r" + f"--{BOUNDARY}").encode() * 3 + b"\r\n"
        assert fetch(node, post(node, part(content)).text) == content

    def test_the_connection_goes_on(self, node: NodeProcess) -> None:
        body = part(content_of(60)) + END
        with node.connect() as client:
            for coding in ("length", "chunked", "length"):
                length = {"Content-Length": str(len(body))}
                framing = {"Transfer-Encoding": "chunked"} if coding == "chunked" else length
                client.send(head("POST", "/uri", {"Content-Type": FORM, **framing}))
                # The end of the form comes alone, and the end of the body after it.
                for piece in (body[:-20], body[-20:]):
                    client.send(chunk(piece) if coding == "chunked" else piece)
                if coding == "chunked":
                    client.send(chunk(b""))
                assert client.answer().status == 201

    def test_what_follows_the_form_is_passed_over(self, node: NodeProcess) -> None:
        assert post(node, part(b"abc"), end=END + b"epilogue" * 100_000).status == 201


class TestFields:
    def test_before_the_file(self, node: NodeProcess) -> None:
        answer = post(node, part(b"/done", "when_done", None), part(b"abc"), query="")
        assert answer.headers["Location"] == "/done"

    def test_after_the_file(self, node: NodeProcess) -> None:
        answer = post(node, part(b"abc"), part(b"/done", "when_done", None), query="")
        assert answer.headers["Location"] == "/done"

    def test_others_are_passed_over(self, node: NodeProcess) -> None:
        answer = post(node, part(b"x" * 1000, "comment", None), part(b"abc"), part(b"Send", "submit", None))
        assert answer.status == 201

    @pytest.mark.parametrize(
        ("name", "value", "status"),
        [
            ("t", b"mkdir", 400),
            ("format", b"SDMF", 501),
            ("mutable", b"true", 501),
            ("mutable", b"junk", 400),
            ("when_done", b"javascript:alert(1)", 400),
            ("when_done", b"http://[", 400),
        ],
    )
    def test_what_there_is_not_is_refused(self, node: NodeProcess, name: str, value: bytes, status: int) -> None:
        assert post(node, part(value, name, None), part(b"abc"), query="").status == status
        assert post(node, part(b"abc"), query=f"?{name}={quote(value)}").status == status

    def test_a_field_is_small(self, node: NodeProcess) -> None:
        answer = post(node, part(b"x" * 70_000, "comment", None), part(b"abc"))
        assert answer.status == 400 and "'comment'" in answer.text

    def test_a_field_is_text(self, node: NodeProcess) -> None:
        answer = post(node, part(b"\xff", "when_done", None), part(b"abc"))
        assert answer.status == 400 and "UTF-8" in answer.text


class TestSeveralFiles:
    FILES = (("one.bin", 300_000), ("two.bin", 10), ("Käse.bin", 2_000_000), ("empty.bin", 0))

    def test_each_is_answered_for(self, node: NodeProcess) -> None:
        parts = [part(content_of(size), filename=name) for name, size in self.FILES]
        answer = post(node, *parts, accept="application/json")
        assert answer.status == 201
        results = answer.json()
        assert [(result["filename"], result["size"]) for result in results] == list(self.FILES)
        for result in results:
            assert fetch(node, result["cap"]) == content_of(result["size"])

    def test_a_terminal_sees_a_line_for_each(self, node: NodeProcess) -> None:
        answer = post(node, part(b"a", filename="1"), part(b"b", filename="2"))
        assert answer.text == f"1\t{node.put(b'a')}\n2\t{node.put(b'b')}\n"

    def test_a_hundred(self, node: NodeProcess) -> None:
        answer = post(node, *(part(bytes([n]), filename=str(n)) for n in range(100)), accept="application/json")
        assert [fetch(node, result["cap"]) for result in answer.json()] == [bytes([n]) for n in range(100)]

    def test_one_that_is_too_large_spares_the_others(self, tmp_path: Path) -> None:
        settings = {**NOT_DURABLE, "gateway": {"max_upload_size": 1000}}
        with running(tmp_path / "node", settings) as node:
            parts = [part(content_of(size), filename=str(size)) for size in (1000, 300_000, 1001, 60)]
            answer = post(node, *parts, accept="application/json")
            assert answer.status == 413
            small, large, larger, last = answer.json()
            assert large["error"]["status"] == larger["error"]["status"] == 413
            assert "1 kB" in large["error"]["detail"]
            assert fetch(node, small["cap"]) == content_of(1000) and fetch(node, last["cap"]) == content_of(60)
            assert len(node.shares()) == 6 and not node.incoming()


class TestBrokenForms:
    def test_no_file(self, node: NodeProcess) -> None:
        answer = post(node, part(b"x", "comment", None))
        assert answer.status == 400 and "no file" in answer.text

    def test_a_file_input_that_was_left_empty(self, node: NodeProcess) -> None:
        answer = post(node, part(b"", filename=""))
        assert answer.status == 400 and "no file" in answer.text

    def test_an_empty_input_beside_a_full_one(self, node: NodeProcess) -> None:
        assert post(node, part(b"", filename=""), part(b"abc")).text == node.put(b"abc")

    def test_no_parts(self, node: NodeProcess) -> None:
        assert post(node).status == 400

    def test_no_body(self, node: NodeProcess) -> None:
        assert post(node, end=b"").status == 400

    def test_the_end_is_missing(self, node: NodeProcess) -> None:
        before = set(node.shares())
        answer = post(node, part(content_of(100_000)), end=b"")
        assert answer.status == 400 and "broken" in answer.text
        assert set(node.shares()) == before and not node.incoming()

    def test_files_that_came_before_it_broke_off_are_told(self, node: NodeProcess) -> None:
        whole, cut = content_of(100_000), content_of(50_000)
        answer = post(node, part(whole), part(cut, filename="b.txt"), end=b"", accept="application/json")
        stored, rest = answer.json()
        assert answer.status == 400 and "broken" in rest["error"]["detail"]
        assert stored["filename"] == "a.txt" and fetch(node, stored["cap"]) == whole
        assert not node.incoming()

    def test_another_boundary_than_announced(self, node: NodeProcess) -> None:
        body = part(b"abc").replace(BOUNDARY.encode(), b"--another") + END
        assert node.request("POST", "/uri", body, {"Content-Type": FORM}).status == 400

    def test_garbage_behind_a_boundary(self, node: NodeProcess) -> None:
        before = set(node.shares())
        answer = post(node, part(content_of(100_000)), f"--{BOUNDARY}garbage\r\n".encode())
        assert answer.status == 400
        assert set(node.shares()) == before and not node.incoming()

    @pytest.mark.parametrize("size", [10_000, 10_000_000])
    def test_a_huge_header(self, node: NodeProcess, size: int) -> None:
        answer = post(node, f"--{BOUNDARY}\r\nX-Huge: {'x' * size}\r\n\r\n".encode(), part(b"abc"))
        assert answer.status == 400 and "out of bounds" in answer.text

    def test_a_part_without_a_disposition(self, node: NodeProcess) -> None:
        assert post(node, f"--{BOUNDARY}\r\nContent-Type: text/plain\r\n\r\nabc\r\n".encode()).status == 400

    @pytest.mark.parametrize(
        "kind",
        ["", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "multipart/form-data; boundary=",
         f"multipart/form-data; boundary={'x' * 300}", "multipart/mixed; boundary=x"],
    )  # fmt: skip
    def test_what_is_no_form(self, node: NodeProcess, kind: str) -> None:
        answer = node.request("POST", "/uri", b"abc", {"Content-Type": kind} if kind else {})
        assert answer.status == 400 and "multipart/form-data" in answer.text

    def test_the_client_leaves_in_the_middle(self, node: NodeProcess) -> None:
        before = set(node.shares())
        with node.connect() as client:
            client.send(head("POST", "/uri", {"Content-Type": FORM, "Content-Length": "100000000"}))
            client.send((part(content_of(3_000_000)))[:-2])
            wait_until(lambda: len(node.incoming()) == 3, "the file is on its way to the peers")
        wait_until(lambda: not node.incoming(), "the abandoned file is cleared away")
        assert set(node.shares()) == before
