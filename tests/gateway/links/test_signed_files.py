"""Signed URLs at a node that runs: made by our command and by Swift's client, used by curl and raw sockets."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import quote

import pytest

from tahoeish.gateway.links.tempurl import signed_address
from tahoeish.gateway.uploads.dialects.ietf import PARTIAL_UPLOAD
from tahoeish.node.main import main
from tests.nodes import NOT_DURABLE, SCRIPTS, Answer, NodeProcess, content_of, curl, head, running, wait_until
from tests.people import add_user, administer, administered, basic

INVALID = (401, b"401 Unauthorized: Temp URL invalid\n")
# The same at every collection: names of tests are made of it, and workers that collected a second apart must agree.
LATER = 4_102_444_800
CONTENT = content_of(300_000)


@dataclass
class Place:
    """A node of alice's, who has a key for all of it and one for a folder."""

    node: NodeProcess
    key: str
    inbox_key: str

    def signed(self, method: str, path: str, **options: object) -> str:
        return signed_address(self.key, method, LATER, f"/v1/{path}", **options)  # type: ignore[arg-type]

    def ask(self, method: str, address: str, content: bytes = b"", /, **headers: str) -> Answer:
        return self.node.request(method, address, content, {name.replace("_", "-"): headers[name] for name in headers})

    def as_alice(self, method: str, target: str, content: bytes = b"") -> Answer:
        return self.node.request(method, target, content, basic("alice"))


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with running(tmp_path_factory.mktemp("links") / "node", NOT_DURABLE) as node:
        add_user(node, "alice")
        add_user(node, "bob")
        key = administered(node, "url", "key", "add", "alice").strip()
        inbox = administered(node, "url", "key", "add", "alice", "--folder", "/c/inbox").strip()
        place = Place(node, key, inbox)
        wait_until(lambda: node.get("/").status == 401, "the node knows that it has users")
        for folder in ("c", "c/inbox", "d"):
            assert place.as_alice("MKCOL", f"/files/{folder}").status == 201
        for name in ("c/object", "c/inbox/object", "d/object", "top"):
            assert place.as_alice("PUT", f"/files/{name}", b"content").status == 201
        yield place
        assert node.stop() == 0, node.said
        assert "Traceback" not in node.said, node.said
        assert not [word for word in ("temp_url", key, inbox, "uploads/") if word in node.said], node.said


class TestReading:
    def test_a_file_as_whoever_signed_wants_it(self, place: Place) -> None:
        answer = place.ask("GET", place.signed("GET", "alice/c/object", filename="größe.txt"))
        assert (answer.status, answer.body) == (200, b"content")
        told = "attachment; filename=\"gr%C3%B6%C3%9Fe.txt\"; filename*=UTF-8''gr%C3%B6%C3%9Fe.txt"
        assert answer.headers["Content-Disposition"] == told
        assert answer.headers["Expires"].endswith("GMT") and answer.headers["Referrer-Policy"] == "no-referrer"

    def test_parts_of_it(self, place: Place) -> None:
        answer = place.ask("GET", place.signed("GET", "alice/c/object", inline=True), Range="bytes=2-4")
        assert (answer.status, answer.body, answer.headers["Content-Disposition"]) == (206, b"nte", "inline")

    def test_a_file_in_no_folder(self, place: Place) -> None:
        assert place.ask("GET", place.signed("GET", "alice/top")).body == b"content"

    @pytest.mark.parametrize("signed", ["GET", "PUT", "POST", "HEAD"])
    def test_the_head_of_it(self, place: Place, signed: str) -> None:
        answer = place.ask("HEAD", place.signed(signed, "alice/c/object"))
        assert (answer.status, answer.headers["Content-Length"]) == (200, "7")

    def test_what_is_not_there(self, place: Place) -> None:
        assert place.ask("GET", place.signed("GET", "alice/c/missing")).status == 404

    @pytest.mark.parametrize("more", ["&versions", "&t=json", "&t=uri", "&save=true", "&version=1"])
    def test_nothing_else_that_an_address_can_ask_for(self, place: Place, more: str) -> None:
        assert place.ask("GET", place.signed("GET", "alice/c/object") + more).body == b"content"

    @pytest.mark.parametrize("method", ["GET", "HEAD", "DELETE"])
    def test_a_folder_is_no_file(self, place: Place, method: str) -> None:
        assert place.ask(method, place.signed(method, "alice/c/inbox")).status == 404
        assert place.as_alice("GET", "/files/c/inbox/object").status == 200


class TestStoring:
    def test_a_file(self, place: Place) -> None:
        address = place.signed("PUT", "alice/c/stored")
        assert place.ask("PUT", address, CONTENT, Content_Type="image/png").status == 201
        answer = place.as_alice("GET", "/files/c/stored")
        assert (answer.body, answer.headers["Content-Type"]) == (CONTENT, "image/png")
        assert place.ask("PUT", address, b"again").status == 204

    def test_by_post(self, place: Place) -> None:
        assert place.ask("POST", place.signed("POST", "alice/c/posted"), b"x").status == 201

    def test_no_form(self, place: Place) -> None:
        address, kind = place.signed("POST", "alice/c/form"), "multipart/form-data; boundary=x"
        assert place.ask("POST", address, b"--x--", Content_Type=kind).status == 415

    @pytest.mark.parametrize("header", ["X-Object-Manifest", "X-Symlink-Target"])
    @pytest.mark.parametrize("method", ["PUT", "POST", "DELETE"])
    def test_nothing_that_stands_for_other_data(self, place: Place, method: str, header: str) -> None:
        answer = place.node.request(method, place.signed(method, "alice/c/object"), b"", {header: "d/secret"})
        assert answer.status == 400

    def test_nothing_elsewhere(self, place: Place) -> None:
        address = place.signed("PUT", "alice/c/", prefix=True)
        for name in ("../d/x", "./x", "x//y", "x%2F..%2F..%2Fd%2Fx", "x%00"):
            answer = place.ask("PUT", address.replace("/c/?", f"/c/{name}?"), b"x")
            assert (answer.status, answer.body) == INVALID

    def test_a_refusal_comes_before_any_byte_of_the_body(self, place: Place) -> None:
        with place.node.connect() as client:
            address = place.signed("PUT", "alice/c/big").replace("/big", "/other")
            client.send(head("PUT", address, {"Content-Length": str(10**9), "Expect": "100-continue"}))
            assert client.interim_or_final().status == 401

    def test_removing(self, place: Place) -> None:
        assert place.as_alice("PUT", "/files/c/doomed", b"x").status == 201
        assert place.ask("DELETE", place.signed("DELETE", "alice/c/doomed")).status == 204
        assert place.as_alice("GET", "/files/c/doomed").status == 404


class TestSize:
    def test_holds_what_may_come(self, place: Place) -> None:
        address = place.signed("PUT", "alice/c/small", max_size=1000)
        assert place.ask("PUT", address, CONTENT[:1001]).status == 413
        assert place.as_alice("GET", "/files/c/small").status == 404
        assert place.ask("PUT", address, CONTENT[:1000]).status == 201

    def test_also_of_what_comes_without_a_length(self, place: Place) -> None:
        address = place.node.url + place.signed("PUT", "alice/c/endless", max_size=1000)
        done = curl("-T", "-", "-o", "/dev/null", "-w", "%{http_code}", address, stdin=CONTENT)
        assert done.output == b"413"

    @pytest.mark.parametrize("known", [True, False])
    def test_also_of_what_comes_in_parts(self, place: Place, known: bool) -> None:
        address = place.signed("PUT", "alice/c/parts", max_size=1000)
        length = {"Upload_Length": "2000"} if known else {}
        answer = place.ask("PUT", address, CONTENT[:600], Upload_Complete="?0", **length)
        if not known:
            location = str(answer.headers["Location"])
            more = {"Upload_Offset": "600", "Content_Type": PARTIAL_UPLOAD, "Upload_Complete": "?1"}
            answer = place.ask("PATCH", location, CONTENT[:600], **more)
        assert answer.status == 413
        assert place.as_alice("GET", "/files/c/parts").status == 404


class TestResuming:
    def test_goes_on_at_an_address_that_nobody_guesses(self, place: Place) -> None:
        begun = place.ask("PUT", place.signed("PUT", "alice/c/resumed"), CONTENT[:100_000], Upload_Complete="?0")
        location = str(begun.headers["Location"])
        assert (begun.status, location.startswith("/uploads/")) == (201, True)
        told = place.ask("HEAD", location)
        assert (told.status, told.headers["Upload-Offset"]) == (204, "100000")
        more = {"Upload_Offset": "100000", "Content_Type": PARTIAL_UPLOAD, "Upload_Complete": "?1"}
        assert place.ask("PATCH", location, CONTENT[100_000:], **more).status == 201
        assert place.as_alice("GET", "/files/c/resumed").body == CONTENT

    def test_as_tus_has_it(self, place: Place) -> None:
        tus = {"Tus_Resumable": "1.0.0"}
        length = {"Upload_Length": str(len(CONTENT))}
        begun = place.ask("POST", place.signed("POST", "alice/c/tus"), b"", **tus, **length)
        location = str(begun.headers["Location"])
        assert begun.status == 201 and "/uploads/" in location
        target = location[location.index("/uploads/") :]
        content = {"Content_Type": "application/offset+octet-stream", "Upload_Offset": "0"}
        assert place.ask("PATCH", target, CONTENT, **tus, **content).status == 204
        assert place.as_alice("GET", "/files/c/tus").body == CONTENT

    def test_is_only_for_those_that_a_link_has_begun(self, place: Place) -> None:
        begun = place.node.request("PUT", "/files/c/own", b"x", {**basic("alice"), "Upload-Complete": "?0"})
        location = str(begun.headers["Location"])
        for target in (location, location + "/events", "/uploads/nothing"):
            for method in ("GET", "HEAD", "DELETE"):
                answer = place.ask(method, target)
                expected = 405 if target.endswith("/events") and method != "GET" else 401
                assert answer.status == expected and (expected == 405 or answer.headers["WWW-Authenticate"])
        assert place.as_alice("HEAD", location).status == 204

    def test_a_link_makes_no_other_uploads(self, place: Place) -> None:
        for target in ("/uploads", "/uploads/"):
            assert place.ask("POST", target, Tus_Resumable="1.0.0", Upload_Length="1").status == 401


class TestRefusal:
    def refused(self, answer: Answer) -> bool:
        same = answer.headers["Cache-Control"] == "no-store" and "Basic" not in answer.headers["WWW-Authenticate"]
        return (answer.status, answer.body) == INVALID and same

    @pytest.mark.parametrize(
        "method", ["GET", "PUT", "POST", "DELETE", "PATCH", "PROPFIND", "MKCOL", "MOVE", "MADE-UP"]
    )
    @pytest.mark.parametrize("path", ["", "/", "/alice", "/alice/c/object", "/nobody/c/o", "//", "/alice/c/object/.."])
    def test_without_a_signature(self, place: Place, path: str, method: str) -> None:
        assert self.refused(place.ask(method, f"/v1{path}"))

    def test_credentials_do_not_help(self, place: Place) -> None:
        assert self.refused(place.as_alice("GET", "/v1/alice/c/object"))

    @pytest.mark.parametrize(
        ("old", "new"),
        [
            ("/c/object", "/d/object"),
            ("/alice/", "/bob/"),
            ("/alice/", "/nobody/"),
            (str(LATER), str(LATER + 1)),
            (str(LATER), "1"),
            ("temp_url_sig=", "temp_url_sig=0"),
            ("temp_url_sig=", "x="),
            ("temp_url_expires=", "x="),
            ("?", "?temp_url_prefix=&"),
            ("?", "?temp_url_ip_range=0.0.0.0/0&"),
            ("?", "?temp_url_max_size=10&"),
        ],
    )
    @pytest.mark.parametrize("method", ["GET", "PUT", "POST", "DELETE"])
    def test_tampered_with(self, place: Place, method: str, old: str, new: str) -> None:
        address = place.signed(method, "alice/c/object")
        assert old in address
        assert self.refused(place.ask(method, address.replace(old, new)))

    @pytest.mark.parametrize("signed", ["GET", "PUT", "POST", "DELETE", "HEAD"])
    def test_with_another_method(self, place: Place, signed: str) -> None:
        address = place.signed(signed, "alice/c/object")
        for method in {"GET", "PUT", "POST", "DELETE", "PATCH", "COPY"} - {signed}:
            assert self.refused(place.ask(method, address))

    def test_from_another_address(self, place: Place) -> None:
        assert self.refused(place.ask("GET", place.signed("GET", "alice/c/object", ip_range="192.0.2.0/24")))
        claimed = place.signed("GET", "alice/c/object", ip_range="192.0.2.1")
        assert self.refused(place.ask("GET", claimed, X_Forwarded_For="192.0.2.1"))
        assert place.ask("GET", place.signed("GET", "alice/c/object", ip_range="127.0.0.0/8")).status == 200

    def test_by_sha1(self, place: Place) -> None:
        assert self.refused(place.ask("GET", place.signed("GET", "alice/c/object", digest="sha1")))
        assert place.ask("GET", place.signed("GET", "alice/c/object", digest="sha512")).status == 200

    def test_outside_of_the_folder_of_the_key(self, place: Place) -> None:
        inside, outside = (
            signed_address(place.inbox_key, "GET", LATER, f"/v1/alice/{name}")
            for name in ("c/inbox/object", "c/object")
        )
        assert place.ask("GET", inside).status == 200
        assert self.refused(place.ask("GET", outside))
        prefix = signed_address(place.inbox_key, "GET", LATER, "/v1/alice/c/", prefix=True)
        assert place.ask("GET", prefix.replace("/c/?", "/c/inbox/object?")).status == 200
        assert self.refused(place.ask("GET", prefix.replace("/c/?", "/c/object?")))

    def test_without_a_body_to_a_head(self, place: Place) -> None:
        assert place.ask("HEAD", "/v1/alice/c/object").status == 401

    def test_what_is_possible_is_told_to_everybody_alike(self, place: Place) -> None:
        for path in ("/v1/alice/c/object", "/v1/nobody/x/y", "/v1"):
            answer = place.ask("OPTIONS", path)
            assert answer.status == 200 and answer.headers["Allow"] == "OPTIONS, GET, HEAD, PUT, POST, DELETE"


class TestKeys:
    def test_are_rotated_without_breaking_what_was_signed(self, place: Place) -> None:
        def is_good(key: str) -> bool:
            return place.ask("GET", signed_address(key, "GET", LATER, "/v1/alice/d/object")).status == 200

        folder = ("alice", "--folder", "/d")
        first = administered(place.node, "url", "key", "add", *folder).strip()
        second = administered(place.node, "url", "key", "add", *folder).strip()
        assert is_good(first) and is_good(second)
        done = administer(place.node, "url", "key", "add", *folder)
        assert done.status == 1 and "rotate" in done.err
        third = administered(place.node, "url", "key", "rotate", *folder).strip()
        assert [is_good(key) for key in (first, second, third)] == [False, True, True]

    def test_end_with_what_they_have_signed(self, place: Place) -> None:
        key = administered(place.node, "url", "key", "add", "bob").strip()
        address = signed_address(key, "PUT", LATER, "/v1/bob/file")
        assert place.ask("PUT", address, b"x").status == 201
        listed = administered(place.node, "url", "key", "list", "bob").splitlines()
        assert listed[0].split() == ["ID", "USER", "FOLDER", "SINCE"] and key not in "".join(listed)
        assert key in administered(place.node, "url", "key", "list", "bob", "--show")
        administered(place.node, "url", "key", "remove", listed[1].split()[0])
        assert self_refused(place.ask("PUT", address, b"x"))
        assert administered(place.node, "url", "key", "list", "bob") == "There are no keys.\n"

    @pytest.mark.parametrize(
        ("command", "told"),
        [
            (("key", "add", "nobody"), "no user nobody"),
            (("key", "add", "local"), "no user local"),
            (("key", "remove", "nothing"), "no key nothing"),
            (("sign", "GET", "/files/x", "--user", "nobody"), "url key add nobody"),
        ],
    )
    def test_what_cannot_be_done_is_told(self, place: Place, command: tuple[str, ...], told: str) -> None:
        done = administer(place.node, "url", *command)
        assert done.status == 1 and told in done.err and done.err.count("\n") == 1


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("/uri/x",), "/files/photos/1.jpg"),
        (("/files/",), "/files/photos/1.jpg"),
        (("/files/a%2Fb",), "can't contain a slash"),
        (("/files/%2E%2E/b",), "are not names"),
        (("/files/%FF",), "isn't UTF-8"),
        (("/files/x", "--prefix"), "a prefix lies in a folder"),
        (("/files/inbox/",), "name a file in it, or say --prefix"),
        (("/files/x", "--ip-range", "foo"), "a range looks like 192.0.2.0/24"),
        (("/files/x", "--ip-range", "127.0.0.1/8"), "the range is 127.0.0.0/8, and the address alone 127.0.0.1"),
        (("/files/x", "--expires", "100000000d"), "after the year 9999"),
        (("/files/x", "--expires", "0 s"), "a second or more"),
        (("/files/x", "--expires", "soon"), "a number and a unit"),
        (("/files/x", "--max-size", "0 B"), "nothing fits into that"),
        *((("/files/x", "--base", url), "one looks like https://files.example") for url in (
            "foo", "ftp://h", "http://", "http://h/x?y", "http://h/?", "http://h/#x", "http://h:0", "http://h:x",
            "http://a b",
        )),
    ],
)  # fmt: skip
def test_no_address_is_signed_that_could_never_work(
    words: tuple[str, ...], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match=r"^2$"):
        main(["url", "sign", "PUT", *words])
    printed = capsys.readouterr()
    said = [line for line in printed.err.splitlines() if "error:" in line]
    assert printed.out == "" and len(said) == 1 and told in said[0]


def self_refused(answer: Answer) -> bool:
    return (answer.status, answer.body) == INVALID


class TestOurCommand:
    def sign(self, place: Place, *arguments: str) -> str:
        return administered(place.node, "url", "sign", *arguments, "--user", "alice").strip()

    def test_makes_addresses_that_curl_stores_and_fetches_by(self, place: Place) -> None:
        put = self.sign(place, "PUT", "/files/c/Grüße & more.txt", "--expires", "1h", "--max-size", "2G")
        assert curl("-T", "-", "--fail", put, stdin=b"hello").status == 0
        get = self.sign(place, "GET", "/files/c/Grüße & more.txt", "--filename", "x y", "--inline")
        done = curl("--fail", get)
        assert done.output == b"hello" and "inline; filename=\"x y\"; filename*=UTF-8''x%20y" in done.wire

    @pytest.mark.parametrize(
        ("address", "name"),
        [("a%20%C3%BC.txt", "a ü.txt"), ("a ü.txt", "a ü.txt"), ("100%25", "100%"), ("100%", "100%"), ("%2541", "%41")],
    )
    def test_takes_addresses_as_they_are_printed(self, place: Place, address: str, name: str) -> None:
        put = self.sign(place, "PUT", f"/files/c/{address}")
        assert curl("-T", "-", "--fail", put, stdin=name.encode()).status == 0
        assert place.as_alice("GET", f"/files/c/{quote(name)}").body == name.encode()

    def test_signs_for_as_long_as_the_node_can_reckon(self, place: Place) -> None:
        days = int((datetime.max.replace(tzinfo=UTC).timestamp() - time.time()) / 86400)
        get = self.sign(place, "GET", "/files/c/object", "--expires", f"{days}d", "--ip-range", "127.0.0.0/8")
        assert curl("--fail", get).output == b"content"

    def test_limits_them(self, place: Place) -> None:
        put = self.sign(place, "PUT", "/files/c/limited", "--max-size", "1 kB")
        assert "temp_url_max_size=1000" in put
        done = curl("-T", "-", "-o", "/dev/null", "-w", "%{http_code}", put, stdin=CONTENT)
        assert done.output == b"413"

    def test_signs_for_a_folder(self, place: Place) -> None:
        put = self.sign(place, "PUT", "/files/c/inbox/", "--prefix")
        assert curl("-T", "-", "--fail", put.replace("/inbox/?", "/inbox/new?"), stdin=b"x").status == 0

    def test_prints_a_code_for_a_telephone(self, place: Place) -> None:
        lines = self.sign(place, "GET", "/files/c/object", "--qr", "--base", "https://files.example/").splitlines()
        assert lines[0].startswith("https://files.example/v1/alice/c/object?") and len(lines) > 20


class TestSwiftsOwnClient:
    def sign(self, place: Place, method: str, path: str, *options: str) -> str:
        program = SCRIPTS / "swift"
        if not program.exists():
            pytest.skip("NOT TESTED: the program swift is missing. Install it: pip install python-swiftclient")
        command = [str(program), "tempurl", *options, method, "3600", path, place.key]
        return subprocess.run(command, capture_output=True, check=True, text=True).stdout.strip()

    @pytest.mark.parametrize("options", [(), ("--iso8601",), ("--digest", "sha512"), ("--ip-range", "127.0.0.1")])
    def test_makes_addresses_that_are_honoured(self, place: Place, options: tuple[str, ...]) -> None:
        content = " ".join(options).encode() or b"plain"
        put = place.node.url + self.sign(place, "PUT", "/v1/alice/c/from-swift", *options)
        assert curl("-T", "-", "--fail", put, stdin=content).status == 0
        get = place.node.url + self.sign(place, "GET", "/v1/alice/c/from-swift", *options)
        assert curl("--fail", get).output == content
        assert curl("--fail", "-I", get).status == 0
        assert curl("--fail", "-X", "DELETE", get).status == 22

    def test_makes_addresses_of_prefixes(self, place: Place) -> None:
        get = self.sign(place, "GET", "/v1/alice/c/ob", "--prefix-based")
        assert place.ask("GET", get.replace("/c/ob?", "/c/object?")).body == b"content"
        assert place.ask("GET", get.replace("/c/ob?", "/c/inbox/object?")).status == 401

    def test_signs_what_is_not_ascii(self, place: Place) -> None:
        path = self.sign(place, "PUT", "/v1/alice/c/ü b")
        target, _, query = path.partition("?")
        assert place.ask("PUT", f"{quote(target)}?{query}", b"x").status == 201


def test_sha1_is_taken_where_it_is_configured(tmp_path_factory: pytest.TempPathFactory) -> None:
    settings = {**NOT_DURABLE, "gateway": {"url_sha1": True}}
    with running(tmp_path_factory.mktemp("sha1") / "node", settings) as node:
        add_user(node, "alice")
        key = administered(node, "url", "key", "add", "alice").strip()
        answer = node.request("PUT", signed_address(key, "PUT", LATER, "/v1/alice/x", digest="sha1"), b"x")
        assert answer.status == 201
