"""Style sheets and scripts, as browsers fetch them."""

from __future__ import annotations

import re
from importlib.resources import files

import pytest

from tahoeish.gateway.pages import policy
from tests.nodes import NodeProcess
from tests.people import add_user

PAGES = files("tahoeish.gateway.pages")
NAMES = sorted(file.name for file in PAGES.iterdir() if file.name.endswith((".css", ".js")))


@pytest.mark.parametrize("name", NAMES)
def test_is_served_and_not_served_again(node: NodeProcess, name: str) -> None:
    answer = node.get(f"/assets/{name}")
    kind = "css" if name.endswith(".css") else "javascript"
    assert (answer.status, answer.headers["Content-Type"]) == (200, f"text/{kind}; charset=utf-8")
    assert answer.headers["X-Content-Type-Options"] == "nosniff" and answer.headers["Cache-Control"] == "no-cache"
    assert answer.text == (PAGES / name).read_text()
    assert node.get(f"/assets/{name}", {"If-None-Match": answer.headers["ETag"]}).status == 304


@pytest.mark.parametrize("name", ["", "nothing.js", "assets.py", "../pages/style.css", "style.css/"])
def test_nothing_else_is(node: NodeProcess, name: str) -> None:
    assert node.get(f"/assets/{name}").status == 404


def test_nobody_has_to_log_in_for_them(new_node: NodeProcess) -> None:
    add_user(new_node, "ann")
    new_node.start()
    assert new_node.get("/assets/style.css").status == 200
    assert new_node.get("/").status == 401


@pytest.mark.parametrize("name", NAMES)
def test_nothing_of_another_host_is_asked_for(name: str) -> None:
    assert re.findall(r"https?://|@import|url\(", (PAGES / name).read_text()) == []


@pytest.mark.parametrize("page", ["/", "/files/"])
def test_a_page_may_run_nothing_but_our_scripts(node: NodeProcess, page: str) -> None:
    answer = node.get(page, {"Accept": "text/html"})
    assert answer.headers["Content-Security-Policy"].encode() == policy.SCRIPTED and b"unsafe" not in policy.SCRIPTED
    assert "style=" not in answer.text and not re.search(
        r"<script(?! type=\"module\" src=\"/assets/)|\son\w+=", answer.text
    )
