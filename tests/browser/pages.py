"""What tests do with our pages in a browser's window, and what they see there."""

from __future__ import annotations

import json
import math
import re
import signal
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from tests.nodes import PATIENCE, NodeProcess, wait_until
from tests.people import basic, password_of

MS = 1000 * PATIENCE
"""How long Playwright may wait."""

_ABOUT_THE_LINE = ("net::ERR_", "Failed to load resource")

FIRST_PIECE = 4 * 1024 * 1024
"""How much of a large file the upload page sends in its first request."""


def expect(what: Any) -> Any:
    """Playwright's: waits until what is said of it holds. A page that has been clicked may only be on its way."""
    from playwright.sync_api import expect as waiting

    waiting.set_options(timeout=MS)
    return waiting(what)


class Window:
    """A window of a user's, with a memory of its own."""

    def __init__(self, context: Any, node: NodeProcess) -> None:
        self.context = context
        self.node = node
        self.url = node.url
        self.errors: list[str] = []
        self.hosts: set[str] = set()
        self.page = context.new_page()
        self._excused = [*_ABOUT_THE_LINE]
        self._held: list[Any] = []
        self._swallowed = 0
        self._let_through: float = 0
        self._line = context.new_cdp_session(self.page)
        self.page.set_default_timeout(MS)
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("console", self._note_console)
        self.page.on("request", self._note_request)

    def go(self, path: str = "/", *, user: str | None = None) -> None:
        """Open a page of the node, logged in as the user."""
        scheme, rest = self.url.split("//")
        login = "" if user is None else f"{user}:{password_of(user).replace(' ', '%20')}@"
        self.page.goto(f"{scheme}//{login}{rest.rstrip('/')}{path}")

    def choose(self, *files: Path) -> None:
        self.page.set_input_files("input.files", list(files))

    def choose_folder(self, folder: Path) -> None:
        self.page.set_input_files("input.folders", folder)

    def slow_down(self, bytes_per_second: int) -> None:
        """How fast things go out from now on; -1 for as fast as they can."""
        conditions = {"offline": False, "latency": 0, "downloadThroughput": -1, "uploadThroughput": bytes_per_second}
        self._line.send("Network.emulateNetworkConditions", conditions)

    def hold_uploads(self, behind: int) -> None:
        """Keep back the pieces of files that begin so far in, or further, until `let_go`."""
        self._let_through = behind
        self.page.route("**/uploads/*", self._pass_or_hold)

    def let_go(self) -> None:
        self._let_through = math.inf
        held, self._held = self._held, []
        for route in held:
            route.continue_()

    def swallow(self, method: str) -> None:
        """The next such request goes nowhere, and nobody says so."""

        def keep(route: Any) -> None:
            if route.request.method == method:
                self._swallowed += 1
                self.page.unroute("**/*", keep)
            else:
                route.fallback()

        self.page.route("**/*", keep)

    def wait_for_swallowed(self, number: int) -> None:
        # Playwright hears of requests while it is asked something.
        wait_until(lambda: bool(self.page.title()) and self._swallowed >= number, f"{number} requests have got lost")

    def lose_answers(self, method: str, number: int) -> None:
        """The line breaks when the answers to so many of these requests come back."""
        lost: list[str] = []

        def pass_or_lose(event: dict[str, Any]) -> None:
            request = {"requestId": event["requestId"]}
            if event["request"]["method"] == method and len(lost) < number:
                lost.append(event["requestId"])
                self._line.send("Fetch.failRequest", {**request, "errorReason": "ConnectionReset"})
            else:
                self._line.send("Fetch.continueRequest", request)

        self._line.on("Fetch.requestPaused", pass_or_lose)
        self._line.send("Fetch.enable", {"patterns": [{"urlPattern": "*", "requestStage": "Response"}]})

    def excuse(self, words: str) -> None:
        """The browser may complain of this."""
        self._excused.append(words)

    def row(self, name: str) -> Any:
        return self.page.locator(".transfers li", has_text=name)

    def position(self, name: str) -> float:
        """Of the bar, in bytes."""
        bar = self.row(name).locator("progress")
        return float(bar.evaluate("bar => bar.value")) if bar.count() else 0.0

    def wait_for_position(self, name: str, position: float) -> None:
        """Until so much of it is stored."""
        wait_until(lambda: self.position(name) >= position, f"{position} bytes of {name} are stored")

    def wait_for(self, name: str, state: str) -> None:
        self.page.locator(f".transfers li.{state}", has_text=name).wait_for()

    def wait_for_done(self, number: int) -> None:
        """Until so many are stored."""
        done = self.page.locator(".transfers li.done")
        wait_until(lambda: done.count() >= number, f"{number} files are stored")

    def link(self, name: str) -> str:
        """Of a stored file."""
        address: str = self.row(name).locator("a").get_attribute("href")
        return address

    @property
    def said(self) -> Any:
        """Where it is told what has become of the files."""
        return self.page.locator(".said")

    def violations(self) -> Sequence[str]:
        """What axe finds of the rules of WCAG 2.2, levels A and AA."""
        from axe_playwright_python.sync_playwright import Axe

        tags = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
        found = Axe().run(self.page, options={"runOnly": {"type": "tag", "values": tags}})
        return [f"{one['id']}: {[node['html'] for node in one['nodes']]}" for one in found.response["violations"]]

    def _note_console(self, message: Any) -> None:
        # That a line was lost, and that something was refused, is what tests are about.
        if message.type == "error" and not any(words in message.text for words in self._excused):
            self.errors.append(message.text)

    def _pass_or_hold(self, route: Any) -> None:
        if int(route.request.headers.get("upload-offset", -1)) >= self._let_through:
            self._held.append(route)
        else:
            route.continue_()

    def _note_request(self, request: Any) -> None:
        parts = urlsplit(request.url)
        if parts.scheme in ("http", "https"):
            self.hosts.add(parts.netloc.rpartition("@")[2])


def new_link(node: NodeProcess, **wish: object) -> str:
    """To ann's inbox; gives its path."""
    answer = node.request("POST", "/links", json.dumps({"folder": "/files/inbox", **wish}).encode(), basic("ann"))
    assert answer.status == 201, answer
    return "/drop/" + str(answer.json()["url"]).rpartition("/")[2]


def brought(node: NodeProcess) -> list[str]:
    """What lies in ann's inbox."""
    listed = node.request("PROPFIND", "/files/inbox/", headers={**basic("ann"), "Depth": "1"})
    hrefs = re.findall(r"<D:href>/files/inbox/([^<]+)</D:href>", listed.text)
    return [unquote(href) for href in hrefs]


def restart(node: NodeProcess) -> None:
    """Kill it, and start it again where it was."""
    port = urlsplit(node.url).port
    node.stop(signal.SIGKILL)
    node.start("--listen", f"tcp:{port}:interface=127.0.0.1")
