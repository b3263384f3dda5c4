"""A place that files can be sent to, also over several requests."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass


async def _anything() -> None:
    pass


@dataclass(frozen=True)
class Goal:
    """Where one request wants a file to go."""

    place: str
    """Its address. Uploads to different places have nothing to do with each other."""
    is_file: bool
    """The place is that of one file, and not of as many as there are names."""
    prepare: Callable[[str | None, int | None], Awaitable[Mapping[str, object]]]
    """
    The target of a file by this name, of so many bytes, as far as these are known. Raises what speaks against it,
    before any of it comes.
    """
    expect_nothing: Callable[[], Awaitable[None]] = _anything
    """Raises `Refused` where a file has content already, behind which nothing can be put."""
