"""What a kind is, and the two that many are like."""

import json
from abc import ABC, abstractmethod
from typing import Generic, TypeVar

T = TypeVar("T")


class BadValue(ValueError):
    """A value that its kind refuses. `messages` holds several for a list with several bad items."""

    def __init__(self, *messages: str) -> None:
        super().__init__("; ".join(messages))
        self.messages = messages


class Kind(ABC, Generic[T]):
    """One sort of value. What TOML makes of the text that `write` gives, `read` makes that value again."""

    @abstractmethod
    def read(self, value: object) -> T:
        """Check a value that came out of TOML. Raises `BadValue`."""

    @abstractmethod
    def write(self, value: T) -> str:
        """The value as TOML."""

    @abstractmethod
    def describe(self) -> str:
        """What may be written, for the reference."""


class Text(Kind[str]):
    """What is a text in TOML, too."""

    def write(self, value: str) -> str:
        return write_string(value)


class ListOfTexts(Kind[tuple[str, ...]]):
    """Several of them. Where there is only one, it may stand for the list."""

    @abstractmethod
    def fault(self, item: object) -> str | None:
        """What is wrong with one of them, as a `BadValue` says it."""

    def read(self, value: object) -> tuple[str, ...]:
        items = value if isinstance(value, list) else [value]
        faults = [fault for fault in map(self.fault, items) if fault]
        if faults:
            raise BadValue(*faults)
        return tuple(items)

    def write(self, value: tuple[str, ...]) -> str:
        return f"[{', '.join(map(write_string, value))}]"


def write_string(text: str) -> str:
    """A TOML basic string. It is JSON's, but for the one control character that JSON leaves as it is."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
