"""The status page, which keeps itself as it is now."""

from __future__ import annotations

from collections.abc import Callable

from tests.browser.pages import Window, expect
from tests.nodes import NodeProcess, content_of, head

OpenWindow = Callable[..., Window]


def test_renews_itself_and_holds_still_when_told_to(node: NodeProcess, open_window: OpenWindow) -> None:
    window = open_window(node)
    window.go("/status")
    transfers = window.page.locator("#transfers")
    expect(transfers).to_contain_text("None.")
    with node.connect() as client:
        client.send(head("PUT", "/files/slow.bin", {"Content-Length": "1000000"}) + content_of(500_000))
        transfers.get_by_text("/files/slow.bin").wait_for()
        window.page.get_by_role("button", name="Hold still").click()
        client.send(content_of(500_000))
        assert client.answer().status == 201
    with window.page.expect_response("**/status"):
        window.page.get_by_role("button", name="Hold still").click()
    transfers.get_by_text("None.").wait_for()


def test_does_without_scripts(node: NodeProcess, open_window: OpenWindow) -> None:
    window = open_window(node, java_script_enabled=False)
    window.go("/status")
    window.page.get_by_role("link", name="Look again").click()
    expect(window.page.get_by_role("heading", name="Peers")).to_be_visible()
    expect(window.page.get_by_role("button")).to_have_count(0)
