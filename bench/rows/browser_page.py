"""A file that somebody puts in with a browser: the tab and the node take no more memory for its being larger."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from time import perf_counter
from typing import Any

from bench.findings import Finding, not_measured
from bench.node import Node
from bench.process import Process
from bench.setting import Setting
from bench.sizes import MB, MIB, shown
from bench.watch import Watch

SAME_WITHIN = 48
"""MiB. A browser collects its garbage when it likes."""
MOST_SECONDS = 3600.0


@dataclass(frozen=True)
class _Upload:
    """Peaks of resident memory in MiB, and a rate in MB/s."""

    tab: float
    node: float
    rate: float


def measure(setting: Setting) -> Iterator[Finding]:
    what = "a file put in at the upload page"
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None or find_spec("playwright") is None:
        yield not_measured(what, "this takes Chromium (apt-get install chromium) and Playwright (the extra `browser`)")
        return
    scale = setting.scale
    small = [_upload(setting, chromium, scale.small) for _ in range(scale.large_runs)]
    large = [_upload(setting, chromium, scale.large) for _ in range(scale.large_runs)]
    for where in ("tab", "node"):
        least, most = ([getattr(upload, where) for upload in uploads] for uploads in (small, large))
        yield Finding(
            f"memory of the {where}: what {shown(scale.large)} at the upload page take more than {shown(scale.small)}",
            f"the same, within {SAME_WITHIN} MiB",
            [more - min(least) for more in most],
            "MiB",
            max(most) - min(least) <= SAME_WITHIN,
            f"up to {max(most):.0f} MiB",
        )
    rates = [upload.rate for upload in large]
    yield Finding(f"{shown(scale.large)} at the upload page", "to be stated", rates, "MB/s", None)


def _upload(setting: Setting, chromium: str, size: int) -> _Upload:
    file = setting.new_directory() / "large.bin"
    with file.open("wb") as opened:
        # Without content on the disk: what is measured begins where it has been read.
        opened.truncate(size)
    with setting.node() as node, _page(chromium, node) as (page, tab):
        done = page.locator(".transfers li.done")
        tab.forget_most_resident()
        node.process.forget_most_resident()
        begun = perf_counter()
        with Watch(tab.resident) as of_tab, Watch(node.process.resident) as of_node:
            page.set_input_files("input.files", file)
            done.wait_for(timeout=1000 * MOST_SECONDS)
        seconds = perf_counter() - begun
        most_of_tab = max(of_tab.peak, tab.most_resident())
        most_of_node = max(of_node.peak, node.process.most_resident())
    return _Upload(most_of_tab / MIB, most_of_node / MIB, size / MB / seconds)


@contextmanager
def _page(chromium: str, node: Node) -> Iterator[tuple[Any, Process]]:
    """The upload page in a tab, and the process that the tab is."""
    from playwright.sync_api import sync_playwright

    # Its sandbox needs what root hasn't, and its shared memory more than containers have.
    options = ["--disable-dev-shm-usage", *(["--no-sandbox"] if os.getuid() == 0 else [])]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=options)
        try:
            page = browser.new_page()
            page.goto(node.where)
            yield page, Process(_renderer(browser))
        finally:
            browser.close()


def _renderer(browser: Any) -> int:
    """The one that has drawn something: there may be a spare one."""
    processes = browser.new_browser_cdp_session().send("SystemInfo.getProcessInfo")["processInfo"]
    renderers = [process for process in processes if process["type"] == "renderer"]
    return int(max(renderers, key=lambda process: process["cpuTime"])["id"])
