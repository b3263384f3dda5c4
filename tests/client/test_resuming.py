"""`tahoeish put` of large files: it goes on where it stopped, whatever has stopped it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.client.proxy import CountingProxy
from tests.nodes import NOT_DURABLE, NodeProcess, content_of, wait_until

MIB = 1024 * 1024
SIZE = 24 * MIB
DATA = content_of(SIZE)
HELD_AT = 16 * MIB
HEADS = MIB // 4
"""What requests bring besides files."""


@pytest.fixture
def node(tmp_path: Path) -> Iterator[NodeProcess]:
    with NodeProcess(tmp_path / "node", NOT_DURABLE) as node:
        node.start()
        yield node


@pytest.fixture
def proxy(node: NodeProcess) -> Iterator[CountingProxy]:
    with CountingProxy(lambda: node.url) as proxy:
        yield proxy


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "holiday.mkv"
    path.write_bytes(DATA)
    return path


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "state"


def remembered(state: Path) -> list[Path]:
    return list((state / "tahoeish" / "uploads").glob("*"))


def put(*arguments: str | Path, proxy: CountingProxy, state: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "tahoeish.node.main", "put", "--node-url", proxy.url, *map(str, arguments)],
        env={**os.environ, "XDG_STATE_HOME": str(state)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def ended(command: subprocess.Popen[str]) -> tuple[int, str, str]:
    out, err = command.communicate(timeout=120)
    return command.returncode, out.strip(), err


def held(*arguments: str | Path, proxy: CountingProxy, state: Path) -> subprocess.Popen[str]:
    """One that has come to the middle, and gets no further until the proxy lets it."""
    proxy.limit = HELD_AT
    command = put(*arguments, proxy=proxy, state=state)
    wait_until(proxy.held.is_set, "the upload has come to the middle")
    return command


def interrupted(*arguments: str | Path, proxy: CountingProxy, state: Path) -> str:
    """Stop it with Ctrl-C in the middle; gives what it says."""
    command = held(*arguments, proxy=proxy, state=state)
    command.send_signal(signal.SIGINT)
    status, out, err = ended(command)
    assert (status, out) == (130, "")
    proxy.reset()
    return err


def there(node: NodeProcess, state: Path) -> int:
    """So much of the one upload that is remembered has the node."""
    answer = node.request("HEAD", address_in(state), headers={"Tus-Resumable": "1.0.0"})
    offset = int(answer.headers["Upload-Offset"])
    # What was in sockets is lost, but that can't be all.
    assert MIB < offset <= HELD_AT
    return offset


def address_in(state: Path) -> str:
    [memory] = remembered(state)
    address: str = json.loads(memory.read_text())["address"]
    return address


def content(node: NodeProcess, cap: str) -> bytes:
    return node.get(f"/uri/{cap}").body


def test_after_ctrl_c_the_same_command_sends_only_the_rest(
    node: NodeProcess, proxy: CountingProxy, file: Path, state: Path
) -> None:
    err = interrupted(file, proxy=proxy, state=state)
    assert "stopped by SIGINT" in err
    assert "of 24.0 MiB are there; run the same command again to go on" in err
    missing = SIZE - there(node, state)
    status, cap, err = ended(put(file, proxy=proxy, state=state))
    assert status == 0
    assert "of 24.0 MiB are there already; going on from there" in err
    assert missing <= proxy.sent <= missing + HEADS
    assert content(node, cap) == DATA
    assert remembered(state) == []


def test_a_node_that_is_killed_and_comes_back_is_waited_for(
    node: NodeProcess, proxy: CountingProxy, file: Path, state: Path
) -> None:
    command = held(file, proxy=proxy, state=state)
    node.stop(signal.SIGKILL)
    proxy.reset()
    node.start()
    status, cap, err = ended(command)
    assert (status, err.count("next try in") > 0) == (0, True)
    assert proxy.sent <= SIZE + HEADS
    assert content(node, cap) == DATA


def test_a_connection_that_breaks_costs_only_what_was_on_its_way(
    node: NodeProcess, proxy: CountingProxy, file: Path, state: Path
) -> None:
    command = held(file, proxy=proxy, state=state)
    proxy.reset()
    status, cap, _ = ended(command)
    assert status == 0
    assert proxy.sent < SIZE - MIB
    assert content(node, cap) == DATA


def test_a_file_with_a_name_goes_on_as_well_and_keeps_its_time(
    node: NodeProcess, proxy: CountingProxy, file: Path, state: Path
) -> None:
    os.utime(file, (1_700_000_000, 1_700_000_000))
    interrupted(file, "--to", "/files/films/new/", proxy=proxy, state=state)
    missing = SIZE - there(node, state)
    status, url, _ = ended(put(file, "--to", "/files/films/new/", proxy=proxy, state=state))
    assert (status, url) == (0, f"{proxy.url}/files/films/new/holiday.mkv")
    assert missing <= proxy.sent <= missing + HEADS
    answer = node.get("/files/films/new/holiday.mkv")
    assert answer.body == DATA
    assert answer.headers["Last-Modified"] == "Tue, 14 Nov 2023 22:13:20 GMT"


def test_a_folder_goes_on_in_the_middle_of_its_large_file(
    node: NodeProcess, proxy: CountingProxy, file: Path, state: Path, tmp_path: Path
) -> None:
    root = tmp_path / "films"
    root.mkdir()
    file.rename(root / file.name)
    for number in range(20):
        (root / f"{number}.srt").write_bytes(content_of(5000, seed=number))
    err = interrupted(root, proxy=proxy, state=state)
    assert "what has been sent stays; run the same command again to go on" in err
    missing = SIZE - there(node, state)
    status, out, _ = ended(put(root, proxy=proxy, state=state))
    assert status == 0
    assert missing <= proxy.sent <= missing + HEADS
    assert out.endswith(" unchanged")
    assert node.get(f"/files/films/{file.name}").body == DATA


def test_a_file_that_was_changed_is_sent_from_the_beginning(
    node: NodeProcess, proxy: CountingProxy, file: Path, state: Path
) -> None:
    interrupted(file, proxy=proxy, state=state)
    other = content_of(SIZE, seed=1)
    file.write_bytes(other)
    status, cap, err = ended(put(file, proxy=proxy, state=state))
    assert status == 0
    assert "the file has changed since, so it is sent from the beginning" in err
    assert proxy.sent > SIZE
    assert content(node, cap) == other


def test_a_node_that_has_forgotten_the_upload_gets_it_from_the_beginning(
    node: NodeProcess, proxy: CountingProxy, file: Path, state: Path
) -> None:
    interrupted(file, proxy=proxy, state=state)
    assert node.request("DELETE", address_in(state), headers={"Tus-Resumable": "1.0.0"}).status == 204
    status, cap, err = ended(put(file, proxy=proxy, state=state))
    assert status == 0
    assert "the node doesn't have any more what was sent of it" in err
    assert content(node, cap) == DATA


def test_no_other_user_can_read_what_is_remembered(proxy: CountingProxy, file: Path, state: Path) -> None:
    interrupted(file, proxy=proxy, state=state)
    [memory] = remembered(state)
    assert memory.stat().st_mode & 0o777 == 0o600
    assert memory.parent.stat().st_mode & 0o777 == 0o700


def test_a_second_command_for_the_same_file_leaves_it_to_the_first(
    node: NodeProcess, proxy: CountingProxy, file: Path, state: Path
) -> None:
    first = held(file, proxy=proxy, state=state)
    status, _, err = ended(put(file, proxy=proxy, state=state))
    assert (status, err) == (1, f"tahoeish: put: another process is uploading {file} just now\n")
    proxy.reset()
    status, cap, _ = ended(first)
    assert status == 0
    assert content(node, cap) == DATA


def test_where_nothing_can_be_written_down_it_is_sent_all_the_same(
    node: NodeProcess, proxy: CountingProxy, file: Path, state: Path
) -> None:
    state.write_text("in the way")
    status, cap, err = ended(put(file, proxy=proxy, state=state))
    assert status == 0
    assert err.startswith("tahoeish: put: can't remember uploads (")
    assert content(node, cap) == DATA


def test_without_resuming_nothing_is_remembered(proxy: CountingProxy, file: Path, state: Path) -> None:
    err = interrupted(file, "--no-resume", proxy=proxy, state=state)
    assert err == "tahoeish: put: stopped by SIGINT\n"
    assert remembered(state) == []


def test_giving_up_says_how_much_is_there(node: NodeProcess, proxy: CountingProxy, file: Path, state: Path) -> None:
    command = held(file, "--retries", "1", proxy=proxy, state=state)
    node.stop(signal.SIGKILL)
    proxy.break_off()
    status, _, err = ended(command)
    assert status == 1
    assert "given up after 2 tries" in err
    assert "run the same command again to go on" in err
    node.start()
    proxy.reset()
    status, cap, _ = ended(put(file, proxy=proxy, state=state))
    assert status == 0
    assert content(node, cap) == DATA
