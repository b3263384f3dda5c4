"""Upload links at a node that runs: made by a web application with a token, used by whoever has one."""

from __future__ import annotations

import json
import time
from base64 import b64decode, b64encode
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from hashlib import sha256
from hmac import digest
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import pytest

from tahoeish.gateway.uploads.dialects.ietf import PARTIAL_UPLOAD
from tests.nodes import NOT_DURABLE, Answer, NodeProcess, content_of, curl, running, wait_until
from tests.people import add_user, basic, bearer, new_token

CONTENT = content_of(300_000)
TUS = {"Tus-Resumable": "1.0.0"}


@dataclass
class Listener:
    """Somebody's server, which is told of files; `statuses` are what it answers, the last one again and again."""

    port: int = 0
    statuses: list[int] = field(default_factory=lambda: [204])
    heard: list[tuple[dict[str, str], bytes]] = field(default_factory=list)


@pytest.fixture(scope="module")
def listener() -> Iterator[Listener]:
    listener = Listener()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            listener.heard.append(({name.lower(): value for name, value in self.headers.items()}, body))
            self.send_response(listener.statuses.pop(0) if len(listener.statuses) > 1 else listener.statuses[0])
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    listener.port = server.server_port
    thread = Thread(target=server.serve_forever)
    thread.start()
    yield listener
    server.shutdown()
    server.server_close()
    thread.join()


@dataclass
class Place:
    """alice's node, and a web application's token for her folder."""

    node: NodeProcess
    token: str
    hook: str

    def link(self, **wish: object) -> dict[str, Any]:
        answer = self.make({"folder": "/files/inbox", **wish})
        assert answer.status == 201, answer
        told: dict[str, Any] = answer.json()
        assert answer.headers["Location"] == f"/links/{told['id']}"
        return told

    def make(self, wish: object, token: str | None = None) -> Answer:
        return self.node.request("POST", "/links", json.dumps(wish).encode(), bearer(token or self.token))

    def drop(self, **wish: object) -> str:
        """A new link's path."""
        return str(self.link(**wish)["url"]).removeprefix("http://node")

    def read(self, name: str) -> bytes:
        answer = self.node.get(f"/files/inbox/{name}", basic("alice"))
        return answer.body if answer.status == 200 else b""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, listener: Listener) -> Iterator[Place]:
    origin = f"http://127.0.0.1:{listener.port}"
    settings = {**NOT_DURABLE, "gateway": {"hook_origins": [origin]}, "files": {"refuse": ["*.exe"]}}
    with running(tmp_path_factory.mktemp("drop") / "node", settings) as node:
        add_user(node, "alice")
        add_user(node, "bob")
        place = Place(node, new_token(node, "alice", "--folder", "/inbox"), f"{origin}/told")
        wait_until(lambda: node.get("/").status == 401, "the node knows that it has users")
        for folder in ("inbox", "other"):
            assert node.request("MKCOL", f"/files/{folder}", headers=basic("alice")).status == 201
        yield place
        assert node.stop() == 0, node.said
        assert "Traceback" not in node.said, node.said
        assert "drop/" not in node.said and "whsec" not in node.said


class TestMaking:
    def test_what_is_told_of_a_link(self, place: Place) -> None:
        wish = {"label": "Holidays", "max_size": 1000, "max_files": 3, "content_types": ["image/*"], "expires_in": 3600}
        told = place.link(**wish)
        assert told["url"].startswith("http://node/drop/") and told["files"] == 0
        assert told["folder"] == "/files/inbox/" and 3500 < told["expires"] - time.time() <= 3600
        listed = place.node.get(f"/links/{told['id']}", bearer(place.token)).json()
        assert listed == {name: value for name, value in told.items() if name != "url"}
        assert listed in place.node.get("/links", bearer(place.token)).json()["links"]

    @pytest.mark.parametrize(
        "wish",
        [[], None, {}, {"folder": "/inbox"}, {"folder": 1}, {"folder": "/files/inbox/../other"}]
        + [
            {"folder": "/files/inbox", **more}
            for more in (
                {"more": 1},
                {"max_size": 0},
                {"max_size": "1"},
                {"max_files": -1},
                {"max_files": True},
                {"expires_in": 0},
                {"expires_in": "1h"},
                {"content_types": "image/*"},
                {"content_types": ["image"]},
                {"content_types": ["a/b c"]},
                {"label": 1},
                {"label": "x" * 201},
                {"hook": 1},
            )
        ],
    )
    def test_what_makes_no_sense_is_refused(self, place: Place, wish: object) -> None:
        assert place.make(wish).status == 400

    def test_a_token_makes_links_only_where_it_may(self, place: Place) -> None:
        for folder in ("/files", "/files/other", "/files/inbo"):
            assert place.make({"folder": folder}).status == 403
        reading = new_token(place.node, "alice", "--read-only")
        assert place.make({"folder": "/files/inbox"}, reading).status == 403
        assert place.node.request("POST", "/links", b"{}").status == 401

    def test_links_lead_into_folders(self, place: Place) -> None:
        assert place.make({"folder": "/files/inbox/missing"}).status == 404

    def test_others_do_not_see_them(self, place: Place) -> None:
        id_ = place.link()["id"]
        for method in ("GET", "DELETE"):
            assert place.node.request(method, f"/links/{id_}", headers=basic("bob")).status == 404
        assert place.node.get("/links", basic("bob")).json() == {"links": []}

    @pytest.mark.parametrize(
        "hook", ["http://127.0.0.1:1/x", "file:///etc/passwd", "http://u@{}/x", "http://{}@evil/", ""]
    )
    def test_hooks_are_told_only_where_the_operator_allows_it(
        self, place: Place, listener: Listener, hook: str
    ) -> None:
        wish = {"folder": "/files/inbox", "hook": hook.format(f"127.0.0.1:{listener.port}")}
        assert place.make(wish).status == 403

    @pytest.mark.parametrize(
        "wish", [b'{"folder": "/files/inbox", "hook": "http://\\ud800/x"}', b"[" * 50_000], ids=["half", "deep"]
    )
    def test_what_is_hardly_json_is_refused(self, place: Place, wish: bytes) -> None:
        assert place.node.request("POST", "/links", wish, bearer(place.token)).status == 400


class TestBringing:
    def test_a_file_with_curl(self, place: Place) -> None:
        done = curl(
            "--fail", "-T", "-", f"{place.node.url}{place.drop()}/from curl.txt".replace(" ", "%20"), stdin=CONTENT
        )
        assert done.output == b"from curl.txt\n" and place.read("from%20curl.txt") == CONTENT

    def test_files_in_a_form(self, place: Place) -> None:
        url = place.node.url + place.drop()
        done = curl(
            "--fail", "-F", "file=@-;filename=a.txt", "-F", "x=@-;filename=b.txt;type=image/png", url, stdin=b"x"
        )
        assert done.status == 0 and done.output == b"a.txt\nb.txt\n"
        assert place.read("a.txt") == b"x"

    def test_nothing_is_replaced(self, place: Place) -> None:
        drop = place.drop()
        names = [place.node.request("PUT", f"{drop}/same.tar.gz", content).text for content in (b"1", b"2", b"3")]
        assert names == ["same.tar.gz\n", "same.tar (2).gz\n", "same.tar (3).gz\n"]
        assert [place.read(name.strip().replace(" ", "%20")) for name in names] == [b"1", b"2", b"3"]

    def test_as_tus_has_it(self, place: Place) -> None:
        metadata = f"filename {b64encode(b'tus.txt').decode()},filetype {b64encode(b'image/png').decode()}"
        asked = {**TUS, "Upload-Length": str(len(CONTENT)), "Upload-Metadata": metadata}
        begun = place.node.request("POST", place.drop(content_types=["image/*"]), b"", asked)
        assert begun.status == 201, begun
        target = str(begun.headers["Location"]).removeprefix("http://node")
        for start in (0, 100_000):
            piece = CONTENT[start : 100_000 if start == 0 else None]
            headers = {**TUS, "Upload-Offset": str(start), "Content-Type": "application/offset+octet-stream"}
            assert place.node.request("PATCH", target, piece, headers).status == 204
        assert place.read("tus.txt") == CONTENT

    def test_folders_keep_their_names(self, place: Place) -> None:
        drop = place.drop()
        for name, given in (("a.txt", "holidays/a.txt"), ("b.txt", "holidays/in \u00fc/anything")):
            told = {"filename": name, "relativePath": given}
            metadata = ",".join(f"{key} {b64encode(value.encode()).decode()}" for key, value in told.items())
            asked = {**TUS, "Upload-Length": "1", "Upload-Metadata": metadata}
            asked["Content-Type"] = "application/offset+octet-stream"
            assert place.node.request("POST", drop, b"x", asked).status == 201
        assert place.node.request("PUT", f"{drop}/holidays/a.txt", b"y").text == "a (2).txt\n"
        begun = place.node.request("PUT", f"{drop}/holidays/later/c.txt", b"x", {"Upload-Complete": "?0"})
        headers = {"Upload-Offset": "1", "Content-Type": PARTIAL_UPLOAD, "Upload-Complete": "?1"}
        assert place.node.request("PATCH", str(begun.headers["Location"]), b"y", headers).status == 201
        assert place.read("holidays/a.txt") == b"x" and place.read("holidays/a%20(2).txt") == b"y"
        assert place.read("holidays/in%20%C3%BC/b.txt") == b"x" and place.read("holidays/later/c.txt") == b"xy"

    def test_a_folder_that_is_called_like_a_file_is_called_another_way(self, place: Place) -> None:
        drop = place.drop()
        assert place.node.request("PUT", f"{drop}/pictures", b"x").status == 201
        assert place.node.request("PUT", f"{drop}/pictures/1.png", b"y").status == 201
        assert place.read("pictures%20(2)/1.png") == b"y"

    @pytest.mark.parametrize("path", ["../x", "a/../x", "/x", "a//x", "a/\0/x", "d/" * 64 + "x"])
    def test_paths_that_cannot_be(self, place: Place, path: str) -> None:
        told = {"filename": "x", "relativePath": path}
        metadata = ",".join(f"{key} {b64encode(value.encode()).decode()}" for key, value in told.items())
        asked = {**TUS, "Upload-Length": "1", "Upload-Metadata": metadata}
        assert place.node.request("POST", place.drop(), b"", asked).status in (400, 403)

    def test_no_folder_of_somebody_else_is_reached(self, place: Place) -> None:
        everywhere = json.dumps({"folder": "/files"}).encode()
        link = place.node.request("POST", "/links", everywhere, basic("alice")).json()
        drop = str(link["url"]).removeprefix("http://node")
        assert place.node.request("PUT", f"{drop}/@bob/shared/x", b"x").status == 403

    @pytest.mark.parametrize("concat", ["partial", "final;/uploads/a /uploads/b"])
    def test_but_not_in_parts_that_nobody_counts(self, place: Place, concat: str) -> None:
        asked = {**TUS, "Upload-Concat": concat, "Upload-Metadata": f"filename {b64encode(b'x').decode()}"}
        length = {"Upload-Length": "5"} if concat == "partial" else {}
        assert place.node.request("POST", place.drop(), b"", {**asked, **length}).status == 403

    @pytest.mark.parametrize("method", ["PUT", "POST"])
    def test_as_the_ietf_has_it(self, place: Place, method: str) -> None:
        target = f"{place.drop()}/ietf-{method}" if method == "PUT" else place.drop()
        named = {} if method == "PUT" else {"Content-Disposition": 'attachment; filename="ietf-POST"'}
        begun = place.node.request(method, target, CONTENT[:1000], {"Upload-Complete": "?0", **named})
        headers = {"Upload-Offset": "1000", "Content-Type": PARTIAL_UPLOAD, "Upload-Complete": "?1"}
        done = place.node.request("PATCH", str(begun.headers["Location"]), CONTENT[1000:], headers)
        assert (done.status, done.text) == (201, f"ietf-{method}")
        assert place.read(f"ietf-{method}") == CONTENT

    def test_a_page_of_another_site_may_bring_it(self, place: Place) -> None:
        from_elsewhere = {"Origin": "https://elsewhere.example", "Sec-Fetch-Site": "cross-site"}
        assert place.node.request("PUT", f"{place.drop()}/cross", b"x", from_elsewhere).status == 201

    @pytest.mark.parametrize(
        "name", ["..", "%2e%2e", "x%2F..%2Fy", "a/../b", "a//b", "a/x.exe", "x.exe", "x%00", "%FF", "y" * 256]
    )
    def test_names_that_cannot_be(self, place: Place, name: str) -> None:
        assert place.node.request("PUT", f"{place.drop()}/{name}", b"x").status in (400, 403, 404)

    def test_without_a_name(self, place: Place) -> None:
        answer = place.node.request("PUT", place.drop(), b"x")
        assert answer.status == 400 and "called" in answer.text

    def test_a_link_shows_nothing_of_the_folder(self, place: Place) -> None:
        drop = place.drop(label="Send <b>")
        assert place.node.request("PUT", f"{drop}/hidden", b"x").status == 201
        for method, target in (("GET", f"{drop}/hidden"), ("GET", drop)):
            answer = place.node.request(method, target, headers={"Accept": "text/html"})
            assert answer.status == 200 and "hidden.txt" not in answer.text and "Send &lt;b&gt;" in answer.text
            assert "unsafe" not in answer.headers["Content-Security-Policy"]
        assert place.node.get(drop, {"Accept": "application/json"}).json()["files"] == 1
        for method in ("DELETE", "PROPFIND", "MKCOL", "MOVE"):
            assert place.node.request(method, f"{drop}/hidden").status == 405


class TestBounds:
    def test_are_told_beforehand(self, place: Place) -> None:
        drop = place.drop(max_size=1000)
        offered = place.node.request("OPTIONS", drop)
        assert "max-size=1000" in offered.headers["Upload-Limit"] and offered.headers["Tus-Max-Size"] == "1000"
        begun = place.node.request("PUT", f"{drop}/told", b"x", {"Upload-Complete": "?0"})
        assert "max-size=1000" in begun.headers["Upload-Limit"]
        asked = place.node.request("HEAD", str(begun.headers["Location"]))
        assert "max-size=1000" in asked.headers["Upload-Limit"]

    def test_of_size(self, place: Place) -> None:
        drop = place.drop(max_size=1000)
        for headers in ({}, {"Upload-Complete": "?1"}, {"Upload-Complete": "?0", "Upload-Length": "1001"}):
            assert place.node.request("PUT", f"{drop}/large", CONTENT[:1001], headers).status == 413
        done = curl("-T", "-", "-o", "/dev/null", "-w", "%{http_code}", f"{place.node.url}{drop}/large", stdin=CONTENT)
        assert done.output == b"413"
        done = curl("-F", "file=@-;filename=large", f"{place.node.url}{drop}", stdin=CONTENT)
        assert b"large was not stored: it is larger than the 1 kB that" in done.output
        assert place.read("large") == b""
        assert place.node.request("PUT", f"{drop}/small", CONTENT[:1000]).status == 201

    def test_of_types(self, place: Place) -> None:
        drop = place.drop(content_types=["image/*", "application/pdf"])
        for name, kind, status in (
            ("a.png", "image/png", 201),
            ("b.pdf", "", 201),
            ("c.txt", "text/plain", 415),
            ("d", "", 415),
        ):
            headers = {"Content-Type": kind} if kind else {}
            assert place.node.request("PUT", f"{drop}/{name}", b"x", headers).status == status

    def test_of_how_many(self, place: Place) -> None:
        drop = place.drop(max_files=2)
        statuses = [place.node.request("PUT", f"{drop}/many", str(n).encode()).status for n in range(4)]
        assert statuses == [201, 201, 410, 410]
        assert "as often as it may" in place.node.get(drop).text

    def test_also_of_tiny_ones_that_are_all_the_same(self, place: Place) -> None:
        drop = place.drop(max_files=2)
        metadata = f"filename {b64encode(b'tiny').decode()}"
        asked = {**TUS, "Content-Type": "application/offset+octet-stream"}
        asked |= {"Upload-Length": "1", "Upload-Metadata": metadata}
        assert [place.node.request("POST", drop, b"x", asked).status for _ in range(3)] == [201, 201, 410]
        assert place.read("tiny") == place.read("tiny%20(2)") == b"x" and place.read("tiny%20(3)") == b""

    def test_one_whose_answer_was_lost_is_the_same_when_it_is_sent_again(self, place: Place) -> None:
        drop = place.drop(max_files=1)
        asked = {**TUS, "Content-Type": "application/offset+octet-stream", "Idempotency-Key": "a-guest-s-random-key"}
        asked |= {"Upload-Length": "300000", "Upload-Metadata": f"filename {b64encode(b'lost').decode()}"}
        answers = [place.node.request("POST", drop, CONTENT, asked) for _ in range(3)]
        assert [answer.status for answer in answers] == [201] * 3
        assert len({answer.headers["Location"] for answer in answers}) == 1
        assert place.read("lost") == CONTENT and place.read("lost%20(2)") == b""
        other = {**asked, "Idempotency-Key": "another-random-one-1"}
        assert place.node.request("POST", drop, CONTENT, other).status == 410

    def test_also_when_they_come_together(self, place: Place) -> None:
        drop = place.drop(max_files=1)
        with ThreadPoolExecutor(8) as threads:
            sent = threads.map(lambda n: place.node.request("PUT", f"{drop}/together-{n}", b"%d" % n).status, range(8))
            assert sorted(sent) == [201] + 7 * [410]

    def test_of_a_form_with_too_many(self, place: Place) -> None:
        url = place.node.url + place.drop(max_files=1)
        done = curl("-F", "a=@-;filename=first", "-F", "b=@-;filename=second", url, stdin=b"x")
        assert done.output.startswith(b"first\nsecond was not stored: this link has been used")

    def test_a_form_of_which_nothing_was_taken_isnt_called_sent(self, place: Place) -> None:
        url = place.node.url + place.drop(max_size=1)
        done = curl("-F", "a=@-;filename=first", "-H", "Accept: text/html", url, stdin=CONTENT)
        assert b"<h2>Not sent</h2>" in done.output
        assert b"<bdi>first</bdi> was not stored: it is larger than the 1 B that are taken here" in done.output

    def test_of_time(self, place: Place) -> None:
        drop = place.drop(expires_in=0.01)
        wait_until(lambda: place.node.get(drop).status == 410, "the link has expired")
        answer = place.node.request("PUT", f"{drop}/late", b"x")
        assert answer.status == 410 and "has expired" in answer.text

    @pytest.mark.parametrize("method", ["GET", "POST"])
    def test_people_are_told_in_a_page_that_it_is_over(self, place: Place, method: str) -> None:
        drop = place.drop(expires_in=0.01)
        wait_until(lambda: place.node.get(drop).status == 410, "the link has expired")
        browsers = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
        answer = place.node.request(method, drop, headers=browsers)
        assert answer.status == 410 and answer.headers["Content-Type"] == "text/html; charset=utf-8"
        assert "<h2>This link is over</h2>" in answer.text and "This link has expired; ask" in answer.text
        answer = place.node.request(method, f"{drop}x", headers=browsers)
        assert answer.status == 404 and "<h2>There is no such link</h2>" in answer.text
        for tools in ({"Accept": "application/problem+json"}, {"Accept": "*/*"}, {}):
            assert "<" not in place.node.request(method, drop, headers=tools).text

    def test_a_link_can_be_revoked(self, place: Place) -> None:
        link = place.link()
        drop = str(link["url"]).removeprefix("http://node")
        begun = place.node.request("PUT", f"{drop}/begun", b"x", {"Upload-Complete": "?0"})
        assert place.node.request("DELETE", f"/links/{link['id']}", headers=bearer(place.token)).status == 204
        answer = place.node.request("PUT", f"{drop}/file", b"x")
        assert answer.status == 404 and "revoked" in answer.text
        headers = {"Upload-Offset": "1", "Content-Type": PARTIAL_UPLOAD, "Upload-Complete": "?1"}
        assert place.node.request("PATCH", str(begun.headers["Location"]), b"y", headers).status == 404
        assert place.read("begun") == b""


class TestHook:
    def test_is_told_of_a_file_until_it_has_heard(self, place: Place, listener: Listener) -> None:
        listener.statuses[:] = [500, 302, 204]
        link = place.link(hook=place.hook, label="For my app")
        drop = str(link["url"]).removeprefix("http://node")
        assert place.node.request("PUT", f"{drop}/told.png", CONTENT).status == 201
        wait_until(lambda: listener.heard, "the hook is told")
        headers, body = listener.heard[0]
        told = json.loads(body)
        assert told["type"] == "file.arrived" and told["data"] == {
            "link": link["id"],
            "label": "For my app",
            "path": "/files/inbox/told.png",
            "name": "told.png",
            "size": len(CONTENT),
            "content_type": None,
            "etag": told["data"]["etag"],
        }
        signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
        key = b64decode(link["hook_secret"].removeprefix("whsec_"))
        assert headers["webhook-signature"] == "v1," + b64encode(digest(key, signed, sha256)).decode()
        assert abs(int(headers["webhook-timestamp"]) - time.time()) < 60
        # The same is told again after a failure.
        wait_until(lambda: len(listener.heard) > 1, "the hook is told again")
        assert listener.heard[1][1] == body and listener.heard[1][0]["webhook-id"] == headers["webhook-id"]
