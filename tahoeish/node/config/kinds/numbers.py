"""Numbers, with and without units."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeGuard, TypeVar

from ..problems import shown
from ..quantities import format_duration, format_size, parse_duration, parse_size
from .kind import BadValue, Kind

T = TypeVar("T")

# Beyond these a number is a slip of the hand, and timers or file offsets would overflow.
MAX_SIZE = 1 << 60
MAX_DURATION = 365 * 86400.0


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
