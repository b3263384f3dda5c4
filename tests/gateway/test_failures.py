"""What people read in a browser when something is wrong, and programs at the same time."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.gateway.test_page import Seen
from tests.nodes import NOT_DURABLE, NodeProcess, running, wait_until
from tests.people import add_user, basic

BROWSER = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}


@pytest.fixture(scope="module")
def owned_node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NodeProcess]:
    """A node of alice's."""
    with running(tmp_path_factory.mktemp("failures") / "node", NOT_DURABLE) as node:
        add_user(node, "alice")
        wait_until(lambda: node.get("/").status == 401, "the node knows that it has users")
        yield node


@pytest.mark.parametrize(
    ("method", "target", "status"),
    [("GET", "/files/none", 404), ("GET", "/nowhere", 404), ("GET", "/uri/junk", 400), ("POST", "/status", 405)],
)
def test_a_browser_gets_a_page_with_the_words_that_programs_get(
    owned_node: NodeProcess, method: str, target: str, status: int
) -> None:
    line = owned_node.request(method, target, headers=basic("alice"))
    answer = owned_node.request(method, target, headers={**basic("alice"), **BROWSER})
    assert line.status == answer.status == status
    assert line.headers["Content-Type"] == "text/plain; charset=utf-8" and line.text.count("\n") == 1
    assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    seen = Seen(answer.text)
    assert line.text.strip() in seen.text
    assert {"/", "/files/", "/status"} <= {dict(attributes).get("href") for tag, attributes in seen.tags if tag == "a"}


def test_who_is_asked_who_they_are_may_try_again_and_is_led_nowhere_else(owned_node: NodeProcess) -> None:
    line, answer = owned_node.get("/files/"), owned_node.get("/files/", BROWSER)
    assert line.status == answer.status == 401
    assert line.headers.get_all("WWW-Authenticate") == answer.headers.get_all("WWW-Authenticate") != []
    seen = Seen(answer.text)
    assert line.text.strip() in seen.text
    assert [dict(attributes)["href"] for tag, attributes in seen.tags if tag == "a"] == [""]


@pytest.mark.parametrize(
    ("target", "told"),
    [
        ("/files/none", "/files/none"),
        ("/files/a%20b/c/", "/files/a b/c"),
        ("/remote.php/dav/files/alice/none", "/remote.php/dav/files/alice/none"),
    ],
)
def test_what_is_not_there_is_called_as_it_was_asked_for(owned_node: NodeProcess, target: str, told: str) -> None:
    assert owned_node.get(target, basic("alice")).text == f"there is nothing at {told}\n"


def test_what_is_quoted_never_becomes_markup(owned_node: NodeProcess) -> None:
    answer = owned_node.get("/files/%3Cb%3Enone%E2%80%AE", {**basic("alice"), **BROWSER})
    assert "/files/&lt;b&gt;none\N{REPLACEMENT CHARACTER}" in answer.text


@pytest.mark.parametrize("method", ["PROPFIND", "DELETE"])
def test_a_file_manager_gets_what_it_understands(owned_node: NodeProcess, method: str) -> None:
    answer = owned_node.request(method, "/files/none", headers={**basic("alice"), **BROWSER})
    assert answer.status == 404 and "html" not in answer.headers["Content-Type"]


def test_the_head_of_a_page_is_that_of_the_page(owned_node: NodeProcess) -> None:
    whole = owned_node.get("/files/none", {**basic("alice"), **BROWSER})
    brief = owned_node.request("HEAD", "/files/none", headers={**basic("alice"), **BROWSER})
    assert (brief.status, brief.body) == (404, b"")
    assert brief.headers["Content-Length"] == whole.headers["Content-Length"] == str(len(whole.body))


def test_programs_that_say_so_get_json(owned_node: NodeProcess) -> None:
    answer = owned_node.get("/nowhere", {**basic("alice"), "Accept": "application/json, text/html"})
    assert answer.status == 404 and answer.json()["title"] == "Not found"
