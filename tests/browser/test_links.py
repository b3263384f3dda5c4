"""Somebody with an upload link and a browser, and nothing else."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.browser.pages import FIRST_PIECE, Window, brought, expect, new_link, restart
from tests.nodes import NOT_DURABLE, NodeProcess, content_of, wait_until
from tests.people import add_user, basic

OpenWindow = Callable[..., Window]


@pytest.fixture(scope="module")
def ann_s_node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NodeProcess]:
    with NodeProcess(tmp_path_factory.mktemp("links") / "node", NOT_DURABLE) as node:
        add_user(node, "ann")
        node.start()
        assert node.request("MKCOL", "/files/inbox/", headers=basic("ann")).status == 201
        yield node


def test_a_guest_brings_files(
    ann_s_node: NodeProcess, open_window: OpenWindow, tmp_path: Path, artefacts: Path
) -> None:
    contents = {"small.txt": b"a few bytes", "large.bin": content_of(20_000_000)}
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
    window = open_window(ann_s_node)
    window.go(new_link(ann_s_node, label="Pictures for Ann"))
    assert window.violations() == []
    window.choose(*(tmp_path / name for name in contents))
    for name in contents:
        window.wait_for(name, "done")
    window.page.screenshot(path=artefacts / "guest-1280-light.png", full_page=True)
    for name, content in contents.items():
        assert ann_s_node.get(f"/files/inbox/{name}", basic("ann")).body == content


def test_a_guest_s_upload_goes_on_after_a_reload(
    ann_s_node: NodeProcess, open_window: OpenWindow, tmp_path: Path
) -> None:
    file = tmp_path / "film.bin"
    file.write_bytes(content_of(20_000_000))
    window = open_window(ann_s_node)
    window.go(new_link(ann_s_node))
    window.hold_uploads(behind=FIRST_PIECE)
    window.choose(file)
    window.wait_for_position("film.bin", FIRST_PIECE)
    window.page.reload()
    window.choose(file)
    window.wait_for_position("film.bin", FIRST_PIECE)
    window.let_go()
    window.wait_for("film.bin", "done")
    assert ann_s_node.get("/files/inbox/film.bin", basic("ann")).body == file.read_bytes()


def choose_without_an_answer(window: Window, link: str, file: Path) -> None:
    """The node takes it, and the page doesn't get to know."""
    window.go(link)
    window.lose_answers("POST", 1)
    window.choose(file)
    window.wait_for(file.name, "retrying")


def test_a_small_file_comes_once_though_the_answer_was_lost(
    ann_s_node: NodeProcess, open_window: OpenWindow, tmp_path: Path
) -> None:
    for size in (20, 30_000):
        (tmp_path / f"lost-{size}.bin").write_bytes(content_of(size))
    window = open_window(ann_s_node)
    window.go(new_link(ann_s_node, max_files=2))
    window.lose_answers("POST", 2)
    window.choose(*(tmp_path / f"lost-{size}.bin" for size in (20, 30_000)))
    for size in (20, 30_000):
        window.wait_for(f"lost-{size}.bin", "done")
        assert ann_s_node.get(f"/files/inbox/lost-{size}.bin", basic("ann")).body == content_of(size)
    assert sum("lost-" in name for name in brought(ann_s_node)) == 2


def test_a_small_file_comes_once_though_the_answer_was_lost_and_the_page_reloaded(
    ann_s_node: NodeProcess, open_window: OpenWindow, tmp_path: Path
) -> None:
    file = tmp_path / "reloaded.bin"
    file.write_bytes(content_of(30_000))
    window = open_window(ann_s_node)
    choose_without_an_answer(window, new_link(ann_s_node), file)
    window.page.reload()
    expect(window.row("reloaded.bin")).to_contain_text("Choose the same file again")
    window.choose(file)
    window.wait_for("reloaded.bin", "done")
    assert sum("reloaded" in name for name in brought(ann_s_node)) == 1


def test_each_of_many_files_comes_once_though_the_node_was_killed(open_window: OpenWindow, tmp_path: Path) -> None:
    files = [tmp_path / f"{number}.bin" for number in range(60)]
    for number, file in enumerate(files):
        file.write_bytes(content_of(30_000, number))
    with NodeProcess(tmp_path / "node", NOT_DURABLE) as node:
        add_user(node, "ann")
        node.start()
        assert node.request("MKCOL", "/files/inbox/", headers=basic("ann")).status == 201
        window = open_window(node)
        window.go(new_link(node))
        window.choose(*files)
        for enough in (10, 30):
            window.wait_for_done(enough)
            restart(node)
        expect(window.said).to_have_text("60 of 60 files stored.")
        assert sorted(brought(node)) == sorted(file.name for file in files)


def test_a_folder_that_is_chosen_again_after_a_reload_brings_only_what_is_missing(
    ann_s_node: NodeProcess, open_window: OpenWindow, tmp_path: Path, artefacts: Path
) -> None:
    folder = tmp_path / "again"
    folder.mkdir()
    for number in range(6):
        (folder / f"p{number}.jpg").write_bytes(content_of(2_000_000, number))
    window = open_window(ann_s_node)
    window.go(new_link(ann_s_node))
    asked: list[str] = []

    def leave(dialog: Any) -> None:
        asked.append(dialog.type)
        dialog.accept()

    window.page.on("dialog", leave)
    # Some activity of a person is needed for a page to ask anything.
    window.page.locator("main").click()
    window.slow_down(1_500_000)
    window.choose_folder(folder)
    window.wait_for_done(2)
    window.page.reload()
    assert asked == ["beforeunload"]
    window.slow_down(-1)
    window.choose_folder(folder)
    stored_before = window.page.locator(".transfers li", has_text="stored already on")
    expect(window.said).to_contain_text("stored already, and not sent again")
    already = stored_before.count()
    assert already >= 2
    window.wait_for_done(6 - already)
    window.page.screenshot(path=artefacts / "guest-again-1280-light.png", full_page=True)
    assert window.violations() == []
    listed = ann_s_node.request("PROPFIND", "/files/inbox/again/", headers={**basic("ann"), "Depth": "1"})
    assert all(f"p{number}.jpg" in listed.text for number in range(6)) and "(2)" not in listed.text
    window.page.reload()
    assert asked == ["beforeunload"], "nothing is under way any more"
    window.choose_folder(folder)
    again = window.page.get_by_role("button", name="Send it again: again/p0.jpg")
    again.click()
    window.wait_for_done(1)
    assert ann_s_node.get("/files/inbox/again/p0%20(2).jpg", basic("ann")).status == 200


def test_what_was_cancelled_before_the_node_had_answered_is_not_left_there(
    ann_s_node: NodeProcess, open_window: OpenWindow, tmp_path: Path
) -> None:
    file = tmp_path / "unwanted.bin"
    file.write_bytes(content_of(20_000_000))
    window = open_window(ann_s_node)
    choose_without_an_answer(window, new_link(ann_s_node), file)
    with window.page.expect_response(lambda answer: answer.request.method == "DELETE") as deleting:
        window.page.get_by_role("button", name="Cancel: unwanted.bin").click()
    assert deleting.value.status == 204
    window.page.reload()
    expect(window.row("unwanted.bin")).to_have_count(0)


def test_what_a_link_does_not_take_is_refused_in_words(
    ann_s_node: NodeProcess, open_window: OpenWindow, tmp_path: Path
) -> None:
    file = tmp_path / "large.bin"
    file.write_bytes(bytes(2_000_000))
    window = open_window(ann_s_node)
    window.go(new_link(ann_s_node, max_size=1_000_000))
    window.choose(file)
    window.wait_for("large.bin", "failed")
    expect(window.row("large.bin")).to_contain_text("larger than the 1.0 MB that are taken here")


def test_an_expired_link_says_so(ann_s_node: NodeProcess, open_window: OpenWindow, artefacts: Path) -> None:
    path = new_link(ann_s_node, expires_in=1)
    wait_until(lambda: ann_s_node.get(path).status != 200, "it expires")
    window = open_window(ann_s_node)
    window.go(path)
    expect(window.page.get_by_role("heading", name="This link is over")).to_be_visible()
    expect(window.page.get_by_text("This link has expired; ask whoever gave it to you")).to_be_visible()
    window.page.screenshot(path=artefacts / "expired-1280-light.png", full_page=True)
    assert window.violations() == []


def test_a_guest_s_folder_keeps_its_names(ann_s_node: NodeProcess, open_window: OpenWindow, tmp_path: Path) -> None:
    folder = tmp_path / "pictures"
    (folder / "of summer").mkdir(parents=True)
    for name in ("1.png", "of summer/2.png"):
        (folder / name).write_bytes(name.encode())
    window = open_window(ann_s_node)
    window.go(new_link(ann_s_node))
    window.choose_folder(folder)
    for name in ("1.png", "of summer/2.png"):
        window.wait_for(f"pictures/{name}", "done")
        address = f"/files/inbox/pictures/{name.replace(' ', '%20')}"
        assert ann_s_node.get(address, basic("ann")).body == name.encode()
