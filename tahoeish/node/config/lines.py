"""
In which line of a TOML text each key stands, which `tomllib` does not tell.

Reads the text a second time, after `tomllib` has found it to be TOML: here only keys, brackets and the ends
of strings count, and nothing is checked.
"""

import re
import tomllib
from collections.abc import Mapping

# A key's way from the top: names of tables and keys, and positions in arrays.
KeyPath = tuple[str | int, ...]

_BLANK = re.compile(r"[ \t\r\n]+|#[^\n]*")
_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
_STRING = re.compile(
    # A multi-line string may end in up to two quotes of its own, and then its three.
    r'"""(?:\\.|[^\\])*?"{3,5}'
    r"|'''.*?'{3,5}"
    r'|"(?:\\.|[^"\\])*"'
    r"|'[^']*'",
    re.DOTALL,
)
# Numbers, booleans and dates; a date may have one space before its time.
_SCALAR = re.compile(r"[^\s,\]}#]+(?: [0-9]{2}:[^\s,\]}#]+)?")


def key_lines(text: str) -> Mapping[KeyPath, int]:
    """The line, counted from 1, in which each key, table and array item of valid TOML first appears."""
    return _Scanner(text).scan()


class _Scanner:
    """Walks over one document from front to back."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._position = 0
        self._line = 1
        self._lines: dict[KeyPath, int] = {}
        self._array_sizes: dict[KeyPath, int] = {}

    def scan(self) -> Mapping[KeyPath, int]:
        table: KeyPath = ()
        while self._skip_blank():
            if self._take("[["):
                table = self._new_array_item(self._resolve(self._key()))
                self._take("]]")
            elif self._take("["):
                table = self._resolve(self._key())
                self._note(table)
                self._take("]")
            else:
                self._pair(table)
        return self._lines

    def _pair(self, table: KeyPath) -> None:
        path = table + self._key()
        self._note(path)
        self._take("=")
        self._value(path)

    def _key(self) -> tuple[str, ...]:
        parts = [self._key_part()]
        while self._take("."):
            parts.append(self._key_part())
        return tuple(parts)

    def _key_part(self) -> str:
        self._skip_blank()
        if self._text[self._position] in "\"'":
            quoted = self._match(_STRING)
            return str(tomllib.loads(f"text = {quoted}")["text"])
        return self._match(_BARE_KEY)

    def _value(self, path: KeyPath) -> None:
        self._skip_blank()
        if self._take("["):
            self._items(path)
        elif self._take("{"):
            while not self._take("}"):
                self._pair(path)
                self._take(",")
        elif self._text[self._position] in "\"'":
            self._match(_STRING)
        else:
            self._match(_SCALAR)

    def _items(self, path: KeyPath) -> None:
        index = 0
        while not self._take("]"):
            self._note((*path, index))
            self._value((*path, index))
            self._take(",")
            index += 1

    def _resolve(self, names: tuple[str, ...]) -> KeyPath:
        """A header's names, with the position of the newest item after each array of tables."""
        path: KeyPath = ()
        for name in names[:-1]:
            path = self._newest((*path, name))
        return (*path, names[-1])

    def _newest(self, path: KeyPath) -> KeyPath:
        return (*path, self._array_sizes[path] - 1) if path in self._array_sizes else path

    def _new_array_item(self, array: KeyPath) -> KeyPath:
        index = self._array_sizes.get(array, 0)
        self._array_sizes[array] = index + 1
        item = (*array, index)
        self._note(item)
        return item

    def _note(self, path: KeyPath) -> None:
        for length in range(1, len(path) + 1):
            self._lines.setdefault(path[:length], self._line)

    def _take(self, token: str) -> bool:
        self._skip_blank()
        if not self._text.startswith(token, self._position):
            return False
        self._position += len(token)
        return True

    def _skip_blank(self) -> bool:
        """Whether there is anything left behind the blanks."""
        while match := _BLANK.match(self._text, self._position):
            self._advance(match)
        return self._position < len(self._text)

    def _match(self, pattern: re.Pattern[str]) -> str:
        match = pattern.match(self._text, self._position)
        if match is None:
            raise ValueError(f"not TOML at line {self._line}")
        self._advance(match)
        return match.group()

    def _advance(self, match: re.Match[str]) -> None:
        self._line += match.group().count("\n")
        self._position = match.end()
