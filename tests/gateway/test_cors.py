"""Pages of other sites: what their browsers are told, and what they may do at a node that runs."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from tahoeish.gateway.cors import EXPOSED, METHODS, Policy
from tests.nodes import NOT_DURABLE, NodeProcess, running, wait_until
from tests.people import add_user, basic

APP = "https://app.example"
PAGE = {"Origin": APP, "Sec-Fetch-Site": "cross-site"}
STRANGER = {"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"}
GATEWAY = Path(__file__).parents[2] / "tahoeish" / "gateway"


def preflight(method: str, headers: str = "") -> dict[str, str]:
    return {"Access-Control-Request-Method": method} | ({"Access-Control-Request-Headers": headers} if headers else {})


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NodeProcess]:
    settings = {**NOT_DURABLE, "gateway": {"cors_origins": [APP]}}
    with running(tmp_path_factory.mktemp("cors") / "node", settings) as node:
        add_user(node, "alice")
        wait_until(lambda: node.get("/").status == 401, "the node knows that it has users")
        yield node
        assert node.stop() == 0, node.said
        assert "Traceback" not in node.said, node.said


@pytest.mark.parametrize(
    "origin", ["", "null", "https://app.example.evil", "http://app.example", "https://APP.example"]
)
def test_only_the_very_origin_is_allowed(origin: str) -> None:
    verdict = Policy([APP]).verdict("GET", {"Origin": origin}.__getitem__)
    assert not verdict.invited and verdict.headers == {"Vary": "Origin"}


def test_without_origins_no_answer_tells_of_any_of_this() -> None:
    assert Policy().verdict("GET", PAGE.__getitem__).headers == {}


def test_header_names_that_are_none_are_not_approved_of() -> None:
    asked: Mapping[str, str] = {**PAGE, **preflight("PUT", "x-a\r\nevil: 1")}
    verdict = Policy([APP]).verdict("OPTIONS", lambda name: asked.get(name, ""))
    assert verdict.is_preflight and "Access-Control-Allow-Headers" not in verdict.headers


def test_pages_see_every_header_that_tells_of_an_upload() -> None:
    text = "".join(path.read_text() for path in (GATEWAY / "uploads").glob("*.py"))
    told = set(re.findall(r'"((?:Upload|Tus|Tahoeish)-[A-Z][A-Za-z-]+)"', text))
    assert told and told <= set(EXPOSED)


@pytest.mark.parametrize("method", METHODS.split(", "))
@pytest.mark.parametrize("target", ["/", "/files/a", "/uri", "/uploads/", "/uploads/x", "/nothing", "/v1/alice/c/o"])
def test_a_preflight_needs_no_credentials(node: NodeProcess, target: str, method: str) -> None:
    answer = node.request("OPTIONS", target, headers={**PAGE, **preflight(method, "upload-offset, authorization")})
    assert (answer.status, answer.body) == (204, b"")
    assert answer.headers["Access-Control-Allow-Origin"] == APP
    assert answer.headers["Access-Control-Allow-Credentials"] == "true"
    assert method in answer.headers["Access-Control-Allow-Methods"].split(", ")
    assert answer.headers["Access-Control-Allow-Headers"] == "upload-offset, authorization"
    assert answer.headers["Access-Control-Max-Age"] == "7200"
    assert answer.headers["Vary"] == "Origin"


def test_a_preflight_for_a_local_network_is_answered(node: NodeProcess) -> None:
    asked = {**PAGE, **preflight("PUT"), "Access-Control-Request-Private-Network": "true"}
    answer = node.request("OPTIONS", "/files/a", headers=asked)
    assert answer.headers["Access-Control-Allow-Private-Network"] == "true"
    assert "Access-Control-Allow-Headers" not in answer.headers


def test_a_stranger_is_told_nothing(node: NodeProcess) -> None:
    for asked in ({**STRANGER, **preflight("PUT")}, STRANGER):
        answer = node.request("OPTIONS", "/files/a", headers=asked)
        assert not [name for name in answer.headers if name.startswith("Access-Control")]
        assert answer.headers["Vary"] == "Origin"


def test_a_page_that_is_allowed_stores_and_reads(node: NodeProcess) -> None:
    stored = node.request("PUT", "/files/from-page", b"content", {**PAGE, **basic("alice")})
    assert stored.status == 201
    read = node.get("/files/from-page", {**PAGE, **basic("alice")})
    for answer in (stored, read):
        assert answer.headers["Access-Control-Allow-Origin"] == APP
        assert "ETag" in answer.headers["Access-Control-Expose-Headers"].split(", ")


def test_another_may_change_nothing(node: NodeProcess) -> None:
    answer = node.request("PUT", "/files/from-evil", b"content", {**STRANGER, **basic("alice")})
    assert answer.status == 403 and "Access-Control-Allow-Origin" not in answer.headers


@pytest.mark.parametrize(
    ("method", "target", "headers", "status"),
    [
        ("GET", "/files/a", {}, 401),
        ("GET", "/files/missing", basic("alice"), 404),
        ("PATCH", "/uploads/missing", {**basic("alice"), "Tus-Resumable": "1.0.0", "Upload-Offset": "0"}, 404),
        ("MADE-UP", "/files/a", basic("alice"), 405),
    ],
)
def test_a_page_can_read_what_went_wrong(
    node: NodeProcess, method: str, target: str, headers: Mapping[str, str], status: int
) -> None:
    content_type = {"Content-Type": "application/offset+octet-stream"} if method == "PATCH" else {}
    answer = node.request(method, target, headers={**PAGE, **headers, **content_type})
    assert (answer.status, answer.headers["Access-Control-Allow-Origin"]) == (status, APP)
