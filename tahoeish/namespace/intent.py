"""What `Catalogue.check` is asked about."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias


@dataclass(frozen=True, slots=True)
class Reading:
    """Looking at an entry."""


@dataclass(frozen=True, slots=True)
class Writing:
    """A put of so many bytes, if that is known."""

    size: int | None = None


Intent: TypeAlias = Reading | Writing
