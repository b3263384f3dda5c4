"""The addresses of files and folders, as they are told to clients."""

from __future__ import annotations

from urllib.parse import quote

from tahoeish.namespace.names import Path

PREFIX = "/files"

_UNQUOTED = "!$&'()*+,;=:@~"
"""What may stand in a part of an address as it is, beside letters, digits and `-._`."""


def href(path: Path, *, folder: bool, prefix: str = PREFIX) -> str:
    """The address, percent-encoded; that of a folder ends in a slash. `prefix`: another way to the same files."""
    return prefix + "".join("/" + quote(name, safe=_UNQUOTED) for name in path) + ("/" if folder else "")
