"""Sizes and durations as people write them: `64 MiB`, `30 s`."""

import re
from collections.abc import Mapping
from fractions import Fraction

KIB = 1024
MIB = 1024 * KIB

# From small to large: the text of a quantity uses the last unit that fits.
BINARY_UNITS: dict[str, int] = {"B": 1, "KiB": KIB, "MiB": MIB, "GiB": KIB * MIB, "TiB": MIB * MIB}
SIZE_UNITS: dict[str, int] = {**BINARY_UNITS, "kB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}
DURATION_UNITS: dict[str, Fraction] = {
    "ms": Fraction(1, 1000),
    "s": Fraction(1),
    "min": Fraction(60),
    "h": Fraction(3600),
    "d": Fraction(86400),
}

# More digits than these are no quantity that anybody means, and int() refuses very many of them.
_QUANTITY = re.compile(r"\s*([0-9]{1,18}(?:\.[0-9]{1,18})?)\s*([A-Za-z]+)\s*", re.ASCII)


def parse_size(text: str) -> int:
    """Whole bytes, rounded down. Raises `ValueError` with a message for a person."""
    return int(_parse(text, {unit: Fraction(factor) for unit, factor in SIZE_UNITS.items()}, "64 MiB"))


def parse_duration(text: str) -> float:
    """Seconds. Raises `ValueError` with a message for a person."""
    return float(_parse(text, DURATION_UNITS, "30 s"))


def format_size(size: int) -> str | None:
    """The text that `parse_size` reads as this size, where a unit of at least a KiB divides it."""
    for unit, factor in reversed(BINARY_UNITS.items()):
        if factor > 1 and size and size % factor == 0:
            return f"{size // factor} {unit}"
    return None


def format_duration(seconds: float) -> str | None:
    """The text that `parse_duration` reads as exactly this duration, where a unit divides it."""
    if not seconds:
        return None
    exact = Fraction(seconds)
    for unit, factor in reversed(DURATION_UNITS.items()):
        count = exact / factor
        # "60 s" says it better than "1 min".
        if count.denominator == 1 and (count > 1 or unit == "s"):
            return f"{count} {unit}"
    return None


def _parse(text: str, units: Mapping[str, Fraction], example: str) -> Fraction:
    match = _QUANTITY.fullmatch(text)
    if match is None:
        raise ValueError(f'not a number and a unit, such as "{example}"')
    number, name = match.groups()
    by_name = {unit.lower(): factor for unit, factor in units.items()}
    if name.lower() not in by_name:
        raise ValueError(f"unknown unit {name}; one of {', '.join(units)}")
    return Fraction(number) * by_name[name.lower()]
