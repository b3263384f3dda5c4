"""What the words on a command line stand for."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def understood(text: str, read: Callable[[str], T], refusal: type[Exception]) -> T:
    """What `read` makes of it. A refusal is told in its own words; argparse has only "invalid value" for others."""
    try:
        return read(text)
    except refusal as error:
        raise argparse.ArgumentTypeError(str(error)) from None
