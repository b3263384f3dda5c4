"""
The erasure code as arithmetic: which multiples of which blocks make another block.

A byte position of a file's k primary blocks is a polynomial of degree k - 1 over GF(2^8), given by its values at the
first k evaluation points. Share i holds its value at point i. So every block is a sum of multiples of any k others,
by Lagrange's formula; encoding and decoding are the same thing.
"""

from __future__ import annotations

from collections.abc import Sequence

_POLYNOMIAL = 0x11D


def _powers() -> list[int]:
    powers, value = [], 1
    for _ in range(255):
        powers.append(value)
        value <<= 1
        if value & 0x100:
            value ^= _POLYNOMIAL
    return powers


_EXP = _powers() * 2
_LOG = {value: exponent for exponent, value in enumerate(_EXP[:255])}

_POINTS = [0, *_EXP[:255]]
"""The evaluation point of each share number."""


def coefficients(wanted: Sequence[int], given: Sequence[int]) -> list[list[int]]:
    """
    One row for each of the `wanted` share numbers: what to multiply the blocks of the `given` ones with.

    `given` has as many numbers as shares are needed, none twice, and none that is wanted.
    """
    points = [_POINTS[number] for number in given]
    # Logarithms of the products of the differences of each given point from all others.
    weights = [sum(_LOG[point ^ other] for other in points if other != point) for point in points]
    rows = []
    for number in wanted:
        differences = [_LOG[_POINTS[number] ^ point] for point in points]
        product = sum(differences)
        rows.append(
            [
                _EXP[(product - difference - weight) % 255]
                for difference, weight in zip(differences, weights, strict=True)
            ]
        )
    return rows
