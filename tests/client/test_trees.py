"""`tahoeish put` of folders, and names for single files."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from urllib.parse import quote

import pytest
import pytest_twisted
from twisted.internet import reactor
from twisted.internet.threads import deferToThread

from tahoeish.client.client import Client
from tahoeish.client.folders import Listed
from tahoeish.client.local_tree import walk
from tahoeish.client.patience import Patience
from tahoeish.client.steady import modified_of
from tahoeish.client.tree import TreeUploads
from tahoeish.client.uploading import FileUploads
from tests.client.proxy import CountingProxy
from tests.nodes import NOT_DURABLE, NodeProcess, content_of

MIB = 1024 * 1024


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NodeProcess]:
    with NodeProcess(tmp_path_factory.mktemp("trees") / "node", NOT_DURABLE) as node:
        node.start()
        yield node


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A folder with a name of its own, as all share a node."""
    root = tmp_path / f"root of {tmp_path.name}"
    root.mkdir()
    return root


def put(*arguments: str | Path, url: str, state: Path, stdin: bytes = b"") -> tuple[int, str, str]:
    done = subprocess.run(
        [sys.executable, "-m", "tahoeish.node.main", "put", "--node-url", url, *map(str, arguments)],
        env={**os.environ, "XDG_STATE_HOME": str(state)},
        input=stdin,
        capture_output=True,
        timeout=120,
        check=False,
    )
    return done.returncode, done.stdout.decode(), done.stderr.decode()


def content(node: NodeProcess, *names: str) -> bytes:
    answer = node.get("/files/" + "/".join(quote(name, safe="") for name in names))
    assert answer.status == 200
    return answer.body


def test_of_200_files_the_second_time_sends_none(node: NodeProcess, root: Path, tmp_path: Path) -> None:
    for number in range(200):
        folder = root / f"{number % 7}" / f"{number % 3}"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{number}.bin").write_bytes(content_of(1000 + number, seed=number))
    (root / "large.bin").write_bytes(content_of(9 * MIB))
    with CountingProxy(lambda: node.url) as proxy:
        status, out, err = put(root, url=proxy.url, state=tmp_path / "state")
        assert (status, out, err) == (0, "201 files sent, 9.2 MiB; 0 unchanged\n", "")
        assert proxy.sent > 9 * MIB
        proxy.reset()
        status, out, err = put(root, url=proxy.url, state=tmp_path / "state")
        assert (status, out, err) == (0, "0 files sent, 0 B; 201 unchanged\n", "")
        # Looking into each of the folders takes a few hundred bytes.
        assert proxy.sent < 32 * 1024
    assert content(node, root.name, "3", "1", "10.bin") == content_of(1010, seed=10)
    assert content(node, root.name, "large.bin") == content_of(9 * MIB)


def test_only_what_was_changed_is_sent_again(node: NodeProcess, root: Path, tmp_path: Path) -> None:
    send = partial(put, root, "--to", f"/files/{root.name}/deeper/down", url=node.url, state=tmp_path)
    (root / "same").write_bytes(b"same")
    (root / "longer").write_bytes(b"long")
    (root / "touched").write_bytes(b"touched")
    assert send()[:2] == (0, "3 files sent, 15 B; 0 unchanged\n")
    (root / "longer").write_bytes(b"longer")
    os.utime(root / "touched", (1, 1))
    assert send()[:2] == (0, "2 files sent, 13 B; 1 unchanged\n")
    assert content(node, root.name, "deeper", "down", "longer") == b"longer"


def test_a_file_that_was_changed_within_the_same_second_is_sent_again(
    node: NodeProcess, root: Path, tmp_path: Path
) -> None:
    send = partial(put, root, url=node.url, state=tmp_path)
    for name, size in (("small", 3), ("large", 5 * MIB)):
        (root / name).write_bytes(b"1" * size)
        os.utime(root / name, ns=(0, 1_700_000_000_100_000_000))
    assert send()[0] == 0
    for name, size in (("small", 3), ("large", 5 * MIB)):
        (root / name).write_bytes(b"2" * size)
        os.utime(root / name, ns=(0, 1_700_000_000_900_000_000))
    assert send()[:2] == (0, "2 files sent, 5.0 MiB; 0 unchanged\n")
    assert send()[:2] == (0, "0 files sent, 0 B; 2 unchanged\n")
    assert content(node, root.name, "small") == b"222"


@pytest.mark.parametrize(
    "nanoseconds", [0, 1, 999, 1_700_000_000_123_456_789, -1, -1_500_000_001, 250_000_000_000_000_000_001]
)
def test_a_time_is_the_same_when_the_node_has_told_it(node: NodeProcess, root: Path, nanoseconds: int) -> None:
    modified = modified_of(nanoseconds)
    name = f"/files/time of {root.name}"
    headers = {"X-OC-Mtime": f"{modified:.6f}"}
    assert node.request("PUT", quote(name), b"content", headers).status in (201, 204)
    wanted = b'<propfind xmlns="DAV:"><prop><modified xmlns="urn:tahoeish"/></prop></propfind>'
    told = node.request("PROPFIND", quote(name), wanted, {"Depth": "0"}).text
    assert float(told.partition('"urn:tahoeish">')[2].partition("<")[0]) == modified


def test_a_node_that_tells_no_fractions_is_compared_with_by_the_second() -> None:
    assert Listed(3, 17, exact=False).is_like(3, 17.9)
    assert not Listed(3, 17).is_like(3, 17.9)


def test_a_dry_run_only_tells(node: NodeProcess, root: Path, tmp_path: Path) -> None:
    (root / "file").write_bytes(b"content")
    status, out, err = put(root, "--dry-run", url=node.url, state=tmp_path)
    assert (status, err) == (0, "")
    assert out == f"{root}/file  7 B\n1 files to send, 7 B; 0 unchanged\n"
    assert node.get(f"/files/{quote(root.name)}").status == 404


def test_strange_names_arrive_as_they_are(node: NodeProcess, root: Path, tmp_path: Path) -> None:
    names = [
        "a b",
        "100%",
        "50%25",
        "what?",
        "#1",
        "semi;colon",
        "Grüße 日本",
        "'q\"",
        "back\\slash",
        "a&b<c>",
        "+",
    ]
    for name in names:
        (root / name).mkdir()
        (root / name / name).write_bytes(name.encode())
    assert put(root, url=node.url, state=tmp_path)[0] == 0
    for name in names:
        assert content(node, root.name, name, name) == name.encode()
    assert put(root, url=node.url, state=tmp_path)[1] == f"0 files sent, 0 B; {len(names)} unchanged\n"


def test_what_cannot_be_sent_is_told_at_the_end_and_the_rest_is_sent(
    node: NodeProcess, root: Path, tmp_path: Path
) -> None:
    (root / "good").write_bytes(b"good")
    (root / "link").symlink_to("good")
    os.mkfifo(root / "pipe")
    (root / "line\nbreak").write_bytes(b"")
    (Path(os.fsdecode(os.fsencode(root) + b"/\xff"))).write_bytes(b"")
    status, out, err = put(root, url=node.url, state=tmp_path)
    assert (status, out) == (1, "1 file sent, 4 B; 0 unchanged; 2 skipped; 2 failed\n")
    assert err.splitlines() == [
        f"tahoeish: put: skipped {root}/link: a symbolic link",
        f"tahoeish: put: skipped {root}/pipe: a named pipe",
        f"tahoeish: put: {root}/line\\nbreak: there is a control character in its name",
        f"tahoeish: put: {root}/\\udcff: its name isn't UTF-8",
    ]
    assert content(node, root.name, "good") == b"good"


def test_a_file_in_the_way_of_a_folder_keeps_only_that_back(node: NodeProcess, root: Path, tmp_path: Path) -> None:
    (root / "other").write_bytes(b"other")
    (root / "thing").write_bytes(b"a file")
    assert put(root, url=node.url, state=tmp_path)[0] == 0
    (root / "thing").unlink()
    (root / "thing" / "below").mkdir(parents=True)
    (root / "thing" / "below" / "file").write_bytes(b"")
    status, out, err = put(root, url=node.url, state=tmp_path)
    assert (status, out) == (1, "0 files sent, 0 B; 1 unchanged; 2 failed\n")
    assert f"{root}/thing: the node has a file of this name\n" in err


def test_a_single_file_gets_a_name_in_folders_that_are_made(node: NodeProcess, root: Path, tmp_path: Path) -> None:
    (root / "cat.jpg").write_bytes(b"cat")
    name = f"/files/{root.name}/new/dog.jpg"
    assert put(root / "cat.jpg", "--to", name, url=node.url, state=tmp_path) == (0, f"{node.url}{quote(name)}\n", "")
    assert content(node, root.name, "new", "dog.jpg") == b"cat"
    assert put("-", "--to", name, url=node.url, state=tmp_path, stdin=b"from a pipe")[0] == 0
    assert content(node, root.name, "new", "dog.jpg") == b"from a pipe"


def test_a_file_is_no_place_for_a_folder(node: NodeProcess, root: Path, tmp_path: Path) -> None:
    (root / "file").write_bytes(b"")
    name = f"/files/{root.name}"
    assert put(root / "file", "--to", name, url=node.url, state=tmp_path)[0] == 0
    status, _, err = put(root, url=node.url, state=tmp_path)
    assert (status, err) == (1, f"tahoeish: put: {quote(name)} is a file, not a folder\n")


@pytest.mark.parametrize("name", ["", "photos", "/photos", "/files/../x", "/filesystem/x"])
def test_a_name_elsewhere_is_misuse(root: Path, tmp_path: Path, name: str) -> None:
    status, _, err = put(root, "--to", name, url="http://127.0.0.1:1", state=tmp_path)
    assert status == 2
    assert "argument --to: " in err


@pytest_twisted.ensureDeferred
async def test_a_file_that_cannot_be_read_or_is_gone_does_not_hold_up_the_others(
    node: NodeProcess, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a good one", "gone", "forbidden"):
        (root / name).write_bytes(b"content")
    opened = os.open

    def guarded(path: Path, *arguments: int) -> int:
        # Tests may run as root, to whom nothing is forbidden.
        if Path(path).name == "forbidden":
            raise PermissionError(13, "Permission denied", str(path))
        return opened(path, *arguments)

    client = Client.connect(reactor, node.url)
    patience = Patience(reactor)
    trees = TreeUploads(client, FileUploads(client, patience, None), patience)
    plan = await trees.plan(root, (root.name,))
    (root / "gone").unlink()
    monkeypatch.setattr("tahoeish.client.steady.os.open", guarded)
    report = await trees.carry_out(plan)
    assert str(report) == "1 file sent, 7 B; 0 unchanged; 2 failed"
    assert [str(trouble) for trouble in report.troubles] == [
        f"{root}/forbidden: Permission denied",
        f"{root}/gone: No such file or directory",
    ]
    assert await deferToThread(content, node, root.name, "a good one") == b"content"


def test_names_that_are_the_same_for_a_node_are_told(root: Path) -> None:
    (root / "caf\u00e9").write_bytes(b"")
    (root / "cafe\u0301").write_bytes(b"")
    tree = walk(root)
    assert [file.name for file in tree.files] == [("caf\u00e9",)]
    assert [remark.reason for remark in tree.troubles] == ["another name here is the same for the node"]
