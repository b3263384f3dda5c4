"""A headless Chromium, as Debian has it; without it, or without Playwright, these tests are skipped."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.browser.pages import Window
from tests.nodes import NodeProcess, node

__all__ = ["node"]

_HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if _HERE in item.path.parents:
            item.add_marker(pytest.mark.browser)
            # Chromium is started once.
            item.add_marker(pytest.mark.xdist_group("browser"))


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    reason = "NOT TESTED: Playwright is missing. Install it: pip install 'tahoeish[browser]'"
    playwright = pytest.importorskip("playwright.sync_api", reason=reason)
    program = shutil.which("chromium") or shutil.which("google-chrome")
    if program is None:
        pytest.skip("NOT TESTED: Chromium is missing. Install it: apt-get install chromium")
    # Its sandbox needs what root hasn't, and its shared memory more than containers have.
    options = ["--disable-dev-shm-usage", *(["--no-sandbox"] if os.getuid() == 0 else [])]
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=program, args=options)
        yield browser
        browser.close()


@pytest.fixture
def open_window(chromium: Any) -> Iterator[Callable[..., Window]]:
    """Gives a window of its own, with `new_context`'s options; at its end, it has seen no error of a script."""
    windows: list[Window] = []

    def open_one(node: NodeProcess, **options: Any) -> Window:
        window = Window(chromium.new_context(**options), node)
        windows.append(window)
        return window

    yield open_one
    for window in windows:
        window.context.close()
    for window in windows:
        assert window.errors == []
        assert window.hosts <= {urlsplit(window.url).netloc}, "another host was asked"


@pytest.fixture(scope="session")
def artefacts() -> Path:
    """What is kept to be looked at: `build/browser`, or where the variable `TAHOEISH_ARTEFACTS` says."""
    folder = Path(os.environ.get("TAHOEISH_ARTEFACTS") or _HERE.parents[1] / "build" / "browser")
    folder.mkdir(parents=True, exist_ok=True)
    return folder
