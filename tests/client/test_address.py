"""What people write for a node and for a file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tahoeish.chk.errors import BadCap
from tahoeish.client.address import DEFAULT_NODE_URL, BadNodeURL, CapPath, directory_from, file_from, node_url
from tests.client.nodes import cap_for

CAP = cap_for(bytes(1000))


def test_the_option_comes_first_then_the_environment_then_the_nodes_own_file(tmp_path: Path) -> None:
    (tmp_path / "node.url").write_text("http://from-file:1/\n")
    directory = {"TAHOEISH_NODE_DIR": str(tmp_path)}
    both = {"TAHOEISH_NODE_URL": "http://from-environment:2/", **directory}
    assert node_url("https://from-option/", both) == "https://from-option"
    assert node_url(None, both) == "http://from-environment:2"
    assert node_url(None, directory) == "http://from-file:1"


def test_without_any_of_them_it_is_the_default(tmp_path: Path) -> None:
    assert node_url(None, {"TAHOEISH_NODE_DIR": str(tmp_path)}) == DEFAULT_NODE_URL


@pytest.mark.parametrize("url", ["nonsense", "ftp://node", "http://", "http://node:port", "http://node/?t=json"])
def test_what_no_node_could_answer_at_is_refused_with_where_it_was_written(url: str) -> None:
    with pytest.raises(BadNodeURL, match=r"^--node-url: .* is not the URL of a node"):
        node_url(url, {})


@pytest.mark.parametrize(
    "text",
    [
        CAP,
        f" {CAP}\n",
        CAP.replace(":", "%3A"),
        f"http://node:3456/uri/{CAP}",
        f"http://node:3456/uri/{CAP.replace(':', '%3a')}?filename=big.iso&save=true",
        f"{CAP}/",
        f"{CAP}?filename=big/iso",
        f"https://node/file/{CAP}/@@named=/big.iso",
        f"https://node/named/{CAP}/big.iso",
        f"{CAP}/@@named=/big.iso",
    ],
)
def test_a_cap_is_found_in_what_was_pasted(text: str) -> None:
    assert file_from(text) == CapPath(CAP)


DIRECTORY = f"URI:DIR2-{CAP.removeprefix('URI:')}"


@pytest.mark.parametrize("read", [file_from, directory_from])
@pytest.mark.parametrize(
    ("text", "path"),
    [
        (f"{DIRECTORY}/2026/beach.jpg", ("2026", "beach.jpg")),
        (f"{DIRECTORY}/2026/", ("2026",)),
        (f"{DIRECTORY}/100%25 ?.jpg ", ("100%25 ?.jpg ",)),
        (f"http://node:3456/uri/{DIRECTORY.replace(':', '%3A')}/a%20b/100%25?filename=x/y", ("a b", "100%")),
        (f"{DIRECTORY.replace(':', '%3A')}/a%20b", ("a b",)),
    ],
)
def test_what_stands_behind_a_directory_is_the_way_to_something_in_it(
    read: Callable[[str], CapPath], text: str, path: tuple[str, ...]
) -> None:
    assert read(text) == CapPath(DIRECTORY, path)


@pytest.mark.parametrize("way", ["a//b", "../b", "a/.", "a/\udcff"])
@pytest.mark.parametrize("read", [file_from, directory_from])
def test_a_way_that_leads_nowhere_is_refused(read: Callable[[str], CapPath], way: str) -> None:
    with pytest.raises(BadCap, match=r"in a directory|UTF-8"):
        read(f"{DIRECTORY}/{way}")


@pytest.mark.parametrize("cap", [CAP, "URI:LIT:onzxg"])
@pytest.mark.parametrize("read", [file_from, directory_from])
def test_there_is_nothing_in_a_file(read: Callable[[str], CapPath], cap: str) -> None:
    with pytest.raises(BadCap, match="files have nothing in them named 'foo'"):
        read(f"{cap}/foo")


def test_a_directory_alone_is_no_file() -> None:
    with pytest.raises(BadCap, match="CAP/NAME"):
        file_from(DIRECTORY)
    assert directory_from(DIRECTORY) == CapPath(DIRECTORY)


@pytest.mark.parametrize("text", ["", "big.iso", CAP[:-9], "http://node:3456/status"])
def test_a_text_without_a_cap_is_refused(text: str) -> None:
    with pytest.raises(BadCap):
        file_from(text)
