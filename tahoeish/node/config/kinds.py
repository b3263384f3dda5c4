"""The sorts of value that the configuration knows: how each is checked, written and described."""

import json
import math
import re
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeGuard, TypeVar

from tahoeish.chk import base32
from tahoeish.storage.nurl import BadNurl, Nurl

from .problems import shown
from .quantities import format_duration, format_size, parse_duration, parse_size

T = TypeVar("T")

# Beyond these a number is a slip of the hand, and timers or file offsets would overflow.
MAX_SIZE = 1 << 60
MAX_DURATION = 365 * 86400.0


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
    """Several of them."""

    def write(self, value: tuple[str, ...]) -> str:
        return f"[{', '.join(map(write_string, value))}]"


@dataclass(frozen=True, slots=True)
class Integer(Kind[int]):
    """A whole number within bounds."""

    at_least: int
    at_most: int

    def read(self, value: object) -> int:
        if not _is_whole(value):
            raise BadValue(f"must be a whole number, not {shown(value)}")
        if not self.at_least <= value <= self.at_most:
            raise BadValue(f"must be {self.at_least} to {self.at_most}, not {shown(value)}")
        return value

    def write(self, value: int) -> str:
        return str(value)

    def describe(self) -> str:
        return f"number, {self.at_least} to {self.at_most}"


@dataclass(frozen=True, slots=True)
class Processes(Kind[int]):
    """How many processes: a number from 1 on, or 0, written `"auto"`, for as many as there are cores."""

    at_most: int

    def read(self, value: object) -> int:
        if value == "auto":
            return 0
        if not _is_whole(value) or not 1 <= value <= self.at_most:
            raise BadValue(f'must be 1 to {self.at_most}, or "auto", not {shown(value)}')
        return value

    def write(self, value: int) -> str:
        return str(value) if value else '"auto"'

    def describe(self) -> str:
        return f'number, 1 to {self.at_most}, or `"auto"`'


@dataclass(frozen=True, slots=True)
class Size(Kind[int]):
    """A number of bytes, as a number or with a unit."""

    at_least: int = 0
    at_most: int = MAX_SIZE

    def read(self, value: object) -> int:
        if isinstance(value, str):
            size = _quantity(parse_size, value)
        elif _is_whole(value):
            size = value
        else:
            raise BadValue(f'must be a size such as "64 MiB" or a number of bytes, not {shown(value)}')
        if size < self.at_least:
            raise BadValue(f"must be {_size(self.at_least)} or more, not {shown(value)}")
        if size > self.at_most:
            raise BadValue(f"must be {_size(self.at_most)} or less, not {shown(value)}")
        return size

    def write(self, value: int) -> str:
        text = format_size(value)
        return str(value) if text is None else f'"{text}"'

    def describe(self) -> str:
        lower = f", {_size(self.at_least)} or more" if self.at_least else ""
        upper = f", {_size(self.at_most)} or less" if self.at_most < MAX_SIZE else ""
        return f"size{lower}{upper}"


@dataclass(frozen=True, slots=True)
class Duration(Kind[float]):
    """A number of seconds, as a number or with a unit."""

    at_least: float = 0.0

    def read(self, value: object) -> float:
        if isinstance(value, str):
            seconds = _quantity(parse_duration, value)
        elif _is_whole(value) or (isinstance(value, float) and not math.isnan(value)):
            # Compared before it becomes a float: a long integer would overflow.
            seconds = float(min(value, MAX_DURATION + 1))
        else:
            raise BadValue(f'must be a duration such as "30 s" or a number of seconds, not {shown(value)}')
        if seconds < self.at_least:
            raise BadValue(f"must be {_duration(self.at_least)} or more, not {shown(value)}")
        if seconds > MAX_DURATION:
            raise BadValue(f"must be {_duration(MAX_DURATION)} or less, not {shown(value)}")
        return seconds

    def write(self, value: float) -> str:
        text = format_duration(value)
        if text is not None:
            return f'"{text}"'
        return repr(value) if value else "0"

    def describe(self) -> str:
        return f"duration, {_duration(self.at_least)} or more" if self.at_least else "duration"


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
class Location(Text):
    """A host and a port, as others reach them. Empty stands for "none given"."""

    def read(self, value: object) -> str:
        if not isinstance(value, str):
            raise BadValue(f'must be a host and a port such as "storage.example.net:3457", not {shown(value)}')
        host, _, port = value.rpartition(":")
        if value and not (_HOST.fullmatch(host) and _is_port(port)):
            raise BadValue(f'{shown(value)} is no host and port; write it like "storage.example.net:3457"')
        return value

    def describe(self) -> str:
        return "host:port"


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
class NurlText(Kind[Nurl]):
    """A storage node's NURL. Whoever reads it can use the storage node, so messages don't show it."""

    def read(self, value: object) -> Nurl:
        if not isinstance(value, str):
            raise BadValue("must be the text that `tahoeish storage nurl` prints")
        try:
            return Nurl.parse(value)
        except BadNurl as error:
            raise BadValue(f"is no NURL: {error}") from error

    def write(self, value: Nurl) -> str:
        return write_string(str(value))

    def describe(self) -> str:
        return "NURL"


@dataclass(frozen=True, slots=True)
class DatabaseUrl(Text):
    """A PostgreSQL database, perhaps with a password, so messages don't show it. Empty stands for "none given"."""

    def read(self, value: object) -> str:
        if not isinstance(value, str) or not (value == "" or value.startswith("postgresql://")):
            raise BadValue('must be a database such as "postgresql://user:password@host/name", or empty')
        return value

    def describe(self) -> str:
        return "URL of a PostgreSQL database"


@dataclass(frozen=True, slots=True)
class Texts(ListOfTexts):
    """A list of short texts, none of them empty; `what` says what one of them is."""

    what: str

    def read(self, value: object) -> tuple[str, ...]:
        items = value if isinstance(value, list) else [value]
        faults = [
            f"must be a {self.what}, not {shown(item)}"
            for item in items
            if not isinstance(item, str) or not item or not item.isprintable()
        ]
        if faults:
            raise BadValue(*faults)
        return tuple(items)

    def describe(self) -> str:
        return f"{self.what}, or a list of them"


@dataclass(frozen=True, slots=True)
class Origins(ListOfTexts):
    """A list of web origins, each as a browser writes it: a scheme, a host, and a port if it isn't the usual one."""

    def read(self, value: object) -> tuple[str, ...]:
        items = value if isinstance(value, list) else [value]
        faults = [
            f'must be the origin of a site such as "https://app.example", without a slash at the end, not {shown(item)}'
            for item in items
            if not isinstance(item, str) or not _ORIGIN.fullmatch(item)
        ]
        if faults:
            raise BadValue(*faults)
        return tuple(items)

    def describe(self) -> str:
        return "origin such as `https://app.example`, or a list of them"


@dataclass(frozen=True, slots=True)
class Directory(Kind[Path]):
    """A folder's path, still as it was written: a relative one counts from a place that the caller knows."""

    def read(self, value: object) -> Path:
        if not isinstance(value, str) or not value or not value.isprintable():
            raise BadValue(f'must be the path of a folder, such as "peers/1", not {shown(value)}')
        if value.startswith("~"):
            raise BadValue(f'must be written in full: "~" has no meaning here, in {shown(value)}')
        return Path(value)

    def write(self, value: Path) -> str:
        return write_string(str(value))

    def describe(self) -> str:
        return "path of a folder"


@dataclass(frozen=True, slots=True)
class Endpoints(ListOfTexts):
    """
    Twisted's server endpoint strings, one or a list.

    Checked by their form only. Twisted's own parser opens certificates and needs the reactor; what it refuses
    comes up when the node starts to listen.
    """

    def read(self, value: object) -> tuple[str, ...]:
        items = value if isinstance(value, list) else [value]
        if not items:
            raise BadValue(f"must name at least one endpoint, such as {_ENDPOINT_EXAMPLE}")
        faults = [fault for fault in map(_endpoint_fault, items) if fault]
        if faults:
            raise BadValue(*faults)
        return tuple(items)

    def describe(self) -> str:
        return "Twisted endpoint string, or a list of them"


def write_string(text: str) -> str:
    """A TOML basic string. It is JSON's, but for the one control character that JSON leaves as it is."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


_ENDPOINT_EXAMPLE = '"tcp:3456:interface=127.0.0.1"'
_ENDPOINT_KIND = re.compile(r"[A-Za-z][A-Za-z0-9_+-]*")
_HOST = re.compile(r"[^\s@/:?#\[\]]+|\[[0-9A-Fa-f:.]+\]", re.ASCII)
_ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://(?:[a-z0-9._-]+|\[[0-9a-f:]+\])(?::[0-9]{1,5})?", re.ASCII)
_UNESCAPED_COLON = re.compile(r"(?<!\\):")
_WITH_PORT = ("tcp", "tcp6", "ssl")


def _endpoint_fault(item: object) -> str | None:
    if not isinstance(item, str):
        return f"must be an endpoint such as {_ENDPOINT_EXAMPLE}, not {shown(item)}"
    kind, *arguments = _UNESCAPED_COLON.split(item)
    if not _ENDPOINT_KIND.fullmatch(kind) or not arguments or kind in ("http", "https", "localhost"):
        return f"{shown(item)} is no endpoint; write it like {_ENDPOINT_EXAMPLE}"
    port = next((text.removeprefix("port=") for text in arguments if text.startswith("port=")), arguments[0])
    if kind in _WITH_PORT and not _is_port(port):
        return f"{shown(item)}: after {kind}: comes a port, 0 to 65535"
    return None


def _is_port(text: str) -> bool:
    return re.fullmatch(r"[0-9]{1,5}", text) is not None and int(text) <= 65535


def _is_whole(value: object) -> TypeGuard[int]:
    # In Python, but not for a person, true is a number.
    return isinstance(value, int) and not isinstance(value, bool)


def _quantity(parse: Callable[[str], T], text: str) -> T:
    try:
        return parse(text)
    except ValueError as error:
        raise BadValue(f"{shown(text)}: {error}") from error


def _size(size: int) -> str:
    return format_size(size) or str(size)


def _duration(seconds: float) -> str:
    return format_duration(seconds) or f"{seconds:g} s"
