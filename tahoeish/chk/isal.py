"""
The erasure code by Intel's ISA-L, some twenty times as fast as zfec and byte for byte the same.

The library comes with the `pyeclib` wheels, or as a package of the system. ISA-L multiplies by any matrix; the matrices
that it can make itself are other ones, so ours come from `galois`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, distribution
from typing import Any

from cffi import FFI

from tahoeish.chk.buffers import Buffer
from tahoeish.chk.galois import coefficients

_ffi = FFI()
_ffi.cdef(
    """
    void ec_init_tables(int k, int rows, unsigned char *matrix, unsigned char *tables);
    void ec_encode_data(int length, int k, int rows, unsigned char *tables, unsigned char **data, unsigned char **made);
    """
)
_BUNDLED = "pyeclib.libs/libisal-pyeclib.so.2"
_INSTALLED = "libisal.so.2"


class IsalCodec:
    """See `tahoeish.chk.erasure.ErasureCodec`. Get one from `load`."""

    name = "ISA-L"

    def __init__(self, library: Any) -> None:
        self._library = library
        # A table is 32 bytes for each coefficient; what a node writes needs one, what it reads a few.
        self._tables = lru_cache(maxsize=64)(self._make_tables)

    def encode(self, needed: int, total: int, blocks: Sequence[Buffer]) -> list[Buffer]:
        if needed == 1:
            # Every block is a copy of the only one, so none has to be made.
            return [blocks[0]] * total
        given, wanted = tuple(range(needed)), tuple(range(needed, total))
        return [*blocks, *self._combine(wanted, given, blocks)]

    def decode(self, needed: int, total: int, blocks: Mapping[int, Buffer]) -> list[Buffer]:
        if needed == 1:
            return list(blocks.values())
        given = tuple(sorted(blocks))
        wanted = tuple(number for number in range(needed) if number not in blocks)
        made = dict(zip(wanted, self._combine(wanted, given, [blocks[number] for number in given]), strict=True))
        return [blocks[number] if number in blocks else made[number] for number in range(needed)]

    def _combine(self, wanted: tuple[int, ...], given: tuple[int, ...], blocks: Sequence[Buffer]) -> list[Buffer]:
        length = len(blocks[0])
        if not wanted or not length:
            return [b"" for _ in wanted]
        # One allocation, cut in rows: ISA-L wants addresses, not objects.
        made = bytearray(length * len(wanted))
        data = [_ffi.from_buffer("unsigned char[]", block) for block in blocks]
        with _ffi.from_buffer("unsigned char[]", made) as base:
            self._library.ec_encode_data(
                length,
                len(given),
                len(wanted),
                self._tables(wanted, given),
                _ffi.new("unsigned char *[]", data),
                _ffi.new("unsigned char *[]", [base + row * length for row in range(len(wanted))]),
            )
        view = memoryview(made).toreadonly()
        return [view[row * length : (row + 1) * length] for row in range(len(wanted))]

    def _make_tables(self, wanted: tuple[int, ...], given: tuple[int, ...]) -> Any:
        matrix = bytes(value for row in coefficients(wanted, given) for value in row)
        tables = _ffi.new("unsigned char[]", 32 * len(matrix))
        self._library.ec_init_tables(len(given), len(wanted), _ffi.from_buffer("unsigned char[]", matrix), tables)
        return tables


def load() -> IsalCodec | None:
    """The codec, or None where there is no such library."""
    places = [_INSTALLED]
    with suppress(PackageNotFoundError):
        places.insert(0, str(distribution("pyeclib").locate_file(_BUNDLED)))
    for place in places:
        try:
            return IsalCodec(_ffi.dlopen(place))
        except OSError:
            continue
    return None
