"""Stock clients whose only storage nodes are ours: they store, read, change, check and repair there."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tahoeish.chk.caps import LITERAL_MAX
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
    cap = client.door(size).put(content)
    assert client.door(size).fetch(cap) == content
    for first, last in parts_of(size):
        assert client.read(cap, first, last) == content[first : last + 1], (first, last)
    assert len(our_grid.shares(cap)) == (encoding.total if size > LITERAL_MAX else 0)
    if size < LARGEST:
        # To verify that one, too, would show nothing else and take longest of all.
        results = client.verify(cap)
        assert results["healthy"], results
        assert results.get("count-shares-good", 0) == len(our_grid.shares(cap))


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
    cap = tahoe.line("put", f"--format={format_}", "-", stdin=b"first")
    assert tahoe("get", cap) == b"first"
    # Longer, shorter, of several segments, and empty.
    for content in (sample(3 * MIB + 1, seed=3), sample(MIB, seed=4), b"", b"last"):
        client.change(cap, content)
        assert client.fetch(cap) == content
        results = client.verify(cap)
        assert results["healthy"] and results["count-shares-good"] == WIDE.total, results
    tahoe("put", "-", cap, stdin=b"changed by the command")
    assert client.fetch(cap) == b"changed by the command"


def test_directories_are_kept_and_changed(tahoe: CommandLine, alias: str, tmp_path: Path) -> None:
    content = sample(100_000, seed=5)
    tahoe("mkdir", f"{alias}inner")
    cap = tahoe.line("put", "-", f"{alias}inner/file", stdin=content)
    tahoe("ln", cap, f"{alias}another")
    tahoe("ln", f"{alias}inner/file", f"{alias}third")
    tahoe("mv", f"{alias}third", f"{alias}inner/moved")
    assert tahoe.line("ls", alias).splitlines() == ["another", "inner"]
    tahoe("unlink", f"{alias}another")
    assert tahoe.line("ls", alias).splitlines() == ["inner"]
    tahoe("cp", "--recursive", f"{alias}inner", str(tmp_path))
    assert {file.name: file.read_bytes() for file in (tmp_path / "inner").iterdir()} == {
        "file": content,
        "moved": content,
    }


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


def test_lost_shares_of_all_kinds_are_made_again(our_grid: OurGrid, client: Client, tahoe: CommandLine) -> None:
    directory = client.mkdir()
    contents = {"CHK": sample(3 * MIB, seed=8), "SDMF": sample(2000, seed=9), "MDMF": sample(2 * MIB, seed=10)}
    caps = {format_: client.put_into(directory, format_, content, format_) for format_, content in contents.items()}
    found = _checks(tahoe, directory)
    assert len(found) == 4 and all(each["results"]["healthy"] for each in found), found

    for each in found:
        index = each["storage-index"]
        for node in our_grid.nodes[:5]:
            for share in (node.storage / "shares" / index[:2] / index).glob("*"):
                share.unlink()
    assert [each["results"]["count-shares-good"] for each in _checks(tahoe, directory)] == [5] * 4

    repaired = _checks(tahoe, directory, "--repair", "--add-lease")
    assert all(each["repair-successful"] for each in repaired), repaired
    for each in _checks(tahoe, directory, "--verify"):
        assert each["results"]["healthy"] and each["results"]["count-shares-good"] == WIDE.total, each
    for format_, content in contents.items():
        assert client.fetch(caps[format_]) == content


def _checks(tahoe: CommandLine, directory: str, *options: str) -> list[dict[str, Any]]:
    """What a deep check finds of the directory and each object in it."""
    lines = tahoe.line("deep-check", "--raw", *options, directory).splitlines()
    results = [found.get("check-results") or found.get("check-and-repair-results") for found in map(json.loads, lines)]
    return [found for found in results if found is not None]


def test_what_is_kept_outlives_the_nodes(our_grid: OurGrid, client: Client) -> None:
    content = sample(MIB, seed=11)
    cap, changing = client.put(content), client.put(b"first", "SDMF")
    our_grid.restart()
    assert client.fetch(cap) == content
    client.change(changing, b"second")
    assert client.fetch(changing) == b"second"
