"""What the words behind `tahoeish url sign` stand for. What could only make an address that never works is refused."""

from __future__ import annotations

import argparse
import re
import time
from dataclasses import dataclass
from ipaddress import ip_network
from typing import TYPE_CHECKING
from urllib.parse import unquote

from tahoeish.client.arguments import understood

if TYPE_CHECKING:
    from tahoeish.namespace.names import Path

_FILES = "/files/"
_SHORT_SIZE = re.compile(r"(?<=[0-9 ])[KMGT]$", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Place:
    """A file, or the folder that an address with a slash at its end leads to."""

    path: Path
    is_folder: bool

    def problem(self, *, prefix: bool) -> str | None:
        """Why nothing can be signed for it, if so."""
        if prefix and len(self.path) < 2 and not self.is_folder:
            return f"a prefix lies in a folder, as {_FILES}FOLDER/PREFIX or {_FILES}FOLDER/"
        if self.is_folder and not prefix:
            return "what ends in a slash is a folder; name a file in it, or say --prefix for all of them"
        return None


def place(text: str) -> Place:
    """
    By its address, as `put` prints it and browsers show it. All but `%` may also stand there as it is; a name with a
    `%` in it has `%25`.
    """
    from tahoeish.namespace.errors import BadName
    from tahoeish.namespace.names import check_path

    try:
        names = tuple(unquote(part, errors="strict") for part in text.removeprefix(_FILES).split("/") if part)
    except UnicodeDecodeError:
        raise argparse.ArgumentTypeError(f"{text!r} isn't UTF-8 where it is percent-encoded") from None
    if not text.startswith(_FILES) or not names:
        raise argparse.ArgumentTypeError(f"{text!r} is no file's address; one looks like {_FILES}photos/1.jpg")
    return Place(understood(names, check_path, BadName), text.endswith("/"))


def expiry(text: str) -> int:
    """The moment until which an address is good that is to be good for so long."""
    from tahoeish.node.administration import lifetime

    seconds = lifetime(text)
    if seconds < 1:
        raise argparse.ArgumentTypeError("an address is good for a second or more")
    return int(time.time() + seconds)


def ip_range(text: str) -> str:
    """Of clients, as the node will read it."""
    try:
        ip_network(text)
    except ValueError:
        raise argparse.ArgumentTypeError(_without_range(text)) from None
    return text


def _without_range(text: str) -> str:
    try:
        meant = ip_network(text, strict=False)
    except ValueError:
        return f"{text!r} is no address and no range of addresses; a range looks like 192.0.2.0/24"
    return f"{text!r} is an address in a range; the range is {meant}, and the address alone {text.partition('/')[0]}"


def base(text: str) -> str:
    """What addresses begin with."""
    from tahoeish.client.address import is_node_url

    if not is_node_url(text):
        raise argparse.ArgumentTypeError(f"{text!r} is no URL of a node; one looks like https://files.example")
    return text.rstrip("/")


def size(text: str) -> int:
    """In bytes."""
    from tahoeish.node.config.quantities import parse_size

    read = understood(_SHORT_SIZE.sub(lambda unit: f"{unit[0]}iB", text), parse_size, ValueError)
    if not read:
        raise argparse.ArgumentTypeError("nothing fits into that")
    return read
