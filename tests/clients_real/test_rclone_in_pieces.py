"""A current rclone, as for the clouds to which it sends large files in pieces."""

from __future__ import annotations

import json
import os
import signal
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.clients_real.cutting import cutting
from tests.clients_real.installation import python_clients
from tests.clients_real.programs import run
from tests.nodes import NodeProcess, content_of

pytestmark = pytest.mark.clients

PLACES = {"infinitescale": "/files", "nextcloud": "/remote.php/dav/files/local"}
PIECE = 4 * 1024 * 1024
CONTENT = content_of(30_000_000)
CUTS = (4_000_000, 9_000_000, 5_500_000)


@dataclass(frozen=True)
class Rclone:
    vendor: str

    def __call__(self, *arguments: str | Path, attempts: int = 1) -> str:
        often = ("--retries", str(attempts), "--low-level-retries", str(attempts), "--retries-sleep", "250ms")
        return run(python_clients() / "rclone", "--config", "/dev/null", *often, *arguments)

    def at(self, url: str, folder: str) -> str:
        chunks = f"nextcloud_chunk_size={PIECE}B"
        return f":webdav,url='{url}{PLACES[self.vendor]}',vendor={self.vendor},{chunks}:{folder}"

    def listed(self, there: str) -> dict[str, dict[str, Any]]:
        return {item["Path"]: item for item in json.loads(self("lsjson", "-R", "--files-only", there))}


@pytest.fixture(params=PLACES)
def rclone(request: pytest.FixtureRequest) -> Rclone:
    return Rclone(request.param)


@pytest.fixture
def here(tmp_path: Path) -> Path:
    folder = tmp_path / "here"
    folder.mkdir()
    (folder / "large & grüße").write_bytes(CONTENT)
    (folder / "small").write_bytes(content_of(300_000))
    (folder / "nothing").touch()
    os.utime(folder / "large & grüße", (1_580_608_922, 1_580_608_922))
    return folder


def test_copies_and_finds_no_difference(rclone: Rclone, node: NodeProcess, here: Path, tmp_path: Path) -> None:
    there = rclone.at(node.url, f"{rclone.vendor}-{tmp_path.name}/below")
    rclone("copy", here, there)
    assert "0 differences found" in rclone("check", "--download", here, there)
    assert rclone.listed(there)["large & grüße"]["ModTime"].startswith("2020-02-02T02:02:02")


def test_copies_over_a_bad_line(rclone: Rclone, node: NodeProcess, here: Path, tmp_path: Path) -> None:
    folder = f"{rclone.vendor}-{tmp_path.name}"
    with cutting(lambda: node.url, CUTS) as line:
        rclone("copy", here, rclone.at(line.url, folder), attempts=10)
        assert line.left == 0
    assert "0 differences found" in rclone("check", "--download", here, rclone.at(node.url, folder))


def test_copies_to_a_node_that_is_killed(rclone: Rclone, new_node: NodeProcess, here: Path) -> None:
    def kill() -> None:
        new_node.stop(signal.SIGKILL)
        new_node.start()

    new_node.start()
    with cutting(lambda: new_node.url, CUTS, then=kill) as line:
        rclone("copy", here, rclone.at(line.url, "there"), attempts=20)
    assert "0 differences found" in rclone("check", "--download", here, rclone.at(new_node.url, "there"))
    assert "Traceback" not in new_node.said, new_node.said
