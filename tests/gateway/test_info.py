"""`t=info`, which `tahoe webopen --info` opens: what is known of a file or directory, for people."""

from __future__ import annotations

import html
import json
import re

import pytest

from tahoeish.chk.caps import ReadCap, parse_cap
from tests.nodes import NodeProcess, content_of

CONTENT = content_of(1000)


@pytest.fixture(scope="module")
def cap(node: NodeProcess) -> str:
    return node.put(CONTENT)


@pytest.fixture(scope="module")
def directory(node: NodeProcess, cap: str) -> str:
    children = {"file": ["filenode", {"ro_uri": cap, "metadata": {"note": "<b>"}}], "more": ["", {"ro_uri": "imm.new"}]}
    answer = node.request("POST", "/uri?t=mkdir-immutable", json.dumps(children).encode())
    assert answer.text.startswith("URI:DIR2-CHK:")
    return answer.text


def info(node: NodeProcess, place: str) -> str:
    answer = node.get(f"/uri/{place}?t=info")
    assert answer.status == 200 and answer.headers["Content-Type"] == "text/html; charset=utf-8"
    return answer.text


def test_a_file_is_known_by_its_size_and_caps(node: NodeProcess, cap: str) -> None:
    parsed = parse_cap(cap)
    assert isinstance(parsed, ReadCap)
    text = info(node, cap)
    for fact in ("About a file", "1000", cap, str(parsed.verify_cap)):
        assert fact in text


def test_what_its_directory_says_of_it_is_told(node: NodeProcess, directory: str) -> None:
    text = info(node, f"{directory}/file")
    assert "&lt;b&gt;" in text and "<b>" not in text


def test_a_directory_is_known_by_its_caps(node: NodeProcess, directory: str) -> None:
    for place in (directory, f"{directory}/"):
        text = info(node, place)
        assert "About a directory" in text and directory in text


def test_its_links_and_buttons_work(node: NodeProcess, cap: str) -> None:
    text = info(node, cap)
    fetch, as_json = re.findall(r'href="(/uri[^"]+)"', text)
    assert node.get(html.unescape(fetch)).body == CONTENT
    assert node.get(html.unescape(as_json)).json()[0] == "filenode"
    buttons = re.findall(r'formaction="([^"]+)"', text)
    assert len(buttons) == 3
    for button in buttons:
        answer = node.request("POST", html.unescape(button))
        assert answer.status == 200 and "<h2>Healthy</h2>" in answer.text


def test_what_only_verifies_can_only_be_checked(node: NodeProcess, cap: str) -> None:
    parsed = parse_cap(cap)
    assert isinstance(parsed, ReadCap)
    text = info(node, str(parsed.verify_cap))
    assert "Read every share" in text and "Repair" not in text and "Fetch" not in text


def test_what_is_in_its_cap_has_nothing_to_check(node: NodeProcess) -> None:
    assert "no shares of it" in info(node, "URI:LIT:me")


class TestBelowADirectory:
    def test_a_child_is_checked_by_its_path(self, node: NodeProcess, directory: str) -> None:
        for path in ("", "/", "/file"):
            answer = node.request("POST", f"/uri/{directory}{path}?t=check&output=JSON")
            assert answer.status == 200 and answer.json()["summary"] == "Healthy"

    def test_one_that_is_not_there_is_missed(self, node: NodeProcess, directory: str) -> None:
        answer = node.request("POST", f"/uri/{directory}/nothing?t=check")
        assert answer.status == 404 and "No such child: nothing" in answer.text

    def test_one_with_a_cap_of_another_kind_is_left_alone(self, node: NodeProcess, directory: str) -> None:
        answer = node.request("POST", f"/uri/{directory}/more?t=check")
        assert answer.status == 400 and "this kind of cap" in answer.text

    def test_a_file_has_no_children_to_check(self, node: NodeProcess, cap: str) -> None:
        answer = node.request("POST", f"/uri/{cap}/child?t=check")
        assert answer.status == 400 and "Files have no children" in answer.text
