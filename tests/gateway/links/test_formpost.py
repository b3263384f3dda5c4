"""Signed forms: the reference's vectors, and forms sent by curl to a node that runs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import pytest

from tahoeish.gateway.links.formpost import FormRefused, message, read_form, value_of
from tahoeish.gateway.links.signatures import parse_signature, sign
from tests.nodes import NOT_DURABLE, Answer, NodeProcess, content_of, curl, running, wait_until
from tests.people import add_user, administered, basic

KEY = "mykey"
PATH = "/v1/account/container/object_prefix"
VECTORS = [
    ("https://srv.com/some-page", "5667479f765edb53e8df8458631f773b948b1f4f92660244bf890a0f9581a2ee"),
    (
        "https://srv.com/some-page",
        "3ac12e93eca4d1aa02a312c14ceba4beb8c8190ac847069a9de8eeaea862b17fdab749dd47a3d66a7d1c0b2080621467b5bf93bb922e16502ef127d0e48812d3",
    ),
    ("", "6d411055bd0b820f83d2649d70c028bdb962bd90b5555604edf9bdcc9ee4bd63"),
]
CONTENT = content_of(200_000)
LATER = 4_102_444_800


@pytest.mark.parametrize(("redirect", "signature"), VECTORS)
def test_vectors_of_swift(redirect: str, signature: str) -> None:
    parsed = parse_signature(signature)
    signed = message(PATH, redirect, "104857600", "10", "1700000000")
    assert parsed is not None and parsed.is_of([signed], [KEY]) and not parsed.is_of([signed], ["another"])
    fields = {"max_file_size": "104857600", "max_file_count": "10", "expires": "1700000000", "signature": signature}
    form = read_form(PATH, {**fields, **({"redirect": redirect} if redirect else {})})
    assert form.is_signed([KEY]) and not form.is_signed([])
    for name in (*fields, "redirect"):
        tampered = {**fields, "redirect": redirect, name: "https://evil.example" if name == "redirect" else "1"}
        assert not read_form(PATH, tampered).is_signed([KEY])
    assert not read_form(PATH + "x", {**fields, "redirect": redirect}).is_signed([KEY])


@pytest.mark.parametrize("name", ["max_file_size", "max_file_count", "expires", "x_delete_at", "x_delete_after"])
def test_what_is_no_number_is_refused(name: str) -> None:
    with pytest.raises(FormRefused, match=f"^FormPost: {name} not an integer$") as refused:
        read_form(PATH, {name: "ten"})
    assert refused.value.status == 400


@pytest.mark.parametrize("redirect", ["javascript:alert(1)", "https://a\r\nX: y", "data:,x", "https:\\\\evil"])
def test_a_redirect_leads_to_a_page(redirect: str) -> None:
    with pytest.raises(FormRefused):
        read_form(PATH, {"redirect": redirect})


@pytest.mark.parametrize(
    ("path", "filename", "target"),
    [
        ("/v1/a/c", "f", "/v1/a/c/f"),
        ("/v1/a/c/", "f", "/v1/a/c/f"),
        ("/v1/a/c/pre", "f", "/v1/a/c/pref"),
        ("/v1/a/c/pre/", "../../f", "/v1/a/c/pre/f"),
        ("/v1/a/c/pre/", "C:\\x\\f", "/v1/a/c/pre/f"),
    ],
)
def test_where_a_file_goes(path: str, filename: str, target: str) -> None:
    assert read_form(path, {}).target(filename) == target


def test_values_are_trimmed_as_swift_does() -> None:
    assert value_of(b"abc\r\n--") == "abc" and len(value_of(b"x" * 5000)) == 4096


@dataclass
class Place:
    node: NodeProcess
    key: str

    def fields(self, path: str, **others: object) -> dict[str, str]:
        """Those of a form, signed."""
        texts = {"redirect": "", "max_file_size": "100000000", "max_file_count": "10", "expires": str(LATER)}
        texts |= {name: str(value) for name, value in others.items()}
        return {**texts, "signature": sign(self.key, message(path, *texts.values()))}

    def send(self, path: str, fields: Mapping[str, str], *files: str, stdin: bytes = CONTENT) -> tuple[int, str, str]:
        """Status, body, and the head of the answer."""
        parts = [word for name, value in fields.items() for word in ("-F", f"{name}={value}")]
        named = [word for file in files for word in ("-F", file)]
        done = curl(*parts, *named, "-w", "%{stderr}%{http_code}", self.node.url + path, stdin=stdin)
        return int(done.wire[-3:]), done.output.decode().strip(), done.wire

    def read(self, path: str) -> bytes:
        answer = self.node.get(f"/files/{path}", basic("alice"))
        return answer.body if answer.status == 200 else b""


def browsed(place: Place, path: str, fields: Mapping[str, str], *files: tuple[str, bytes]) -> Answer:
    """Sent as a browser sends it that shows a page of another site."""
    parts = [(f'name="{name}"', value.encode()) for name, value in fields.items()]
    parts += [(f'name="f"; filename="{name}"', content) for name, content in files]
    body = b"".join(b"--x\r\nContent-Disposition: form-data; %s\r\n\r\n%s\r\n" % (n.encode(), c) for n, c in parts)
    headers = {"Content-Type": "multipart/form-data; boundary=x", "Origin": "https://elsewhere.example"}
    return place.node.request("POST", path, body + b"--x--\r\n", headers)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with running(tmp_path_factory.mktemp("forms") / "node", NOT_DURABLE) as node:
        add_user(node, "alice")
        place = Place(node, administered(node, "url", "key", "add", "alice").strip())
        wait_until(lambda: node.get("/").status == 401, "the node knows that it has users")
        for folder in ("c", "c/inbox"):
            assert node.request("MKCOL", f"/files/{folder}", headers=basic("alice")).status == 201
        yield place
        assert node.stop() == 0, node.said
        assert "Traceback" not in node.said and "signature" not in node.said, node.said


def test_files_are_stored_behind_the_prefix(place: Place) -> None:
    path = "/v1/alice/c/inbox/pre-"
    sent = place.send(path, place.fields(path), "a=@-;filename=1.txt", "b=@-;filename=2.bin;type=image/png")
    assert sent[:2] == (201, "201 Created")
    assert place.read("c/inbox/pre-1.txt") == CONTENT
    assert place.node.get("/files/c/inbox/pre-2.bin", basic("alice")).headers["Content-Type"] == "image/png"


def test_a_browser_is_sent_on(place: Place) -> None:
    fields = place.fields("/v1/alice/c", redirect="https://app.example/done?x=1")
    status, body, head = place.send("/v1/alice/c", fields, "file=@-;filename=sent-on")
    assert status == 303 and "Location: https://app.example/done?x=1&status=201&message=\r" in head + "\r"
    assert "Click to continue" in body and place.read("c/sent-on") == CONTENT


@pytest.mark.parametrize("size", [0, 1, len(CONTENT) - 1])
def test_a_file_that_is_too_large_is_not_stored(place: Place, size: int) -> None:
    fields = place.fields("/v1/alice/c", max_file_size=size)
    sent = place.send("/v1/alice/c", fields, "file=@-;filename=too-large")
    assert sent[:2] == (400, "FormPost: max_file_size exceeded") and place.read("c/too-large") == b""
    exact = place.fields("/v1/alice/c", max_file_size=len(CONTENT))
    assert place.send("/v1/alice/c", exact, "file=@-;filename=just-right")[0] == 201


def test_too_many_files_are_not_stored(place: Place) -> None:
    fields = place.fields("/v1/alice/c", max_file_count=1)
    sent = place.send("/v1/alice/c", fields, "a=@-;filename=first", "b=@-;filename=second")
    assert sent[:2] == (400, "FormPost: Max File Count Exceeded")
    assert (place.read("c/first"), place.read("c/second")) == (CONTENT, b"")


def test_a_signed_form_that_fails_is_told_by_the_page_it_leads_to(place: Place) -> None:
    fields = place.fields("/v1/alice/c", redirect="https://app.example/", max_file_count=0)
    status, _, head = place.send("/v1/alice/c", fields, "a=@-;filename=f")
    assert (
        status == 303 and "https://app.example/?status=400&message=FormPost%3A%20Max%20File%20Count%20Exceeded" in head
    )


@pytest.mark.parametrize(
    ("changed", "status", "told"),
    [
        ({"expires": "1"}, 401, "FormPost: Form Expired"),
        ({"expires": str(LATER + 1)}, 401, "FormPost: Invalid Signature"),
        ({"max_file_size": "999999999"}, 401, "FormPost: Invalid Signature"),
        ({"max_file_count": "11"}, 401, "FormPost: Invalid Signature"),
        ({"redirect": "https://evil.example/"}, 401, "FormPost: Invalid Signature"),
        ({"signature": ""}, 401, "FormPost: Invalid Signature"),
        ({"signature": "0" * 64}, 401, "FormPost: Invalid Signature"),
        ({"max_file_size": "x"}, 400, "FormPost: max_file_size not an integer"),
        ({"x_delete_after": "x"}, 400, "FormPost: x_delete_after not an integer"),
    ],
)
def test_a_form_that_was_tampered_with_is_refused(
    place: Place, changed: Mapping[str, str], status: int, told: str
) -> None:
    sent = place.send("/v1/alice/c", {**place.fields("/v1/alice/c"), **changed}, "f=@-;filename=tampered")
    assert sent[:2] == (status, told) and place.read("c/tampered") == b""


@pytest.mark.parametrize("path", ["/v1/alice/d", "/v1/bob/c", "/v1/alice/c/x", "/v1/alice", "/v1"])
def test_a_form_for_another_place_is_refused(place: Place, path: str) -> None:
    assert place.send(path, place.fields("/v1/alice/c"), "f=@-;filename=f")[:2] == (401, "FormPost: Invalid Signature")


def test_what_stands_behind_a_file_is_too_late(place: Place) -> None:
    fields = place.fields("/v1/alice/c")
    late = f"signature={fields.pop('signature')}"
    assert place.send("/v1/alice/c", fields, "f=@-;filename=late", late)[0] == 401


def test_a_form_without_a_file_has_nothing_to_process(place: Place) -> None:
    assert place.send("/v1/alice/c", place.fields("/v1/alice/c"))[:2] == (400, "FormPost: No Files To Process")


def test_an_input_that_was_left_empty_is_no_file(place: Place) -> None:
    path = "/v1/alice/c/inbox/left-"
    fields = place.fields(path, max_file_count=1)
    answer = browsed(place, path, fields, ("", b""))
    assert (answer.status, answer.text) == (400, "FormPost: No Files To Process\n")
    assert place.node.get("/files/c/inbox/left-", basic("alice")).status == 404
    assert browsed(place, path, fields, ("", b""), ("chosen", b"x"), ("", b"")).status == 201
    assert place.read("c/inbox/left-chosen") == b"x"


def test_a_page_is_told_that_nothing_was_chosen_if_it_is_signed(place: Place) -> None:
    fields = place.fields("/v1/alice/c/", redirect="https://app.example/")
    answer = browsed(place, "/v1/alice/c/", fields, ("", b""))
    told = "https://app.example/?status=400&message=FormPost%3A%20No%20Files%20To%20Process"
    assert (answer.status, answer.headers["Location"]) == (303, told)
    answer = browsed(place, "/v1/alice/c/", {**fields, "redirect": "https://evil.example/"}, ("", b""))
    assert (answer.status, answer.headers["Location"]) == (400, None)


@pytest.mark.parametrize("body", [b"", b"nonsense", b"--y\r\n", b"--xy\r\n", b"x--x\r\n"])
def test_a_form_begins_with_its_boundary(place: Place, body: bytes) -> None:
    answer = place.node.request("POST", "/v1/alice/c", body, {"Content-Type": "multipart/form-data; boundary=x"})
    assert (answer.status, answer.text) == (400, "FormPost: invalid starting boundary\n")


@pytest.mark.parametrize("name", ["..", ".", "a/..", "a/"])
def test_names_that_cannot_be_are_refused(place: Place, name: str) -> None:
    sent = place.send("/v1/alice/c/inbox/", place.fields("/v1/alice/c/inbox/"), f"f=@-;filename={name}")
    assert sent[:2] == (400, "FormPost: invalid file name")


def test_a_broken_form_is_told_so(place: Place) -> None:
    headers = {"Content-Type": "multipart/form-data; boundary=x"}
    answer = place.node.request("POST", "/v1/alice/c", b"--x\r\n\r\n", headers)
    assert answer.status == 400 and answer.text.startswith("FormPost: the form is broken")


def test_a_page_of_another_site_may_hold_the_form(place: Place) -> None:
    fields = place.fields("/v1/alice/c")
    answer = browsed(place, "/v1/alice/c", fields, ("elsewhere", b"hello"))
    assert answer.status == 201 and place.read("c/elsewhere") == b"hello"
