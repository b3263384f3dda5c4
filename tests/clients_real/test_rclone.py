"""rclone, as for a plain WebDAV server and as for ownCloud, where it streams, sets times and compares checksums."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.clients_real.programs import PATIENCE, program, run
from tests.nodes import NodeProcess, content_of, wait_until

pytestmark = pytest.mark.clients

VENDORS = ("other", "owncloud")

SIZE = 200_000_000
"""Of a file that is written into a mounted folder."""

PIECE = 1_000_000
LONGEST_CLOSE = 1.0
"""Seconds."""


@dataclass(frozen=True)
class Rclone:
    """The program, and a folder of the node that is known to it as `there`."""

    path: str
    there: str

    def __call__(self, *arguments: str | Path, stdin: bytes = b"") -> str:
        # Nothing of what is said about failures is to be hidden by another attempt.
        once = ("--config", "/dev/null", "--retries", "1", "--low-level-retries", "1")
        return run(self.path, *once, *arguments, stdin=stdin)

    def listed(self, *arguments: str) -> dict[str, dict[str, Any]]:
        found = json.loads(self("lsjson", "-R", "--files-only", *arguments, self.there))
        return {item["Path"]: item for item in found}


@pytest.fixture(params=VENDORS)
def rclone(node: NodeProcess, request: pytest.FixtureRequest, tmp_path: Path) -> Rclone:
    vendor: str = request.param
    folder = f"{vendor}-{tmp_path.name}"
    return Rclone(program("rclone", "rclone"), f":webdav,url='{node.url}/files',vendor={vendor}:{folder}")


@pytest.fixture
def here(tmp_path: Path) -> Path:
    folder = tmp_path / "here"
    (folder / "sub" / "empty").mkdir(parents=True)
    (folder / "nothing").touch()
    (folder / "tiny").write_bytes(b"x")
    (folder / "sub" / "grüße & 100%#?.bin").write_bytes(content_of(3_000_000))
    for number in range(20):
        (folder / f"many-{number}").write_bytes(content_of(10_000, seed=number))
    os.utime(folder / "tiny", (1_580_608_922, 1_580_608_922))
    return folder


def test_copies_and_finds_no_difference(rclone: Rclone, here: Path) -> None:
    rclone("copy", here, rclone.there)
    checked = rclone("check", "--download", here, rclone.there)
    assert "0 differences found" in checked and "23 matching files" in checked


def test_syncs(rclone: Rclone, here: Path) -> None:
    rclone("sync", here, rclone.there)
    (here / "nothing").write_bytes(b"something now")
    (here / "many-3").unlink()
    rclone("sync", here, rclone.there)
    assert "0 differences found" in rclone("check", "--download", here, rclone.there)
    assert "nothing" in rclone.listed() and "many-3" not in rclone.listed()


def test_streams_what_has_no_length_yet(rclone: Rclone) -> None:
    content = content_of(5_000_000)
    rclone("rcat", f"{rclone.there}/streamed", stdin=content)
    assert rclone("cat", f"{rclone.there}/streamed") == content.decode(errors="replace")


def test_moves_files_and_folders(rclone: Rclone, here: Path) -> None:
    rclone("copy", here, rclone.there)
    rclone("moveto", f"{rclone.there}/tiny", f"{rclone.there}/elsewhere/small")
    rclone("moveto", f"{rclone.there}/sub", f"{rclone.there}/elsewhere/below")
    found = rclone.listed()
    assert found["elsewhere/small"]["Size"] == 1 and found["elsewhere/below/grüße & 100%#?.bin"]["Size"] == 3_000_000
    assert "tiny" not in found


def test_copies_within_the_server(rclone: Rclone, here: Path) -> None:
    rclone("copy", here, rclone.there)
    rclone("copyto", f"{rclone.there}/many-1", f"{rclone.there}/again")
    assert rclone.listed()["again"]["Size"] == 10_000


def test_purges(rclone: Rclone, here: Path) -> None:
    rclone("copy", here, rclone.there)
    rclone("purge", f"{rclone.there}/sub")
    assert not [path for path in rclone.listed() if path.startswith("sub")]


def test_tells_what_is_used(rclone: Rclone, here: Path) -> None:
    rclone("copy", here, rclone.there)
    remote = rclone.there.rpartition(":")[0] + ":"
    assert json.loads(rclone("about", "--json", remote))["used"] >= 3_200_001


class TestAsForOwnCloud:
    @pytest.fixture
    def rclone(self, node: NodeProcess, tmp_path: Path) -> Rclone:
        there = f":webdav,url='{node.url}/files',vendor=owncloud:{tmp_path.name}"
        return Rclone(program("rclone", "rclone"), there)

    def test_times_are_kept(self, rclone: Rclone, here: Path) -> None:
        rclone("copy", here, rclone.there)
        assert rclone.listed()["tiny"]["ModTime"].startswith("2020-02-02T02:02:02")

    def test_checksums_are_compared(self, rclone: Rclone, here: Path) -> None:
        rclone("copy", here, rclone.there)
        checked = rclone("check", here, rclone.there)
        assert "0 differences found" in checked and "hashes could not be checked" not in checked
        hashes = rclone.listed("--hash")["tiny"]["Hashes"]
        assert hashes == {"sha1": "11f6ad8ec52a2984abaafd7c3b516503785c2072", "md5": "9dd4e461268c8034f5c8564e155c67a6"}


class TestMounted:
    @pytest.fixture
    def mounted(self, node: NodeProcess, tmp_path: Path) -> Iterator[Path]:
        """The node's folder, as a file system that keeps nothing on this side."""
        rclone = program("rclone", "rclone")
        if os.getuid() != 0 or not Path("/dev/fuse").exists() or shutil.which("fusermount3") is None:
            pytest.skip("NOT TESTED: mounting with rclone takes root here, /dev/fuse and fuse3 (apt-get install fuse3)")
        point = tmp_path / "mounted"
        point.mkdir()
        there = f":webdav,url='{node.url}/files',vendor=owncloud:"
        mounting = subprocess.Popen([rclone, "mount", "--config", "/dev/null", "--vfs-cache-mode", "off", there, point])
        try:
            wait_until(lambda: point.is_mount() or mounting.poll() is not None, "the folder is mounted")
            assert mounting.poll() is None
            yield point
        finally:
            if point.is_mount():
                run("umount", point)
            mounting.terminate()
            mounting.wait(PATIENCE)

    def test_shares_are_sent_while_a_program_still_writes(self, mounted: Path, node: NodeProcess) -> None:
        content = content_of(SIZE)
        twentieth = len(content) // 20
        file = (mounted / "written").open("wb", buffering=0)
        for start in range(0, twentieth, PIECE):
            file.write(content[start : min(start + PIECE, twentieth)])
        wait_until(
            lambda: len(node.incoming()) == 3 and all(path.stat().st_size for path in node.incoming()),
            "all peers have the beginning of their shares, with a twentieth of the file written",
        )
        assert node.get("/files/written").status == 404
        for start in range(twentieth, len(content), PIECE):
            file.write(content[start : start + PIECE])
        written = time.monotonic()
        file.close()
        assert time.monotonic() - written < LONGEST_CLOSE
        wait_until(lambda: node.get("/files/written").status == 200, "the name is there")
        assert node.get("/files/written").body == content
