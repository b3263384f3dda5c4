"""Snapshots of a gateway of ours in a stock client's hands, and a stock client's backups in a gateway of ours."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.gateway.dav.webdav import Folder
from tests.interop import INTEROP
from tests.interop.grids import StockGrid, running_stock_grid
from tests.interop.ours import OurGateway, tahoeish
from tests.interop.samples import MIB, Encoding, sample
from tests.interop.tahoe import Client

pytestmark = INTEROP

ENCODING = Encoding(2, 2, 3)


@pytest.fixture(scope="module")
def grid(tahoe_program: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[StockGrid]:
    with running_stock_grid(tahoe_program, tmp_path_factory.mktemp("stock") / "grid", nodes=3) as grid:
        yield grid


@pytest.fixture(scope="module")
def client(grid: StockGrid) -> Client:
    """A stock one."""
    return grid.client(ENCODING)


@pytest.fixture(scope="module")
def ours(client: Client, tmp_path_factory: pytest.TempPathFactory) -> Iterator[OurGateway]:
    gateway = OurGateway(tmp_path_factory.mktemp("ours") / "gateway", ENCODING, client)
    with gateway:
        gateway.start()
        yield gateway
        assert gateway.stop() == 0, gateway.said
        assert "Traceback" not in gateway.said, gateway.said


def test_a_stock_client_has_the_names_and_files_of_a_snapshot(ours: OurGateway, client: Client, tmp_path: Path) -> None:
    files = {"größe.bin": sample(MIB + 1, seed=11), "x/y/a & b": sample(100_000, seed=12), "x/empty file": b""}
    folder = Folder(ours, "/files/mine")
    folder.make("", "x", "x/y", "empty")
    folder.put("gr%C3%B6%C3%9Fe.bin", files["größe.bin"], X_OC_Mtime="1000000000")
    folder.put("x/y/a%20%26%20b", files["x/y/a & b"])
    folder.put("x/empty%20file", b"")
    folder.patch("x", "<D:set><D:prop><colour xmlns='urn:x'>red</colour></D:prop></D:set>")
    cap = tahoeish("snapshot", "/mine", "--quiet", "--node-url", ours.url).strip()

    tahoe = client.tahoe
    assert tahoe.line("ls", cap).splitlines() == ["empty", "größe.bin", "x"]
    assert tahoe.line("ls", f"{cap}/x").splitlines() == ["empty file", "y"]
    assert str(MIB + 1) in tahoe.line("ls", "-l", cap)
    times = json.loads(tahoe("ls", "--json", f"{cap}/größe.bin"))[1]["metadata"]["tahoe"]
    assert times["linkmotime"] == 1_000_000_000
    assert tahoe("get", f"{cap}/x/y/a & b") == files["x/y/a & b"]
    tahoe("cp", "--recursive", f"{cap}/", str(tmp_path / "copy"))
    copied = tmp_path / "copy"
    assert {str(path.relative_to(copied)): path.read_bytes() for path in copied.rglob("*") if path.is_file()} == files
    assert (copied / "empty").is_dir()
    deep = json.loads(tahoe("deep-check", "--raw", "--verify", cap).splitlines()[-1])["stats"]
    assert (deep["count-directories"], deep["count-files"]) == (4, 3)


def test_what_a_stock_client_backs_up_comes_back_as_a_folder(ours: OurGateway, client: Client, tmp_path: Path) -> None:
    source = tmp_path / "source"
    (source / "inner").mkdir(parents=True)
    (source / "inner" / "größe.bin").write_bytes(content := sample(100_000, seed=13))
    (source / "small").write_bytes(b"small")
    os.utime(source / "small", (1_000_000_000, 1_000_000_000))
    tahoe = client.tahoe
    tahoe("create-alias", "backups")
    tahoe("backup", str(source), "backups:")
    [line] = [line for line in tahoe.line("ls", "--uri", "backups:").splitlines() if "Latest" in line]
    cap = next(word for word in line.split() if word.startswith("URI:DIR2-CHK:"))

    tahoeish("restore", cap, "/theirs", "--node-url", ours.url)
    folder = Folder(ours, "/files/theirs")
    assert folder.names() == {"inner/", "small"}
    assert folder.get("inner/gr%C3%B6%C3%9Fe.bin") == content
    assert folder.property("small", "{DAV:}getlastmodified") == "Sun, 09 Sep 2001 01:46:40 GMT"
