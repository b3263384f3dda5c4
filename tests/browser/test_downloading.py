"""What a browser makes of files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

import pytest

from tests.browser.pages import Window
from tests.nodes import NodeProcess

OpenWindow = Callable[..., Window]

TELLTALE = b"""<!doctype html><title>still</title><p>shown</p><svg xmlns="http://www.w3.org/2000/svg"></svg>
<script>document.title = "acted"; fetch("/status?t=json")</script>"""
DRAWING = b"""<svg xmlns="http://www.w3.org/2000/svg"><text y="20">shown</text>
<script>document.documentElement.append("acted")</script></svg>"""


@pytest.mark.parametrize("name", ["a b.bin", "\u00fcml\u00e4ut \u2603 \U0001f4be.bin", "q\"uote;s'%41.bin", "100%.bin"])
def test_a_file_is_saved_by_its_name(node: NodeProcess, open_window: OpenWindow, tmp_path: Path, name: str) -> None:
    cap = node.put(b"the bytes of a file, which are more than fifty-five of them")
    window = open_window(node)
    window.go()
    with window.page.expect_download() as downloading:
        address = f"/uri/{quote(cap, safe='')}?filename={quote(name)}&save=true"
        window.page.evaluate("address => { location.href = address }", address)
    # Chromium takes no quotes into the names of its files.
    assert downloading.value.suggested_filename == name.replace('"', "_")


@pytest.mark.parametrize(
    ("name", "content"), [("page.html", TELLTALE), ("page.xml", DRAWING), ("drawing.svg", DRAWING)]
)
@pytest.mark.parametrize("address", ["/files/{name}", "/file/{cap}/@@named=/{name}", "/uri/{cap}?filename={name}"])
def test_a_file_cannot_act_for_whoever_looks_at_it(
    node: NodeProcess, open_window: OpenWindow, address: str, name: str, content: bytes
) -> None:
    cap = node.put(content)
    assert node.request("PUT", f"/files/{name}", content).status in (201, 204)
    window = open_window(node)
    # That its script was kept from running is what the browser says.
    window.excuse("sandbox")
    asked = []
    window.page.on("request", lambda request: asked.append(request.url))
    window.go(address.format(cap=quote(cap, safe=""), name=name))
    assert "shown" in window.page.content() and "acted" not in window.page.title()
    assert window.page.evaluate("window.origin") == "null"
    assert not any("status" in url for url in asked)


def test_a_film_can_be_wound(node: NodeProcess) -> None:
    cap = node.put(bytes(range(256)) * 20_000)
    answer = node.get(f"/file/{cap}/@@named=/film.mp4", {"Range": "bytes=3000000-3000003"})
    assert (answer.status, answer.body, answer.headers["Content-Type"]) == (
        206,
        bytes((192, 193, 194, 195)),
        "video/mp4",
    )
    assert answer.headers["Content-Range"] == "bytes 3000000-3000003/5120000"
    assert answer.headers["X-Content-Type-Options"] == "nosniff" and answer.headers["Accept-Ranges"] == "bytes"
