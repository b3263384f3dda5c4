"""From the text of a `tahoeish.toml` to a checked `Config`, or to everything that is wrong with it."""

import difflib
import os.path
import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

from .kinds import BadValue
from .lines import KeyPath, key_lines
from .model import Config, Encoding, Gateway, Grid, Peer, Storage
from .problems import ConfigError, Problem, shown
from .schema import Key, keys_of, sections_of, tables_of

S = TypeVar("S")

SECTIONS = sections_of(Config)

_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
_SYNTAX_ERROR_PLACE = re.compile(r" \(at (?:line (\d+), column \d+|end of document)\)$")


def parse(text: str, *, base: Path, source: str = "tahoeish.toml", peers_to_come: bool = False) -> Config:
    """
    Read and check a whole configuration.

    Relative directories count from `base`; `source` is what the file is called in messages. `peers_to_come`: there may
    be too few peers as yet. Raises `ConfigError`, which names every problem there is.
    """
    # As tomllib does it, so that both count the same lines.
    text = text.replace("\r\n", "\n")
    try:
        document = tomllib.loads(text)
    except ValueError as error:
        raise ConfigError([_syntax_problem(error, text)], source) from error
    reader = _Reader(text, base, peers_to_come)
    config = reader.read(document)
    if config is None or reader.problems:
        raise ConfigError(reader.problems, source)
    return config


class _Reader:
    """Goes through one document and collects what is wrong with it on the way."""

    def __init__(self, text: str, base: Path, peers_to_come: bool) -> None:
        self._text = text
        self._base = base
        self._peers_to_come = peers_to_come
        self._peers: dict[KeyPath, Peer] = {}
        self.problems: list[Problem] = []

    def read(self, document: Mapping[str, object]) -> Config | None:
        """`None` when a section could not be made; then there are problems."""
        for name in document.keys() - SECTIONS.keys():
            self._unknown_at_top(name, document[name])
        sections: dict[str, Any] = {
            name: self._section(declared, document.get(name, {}), (name,)) for name, declared in SECTIONS.items()
        }
        encoding: Encoding | None = sections["encoding"]
        grid: Grid | None = sections["grid"]
        gateway: Gateway | None = sections["gateway"]
        storage: Storage | None = sections["storage"]
        if storage:
            sections["storage"] = replace(storage, directory=self._place(storage.directory))
        if encoding:
            self._check_encoding(encoding)
        self._check_peers()
        if grid:
            sections["grid"] = replace(grid, peers=tuple(self._peers.values()))
        if gateway and storage and not gateway.enabled and not storage.enabled:
            self._report(("gateway", "enabled"), "then [storage] must be enabled, or the node has nothing to do")
        if encoding and grid and gateway and gateway.enabled and not self._peers_to_come:
            self._check_peers_suffice(encoding, grid)
        return None if None in sections.values() else Config(**sections)

    def _section(self, section: type[S], table: object, path: KeyPath) -> S | None:
        """A section or sub-table, `None` when one of its values is missing or wrong."""
        if not isinstance(table, dict):
            self._report(path, f"must be a section, {_header(path)}, not {shown(table)}")
            return None
        keys, tables = keys_of(section), tables_of(section)
        for name in table.keys() - keys.keys() - tables.keys():
            self._unknown_key((*path, name), [*keys, *tables])
        values: dict[str, object] = {}
        for name, key in keys.items():
            values |= self._value(key, table, (*path, name))
        for name, declared in tables.items():
            values |= self._tables(declared, table.get(name, []), (*path, name))
        return section(**values) if len(values) == len(keys) + len(tables) else None

    def _value(self, key: Key, table: Mapping[str, object], path: KeyPath) -> dict[str, object]:
        if key.name not in table:
            if not key.required:
                return {key.name: key.default}
            self._report(path, "is missing")
            return {}
        try:
            return {key.name: key.kind.read(table[key.name])}
        except BadValue as error:
            for message in error.messages:
                self._report(path, message)
            return {}

    def _tables(self, section: type, tables: object, path: KeyPath) -> dict[str, object]:
        if not isinstance(tables, list):
            self._report(path, f"must be a list of sections, each headed {_header((*path, 0))}")
            return {}
        places: list[KeyPath] = [(*path, index) for index in range(len(tables))]
        items = [self._section(section, table, place) for table, place in zip(tables, places, strict=True)]
        for place, item in zip(places, items, strict=True):
            if isinstance(item, Peer):
                self._peers[place] = self._placed(item)
        return {} if None in items else {str(path[-1]): tuple(items)}

    def _placed(self, peer: Peer) -> Peer:
        # Both or neither is a problem, for which there is another place.
        usual = str(peer.directory or "") or (peer.nurl.location if peer.nurl else "")
        directory = None if peer.directory is None else self._place(peer.directory)
        return replace(peer, directory=directory, nickname=peer.nickname or usual)

    def _place(self, directory: Path) -> Path:
        # Lexically, so that "peers/1" and "./peers/1" are seen to be one folder before any of them exists.
        return Path(os.path.normpath(self._base / directory))

    def _check_encoding(self, encoding: Encoding) -> None:
        needed, total, happy = encoding.needed, encoding.total, encoding.happy
        if needed > total:
            message = f"{needed} shares needed of only {total} made (total)"
            self._report(("encoding", "needed"), message, ("encoding", "total"))
        if happy > total:
            message = f"{total} shares (total) cannot lie on {happy} different peers"
            self._report(("encoding", "happy"), message)

    def _check_peers_suffice(self, encoding: Encoding, grid: Grid) -> None:
        peers = len(grid.enabled_peers)
        if not grid.peers:
            path: KeyPath = ("grid", "peers")
            self._report(path, f"are missing; add one or more sections {_header((*path, 0))}")
        elif not peers:
            self._report(("grid", "peers"), "are all disabled")
        elif encoding.happy > peers:
            message = f"{encoding.happy} different peers must hold shares, but there are only {peers}"
            self._report(("encoding", "happy"), message)

    def _check_peers(self) -> None:
        places: set[Path | bytes] = set()
        nicknames: set[str] = set()
        for path, peer in self._peers.items():
            place = self._place_of(path, peer)
            if place is None:
                continue
            if place in places:
                key, what = ("directory", shown(str(place))) if isinstance(place, Path) else ("nurl", "its key")
                self._report((*path, key), f"{what} is another peer's already")
            elif peer.nickname in nicknames:
                self._report((*path, "nickname"), f"{shown(peer.nickname)} is another peer's already")
            places.add(place)
            nicknames.add(peer.nickname)

    def _place_of(self, path: KeyPath, peer: Peer) -> Path | bytes | None:
        """What no two peers can have in common; None if there are problems."""
        if peer.nurl is not None:
            if peer.directory is None:
                return peer.nurl.spki_hash
            self._report((*path, "nurl"), "a peer is a storage node or a folder (directory), not both")
        elif peer.directory is None:
            self._report((*path, "directory"), "is missing, or nurl in its place")
        else:
            alien = [key for key in ("permutation_seed", "tub_id") if getattr(peer, key)]
            for key in alien:
                self._report((*path, key), "is for storage nodes (nurl); a folder brings its own")
            if not alien:
                return peer.directory
        return None

    def _unknown_at_top(self, name: str, value: object) -> None:
        if isinstance(value, dict | list):
            close = _closest(name, SECTIONS)
            suggestion = f"; did you mean {_header((close,))}?" if close else ""
            self._report((name,), f"unknown section{suggestion}", title=_header((name,)))
        else:
            self._unknown_key((name,), SECTIONS)

    def _unknown_key(self, path: KeyPath, neighbours: Iterable[str]) -> None:
        name = str(path[-1])
        home = next((other for other, declared in SECTIONS.items() if name in keys_of(declared)), None)
        message = "unknown key"
        if home:
            message += f"; it belongs in {_header((home,))}"
        elif close := _closest(name, neighbours):
            message += f'; did you mean "{close}"?'
        self._report(path, message)

    @cached_property
    def _lines(self) -> Mapping[KeyPath, int]:
        return key_lines(self._text)

    def _report(self, path: KeyPath, message: str, *else_at: KeyPath, title: str = "") -> None:
        """Note a problem with the key at `path`. When that is not in the text, other places give the line."""
        lines = (self._lines.get(place) for place in (path, *else_at, path[:-1]))
        self.problems.append(Problem(next(filter(None, lines), None), title or _title(path), message))


def _syntax_problem(error: ValueError, text: str) -> Problem:
    message = str(error)
    place = _SYNTAX_ERROR_PLACE.search(message)
    if place is None:
        return Problem(None, "", f"not TOML: {message}")
    line = int(place[1]) if place[1] else len(text.splitlines()) or 1
    return Problem(line, "", f"not TOML: {message[: place.start()]}")


def _closest(word: str, words: Iterable[str]) -> str | None:
    return next(iter(difflib.get_close_matches(word, list(words), n=1)), None)


def _title(path: KeyPath) -> str:
    """A key as people look for it in the file: `[gateway] listen`."""
    *tables, last = path
    if isinstance(last, int) or (not tables and last in SECTIONS):
        return _header(path)
    return " ".join([*([_header(tuple(tables))] if tables else []), _written(last)])


def _header(path: KeyPath) -> str:
    dotted = ".".join(_written(part) for part in path if isinstance(part, str))
    return f"[[{dotted}]]" if isinstance(path[-1], int) else f"[{dotted}]"


def _written(name: str) -> str:
    return name if _BARE_KEY.fullmatch(name) else shown(name)
