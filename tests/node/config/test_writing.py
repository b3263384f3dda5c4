"""What the node writes about its configuration is true, and can be read back."""

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tahoeish.chk import base32
from tahoeish.node.config import Config, Grid, Peer, Storage, default_text, effective_text, parse
from tahoeish.node.config.kinds import (
    MAX_DURATION,
    Base32,
    Boolean,
    Choice,
    DatabaseUrl,
    Directory,
    Duration,
    Endpoints,
    Integer,
    Kind,
    Location,
    Name,
    NurlText,
    Origins,
    Processes,
    Size,
    Texts,
)
from tahoeish.node.config.reference import reference_text
from tahoeish.node.config.schema import keys_of, sections_of
from tahoeish.storage.nurl import Nurl

BASE = Path("/node")
REFERENCE = Path(__file__).parents[3] / "docs" / "reference" / "configuration.md"

printable = st.text(st.characters(exclude_categories=["C", "Z"]), min_size=1, max_size=10)
endpoints = st.integers(0, 65535).map("tcp:{}".format) | printable.map("unix:{}".format)


def values_of(kind: Kind[Any]) -> st.SearchStrategy[Any]:
    match kind:
        case Integer(at_least, at_most) | Size(at_least, at_most):
            return st.integers(at_least, at_most)
        case Processes(at_most):
            return st.integers(0, at_most)
        case Duration(at_least):
            whole = st.integers(int(at_least) + 1, int(MAX_DURATION)).map(float)
            return whole | st.floats(at_least, MAX_DURATION)
        case Boolean():
            return st.booleans()
        case Choice(words):
            return st.sampled_from(words)
        case Endpoints():
            return st.lists(endpoints, min_size=1, max_size=3).map(tuple)
        case Origins():
            return st.lists(st.sampled_from(["https://app.example", "http://localhost:8080"]), max_size=2).map(tuple)
        case Name():
            return printable
        case Directory():
            return printable.filter(lambda text: not text.startswith("~")).map(BASE.joinpath)
        case Location():
            return st.just("") | st.integers(0, 65535).map("node.example:{}".format)
        case Texts():
            return st.lists(printable, max_size=3).map(tuple)
        case DatabaseUrl():
            return st.just("") | printable.map("postgresql://{}".format)
        case Base32(size):
            return st.just("") | st.binary(min_size=size, max_size=size or 40).map(base32.encode)
        case NurlText():
            keys = st.binary(min_size=32, max_size=32)
            return st.builds(Nurl, keys, st.just("node.example"), st.integers(1, 65535), st.just("swissnum"))
    raise AssertionError(kind)


def filled(section: type) -> st.SearchStrategy[dict[str, Any]]:
    """Any value that is right for its own key, for each of a section's keys."""
    return st.fixed_dictionaries({name: values_of(key.kind) for name, key in keys_of(section).items()})


def peers() -> st.SearchStrategy[dict[str, Any]]:
    not_of_folders = {"nurl": None, "permutation_seed": "", "tub_id": ""}
    return filled(Peer).flatmap(lambda peer: st.sampled_from([{**peer, **not_of_folders}, {**peer, "directory": None}]))


@st.composite
def configs(draw: st.DrawFn) -> Config:
    chosen = draw(
        st.lists(
            peers(),
            min_size=1,
            max_size=4,
            unique_by=(lambda peer: peer["directory"] or peer["nurl"].spki_hash, lambda peer: peer["nickname"]),
        )
    )
    sections = {
        name: section(**draw(filled(section))) for name, section in sections_of(Config).items() if section is not Grid
    }
    # One at least must be enabled.
    chosen[0]["enabled"] = True
    grid = Grid(**draw(filled(Grid)), peers=tuple(Peer(**peer) for peer in chosen))
    total = draw(st.integers(1, 256))
    encoding = replace(
        sections["encoding"],
        needed=draw(st.integers(1, total)),
        total=total,
        happy=draw(st.integers(0, min(total, len(grid.enabled_peers)))),
    )
    gateway = replace(sections["gateway"], enabled=draw(st.booleans()) or not sections["storage"].enabled)
    return Config(**{**sections, "grid": grid, "encoding": encoding, "gateway": gateway})


def is_normal(config: Config) -> bool:
    directories = [config.storage.directory, *(peer.directory for peer in config.grid.peers if peer.directory)]
    return all(".." not in directory.parts for directory in directories)


@given(configs().filter(is_normal))
def test_the_effective_configuration_reads_back_as_itself(config: Config) -> None:
    assert parse(effective_text(config), base=Path("/elsewhere")) == config


def test_the_first_file_is_the_embedded_default() -> None:
    config = parse(default_text(), base=BASE)

    assert [peer.directory for peer in config.grid.peers] == [BASE / f"peers/{number}" for number in (1, 2, 3)]
    assert config == Config(grid=config.grid, storage=Storage(directory=BASE / "storage"))


def test_the_first_file_shows_every_key_at_its_default() -> None:
    shown = re.sub(r"^#(\w+ = )", r"\1", default_text(), flags=re.MULTILINE)

    assert parse(shown, base=BASE) == parse(default_text(), base=BASE)
    for section in sections_of(Config).values():
        for name in keys_of(section):
            assert re.search(rf"^{name} = ", shown, flags=re.MULTILINE)


def test_the_reference_page_is_current() -> None:
    assert REFERENCE.read_text(encoding="utf-8") == reference_text(), (
        "write it anew: python -m tahoeish.node.config.reference > docs/reference/configuration.md"
    )
