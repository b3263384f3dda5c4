"""Our pages as people see them, or have them read: in light and dark, on small and large screens."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.browser.pages import Window
from tests.nodes import NOT_DURABLE, NodeProcess, content_of, running, wait_until

OpenWindow = Callable[..., Window]

LIMIT = 40_000_000


@pytest.fixture(scope="module")
def busy_node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NodeProcess]:
    settings = {**NOT_DURABLE, "gateway": {"max_upload_size": LIMIT}}
    with running(tmp_path_factory.mktemp("looks") / "node", settings) as node:
        for name in ("holidays/", "a%20rather%20long%20name%20of%20a%20folder%20in%20which%20much%20is/"):
            assert node.request("MKCOL", f"/files/{name}").status == 201
        for name in ("notes.txt", "pictures%20of%20the%20summer.zip"):
            assert node.request("PUT", f"/files/{name}", content_of(300_000)).status == 201
        yield node


def fill(window: Window, folder: Path) -> None:
    """A row of each kind."""
    for name, size in (("done.txt", 90), ("too large.iso", LIMIT + 1), ("a film of the summer.mkv", 30_000_000)):
        (folder / name).write_bytes(bytes(size))
    window.slow_down(2_000_000)
    window.choose(*folder.iterdir())
    window.wait_for("done.txt", "done")
    window.wait_for("too large.iso", "failed")
    wait_until(lambda: window.position("a film") > 0, "it moves")
    wait_until(lambda: window.said(), "it is said")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [320, 1280])
@pytest.mark.parametrize(("name", "path"), [("upload", "/"), ("folder", "/files/"), ("status", "/status")])
def test_can_be_read_by_everybody(
    busy_node: NodeProcess,
    open_window: OpenWindow,
    artefacts: Path,
    tmp_path: Path,
    name: str,
    path: str,
    width: int,
    scheme: str,
) -> None:
    window = open_window(busy_node, viewport={"width": width, "height": 800}, color_scheme=scheme)
    window.go(path)
    if name == "status":
        window.page.get_by_role("heading", name="Transfers").wait_for()
    else:
        fill(window, tmp_path)
    window.page.screenshot(path=artefacts / f"{name}-{width}-{scheme}.png", full_page=True)
    assert window.violations() == []
    assert window.page.evaluate("document.documentElement.scrollWidth") <= width, "nobody has to scroll sideways"


def test_the_keyboard_reaches_everything(busy_node: NodeProcess, open_window: OpenWindow) -> None:
    window = open_window(busy_node)
    window.go()
    reached = []
    for _ in range(4):
        window.page.keyboard.press("Tab")
        reached.append(window.page.evaluate("document.activeElement.textContent"))
    assert reached == ["tahoeish", "Choose files", "Choose a folder", "Your files"]
