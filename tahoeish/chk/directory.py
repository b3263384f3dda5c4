"""
Immutable directories: names, caps, and what else is known of each, in a table that is a file's whole content.

    table = entry ...
    entry = ns( ns(name) ns(cap) ns() ns(metadata) )        where ns(x) is the netstring of x: `5:hello,`

The empty netstring is where a mutable directory keeps a child's write cap. Reading forgives what other writers do;
writing yields one table for the same children, sorted and normalised, and nothing that somebody can't read.
"""

from __future__ import annotations

import json
import math
import re
import unicodedata
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NoReturn, TypeAlias

from tahoeish.chk.caps import LiteralCap, ReadCap, VerifyCap
from tahoeish.chk.directory_caps import DirectoryCap, DirectoryVerifyCap, parse_any_cap
from tahoeish.chk.errors import BadCap, BadDirectory, MutableCap

_LENGTH = re.compile(rb"(0|[1-9][0-9]{0,11}):")
_FIELDS = 4


@dataclass(frozen=True, slots=True, repr=False)
class UnknownCap:
    """A cap in a format that this program doesn't know; somebody else's may."""

    text: str

    def __str__(self) -> str:
        # Whoever reads it outside of its directory can't know any more that it has to be immutable.
        return "imm." + self.text

    def __repr__(self) -> str:
        return "<UnknownCap>"


ChildCap: TypeAlias = ReadCap | LiteralCap | DirectoryCap | UnknownCap
Metadata: TypeAlias = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Child:
    """What a name in a directory leads to. The metadata is a JSON object."""

    cap: ChildCap
    metadata: Metadata = field(default_factory=dict)


Children: TypeAlias = Mapping[str, Child]


def pack(children: Children) -> bytes:
    """
    The table. Raises `BadDirectory` for names that no path could reach, and for metadata that isn't JSON.
    """
    normalised: dict[str, Child] = {}
    for name, child in children.items():
        normal = _checked(normalise(name))
        if normal in normalised:
            raise BadDirectory(f"two children have the same name, {normal!r}")
        normalised[normal] = child
    return b"".join(_packed_entry(name, normalised[name]) for name in sorted(normalised))


def pack_entry(name: str, child: Child) -> bytes:
    """
    One entry. Entries make a table when they are put together in the order of their names, of which no two may be the
    same. Raises `BadDirectory` as `pack` does.
    """
    return _packed_entry(_checked(normalise(name)), child)


def unpack(table: bytes, mutable: Callable[[str], object] = lambda name: None) -> dict[str, Child]:
    """
    The children, in the order of the table; of several with the same name the last one, and none that is mutable:
    those are only told by name.

    Names may be there that no path reaches: empty ones, `..`, or with slashes. Raises `BadDirectory`.
    """
    children: dict[str, Child] = {}
    for number, entry in enumerate(_netstrings(table)):
        try:
            name, cap, metadata = _unpacked_entry(entry)
            child = Child(_stored_cap(cap), _json_object(metadata))
        except MutableCap:
            mutable(name)
            continue
        except BadDirectory as error:
            raise BadDirectory(f"entry {number} of the directory is damaged: {error}") from None
        children.pop(name, None)
        children[name] = child
    return children


def normalise(name: str) -> str:
    """The same name, however its characters are composed."""
    return unicodedata.normalize("NFC", name)


def parse_child_cap(text: str) -> ChildCap:
    """
    A cap that may stand in a directory.

    Raises `MutableCap` for one of something mutable, and `BadCap` for one that is damaged, or only verifies. One that
    is of no known kind is `UnknownCap` if its marker `imm.` says that it is immutable, and `MutableCap` otherwise.
    """
    marker, unmarked = _without_marker(text)
    if unmarked.startswith("URI:"):
        cap = parse_any_cap(unmarked)
        if isinstance(cap, VerifyCap | DirectoryVerifyCap):
            raise BadCap("this cap only verifies, and a directory holds what can be read")
        return cap
    if not unmarked:
        raise BadCap("this cap is empty")
    if marker != "imm.":
        raise MutableCap("this cap is of an unknown kind, and has no imm. before it to say that it is immutable")
    return UnknownCap(unmarked)


# Writing.


def _checked(name: str) -> str:
    if name in ("", ".", "..") or "/" in name or "\0" in name:
        raise BadDirectory(f"a child can't be named {name!r}, because no path leads to it")
    try:
        name.encode()
    except UnicodeEncodeError:
        raise BadDirectory(f"a child can't be named {name!r}, which isn't Unicode") from None
    return name


def _packed_entry(name: str, child: Child) -> bytes:
    try:
        metadata = json.dumps(child.metadata, allow_nan=False)
    except (ValueError, TypeError, RecursionError) as error:
        raise BadDirectory(f"the metadata of {name!r} can't be written as JSON: {error}") from None
    cap = child.cap.text if isinstance(child.cap, UnknownCap) else str(child.cap)
    return _netstring(b"".join(map(_netstring, (name.encode(), cap.encode(), b"", metadata.encode()))))


def _netstring(data: bytes) -> bytes:
    return b"%d:%s," % (len(data), data)


# Reading.


def _unpacked_entry(entry: bytes) -> tuple[str, str, bytes]:
    """Its name, cap and metadata."""
    # There may be more fields some day, which are to be ignored.
    fields = list(_netstrings(entry))
    if len(fields) < _FIELDS:
        raise BadDirectory(f"it has {len(fields)} fields instead of {_FIELDS}")
    name, cap, write_cap, metadata = fields[:_FIELDS]
    if write_cap:
        raise BadDirectory("it belongs to a mutable directory")
    return normalise(_text(name)), _text(cap).rstrip(" "), metadata


def _stored_cap(text: str) -> ChildCap:
    # What is stored needs no marker, being where it is; and it can't be sent back to be corrected.
    unmarked = _without_marker(text)[1]
    try:
        return parse_child_cap("imm." + unmarked)
    except MutableCap:
        raise
    except BadCap:
        return UnknownCap(unmarked)


def _without_marker(text: str) -> tuple[str, str]:
    marker = next((marker for marker in ("ro.", "imm.") if text.startswith(marker)), "")
    return marker, text.removeprefix(marker)


def _netstrings(data: bytes) -> Iterator[bytes]:
    position = 0
    while position < len(data):
        length = _LENGTH.match(data, position)
        if length is None:
            raise BadDirectory(f"there is no netstring at byte {position}")
        end = length.end() + int(length[1])
        if data[end : end + 1] != b",":
            raise BadDirectory(f"the netstring at byte {position} doesn't end after {int(length[1])} bytes")
        yield data[length.end() : end]
        position = end + 1


def _text(field: bytes) -> str:
    try:
        return field.decode()
    except UnicodeDecodeError:
        raise BadDirectory("a text in it isn't UTF-8") from None


def _json_object(field: bytes) -> dict[str, Any]:
    try:
        value = json.loads(_text(field), parse_float=_finite, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        raise BadDirectory("its metadata isn't JSON") from None
    if not isinstance(value, dict):
        raise BadDirectory("its metadata isn't a JSON object")
    return value


def _finite(literal: str) -> float:
    number = float(literal)
    if not math.isfinite(number):
        raise ValueError(f"{literal} is too large")
    return number


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")
