"""Storage nodes that are killed while an upload session is under way: no share is lost by it."""

from __future__ import annotations

import signal
from collections.abc import Iterator, Sequence
from pathlib import Path
from urllib.parse import quote

import pytest

from tests.node.torturing import MIB, TUS, restless_grid
from tests.nodes import NodeProcess, content_of, head, wait_until

NODES = 3
CONTENT = content_of(24 * MIB)
CHUNK = {**TUS, "Content-Type": "application/offset+octet-stream"}

Grid = tuple[NodeProcess, Sequence[NodeProcess]]


@pytest.fixture(scope="module")
def grid(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Grid]:
    with restless_grid(tmp_path_factory.mktemp("grid"), nodes=NODES, encoding=f"2/{NODES}") as (gateway, storages):
        yield gateway, storages
        for node in (gateway, *storages):
            assert "Traceback" not in node.said, node.said


def begin(gateway: NodeProcess) -> str:
    answer = gateway.request("POST", "/uploads/", headers={**TUS, "Upload-Length": str(len(CONTENT))})
    return str(answer.headers["Location"])


def send(gateway: NodeProcess, upload: str, stop: int) -> str | None:
    """All up to there in one request. Gives the cap, if that is the end."""
    start = offset_of(gateway, upload)
    answer = gateway.request("PATCH", upload, CONTENT[start:stop], {**CHUNK, "Upload-Offset": str(start)})
    assert answer.status == 204, answer
    assert answer.headers["Upload-Offset"] == str(stop)
    return answer.headers["Tahoeish-Cap"]


def offset_of(gateway: NodeProcess, upload: str) -> int:
    answer = gateway.request("HEAD", upload, headers=TUS)
    assert answer.status == 200, answer
    return int(answer.headers["Upload-Offset"])


def kill(storage: NodeProcess) -> None:
    storage.stop(signal.SIGKILL)
    nurl(storage).unlink()


def start(storages: Sequence[NodeProcess]) -> None:
    for storage in storages:
        storage.launch()
    wait_until(lambda: all(nurl(storage).exists() for storage in storages), "the storage nodes serve again")


def nurl(storage: NodeProcess) -> Path:
    return storage.directory / "private" / "storage.nurl"


def unfinished(storage: NodeProcess) -> list[Path]:
    return list(storage.directory.glob("*/shares/incoming/*"))


def expect_all_of_it(grid: Grid, cap: str | None) -> None:
    gateway, storages = grid
    assert cap
    address = f"/uri/{quote(cap, safe='')}"
    checked = gateway.request("POST", f"{address}?t=check&verify=true&output=JSON").json()
    assert checked["results"]["count-shares-good"] == NODES, checked
    assert gateway.get(address).body == CONTENT
    assert [path for storage in storages for path in unfinished(storage)] == []


def test_storage_nodes_that_are_killed_between_two_requests_go_on(grid: Grid) -> None:
    gateway, storages = grid
    upload = begin(gateway)
    for megabytes in (5, 17):
        send(gateway, upload, megabytes * MIB)
        for storage in storages:
            assert unfinished(storage)
            kill(storage)
        start(storages)

    expect_all_of_it(grid, send(gateway, upload, len(CONTENT)))


def test_gateway_and_storage_nodes_that_are_killed_together_go_on(grid: Grid) -> None:
    gateway, storages = grid
    upload = begin(gateway)
    send(gateway, upload, 11 * MIB)
    for storage in storages:
        kill(storage)
    gateway.stop(signal.SIGKILL)
    start(storages)
    gateway.start()

    assert offset_of(gateway, upload) == 11 * MIB
    expect_all_of_it(grid, send(gateway, upload, len(CONTENT)))


def test_a_storage_node_that_is_killed_while_bytes_come_goes_on(grid: Grid) -> None:
    gateway, storages = grid
    upload = begin(gateway)
    headers = {**CHUNK, "Upload-Offset": "0", "Content-Length": str(len(CONTENT))}
    with gateway.connect() as client:
        client.send(head("PATCH", upload, headers))
        client.send(CONTENT[: 9 * MIB])
        for storage in storages:
            wait_until(lambda: all(map(unfinished, storages)), "the shares are under way")
            kill(storage)
            start([storage])
        client.send(CONTENT[9 * MIB :])
        answer = client.answer("PATCH")
    assert answer.status == 204, answer

    expect_all_of_it(grid, answer.headers["Tahoeish-Cap"])


def test_an_upload_that_is_given_up_leaves_nothing_on_restarted_nodes(grid: Grid) -> None:
    gateway, storages = grid
    upload = begin(gateway)
    send(gateway, upload, 5 * MIB)
    for storage in storages:
        kill(storage)
    start(storages)

    assert gateway.request("DELETE", upload, headers=TUS).status == 204

    wait_until(lambda: not any(unfinished(storage) for storage in storages), "nothing is left")
