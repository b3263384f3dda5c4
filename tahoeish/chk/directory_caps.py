"""
Caps of immutable directories.

A directory is a file that holds a table (`directory`), and its cap is that file's cap with `DIR2-` in it:
`URI:DIR2-CHK:…`, `URI:DIR2-CHK-Verifier:…`, `URI:DIR2-LIT:…`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TypeAlias

from tahoeish.chk.caps import Cap, LiteralCap, ReadCap, VerifyCap, parse_cap
from tahoeish.chk.errors import MutableCap

_MARKER = r"(?P<marker>ro\.|imm\.)?"
_DIRECTORY = re.compile(_MARKER + r"URI:DIR2-(?=(?:CHK|CHK-Verifier|LIT):)")
_MUTABLE = re.compile(_MARKER + r"URI:(?:SSK|MDMF|DIR2)[:-]")


@dataclass(frozen=True, slots=True, repr=False)
class DirectoryCap:
    """Names a directory, and reads it."""

    contents: ReadCap | LiteralCap

    @property
    def verify_cap(self) -> DirectoryVerifyCap | None:
        """None where there are no shares to verify."""
        return DirectoryVerifyCap(self.contents.verify_cap) if isinstance(self.contents, ReadCap) else None

    def __str__(self) -> str:
        return _spell(self.contents)

    def __repr__(self) -> str:
        return f"<DirectoryCap of {self.contents!r}>"


@dataclass(frozen=True, slots=True, repr=False)
class DirectoryVerifyCap:
    """Names a directory: enough to find and verify its shares, not to read it."""

    contents: VerifyCap

    def __str__(self) -> str:
        return _spell(self.contents)

    def __repr__(self) -> str:
        return f"<DirectoryVerifyCap of {self.contents!r}>"


AnyCap: TypeAlias = Cap | DirectoryCap | DirectoryVerifyCap


def parse_any_cap(text: str) -> AnyCap:
    """
    The cap of a file or of an immutable directory, also behind the markers `ro.` and `imm.`.

    Raises `MutableCap` for what names something mutable, `BadCap` for all else.
    """
    directory = _DIRECTORY.match(text)
    if directory is not None:
        contents = parse_cap(f"{directory['marker'] or ''}URI:{text[directory.end() :]}")
        return DirectoryVerifyCap(contents) if isinstance(contents, VerifyCap) else DirectoryCap(contents)
    if _MUTABLE.match(text):
        raise MutableCap("this cap is of something mutable; only immutable files and directories work")
    return parse_cap(text)


def _spell(contents: Cap) -> str:
    return "URI:DIR2-" + str(contents).removeprefix("URI:")
