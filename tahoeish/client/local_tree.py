"""What is in a folder on this side."""

from __future__ import annotations

import os
import stat
import unicodedata
from dataclasses import dataclass, field
from pathlib import Path

from tahoeish.client.steady import modified_of

RelativePath = tuple[str, ...]
"""The names as the node spells them, from the folder on that was walked."""

LONGEST_NAME = 255


@dataclass(frozen=True, slots=True)
class LocalFile:
    path: Path
    name: RelativePath
    size: int
    modified: float
    """In seconds and whole microseconds."""


@dataclass(frozen=True, slots=True)
class Remark:
    """Something that can't be sent, and why."""

    path: Path
    reason: str

    def __str__(self) -> str:
        return f"{shown(self.path)}: {self.reason}"


@dataclass
class LocalTree:
    """Folders come before what is in them."""

    folders: list[RelativePath] = field(default_factory=list)
    files: list[LocalFile] = field(default_factory=list)
    skipped: list[Remark] = field(default_factory=list)
    """Neither files nor folders."""
    troubles: list[Remark] = field(default_factory=list)


def walk(root: Path) -> LocalTree:
    """Symbolic links are not followed, except for `root` itself. Raises `OSError` if that can't be read."""
    tree = LocalTree()
    unread: list[tuple[Path, RelativePath]] = [(root, ())]
    while unread:
        folder, name = unread.pop()
        try:
            with os.scandir(folder) as entries:
                found = sorted(entries, key=lambda entry: entry.name)
        except OSError as error:
            if folder == root:
                raise
            tree.troubles.append(Remark(folder, error.strerror or str(error)))
            continue
        below = _add(tree, folder, name, found)
        tree.folders += [name for _, name in below]
        unread += reversed(below)
    return tree


def _add(
    tree: LocalTree, folder: Path, above: RelativePath, entries: list[os.DirEntry[str]]
) -> list[tuple[Path, RelativePath]]:
    """Gives the folders among the entries."""
    below: list[tuple[Path, RelativePath]] = []
    taken: set[str] = set()
    for entry in entries:
        path = folder / entry.name
        name = unicodedata.normalize("NFC", entry.name)
        if (trouble := trouble_with(name)) or name in taken:
            tree.troubles.append(Remark(path, trouble or "another name here is the same for the node"))
            continue
        taken.add(name)
        try:
            status = entry.stat(follow_symlinks=False)
        except OSError as error:
            tree.troubles.append(Remark(path, error.strerror or str(error)))
            continue
        if stat.S_ISREG(status.st_mode):
            modified = modified_of(status.st_mtime_ns)
            tree.files.append(LocalFile(path, (*above, name), status.st_size, modified))
        elif stat.S_ISDIR(status.st_mode):
            below.append((path, (*above, name)))
        else:
            tree.skipped.append(Remark(path, _kind_of(status.st_mode)))
    return below


def trouble_with(name: str) -> str | None:
    """What the node would say to such a name, without asking it."""
    try:
        length = len(name.encode())
    except UnicodeEncodeError:
        return "its name isn't UTF-8"
    if length > LONGEST_NAME:
        return f"its name is longer than {LONGEST_NAME} bytes"
    if any(unicodedata.category(character) == "Cc" for character in name):
        return "there is a control character in its name"
    return None


def _kind_of(mode: int) -> str:
    if stat.S_ISLNK(mode):
        return "a symbolic link"
    if stat.S_ISFIFO(mode):
        return "a named pipe"
    if stat.S_ISSOCK(mode):
        return "a socket"
    return "a device"


def shown(path: Path | str) -> str:
    """For a terminal, on which not every character shall do what it can."""
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in str(path))
