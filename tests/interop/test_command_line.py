"""The stock command line and a gateway of ours, which it takes for one of its own."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.request import urlopen

import pytest

from tests.interop import INTEROP
from tests.interop.samples import MIB, SIZES, sample
from tests.interop.tahoe import CommandLine
from tests.nodes import NOT_DURABLE, NodeProcess, running

pytestmark = INTEROP


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NodeProcess]:
    """It has nothing of Tahoe-LAFS."""
    with running(tmp_path_factory.mktemp("gateway") / "node", NOT_DURABLE) as node:
        yield node


@pytest.fixture
def tahoe(tahoe_program: Path, gateway: NodeProcess, tmp_path: Path) -> CommandLine:
    directory = tmp_path / "names"
    (directory / "private").mkdir(parents=True)
    return CommandLine(tahoe_program, directory, gateway.url)


def mkdir(gateway: NodeProcess, children: object) -> str:
    """An immutable directory; gives its cap. The command line has nothing that makes one by itself."""
    answer = gateway.request("POST", "/uri?t=mkdir-immutable", json.dumps(children).encode())
    assert answer.status in (200, 201), answer.text
    return answer.text


@pytest.mark.parametrize("size", SIZES)
def test_what_it_puts_it_gets(tahoe: CommandLine, tmp_path: Path, size: int) -> None:
    content = sample(size, seed=1)
    (tmp_path / "file").write_bytes(content)
    cap = tahoe.line("put", str(tmp_path / "file"))
    tahoe("get", cap, str(tmp_path / "copy"))
    assert (tmp_path / "copy").read_bytes() == content


def test_it_puts_what_it_is_given_and_prints_what_it_gets(tahoe: CommandLine) -> None:
    content = sample(MIB + 1, seed=6)
    assert tahoe("get", tahoe.line("put", "-", stdin=content)) == content


def test_it_tells_what_became_of_a_file(tahoe: CommandLine, gateway: NodeProcess) -> None:
    cap = gateway.put(sample(MIB + 1, seed=2))
    assert " ".join(tahoe.line("check", cap).split()).startswith("Summary: Healthy storage index: ")
    assert json.loads(tahoe("check", "--raw", "--verify", cap))["results"]["count-shares-good"] == 3

    damaged, lost, _ = gateway.shares(cap)
    with damaged.open("r+b") as share:
        # Within the first block.
        share.seek(1000)
        share.write(bytes(20))
    told = tahoe.line("check", "--verify", cap)
    assert "Not Healthy: 2 shares (enc 2-of-3)" in told and "corrupt shares:" in told
    lost.unlink()
    assert not json.loads(tahoe("check", "--raw", cap))["results"]["healthy"]
    assert json.loads(tahoe("check", "--raw", "--verify", cap))["results"]["recoverable"] is False


def test_it_repairs(tahoe: CommandLine, gateway: NodeProcess) -> None:
    content = sample(MIB + 1, seed=3)
    cap = gateway.put(content)
    first, *others = gateway.shares(cap)
    first.unlink()
    assert "repair successful" in tahoe.line("check", "--repair", cap)
    assert json.loads(tahoe("check", "--raw", "--repair", "--verify", "--add-lease", cap))["repair-attempted"] is False
    others[0].unlink()
    assert tahoe("get", cap) == content


def test_it_finds_a_file_within_its_cap_healthy(tahoe: CommandLine, gateway: NodeProcess) -> None:
    cap = gateway.put(b"small")
    assert "Healthy (LIT)" in tahoe.line("check", "--verify", cap)
    assert "healthy" in tahoe.line("check", "--repair", cap)


def test_the_pages_that_it_opens_are_there(tahoe: CommandLine, gateway: NodeProcess, tmp_path: Path) -> None:
    content = sample(1000, seed=4)
    cap = gateway.put(content)
    directory = mkdir(gateway, {"file": ["filenode", {"ro_uri": cap}]})
    assert b"tahoeish" in _opened(tahoe, tmp_path)
    assert _opened(tahoe, tmp_path, cap) == content
    assert b"file" in _opened(tahoe, tmp_path, directory)
    assert _opened(tahoe, tmp_path, f"{directory}/file") == content
    assert cap.encode() in _opened(tahoe, tmp_path, "--info", cap)
    assert directory.encode() in _opened(tahoe, tmp_path, "--info", directory)


def _opened(tahoe: CommandLine, folder: Path, *what: str) -> bytes:
    """What is at the address that the program gives to a browser."""
    note = folder / "address"
    remember = f"{sys.executable} -c 'import sys; open(sys.argv[1], \"w\").write(sys.argv[2])' {note} %s"
    tahoe("webopen", *what, browser=remember)
    with urlopen(note.read_text()) as page:
        content: bytes = page.read()
    return content


def test_it_walks_through_directories(tahoe: CommandLine, gateway: NodeProcess, tmp_path: Path) -> None:
    content = sample(100_000, seed=5)
    file = gateway.put(content)
    inner = mkdir(gateway, {"größe.bin": ["filenode", {"ro_uri": file, "metadata": {"mtime": 1.5}}]})
    small = gateway.put(b"small")
    top = mkdir(
        gateway,
        {"inner": ["dirnode", {"ro_uri": inner}], "small": ["filenode", {"ro_uri": small}], "empty": empty(gateway)},
    )
    assert tahoe.line("ls", top).splitlines() == ["empty", "inner", "small"]
    assert tahoe.line("ls", f"{top}/inner").splitlines() == ["größe.bin"]
    assert file in tahoe.line("ls", "--uri", f"{top}/inner")
    assert "100000" in tahoe.line("ls", "-l", f"{top}/inner")
    assert tahoe("get", f"{top}/inner/größe.bin") == content
    assert "Healthy" in tahoe.line("check", "--verify", f"{top}/inner/größe.bin")
    assert "Healthy" in tahoe.line("check", "--repair", f"{top}/inner").title()

    tahoe("cp", "--recursive", f"{top}/", str(tmp_path / "copy"))
    assert (tmp_path / "copy" / "inner" / "größe.bin").read_bytes() == content
    assert (tmp_path / "copy" / "small").read_bytes() == b"small"
    assert (tmp_path / "copy" / "empty").is_dir()


def empty(gateway: NodeProcess) -> object:
    return ["dirnode", {"ro_uri": mkdir(gateway, {})}]
