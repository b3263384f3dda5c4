"""Erasure coding: `needed` blocks become `total`, and any `needed` of those become the first ones again."""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Protocol

import zfec

from tahoeish.chk import isal
from tahoeish.chk.buffers import Buffer


class ErasureCodec(Protocol):
    """
    The code every Tahoe-LAFS file uses, computed by one library or another.

    Blocks of one call have the same length. Implementations are safe to call from several threads.
    """

    name: str

    def encode(self, needed: int, total: int, blocks: Sequence[Buffer]) -> list[Buffer]:
        """All `total` blocks; the first `needed` are the very objects given."""

    def decode(self, needed: int, total: int, blocks: Mapping[int, Buffer]) -> list[Buffer]:
        """
        The `needed` primary blocks in order, from exactly `needed` blocks by number.

        Primary blocks among those given are returned as they are.
        """


class ZfecCodec:
    """The code as the zfec library computes it: everywhere available, about 0.4 GB/s at 3 of 10."""

    name = "zfec"

    def encode(self, needed: int, total: int, blocks: Sequence[Buffer]) -> list[Buffer]:
        if needed == 1:
            # Every block is a copy of the only one, so none has to be made.
            return [blocks[0]] * total
        encoded: list[Buffer] = _encoder(needed, total).encode(tuple(blocks))
        return encoded

    def decode(self, needed: int, total: int, blocks: Mapping[int, Buffer]) -> list[Buffer]:
        if needed == 1:
            return list(blocks.values())
        if all(number in blocks for number in range(needed)):
            return [blocks[number] for number in range(needed)]
        # zfec wants each primary block at its own place, and would reorder the caller's list to get it there.
        substitutes = iter(sorted(number for number in blocks if number >= needed))
        numbers = [place if place in blocks else next(substitutes) for place in range(needed)]
        placed = [blocks[number] for number in numbers]
        decoded: list[Buffer] = _decoder(needed, total).decode(placed, numbers)
        # zfec 1.6 never lets go of the two lists it is given (Decoder_decode in _fecmodule.c lacks the
        # decrefs). What is in them at least must not stay in memory for ever.
        placed.clear()
        numbers.clear()
        return decoded


def best_codec() -> ErasureCodec:
    """The fastest one that this machine has."""
    return isal.load() or ZfecCodec()


# Setting up a matrix for many shares takes milliseconds; a node uses two or three kinds of encoding.
@lru_cache(maxsize=16)
def _encoder(needed: int, total: int) -> zfec.Encoder:
    return zfec.Encoder(needed, total)


@lru_cache(maxsize=16)
def _decoder(needed: int, total: int) -> zfec.Decoder:
    return zfec.Decoder(needed, total)
