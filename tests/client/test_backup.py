"""`tahoeish snapshot` and `restore` against real nodes, and what the client makes of answers."""

from __future__ import annotations

import json
import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_twisted

from tahoeish.client.backup import RestoreReport, SnapshotReport, result_in
from tahoeish.client.errors import Refused, TransferBroken
from tests.client.test_real_node import tahoeish
from tests.gateway.dav.webdav import Folder
from tests.nodes import NOT_DURABLE, NodeProcess, content_of
from tests.people import add_user, new_token

DATA = content_of(100_000)


@pytest.fixture
def node(tmp_path: Path) -> Iterator[NodeProcess]:
    with NodeProcess(tmp_path / "node", NOT_DURABLE) as node:
        node.start()
        yield node


def ran(command: subprocess.Popen[bytes]) -> tuple[int, str, str]:
    out, err = command.communicate()
    assert command.returncode is not None
    return command.returncode, out.decode(), err.decode()


def test_the_names_come_back_from_nothing_but_the_grid(node: NodeProcess) -> None:
    before = Folder(node, "/files")
    before.make("a", "a/b%20c")
    before.put("a/b%20c/file", DATA, X_OC_Mtime="1000000000")
    before.put("top", b"small")
    status, out, err = ran(tahoeish(node, "snapshot"))
    assert (status, err) == (0, "2 folders, 2 files, 97.7 KiB\n")
    cap = out.strip()
    assert ran(tahoeish(node, "snapshot", "/a/b c", "-q"))[::2] == (0, "")
    assert node.stop() == 0

    for file in node.directory.glob("catalogue.sqlite*"):
        file.unlink()
    node.start()
    after = Folder(node, "/files")
    assert after.names() == set()
    assert ran(tahoeish(node, "restore", cap)) == (0, "2 folders, 2 files, 97.7 KiB\n", "")
    assert after.names() == {"a/", "top"}
    assert after.get("a/b%20c/file") == DATA
    assert after.property("a/b%20c/file", "{DAV:}getlastmodified") == "Sun, 09 Sep 2001 01:46:40 GMT"
    assert ran(tahoeish(node, "snapshot", "-q")) == (0, f"{cap}\n", "")

    status, _, err = ran(tahoeish(node, "restore", cap))
    assert status == 1 and "there is something in / already (409)" in err
    assert ran(tahoeish(node, "restore", cap, "--overwrite"))[0] == 0
    assert ran(tahoeish(node, "restore", f"{node.url}/uri/{cap}", "/a/new"))[0] == 0
    assert after.get("a/new/a/b%20c/file") == DATA


def test_a_folder_of_a_snapshot_comes_back_alone(node: NodeProcess) -> None:
    files = Folder(node, "/files")
    files.make("a", "a/b%20c")
    files.put("a/b%20c/file", DATA)
    files.put("top", b"small")
    cap = ran(tahoeish(node, "snapshot", "-q"))[1].strip()
    assert ran(tahoeish(node, "restore", f"{cap}/a", "/only")) == (0, "1 folders, 1 files, 97.7 KiB\n", "")
    assert files.names("only") == {"b c/"}
    url = f"{node.url}/uri/{cap}/a/b%20c?t=json"
    assert ran(tahoeish(node, "restore", url, "/other")) == (0, "0 folders, 1 files, 97.7 KiB\n", "")

    status, _, err = ran(tahoeish(node, "restore", f"{cap}/no/such", "/nothing"))
    assert status == 1 and "No such child: no (404)" in err
    assert ran(tahoeish(node, "restore", f"{cap}/top", "/nothing")) == (
        1,
        "",
        "tahoeish: restore: top is a file, not a folder\n",
    )
    assert files.names() == {"a/", "top", "only/", "other/"}


def test_a_file_in_a_snapshot_can_be_had_and_checked(node: NodeProcess, tmp_path: Path) -> None:
    files = Folder(node, "/files")
    files.make("a", "a/b%20c")
    files.put("a/b%20c/file", DATA)
    cap = ran(tahoeish(node, "snapshot", "-q"))[1].strip()
    assert ran(tahoeish(node, "get", f"{cap}/a/b c/file", tmp_path / "copy")) == (0, "", "")
    assert (tmp_path / "copy").read_bytes() == DATA
    assert ran(tahoeish(node, "check", f"{cap}/a/b c/file"))[::2] == (0, "")
    status, _, err = ran(tahoeish(node, "get", f"{cap}/a/b c"))
    assert (status, err) == (1, "tahoeish: get: a/b c is a folder, not a file\n")


def test_what_could_not_be_brought_back_is_told(node: NodeProcess) -> None:
    children = {name: ["filenode", {"ro_uri": "URI:LIT:nbswy3dp"}] for name in ("good", "bad\n")}
    cap = node.request("POST", "/uri?t=mkdir-immutable", json.dumps(children).encode()).text
    status, out, err = ran(tahoeish(node, "restore", cap, "/new"))
    assert (status, err) == (1, "")
    first, second, third = out.splitlines()[:3]
    assert (first, second) == ("0 folders, 1 files, 5 B", "1 could not be brought back:")
    assert third.startswith("- /new/bad") and "control character" in out


def test_nobody_takes_what_is_not_theirs(node: NodeProcess, monkeypatch: pytest.MonkeyPatch) -> None:
    add_user(node, "ann")
    assert "401" in ran(tahoeish(node, "snapshot"))[2]
    for options, says in ((["--read-only"], "for reading only"), (["--folder", "/mine"], "only for /files/mine")):
        monkeypatch.setenv("TAHOEISH_TOKEN", new_token(node, "ann", *options))
        for command in (["snapshot"], ["restore", "URI:DIR2-LIT:", "/other"]):
            status, _, err = ran(tahoeish(node, *command))
            assert status == 1 and says in err
    monkeypatch.setenv("TAHOEISH_TOKEN", new_token(node, "ann"))
    assert ran(tahoeish(node, "snapshot", "-q")) == (0, "URI:DIR2-LIT:\n", "")


def test_mistakes_are_told_before_anybody_is_asked(node: NodeProcess) -> None:
    for wrong in ("URI:LIT:", "URI:CHK:abc", "nonsense"):
        status, _, err = ran(tahoeish(node, "restore", wrong))
        assert status == 2 and "CAP" in err


async def lines(*told: object) -> AsyncIterator[bytes]:
    """In pieces that end where they like."""
    text = b"".join(json.dumps(each).encode() + b"\n" for each in told)
    for start in range(0, len(text), 7):
        yield text[start : start + 7]


COUNTS = {"folders": 1, "files": 2, "size": 3}


@pytest_twisted.ensureDeferred
async def test_progress_is_told_in_words_until_there_is_a_result() -> None:
    words: list[str] = []
    told = lines({"done": COUNTS, "total": None}, {"done": COUNTS, "total": COUNTS}, {"result": {"cap": "x", **COUNTS}})
    assert SnapshotReport.parse(await result_in(told, words.append)) == SnapshotReport("x", 1, 2, 3)
    assert words == ["1 folders, 2 files", "1 of 1 folders, 2 files"]


@pytest_twisted.ensureDeferred
async def test_what_goes_wrong_on_the_way_is_told_as_what_goes_wrong_at_once() -> None:
    problem = {"problem": {"status": 410, "title": "Not enough shares", "detail": "gone"}}
    with pytest.raises(Refused, match=r"Not enough shares: gone \(410\)"):
        await result_in(lines({"done": COUNTS, "total": None}, problem), None)
    with pytest.raises(TransferBroken):
        await result_in(lines({"done": COUNTS, "total": None}), None)
    nonsense: list[object] = ["text", {"other": 1}, {"done": {}}]
    for each in nonsense:
        with pytest.raises(TransferBroken):
            await result_in(lines(each), print)
    for result in ({}, {"cap": "x"}, {**COUNTS, "left_out": 1, "reasons": 5}):
        with pytest.raises(TransferBroken):
            RestoreReport.parse(result)
    with pytest.raises(TransferBroken):
        SnapshotReport.parse(COUNTS)


def test_a_report_tells_when_there_is_more_than_it_tells() -> None:
    assert str(RestoreReport(1, 2, 3, 5, [("/a", "why")])).splitlines()[-2:] == ["- /a: why", "- and 4 more"]
