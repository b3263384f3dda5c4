"""Stock clients whose only storage nodes are ours: they store, read, change, check and repair there."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.interop import INTEROP
from tests.interop.grids import OurGrid, running_grid_of_ours
from tests.interop.ours import OurGateway
from tests.interop.samples import ENCODINGS, LARGEST, MIB, SIZES, WIDE, Encoding, parts_of, sample
from tests.interop.tahoe import Client, CommandLine

pytestmark = INTEROP


@pytest.fixture(scope="module")
def our_grid(tahoe_program: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[OurGrid]:
    with running_grid_of_ours(tahoe_program, tmp_path_factory.mktemp("ours") / "grid", nodes=10) as grid:
        yield grid


@pytest.fixture
def client(our_grid: OurGrid) -> Client:
    return our_grid.client(WIDE)


@pytest.fixture
def tahoe(client: Client) -> CommandLine:
    return client.tahoe


@pytest.fixture
def alias(tahoe: CommandLine, request: pytest.FixtureRequest) -> str:
    """A name for a new mutable directory."""
    name: str = request.node.name.replace("[", "-").strip("]")
    tahoe("create-alias", name)
    return f"{name}:"


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("encoding", ENCODINGS, ids=str)
def test_an_immutable_file_is_kept(our_grid: OurGrid, encoding: Encoding, size: int) -> None:
    content = sample(size, seed=1)
    client = our_grid.client(encoding)
    if encoding is WIDE:
        cap = client.tahoe.line("put", "-", stdin=content)
        assert client.tahoe("get", cap) == content
    else:
        # The same by the same gateway, without the program, which takes a second to start.
        cap = client.put(content)
        assert client.fetch(cap) == content
    for first, last in parts_of(size):
        assert client.read(cap, first, last) == content[first : last + 1], (first, last)
    results = client.verify(cap)
    assert results["healthy"], results
    assert len(our_grid.shares(cap)) == results.get("count-shares-good", 0) == (encoding.total if size > 55 else 0)


def test_a_large_immutable_file_is_kept(client: Client) -> None:
    content = sample(LARGEST, seed=2)
    cap = client.put(content)
    assert client.fetch(cap) == content


def test_a_file_that_a_gateway_of_ours_finishes_early_is_as_good(
    client: Client, tahoe: CommandLine, tmp_path: Path
) -> None:
    content = sample(10 * MIB + 7, seed=12)
    gateway = OurGateway(tmp_path / "gateway", WIDE, client)
    with gateway:
        gateway.start()
        answer = gateway.put_of_unknown_length(content)
        assert answer.status == 201, answer.text
        assert "Tahoeish-Spooled" not in answer.headers
        assert gateway.fetch(answer.text) == content
    assert tahoe("get", answer.text) == content
    results = client.verify(answer.text)
    assert results["healthy"] and results["count-shares-good"] == WIDE.total, results


@pytest.mark.parametrize("format_", ["SDMF", "MDMF"])
def test_a_mutable_file_is_kept_and_changed(client: Client, tahoe: CommandLine, format_: str) -> None:
    cap = ""
    # Longer, shorter, of several segments, and empty.
    for content in (b"first", sample(3 * MIB + 1, seed=3), sample(MIB, seed=4), b"", b"last"):
        if not cap:
            cap = tahoe.line("put", f"--format={format_}", "-", stdin=content)
        else:
            tahoe("put", "-", cap, stdin=content)
        assert tahoe("get", cap) == content
        results = client.verify(cap)
        assert results["healthy"] and results["count-shares-good"] == WIDE.total, results


def test_directories_are_kept_and_changed(tahoe: CommandLine, alias: str, tmp_path: Path) -> None:
    content = sample(100_000, seed=5)
    tahoe("mkdir", f"{alias}inner")
    cap = tahoe.line("put", "-", f"{alias}inner/file", stdin=content)
    tahoe("ln", cap, f"{alias}another")
    tahoe("ln", f"{alias}inner/file", f"{alias}third")
    assert tahoe.line("ls", alias).splitlines() == ["another", "inner", "third"]
    tahoe("mv", f"{alias}third", f"{alias}inner/moved")
    tahoe("unlink", f"{alias}another")
    assert tahoe.line("ls", alias).splitlines() == ["inner"]
    assert tahoe.line("ls", f"{alias}inner").splitlines() == ["file", "moved"]
    assert tahoe("get", f"{alias}inner/moved") == content
    tahoe("cp", "--recursive", f"{alias}inner", str(tmp_path))
    assert (tmp_path / "inner" / "moved").read_bytes() == content


def test_a_backup_is_kept_and_comes_back(tahoe: CommandLine, alias: str, tmp_path: Path) -> None:
    there = tmp_path / "there"
    (there / "inner" / "empty").mkdir(parents=True)
    contents = {"small": b"small", "inner/medium": sample(5000, seed=6), "inner/large": sample(3 * MIB, seed=7)}
    for name, content in contents.items():
        (there / name).write_bytes(content)
    tahoe("backup", str(there), f"{alias}backups")
    tahoe("backup", str(there), f"{alias}backups")
    assert len(tahoe.line("ls", f"{alias}backups/Archives").splitlines()) == 2
    tahoe("cp", "--recursive", f"{alias}backups/Latest", str(tmp_path))
    for name, content in contents.items():
        assert (tmp_path / "Latest" / name).read_bytes() == content
    assert (tmp_path / "Latest" / "inner" / "empty").is_dir()


def test_lost_shares_of_all_kinds_are_made_again(our_grid: OurGrid, tahoe: CommandLine, alias: str) -> None:
    immutable, small, large = sample(3 * MIB, seed=8), sample(2000, seed=9), sample(2 * MIB, seed=10)
    tahoe("put", "-", f"{alias}immutable", stdin=immutable)
    tahoe("put", "--format=SDMF", "-", f"{alias}sdmf", stdin=small)
    tahoe("put", "--format=MDMF", "-", f"{alias}mdmf", stdin=large)
    found = _checks(tahoe, alias)
    assert len(found) == 4 and all(each["results"]["healthy"] for each in found), found

    for each in found:
        index = each["storage-index"]
        for node in our_grid.nodes[:5]:
            for share in (node.storage / "shares" / index[:2] / index).glob("*"):
                share.unlink()
    assert [each["results"]["count-shares-good"] for each in _checks(tahoe, alias)] == [5] * 4

    repaired = _checks(tahoe, alias, "--repair", "--add-lease")
    assert all(each["repair-successful"] for each in repaired), repaired
    for each in _checks(tahoe, alias, "--verify"):
        assert each["results"]["healthy"] and each["results"]["count-shares-good"] == WIDE.total, each
    assert tahoe("get", f"{alias}immutable") == immutable
    assert tahoe("get", f"{alias}sdmf") == small
    assert tahoe("get", f"{alias}mdmf") == large


def _checks(tahoe: CommandLine, alias: str, *options: str) -> list[dict[str, Any]]:
    """What a deep check finds of each object below the name."""
    lines = tahoe.line("deep-check", "--raw", *options, alias).splitlines()
    results = [found.get("check-results") or found.get("check-and-repair-results") for found in map(json.loads, lines)]
    return [found for found in results if found is not None]


def test_what_is_kept_outlives_the_nodes(our_grid: OurGrid, client: Client, tahoe: CommandLine) -> None:
    content = sample(MIB, seed=11)
    cap, changing = client.put(content), tahoe.line("put", "--format=SDMF", "-", stdin=b"first")
    for node in our_grid.nodes:
        assert node.stop() == 0, node.said
    client.wait_until_connected(0)
    for node in our_grid.nodes:
        node.launch()
    client.wait_until_connected(len(our_grid.nodes))
    assert client.fetch(cap) == content
    tahoe("put", "-", changing, stdin=b"second")
    assert tahoe("get", changing) == b"second"
