"""`Content-Encoding`: a body that is packed, unpacked while it arrives, and no further than it may grow."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Sequence
from dataclasses import dataclass

from tahoeish.streams.expansion import CODINGS, STEP, BrokenCoding, Bytes, Coding, CodingError, Expansion
from tahoeish.streams.threads import ThreadRunner

ACCEPTED = ", ".join(CODINGS)
"""What there is, as `Accept-Encoding` says it."""

MAX_CODINGS = 3
"""Nobody packs what is packed more than once, except to find out what becomes of us."""

LITTLE_TO_UNPACK = 4 * 1024
"""Bytes that are begun with sooner than a thread is found for them."""

_ALIASES = {"x-gzip": "gzip"}


class UnknownCoding(CodingError):
    """The body is packed in a way that isn't understood here. The answer lists `ACCEPTED` in `Accept-Encoding`."""

    http_status = 415


class ExpandsTooFar(CodingError):
    """There is more in the body than may be."""

    http_status = 413


@dataclass(frozen=True)
class ExpansionLimits:
    """
    How far a body may grow: to `max_size` bytes, 0 for any number, and to `max_ratio` times its own length. Of the
    ratio, the first `free` bytes are exempt: short texts that repeat themselves pack well.
    """

    max_size: int = 0
    max_ratio: int = 1100
    """What deflate can do at its best is 1032: so this lets everything pass that is packed in it once."""
    free: int = 16 * 1024 * 1024


def parse_codings(header: str | None) -> tuple[Coding, ...]:
    """What `Content-Encoding` says, in the order in which the codings were applied. Raises `UnknownCoding`."""
    names = [name.strip().lower() for name in (header or "").split(",")]
    names = [_ALIASES.get(name, name) for name in names if name not in ("", "identity")]
    for name in names:
        if name not in CODINGS:
            raise UnknownCoding(f"a body can be packed in {ACCEPTED}, but not in {name[:40]!r}")
    if len(names) > MAX_CODINGS:
        raise UnknownCoding(f"a body can be packed {MAX_CODINGS} times over, not {len(names)} times")
    return tuple(CODINGS[name] for name in names)


def memory_needed(codings: Sequence[Coding]) -> int:
    """What unpacking holds at the most, whatever the body is: to be leased beforehand."""
    return sum(coding.memory + 2 * STEP for coding in codings)


def decoded(
    source: AsyncIterable[Bytes],
    codings: Sequence[Coding],
    limits: ExpansionLimits,
    run_in_thread: ThreadRunner,
) -> AsyncIterator[Bytes]:
    """
    What was packed, in pieces of `STEP` bytes or a little more.

    Nothing is read from `source` before all that came out of the last piece has been taken. Instead of an end comes
    `BrokenCoding` or `ExpandsTooFar`, and whatever `source` raises.
    """
    growth = _Growth(limits)
    pieces = growth.of(source)
    for coding in reversed(codings):
        pieces = _unpacked(pieces, coding, growth, run_in_thread)
    return growth.bounded(pieces)


class _Growth:
    """Sets what came in against what goes out."""

    def __init__(self, limits: ExpansionLimits) -> None:
        self._limits = limits
        self._came = 0

    async def of(self, source: AsyncIterable[Bytes]) -> AsyncIterator[Bytes]:
        async for piece in source:
            self._came += len(piece)
            yield piece

    def check(self, made: int) -> None:
        """For every coding, as one may hide another's growth."""
        limits = self._limits
        if made > limits.free and made > limits.max_ratio * self._came:
            raise ExpandsTooFar(
                f"{self._came} bytes have become {made} by unpacking, and at most {limits.max_ratio} times as many are "
                "taken here; send them as they are"
            )

    async def bounded(self, pieces: AsyncIterable[Bytes]) -> AsyncIterator[Bytes]:
        size, most = 0, self._limits.max_size
        async for piece in pieces:
            size += len(piece)
            if most and size > most:
                raise ExpandsTooFar(f"unpacked, the body is longer than the {most} bytes that are taken here")
            yield piece


async def _unpacked(
    packed: AsyncIterable[Bytes], coding: Coding, growth: _Growth, run_in_thread: ThreadRunner
) -> AsyncIterator[Bytes]:
    expansion = Expansion(coding)
    made = 0
    async for piece in packed:
        expansion.feed(piece)
        at_once = len(piece) < LITTLE_TO_UNPACK
        while not expansion.hungry:
            step = expansion.step() if at_once else await run_in_thread(expansion.step)
            # What a short piece becomes may be long.
            at_once = False
            made += len(step)
            growth.check(made)
            if step:
                yield step
    if not expansion.whole:
        raise BrokenCoding(f"what is packed in {coding.name} ends in the middle")
