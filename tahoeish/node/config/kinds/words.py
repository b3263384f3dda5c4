"""Words: one of a few, or any, and what is written with them."""

from dataclasses import dataclass

from tahoeish.chk import base32

from ..problems import shown
from .kind import BadValue, Kind, ListOfTexts, Text


@dataclass(frozen=True, slots=True)
class Boolean(Kind[bool]):
    """Yes or no."""

    def read(self, value: object) -> bool:
        if not isinstance(value, bool):
            raise BadValue(f"must be true or false, not {shown(value)}")
        return value

    def write(self, value: bool) -> str:
        return "true" if value else "false"

    def describe(self) -> str:
        return "`true` or `false`"


@dataclass(frozen=True, slots=True)
class Choice(Text):
    """One of a few words."""

    words: tuple[str, ...]

    def read(self, value: object) -> str:
        if not isinstance(value, str) or value not in self.words:
            raise BadValue(f"must be one of {', '.join(map(shown, self.words))}, not {shown(value)}")
        return value

    def describe(self) -> str:
        return "one of " + ", ".join(f"`{shown(word)}`" for word in self.words)


@dataclass(frozen=True, slots=True)
class Name(Text):
    """A short text that is shown to people. Empty stands for "none given"."""

    def read(self, value: object) -> str:
        if not isinstance(value, str) or not value.isprintable():
            raise BadValue(f"must be a text of printable characters, not {shown(value)}")
        return value

    def describe(self) -> str:
        return "text"


@dataclass(frozen=True, slots=True)
class Base32(Text):
    """Some bytes in base32, lower case and unpadded; `size` of them, if it isn't 0. Empty stands for "none given"."""

    size: int = 0

    def read(self, value: object) -> str:
        if not isinstance(value, str):
            raise BadValue(f"must be a text in base32, not {shown(value)}")
        try:
            data = base32.decode(value)
        except ValueError as error:
            raise BadValue(f"{shown(value)}: {error}") from error
        if data and self.size not in (0, len(data)):
            raise BadValue(f"{shown(value)} stands for {len(data)} bytes; there must be {self.size}")
        return value

    def describe(self) -> str:
        return f"base32 text, {self.size} bytes" if self.size else "base32 text"


@dataclass(frozen=True, slots=True)
class Texts(ListOfTexts):
    """A list of short texts, none of them empty; `what` says what one of them is."""

    what: str

    def fault(self, item: object) -> str | None:
        if isinstance(item, str) and item and item.isprintable():
            return None
        return f"must be a {self.what}, not {shown(item)}"

    def describe(self) -> str:
        return f"{self.what}, or a list of them"
