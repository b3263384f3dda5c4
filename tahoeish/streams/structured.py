"""Structured header fields (RFC 9651). What isn't written as it should be counts as not there, as the RFC has it."""

from __future__ import annotations

import base64
from collections.abc import Mapping

import http_sf

LARGEST_INTEGER = 999_999_999_999_999


def parse_integer(field: str | None) -> int | None:
    """An Item that is an Integer, of which nobody here wants a negative one."""
    match _parse(field, "item"):
        case (int(value), _) if type(value) is int and value >= 0:
            return value
    return None


def parse_boolean(field: str | None) -> bool | None:
    match _parse(field, "item"):
        case (bool(value), _):
            return value
    return None


def parse_dictionary(field: str | None) -> Mapping[str, object] | None:
    """Each key with its bare value; a list counts as a value, too. An empty field is an empty dictionary."""
    parsed = _parse(field, "dictionary")
    if not isinstance(parsed, dict):
        return None
    return {key: value for key, (value, _) in parsed.items()}


def boolean(value: bool) -> str:
    return "?1" if value else "?0"


def byte_sequence(value: bytes) -> str:
    return f":{base64.b64encode(value).decode()}:"


def integers(values: Mapping[str, int]) -> str:
    """A Dictionary of Integers."""
    return ", ".join(f"{key}={value}" for key, value in values.items())


def _parse(field: str | None, kind: str) -> object:
    if field is None:
        return None
    try:
        return http_sf.parse(field.encode("ascii"), tltype=kind)
    except ValueError:
        # What http_sf raises is one, and so is what isn't ASCII.
        return None
