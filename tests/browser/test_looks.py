"""Our pages as people see them, or have them read: in light and dark, on small and large screens."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.browser.pages import FIRST_PIECE, Window, expect, new_link
from tests.nodes import NOT_DURABLE, NodeProcess, content_of, head, running
from tests.people import add_user, basic

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
    window.hold_uploads(behind=FIRST_PIECE)
    window.choose(*folder.iterdir())
    window.wait_for("done.txt", "done")
    window.wait_for("too large.iso", "failed")
    window.wait_for_position("a film", FIRST_PIECE)
    expect(window.said).to_contain_text("1 of 3 files stored")


@pytest.fixture(scope="module")
def node_with_users(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NodeProcess]:
    """Ann has an unfinished upload there, and another one that waits for the rest of its body."""
    with NodeProcess(tmp_path_factory.mktemp("users") / "node", NOT_DURABLE) as node:
        add_user(node, "ann")
        add_user(node, "olga", "--operator")
        node.start()
        assert node.request("MKCOL", "/files/inbox/", headers=basic("ann")).status == 201
        begun = {"Upload-Complete": "?0", "Upload-Length": "9000000", **basic("ann")}
        assert (
            node.request("PUT", "/files/a%20film%20of%20the%20summer.mkv", content_of(4_000_000), begun).status == 201
        )
        with node.connect() as client:
            client.send(head("PUT", "/files/inbox/notes.txt", {"Content-Length": "900", **basic("ann")}) + b"part")
            yield node


@pytest.fixture(params=[(320, "light"), (320, "dark"), (1280, "light"), (1280, "dark")], ids=lambda each: each)
def view(request: pytest.FixtureRequest) -> tuple[int, str]:
    """The width of a window, and the colours that its user likes."""
    width, scheme = request.param
    return int(width), str(scheme)


def open_view(open_window: OpenWindow, node: NodeProcess, view: tuple[int, str]) -> Window:
    width, scheme = view
    return open_window(node, viewport={"width": width, "height": 800}, color_scheme=scheme)


def expect_readable(window: Window, view: tuple[int, str], picture: Path) -> None:
    width, scheme = view
    window.page.screenshot(path=picture.with_name(f"{picture.name}-{width}-{scheme}.png"), full_page=True)
    assert window.violations() == []
    assert window.page.evaluate("document.documentElement.scrollWidth") <= width, "nobody has to scroll sideways"


@pytest.mark.parametrize(("name", "path"), [("upload", "/"), ("folder", "/files/"), ("status", "/status")])
def test_can_be_read_by_everybody(
    busy_node: NodeProcess,
    open_window: OpenWindow,
    artefacts: Path,
    tmp_path: Path,
    name: str,
    path: str,
    view: tuple[int, str],
) -> None:
    window = open_view(open_window, busy_node, view)
    window.go(path)
    if name == "status":
        window.page.get_by_role("heading", name="Transfers").wait_for()
    else:
        fill(window, tmp_path)
    expect_readable(window, view, artefacts / name)


@pytest.mark.parametrize(("user", "told"), [("olga", "you see what everybody does"), ("ann", "you see what is yours")])
def test_the_status_can_be_read_by_operators_and_users(
    node_with_users: NodeProcess,
    open_window: OpenWindow,
    artefacts: Path,
    user: str,
    told: str,
    view: tuple[int, str],
) -> None:
    window = open_view(open_window, node_with_users, view)
    window.go("/status", user=user)
    expect(window.page.get_by_text(told)).to_be_visible()
    for name in ("a film of the summer.mkv", "/files/inbox/notes.txt"):
        expect(window.page.get_by_text(name)).to_be_visible()
    expect_readable(window, view, artefacts / f"status of {user}")


def test_guests_can_read_what_becomes_of_their_files(
    node_with_users: NodeProcess, open_window: OpenWindow, artefacts: Path, tmp_path: Path, view: tuple[int, str]
) -> None:
    window = open_view(open_window, node_with_users, view)
    window.go(new_link(node_with_users, label="Pictures for Ann", max_size=1_000_000, content_types=["image/*"]))
    for name, size in (("beach.png", 90), ("the whole summer.png", 2_000_000), ("notes.txt", 90)):
        (tmp_path / name).write_bytes(bytes(size))
    window.choose(*tmp_path.iterdir())
    window.wait_for("beach.png", "done")
    window.wait_for("the whole summer.png", "failed")
    window.wait_for("notes.txt", "failed")
    expect(window.said).to_contain_text("1 of 3 files stored")
    expect_readable(window, view, artefacts / "guest")


def test_everybody_can_read_that_something_is_not_there(
    node_with_users: NodeProcess, open_window: OpenWindow, artefacts: Path, view: tuple[int, str]
) -> None:
    window = open_view(open_window, node_with_users, view)
    window.go("/files/nothing%20of%20this%20name", user="ann")
    expect(window.page.get_by_text("there is nothing at /files/nothing of this name")).to_be_visible()
    expect_readable(window, view, artefacts / "nothing there")


def test_guests_can_read_long_words(
    node_with_users: NodeProcess, open_window: OpenWindow, artefacts: Path, view: tuple[int, str]
) -> None:
    window = open_view(open_window, node_with_users, view)
    kinds = ["application/vnd.openxmlformats-officedocument.wordprocessingml.document"]
    label = "Rindfleischetikettierungsüberwachungsaufgabenübertragung"
    window.go(new_link(node_with_users, label=label, content_types=kinds))
    expect(window.page.get_by_role("heading", name="Rindfleisch")).to_be_visible()
    expect_readable(window, view, artefacts / "long words")


def test_guests_can_read_that_a_link_is_no_more(
    node_with_users: NodeProcess, open_window: OpenWindow, artefacts: Path, view: tuple[int, str]
) -> None:
    window = open_view(open_window, node_with_users, view)
    window.go("/drop/nothing")
    expect(window.page.get_by_role("heading", name="There is no such link")).to_be_visible()
    expect_readable(window, view, artefacts / "no link")


def test_the_keyboard_reaches_everything(busy_node: NodeProcess, open_window: OpenWindow) -> None:
    window = open_window(busy_node)
    window.go()
    reached = []
    for _ in range(6):
        window.page.keyboard.press("Tab")
        reached.append(window.page.evaluate("document.activeElement.textContent"))
    assert reached == ["tahoeish", "Files", "Status", "Choose files", "Choose a folder", "Your files"]
