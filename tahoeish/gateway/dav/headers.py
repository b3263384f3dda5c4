"""The headers that WebDAV adds to HTTP, each as a value."""

from __future__ import annotations

import re
from enum import Enum

from tahoeish.gateway.errors import Refused

_SECONDS = re.compile(r"second-([0-9]{1,20})", re.ASCII | re.IGNORECASE)
_MTIME = re.compile(r"-?[0-9]{1,12}(\.[0-9]{1,12})?", re.ASCII)


class Depth(Enum):
    ZERO = "0"
    ONE = "1"
    INFINITY = "infinity"


def parse_depth(header: str | None) -> Depth:
    """Absent means all there is. Raises `Refused`."""
    try:
        return Depth.INFINITY if header is None else Depth(header.strip().lower())
    except ValueError:
        raise Refused(400, f"Depth is 0, 1 or infinity, not {header!r}") from None


def parse_overwrite(header: str | None) -> bool:
    """Absent means yes."""
    match (header or "T").strip().upper():
        case "T":
            return True
        case "F":
            return False
    raise Refused(400, f"Overwrite is T or F, not {header!r}")


def parse_timeout(header: str | None) -> int | None:
    """For how many seconds a lock is wanted: the client's first wish that can be understood; None is for ever."""
    for wish in (header or "").split(","):
        if wish.strip().lower() == "infinite":
            return None
        if match := _SECONDS.fullmatch(wish.strip()):
            return max(int(match[1]), 1)
    return None


def parse_lock_token(header: str | None) -> str:
    """Some clients leave out the angle brackets. Raises `Refused`."""
    token = (header or "").strip()
    if token.startswith("<") and token.endswith(">"):
        token = token[1:-1].strip()
    if not token or any(character in token for character in "<> \t"):
        raise Refused(400, "UNLOCK needs a header Lock-Token: <TOKEN>, with the token that LOCK has given")
    return token


def parse_mtime(header: str | None) -> float | None:
    """`X-OC-Mtime`: seconds since 1970. Raises `Refused`."""
    if header is None:
        return None
    seconds = seconds_of(header)
    if seconds is None:
        raise Refused(400, f"X-OC-Mtime is a number of seconds since 1970, not {header[:40]!r}")
    return seconds


def seconds_of(text: str) -> float | None:
    """A time in seconds since 1970, as text; None for what is none, or none that a calendar has."""
    if not _MTIME.fullmatch(text.strip()):
        return None
    seconds = float(text)
    return seconds if is_calendar_time(seconds) else None


def is_calendar_time(seconds: float) -> bool:
    """Whether it is in the years 1 to 9999."""
    return -62135596800 <= seconds < 253402300800
