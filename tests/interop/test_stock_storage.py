"""A gateway of ours and stock storage nodes: what it stores, stock clients read, and the other way round."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from tests.interop import INTEROP
from tests.interop.grids import StockGrid, running_stock_grid
from tests.interop.ours import OurGateway, tahoeish
from tests.interop.samples import BY_COMMAND, ENCODINGS, LARGEST, MIB, SIZES, WIDE, Encoding, parts_of, sample
from tests.interop.tahoe import Client, CommandLine, StorageNode, wait_until
from tests.nodes import RawClient, head

pytestmark = INTEROP

PROMPTLY = 25.0
"""Seconds: less than any timeout that could end the wait, and long on an idle machine, where it takes a moment."""


@pytest.fixture(scope="module")
def grid(tahoe_program: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[StockGrid]:
    with running_stock_grid(tahoe_program, tmp_path_factory.mktemp("stock") / "grid", nodes=10) as grid:
        yield grid


@pytest.fixture(scope="module", params=ENCODINGS, ids=str)
def encoding(request: pytest.FixtureRequest) -> Encoding:
    chosen: Encoding = request.param
    return chosen


@pytest.fixture(scope="module")
def client(grid: StockGrid, encoding: Encoding) -> Client:
    """A stock one."""
    return grid.client(encoding)


@pytest.fixture(scope="module")
def ours(client: Client, encoding: Encoding, tmp_path_factory: pytest.TempPathFactory) -> Iterator[OurGateway]:
    """A gateway that makes the same kind of files and uses the same storage nodes."""
    gateway = OurGateway(tmp_path_factory.mktemp("ours") / str(encoding), encoding, client)
    with gateway:
        gateway.start()
        yield gateway
        assert gateway.stop() == 0, gateway.said
        assert "Traceback" not in gateway.said, gateway.said


only_wide = pytest.mark.parametrize("encoding", [WIDE], ids=str, indirect=True)


@pytest.mark.parametrize("size", SIZES)
def test_a_file_of_ours_is_read_verified_and_repaired(
    grid: StockGrid, ours: OurGateway, client: Client, size: int
) -> None:
    content = sample(size, seed=1)
    cap = our_door(ours, client, size).put(content)
    assert client.door(size).fetch(cap) == content
    for first, last in parts_of(size):
        assert client.read(cap, first, last) == content[first : last + 1], (first, last)
    if size < LARGEST:
        # Every share of the largest is read only once, after the repair, which takes long enough.
        assert_healthy(client, cap)
    assert_repairable(grid, client, cap, size)
    assert ours.fetch(cap) == content


@pytest.mark.parametrize("size", SIZES)
def test_a_file_of_theirs_is_read(ours: OurGateway, client: Client, size: int) -> None:
    content = sample(size, seed=2)
    cap = client.door(size).put(content)
    assert our_door(ours, client, size).fetch(cap) == content
    for first, last in parts_of(size):
        assert ours.read(cap, first, last) == content[first : last + 1], (first, last)


@only_wide
def test_the_storage_nodes_that_a_stock_client_knows_become_ours(grid: StockGrid, ours: OurGateway) -> None:
    found = json.loads(tahoeish("grid", "status", "--json", "--node-dir", str(ours.directory)))
    assert sorted(each["nickname"] for each in found) == sorted(node.name for node in grid.nodes)
    assert {each["version"] for each in found} == {"tahoe-lafs/1.20.0"}
    config = (ours.directory / "tahoeish.toml").read_text()
    for node in grid.nodes:
        assert f'nurl = "{node.nurl}"' in config
        assert f'permutation_seed = "{node.permutation_seed}"' in config


@only_wide
@pytest.mark.parametrize("hint", [None, 11 * MIB], ids=["without a hint", "with a hint"])
def test_a_file_of_unknown_length_is_as_good(
    grid: StockGrid, ours: OurGateway, client: Client, hint: int | None
) -> None:
    content = sample(10 * MIB + 7, seed=5)
    answer = ours.put_of_unknown_length(content, {"X-Expected-Entity-Length": str(hint)} if hint else {})
    assert answer.status == 201, answer.text
    # With a hint the shares are longer than they need be; else they had to wait for the end of the body.
    assert ("Tahoeish-Spooled" in answer.headers) == (hint is None)
    cap = answer.text
    assert client.fetch(cap) == content
    assert_healthy(client, cap)
    assert_repairable(grid, client, cap, len(content))


@only_wide
@pytest.mark.parametrize("size", [55, 56, 10 * MIB + 7])
def test_with_their_secret_the_cap_is_the_one_that_they_make(ours: OurGateway, client: Client, size: int) -> None:
    content = sample(size, seed=6)
    secret = (client.directory / "private" / "convergence").read_text().strip()
    answer = ours.request("PUT", f"/uri?convergence-secret={secret}", content)
    assert answer.text == client.put(content)


@only_wide
def test_with_three_of_ten_nodes_killed_in_the_middle_a_file_is_stored(
    grid: StockGrid, ours: OurGateway, client: Client
) -> None:
    content = sample(LARGEST, seed=7)
    with ours.connect() as upload:
        begin(upload, content)
        send(upload, content, 0, LARGEST // 3)
        kill(grid.nodes[:3])
        send(upload, content, LARGEST // 3, LARGEST)
        answer = upload.answer("PUT")
    assert answer.status == 201, answer.text
    assert client.fetch(answer.text) == content


@only_wide
def test_with_four_of_ten_nodes_killed_in_the_middle_nothing_is_stored(grid: StockGrid, ours: OurGateway) -> None:
    content = sample(LARGEST, seed=8)
    grid.revive()
    dead, living = grid.nodes[:4], grid.nodes[4:]
    before = everything_in(living)
    with ours.connect() as upload:
        begin(upload, content)
        send(upload, content, 0, LARGEST // 3)
        kill(dead[:3])
        send(upload, content, LARGEST // 3, LARGEST // 2)
        kill(dead[3:])
        killed_at = time.monotonic()
        send(upload, content, LARGEST // 2, LARGEST // 2 + 16 * MIB)
        answer = upload.answer("PUT")
    assert time.monotonic() - killed_at < PROMPTLY
    assert answer.status == 503, answer.text
    for node in dead:
        assert node.name in answer.text
    wait_until(lambda: everything_in(living) == before, "nothing of it is left")


# What is said of a file in more than one test.


def our_door(ours: OurGateway, client: Client, size: int) -> OurGateway | CommandLine:
    """Where a file of this size goes in and out. The command line is the stock one, too."""
    return CommandLine(client.program, client.directory, ours.url) if size in BY_COMMAND else ours


def assert_healthy(client: Client, cap: str) -> None:
    results = client.verify(cap)
    assert results["healthy"], results
    # A file within its cap has no shares that could be counted.
    assert results.get("count-shares-good") == (None if is_literal(cap) else client.encoding.total), results


def assert_repairable(grid: StockGrid, client: Client, cap: str, size: int) -> None:
    """After the loss of all shares that it can do without, or two of the largest, all are as they should be again."""
    lost = grid.shares(cap)[client.encoding.needed :]
    if size == LARGEST:
        del lost[2:]
    for share in lost:
        share.unlink()
    if lost:
        repaired = client.door(size).repair(cap)
        assert repaired["repair-successful"], repaired
    assert_healthy(client, cap)


def is_literal(cap: str) -> bool:
    return cap.startswith("URI:LIT:")


# An upload, and what happens to the storage nodes during it.


def begin(upload: RawClient, content: bytes) -> None:
    upload.send(head("PUT", "/uri", {"Content-Length": str(len(content))}))


def send(upload: RawClient, content: bytes, first: int, end: int) -> None:
    for position in range(first, end, MIB):
        upload.send(content[position : min(position + MIB, end)])


def kill(nodes: Sequence[StorageNode]) -> None:
    for node in nodes:
        node.kill()


def everything_in(nodes: Sequence[StorageNode]) -> set[Path]:
    """The files of all shares, finished or not."""
    return {path for node in nodes for path in node.storage.glob("shares/**/*") if path.is_file()}
