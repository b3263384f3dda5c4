"""davfs2: files through the kernel, as any program sees them."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from grp import getgrnam
from pathlib import Path

import pytest

from tests.clients_real.programs import program, run
from tests.nodes import NodeProcess, content_of, wait_until

pytestmark = pytest.mark.clients

# delay_upload: else it waits ten seconds before it sends a file. buf_size: with the 16 KiB that it takes by itself,
# recent kernels can't read a folder, whatever the server.
_CONFIGURATION = """\
ask_auth 0
cache_dir {cache}
delay_upload 0
dir_refresh 1
buf_size 64
"""


@pytest.fixture
def mounted(node: NodeProcess, request: pytest.FixtureRequest) -> Iterator[Path]:
    """A folder of the node's, mounted."""
    mount = program("mount.davfs", "davfs2")
    if os.getuid() != 0 or not Path("/dev/fuse").exists():
        pytest.skip("NOT TESTED: mounting with davfs2 takes root and /dev/fuse")
    # Not pytest's own folder: davfs2 works as another user, who can't get in there.
    folder = Path(tempfile.mkdtemp(prefix="davfs2-"))
    folder.chmod(0o755)
    cache, point = folder / "cache", folder / "mounted"
    cache.mkdir()
    os.chown(cache, 0, getgrnam("davfs2").gr_gid)
    cache.chmod(0o775)
    point.mkdir()
    configuration = folder / "davfs2.conf"
    configuration.write_text(_CONFIGURATION.format(cache=cache))
    configuration.chmod(0o600)
    name = f"davfs2-{request.node.name}"
    assert node.request("MKCOL", f"/files/{name}").status == 201
    run(mount, "-o", f"conf={configuration}", f"{node.url}/files/{name}/", point)
    try:
        yield point
    finally:
        # Waits until all is uploaded.
        run("umount", point)
        left = list(cache.glob("*/lost+found/*"))
        shutil.rmtree(folder)
    assert not left, "uploads failed"


def remote(mounted: Path, node: NodeProcess, request: pytest.FixtureRequest, name: str) -> bytes | None:
    """What the node has by this name; None if it has nothing."""
    answer = node.get(f"/files/davfs2-{request.node.name}/{name}")
    return answer.body if answer.status == 200 else None


@pytest.mark.parametrize("size", [0, 1, 100_000_000])
def test_cp(mounted: Path, node: NodeProcess, request: pytest.FixtureRequest, tmp_path: Path, size: int) -> None:
    content = content_of(size)
    (tmp_path / "source").write_bytes(content)
    run("cp", tmp_path / "source", mounted / "file")
    wait_until(lambda: remote(mounted, node, request, "file") == content, "the file is uploaded")
    assert (mounted / "file").read_bytes() == content


def test_editing_in_place(mounted: Path, node: NodeProcess, request: pytest.FixtureRequest) -> None:
    (mounted / "file").write_bytes(content_of(200_000))
    wait_until(lambda: remote(mounted, node, request, "file") == content_of(200_000), "the file is uploaded")
    with (mounted / "file").open("r+b") as file:
        file.seek(100_000)
        file.write(b"edited")
        file.seek(0, os.SEEK_END)
        file.write(b"appended")
    edited = content_of(200_000)[:100_000] + b"edited" + content_of(200_000)[100_006:] + b"appended"
    wait_until(lambda: remote(mounted, node, request, "file") == edited, "the change is uploaded")


def test_mv_and_rm(mounted: Path, node: NodeProcess, request: pytest.FixtureRequest) -> None:
    (mounted / "folder" / "below").mkdir(parents=True)
    (mounted / "file").write_bytes(content_of(60_000))
    wait_until(lambda: remote(mounted, node, request, "file") == content_of(60_000), "the file is uploaded")

    run("mv", mounted / "file", mounted / "folder" / "below" / "moved")
    assert sorted(os.listdir(mounted / "folder" / "below")) == ["moved"]
    assert remote(mounted, node, request, "folder/below/moved") == content_of(60_000)
    assert remote(mounted, node, request, "file") is None

    run("mv", mounted / "folder", mounted / "renamed")
    assert remote(mounted, node, request, "renamed/below/moved") == content_of(60_000)

    run("rm", "-r", mounted / "renamed")
    assert remote(mounted, node, request, "renamed/below/moved") is None
    assert node.get(f"/files/davfs2-{request.node.name}/renamed/").status == 404
