"""Where the node answers, and which file is meant: what people write, made exact."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from tahoeish.chk.caps import parse_cap
from tahoeish.chk.directory_caps import DirectoryCap, parse_any_cap
from tahoeish.chk.errors import BadCap
from tahoeish.client.arguments import is_text
from tahoeish.client.credentials import shown

DEFAULT_NODE_URL = "http://127.0.0.1:3456"


FILES = "/files/"
"""Where names have their addresses."""


class BadNodeURL(ValueError):
    """Nothing that a node could answer at. The message says where it was written."""


class BadTarget(ValueError):
    """No place for a file. The message says why."""


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


def cap_from(text: str) -> str:
    """
    A cap as it was pasted: bare, percent-encoded, or within the URL of its file. Raises `BadCap`.

    Of a URL only the cap is taken. Which node to ask is the caller's choice: that node gets to see the file.
    """
    cap = _pasted(text)
    parse_cap(cap)
    return cap


def directory_cap_from(text: str) -> str:
    """The same for the cap of an immutable directory that can be read."""
    cap = _pasted(text)
    if not isinstance(parse_any_cap(cap), DirectoryCap):
        raise BadCap("this is not the cap of a directory: such a cap begins with URI:DIR2-CHK: or URI:DIR2-LIT:")
    return cap


def _pasted(text: str) -> str:
    path = text.strip().partition("?")[0]
    parts = [unquote(part) for part in path.split("/")]
    return next((part for part in parts if "URI:" in part), parts[-1])


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
