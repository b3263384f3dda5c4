"""Where the node answers, and which file is meant: what people write, made exact."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from tahoeish.chk.directory_caps import DirectoryCap, DirectoryVerifyCap, parse_any_cap
from tahoeish.chk.errors import BadCap
from tahoeish.client.arguments import is_text
from tahoeish.client.credentials import shown

DEFAULT_NODE_URL = "http://127.0.0.1:3456"

FILES = "/files/"
"""Where names have their addresses."""

_CAP = "URI:"


class BadNodeURL(ValueError):
    """Nothing that a node could answer at. The message says where it was written."""


class BadTarget(ValueError):
    """No place for a file. The message says why."""


@dataclass(frozen=True, slots=True)
class CapPath:
    """What a cap names; or, behind a directory's, the names on the way to something in it."""

    cap: str
    path: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Target:
    """A name below `/files`, by the names of the folders it is in and its own; or a folder to put something into."""

    path: tuple[str, ...]
    is_folder: bool

    def of(self, file: Path) -> tuple[str, ...]:
        """What this file is called there."""
        return (*self.path, file.name) if self.is_folder else self.path


def target_from(text: str) -> Target:
    """Raises `BadTarget`."""
    if not (text + "/").startswith(FILES):
        raise BadTarget(f"{text!r} is no name for a file; one looks like {FILES}photos/cat.jpg")
    names = tuple(name for name in text.removeprefix(FILES.rstrip("/")).split("/") if name)
    if {".", ".."} & set(names):
        raise BadTarget(f"{text!r} has . or .. in it, which mean nothing here")
    if not is_text(text):
        raise BadTarget(f"{text!r} isn't UTF-8")
    return Target(names, is_folder=text.endswith("/") or not names)


def node_url(option: str | None, environ: Mapping[str, str]) -> str:
    """
    The node's URL: the option's, else $TAHOEISH_NODE_URL, else what a node has written into `node.url` in its
    directory, else the default.
    """
    if option:
        return _checked(option, "--node-url")
    if url := environ.get("TAHOEISH_NODE_URL"):
        return _checked(url, "$TAHOEISH_NODE_URL")
    path = Path(environ.get("TAHOEISH_NODE_DIR") or "~/.tahoeish").expanduser() / "node.url"
    try:
        written = path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return DEFAULT_NODE_URL
    return _checked(written, str(path)) if written else DEFAULT_NODE_URL


def file_from(text: str) -> CapPath:
    """
    The cap of a file, or of a directory with the path of a file in it, as it was pasted: bare, percent-encoded, or
    within a URL. Raises `BadCap`.

    Of a URL only cap and path are taken. Which node to ask is the caller's choice: that node gets to see the file.
    """
    pasted = _pasted(text)
    if pasted.path:
        _expect_directory(pasted)
    elif isinstance(parse_any_cap(pasted.cap), DirectoryCap | DirectoryVerifyCap):
        raise BadCap("this is the cap of a directory; say which file in it is meant, as CAP/NAME")
    return pasted


def directory_from(text: str) -> CapPath:
    """The same for an immutable directory that can be read, or for one that is somewhere in it."""
    pasted = _pasted(text)
    _expect_directory(pasted)
    return pasted


def _expect_directory(pasted: CapPath) -> None:
    cap = parse_any_cap(pasted.cap)
    if isinstance(cap, DirectoryCap):
        return
    if pasted.path and not isinstance(cap, DirectoryVerifyCap):
        raise BadCap(f"this is the cap of a file, and files have nothing in them named {'/'.join(pasted.path)!r}")
    raise BadCap("this is not the cap of a directory: such a cap begins with URI:DIR2-CHK: or URI:DIR2-LIT:")


def _pasted(text: str) -> CapPath:
    # A name may end with a space.
    first, *rest = text.rstrip("\r\n").split("/")
    if _CAP in first:
        # What stands behind a bare cap is said as it is, as to the stock command; only a URL is encoded.
        cap, asked, _ = first.partition("?")
        return _checked_path(cap.strip(), [] if asked else rest, [])
    before: list[str] = []
    rest = [unquote(part, errors="surrogateescape") for part in text.strip().partition("?")[0].split("/")]
    while rest and _CAP not in rest[0]:
        before.append(rest.pop(0))
    if not rest:
        return CapPath(before[-1])
    return _checked_path(rest[0], rest[1:], before)


def _checked_path(cap: str, path: list[str], before: list[str]) -> CapPath:
    """What is behind a cap leads on from there, unless it is only how the file is to be called."""
    if before[-1:] in (["file"], ["named"]) or path[:1] == ["@@named="]:
        return CapPath(cap)
    if path[-1:] == [""]:
        path = path[:-1]
    said = "/".join(path)
    if {"", ".", ".."} & set(path):
        raise BadCap(f"{said!r} has an empty name or . or .. in it, and there are none such in a directory")
    if not is_text(said):
        raise BadCap(f"{said!r} isn't UTF-8")
    return CapPath(cap, tuple(path))


def is_node_url(text: str) -> bool:
    """Addresses at a node can begin with it."""
    try:
        parts = urlsplit(text)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False
    return usable and not set("?# \t\r\n") & set(text)


def _checked(url: str, where: str) -> str:
    if not is_node_url(url):
        raise BadNodeURL(f"{where}: {shown(url)!r} is not the URL of a node; one looks like {DEFAULT_NODE_URL}")
    return url.rstrip("/")
