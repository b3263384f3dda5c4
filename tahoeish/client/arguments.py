"""What the words on a command line stand for."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import TypeVar

S = TypeVar("S")
T = TypeVar("T")


def understood(words: S, read: Callable[[S], T], refusal: type[Exception]) -> T:
    """What `read` makes of them. A refusal is told in its own words; argparse has only "invalid value" for others."""
    try:
        return read(words)
    except refusal as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def is_text(words: str) -> bool:
    """A command line has any bytes in it, as names of files do. Those that aren't UTF-8 come as lone surrogates."""
    try:
        words.encode()
    except UnicodeEncodeError:
        return False
    return True


def text(words: str) -> str:
    """Anything but the name of a file."""
    if not is_text(words):
        raise argparse.ArgumentTypeError(f"{words!r} isn't UTF-8")
    return words
