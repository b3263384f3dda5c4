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
