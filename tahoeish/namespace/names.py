"""Names and paths: what may be called what."""

from __future__ import annotations

from typing import TypeAlias
from unicodedata import category, normalize

from tahoeish.namespace.errors import BadName

LONGEST_NAME = 255

# The names from the top of a tree down; `()` is the top itself.
Path: TypeAlias = tuple[str, ...]


def check_name(text: str) -> str:
    """
    The name, in normal form C; `BadName` says why it can't be one.

    Two spellings of the same letters are one name, whatever system they were typed on. Upper and lower case are
    different names.
    """
    name = text if text.isascii() else normalize("NFC", text)
    if not name:
        raise BadName(text, "a name can't be empty")
    if name in (".", ".."):
        raise BadName(text, "“.” and “..” are not names")
    if "/" in name:
        raise BadName(text, "a name can't contain a slash")
    if not name.isprintable():
        _check_characters(text, name)
    size = len(name.encode())
    if size > LONGEST_NAME:
        raise BadName(text, f"a name has at most {LONGEST_NAME} bytes of UTF-8, and this one has {size}")
    return name


def check_path(path: Path) -> Path:
    return tuple(check_name(name) for name in path)


def _check_characters(text: str, name: str) -> None:
    for character in name:
        match category(character):
            case "Cc":
                raise BadName(text, f"a name can't contain the control character U+{ord(character):04X}")
            case "Cs":
                raise BadName(text, f"a name can't contain U+{ord(character):04X}, half of a surrogate pair")
