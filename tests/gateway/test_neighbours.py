"""
What is shared between users is only what was shared.

Every method is tried over every path of a neighbour. Whatever wasn't shared looks, to the byte, like what isn't there;
and in the end everything is as it was.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from urllib.parse import quote

import pytest

from tests.nodes import NOT_DURABLE, Answer, NodeProcess, running, wait_until
from tests.people import add_user, administered, basic

PROPFIND_ALL = b'<propfind xmlns="DAV:"><allprop/></propfind>'
PROPPATCH = b'<propertyupdate xmlns="DAV:"><set><prop><x xmlns="urn:x">1</x></prop></set></propertyupdate>'
LOCKINFO = b'<lockinfo xmlns="DAV:"><lockscope><exclusive/></lockscope><locktype><write/></locktype></lockinfo>'

TRIES: list[tuple[str, str, Mapping[str, str], bytes]] = [
    ("GET", "", {}, b""),
    ("GET", "", {"Range": "bytes=0-0"}, b""),
    ("GET", "", {"Accept": "text/html"}, b""),
    ("GET", "", {"If-None-Match": "*"}, b""),
    ("GET", "?versions", {}, b""),
    ("GET", "?t=json", {}, b""),
    ("GET", "?t=uri", {}, b""),
    ("HEAD", "", {}, b""),
    ("PROPFIND", "", {"Depth": "0"}, PROPFIND_ALL),
    ("PROPFIND", "", {"Depth": "1"}, PROPFIND_ALL),
    ("PROPFIND", "", {"Depth": "infinity"}, PROPFIND_ALL),
    ("PUT", "", {}, b"mine"),
    ("PUT", "", {"If-Match": "*"}, b"mine"),
    ("PUT", "", {"If-None-Match": "*"}, b"mine"),
    ("PUT", "/below", {}, b"mine"),
    ("POST", "", {}, b""),
    ("POST", "?restore=1", {}, b""),
    ("POST", "?t=snapshot", {}, b""),
    ("POST", "?t=snapshot", {"Accept": "application/x-ndjson"}, b""),
    ("POST", "?t=restore", {}, b"URI:DIR2-LIT:"),
    ("POST", "?t=restore&overwrite=true", {}, b"URI:DIR2-LIT:"),
    ("MKCOL", "", {}, b""),
    ("MKCOL", "/below", {}, b""),
    ("DELETE", "", {}, b""),
    ("PROPPATCH", "", {}, PROPPATCH),
    ("COPY", "", {"Destination": "/files/stolen"}, b""),
    ("MOVE", "", {"Destination": "/files/stolen"}, b""),
    ("LOCK", "", {"Timeout": "Second-100"}, LOCKINFO),
    ("LOCK", "", {"If": "(<{token}>)"}, b""),
    ("UNLOCK", "", {"Lock-Token": "<{token}>"}, b""),
    ("PATCH", "", {}, b"mine"),
    ("REPORT", "", {}, b""),
    ("MADE-UP", "", {}, b""),
]  # fmt: skip
"""Method, what follows the path, headers and body."""

THROUGH_OWN: list[tuple[str, Mapping[str, str]]] = [
    ("COPY", {"Destination": "{path}"}),
    ("COPY", {"Destination": "{path}", "Overwrite": "F"}),
    ("MOVE", {"Destination": "{path}"}),
    ("MOVE", {"Destination": "{path}/below"}),
    ("PUT", {"If": "<{path}> ([{etag}])"}),
    ("PUT", {"If": "<{path}> (Not [{etag}])"}),
    ("PUT", {"If": '<{path}> (["made-up"])'}),
    ("PUT", {"If": '<{path}> (Not ["made-up"])'}),
    ("PUT", {"If": "<{path}> (<{token}>)"}),
    ("PUT", {"If": "<{path}> (Not <{token}>)"}),
]
"""Methods for a file of one's own, with headers that name the neighbour's."""

UNSHARED = {
    "/@alice/private": "/@alice/etavirp",
    "/@alice/private/": "/@alice/etavirp/",
    "/@alice/private/diary": "/@alice/etavirp/diary",
    "/@alice/top": "/@alice/pot",
    "/@alice/photos": "/@alice/sotohp",
    "/@alice/photos/2026": "/@alice/sotohp/2026",
    "/@alice/photos/old": "/@alice/sotohp/old",
    "/@alice/photos/old/one": "/@alice/sotohp/old/one",
    "/@alice/with-dave": "/@alice/with-evad",
    "/@alice/with-dave/letter": "/@alice/with-evad/letter",
    "/@carol": "/@lorac",
    "/@carol/": "/@lorac/",
    "/@carol/own": "/@lorac/own",
    "/@bob/own": "/@obb/own",
}
"""Paths of neighbours that are there but weren't shared with bob, and such where there is nothing."""

AROUND = [
    "/@alice/pictures/../private/diary",
    "/@alice/pictures/%2e%2e/private/diary",
    "/@alice/pictures/..%2fprivate%2fdiary",
    "/@alice/pictures/%2e%2e%2fprivate/diary",
    "/@alice/pictures/.%00./private/diary",
    "/@alice/pictures//../private/diary",
    "/@alice/pictures\\..\\private\\diary",
    "/@alice/pictures/%c0%ae%c0%ae/private/diary",
    "/../@alice/private/diary",
    "/%40alice%2fprivate%2fdiary",
    "/@alice%2fprivate/diary",
    "/%2f@alice/private/diary",
    "//@alice/private/diary",
]
"""Ways around the front door."""


@dataclass
class Street:
    """A node with neighbours: alice shares two folders with bob and one with dave, carol nothing with anybody."""

    node: NodeProcess
    token: str = ""
    etag: str = ""

    def ask(
        self, user: str, method: str, path: str, headers: Mapping[str, str] | None = None, body: bytes = b""
    ) -> Answer:
        return self.node.request(method, f"/files{path}", body, {**basic(user), **(headers or {})})

    def everything(self, user: str) -> str:
        """All that somebody has, as they see it."""
        listed = self.ask(user, "PROPFIND", "/", {"Depth": "infinity"}, PROPFIND_ALL)
        assert listed.status == 207
        # What is left of a lock's time changes by itself.
        return "".join(part for part in listed.text.split("timeout") if not part.startswith(">Second"))


@pytest.fixture(scope="module")
def street(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Street]:
    with running(tmp_path_factory.mktemp("street") / "node", NOT_DURABLE) as node:
        for user in ("alice", "bob", "carol", "dave"):
            add_user(node, user)
        street = Street(node)
        wait_until(lambda: node.get("/").status == 401, "the node knows that it has users")
        for path in ("private", "photos", "photos/2026", "photos/old", "drafts", "with-dave"):
            assert street.ask("alice", "MKCOL", f"/{path}").status == 201
        for path in ("top", "private/diary", "photos/2026/new", "photos/old/one", "drafts/poem", "with-dave/letter"):
            assert street.ask("alice", "PUT", f"/{path}", body=b"secret").status == 201
        # With a version to restore, and a lock to break.
        assert street.ask("alice", "PUT", "/private/diary", body=b"more secret").status == 204
        locked = street.ask("alice", "LOCK", "/private/diary", {"Timeout": "Second-3600"}, LOCKINFO)
        street.token = locked.headers["Lock-Token"].strip("<>")
        street.etag = street.ask("alice", "HEAD", "/private/diary").headers["ETag"]
        assert street.ask("carol", "PUT", "/own", body=b"secret").status == 201
        assert street.ask("bob", "PUT", "/own", body=b"secret").status == 201
        people = ("--from", "alice", "--with", "bob")
        administered(node, "share", "/photos/2026", *people, "--name", "pictures")
        administered(node, "share", "/drafts", *people, "--read-write")
        administered(node, "share", "/with-dave", "--from", "alice", "--with", "dave")
        yield street
        assert node.stop() == 0, node.said
        assert "Traceback" not in node.said, node.said


@pytest.fixture
def nothing_has_changed(street: Street) -> Iterator[None]:
    def everything() -> list[object]:
        # What bob has done to his own file is his own affair.
        own = re.findall("<D:href>[^<]*", street.everything("bob"))
        return [street.everything("alice"), street.everything("carol"), own]

    before = everything()
    yield
    assert everything() == before


def told(answer: Answer, path: str) -> tuple[int, list[tuple[str, str]], bytes]:
    """All of an answer, but for the time and for the path that was asked for."""

    def anonymous(text: str) -> str:
        for known in (path, path.rstrip("/"), quote(path), path.rpartition("/")[2]):
            text = text.replace(known, "PATH") if known.strip("/") else text
        return text

    headers = [(name, anonymous(value)) for name, value in answer.headers.items()]
    fixed = [field for field in headers if field[0] not in ("Date", "Content-Length")]
    return answer.status, fixed, anonymous(answer.body.decode()).encode()


def name_of(attempt: tuple[str, str, Mapping[str, str], bytes]) -> str:
    return " ".join([attempt[0] + attempt[1], *attempt[2].values()])


@pytest.mark.parametrize("attempt", TRIES, ids=name_of)
@pytest.mark.usefixtures("nothing_has_changed")
def test_what_was_not_shared_looks_like_what_is_not_there(
    street: Street, attempt: tuple[str, str, Mapping[str, str], bytes]
) -> None:
    method, suffix, headers, body = attempt
    filled = {name: value.format(token=street.token) for name, value in headers.items()}
    for there, not_there in UNSHARED.items():
        answers = [street.ask("bob", method, path + suffix, filled, body) for path in (there, not_there)]
        assert told(answers[0], there) == told(answers[1], not_there), there
        assert answers[0].status >= 400, there


@pytest.mark.parametrize("attempt", THROUGH_OWN, ids=lambda attempt: " ".join([attempt[0], *attempt[1].values()]))
@pytest.mark.usefixtures("nothing_has_changed")
def test_nothing_is_found_out_by_naming_it_in_a_header(street: Street, attempt: tuple[str, Mapping[str, str]]) -> None:
    method, headers = attempt
    for pair in UNSHARED.items():
        answers = []
        for path in (each.rstrip("/") for each in pair):
            known = {"path": f"/files{path}", "token": street.token, "etag": street.etag}
            filled = {name: value.format(**known) for name, value in headers.items()}
            answer = street.ask("bob", method, "/own", filled, b"secret")
            assert answer.status >= 400 or method == "PUT", path
            answers.append(told(answer, path))
        assert answers[0] == answers[1], pair


@pytest.mark.parametrize("attempt", TRIES, ids=name_of)
@pytest.mark.usefixtures("nothing_has_changed")
def test_there_is_no_way_around(street: Street, attempt: tuple[str, str, Mapping[str, str], bytes]) -> None:
    method, suffix, headers, body = attempt
    filled = {name: value.format(token=street.token) for name, value in headers.items()}
    for path in AROUND:
        answer = street.ask("bob", method, path + suffix, filled, body)
        assert answer.status >= 400, path
        assert b"secret" not in answer.body, path


CHANGES = [each for each in TRIES if each[0] not in ("GET", "HEAD", "PROPFIND") and each[1] != "?t=snapshot"]


@pytest.mark.parametrize("attempt", CHANGES, ids=name_of)
@pytest.mark.usefixtures("nothing_has_changed")
def test_what_is_shared_for_reading_cannot_be_changed(
    street: Street, attempt: tuple[str, str, Mapping[str, str], bytes]
) -> None:
    method, suffix, headers, body = attempt
    filled = {name: value.format(token=street.token) for name, value in headers.items()}
    for path in ("/@alice/pictures", "/@alice/pictures/new", "/@alice/pictures/made-up"):
        answer = street.ask("bob", method, path + suffix, filled, body)
        if method == "COPY" and not path.endswith("made-up"):
            # To read is to have a copy.
            assert answer.status == 201, path
            assert street.ask("bob", "DELETE", "/stolen").status == 204
        else:
            assert answer.status >= 400, path


def test_what_is_shared_can_be_used_as_it_was_shared(street: Street) -> None:
    assert street.ask("bob", "GET", "/@alice/pictures/new").body == b"secret"
    assert street.ask("bob", "PUT", "/@alice/drafts/of-bob", body=b"x").status == 201
    assert street.ask("alice", "GET", "/drafts/of-bob").body == b"x"
    assert street.ask("bob", "DELETE", "/@alice/drafts/of-bob").status == 204


@pytest.mark.usefixtures("nothing_has_changed")
def test_a_list_shows_only_what_is_shared(street: Street) -> None:
    shown = street.everything("bob")
    assert "/files/@alice/pictures/new" in shown and "/files/@alice/drafts/poem" in shown
    assert not [name for name in ("private", "diary", "top", "photos", "old", "dave", "carol") if name in shown]
    listed = street.ask("bob", "PROPFIND", "/@alice/", {"Depth": "1"}, PROPFIND_ALL).text
    assert "pictures" in listed and "drafts" in listed
    assert not [name for name in ("private", "top", "photos", "dave") if name in listed]
    assert "@" not in street.everything("carol")
