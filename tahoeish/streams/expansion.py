"""Packed bytes in, unpacked bytes out, a bounded step at a time: gzip, deflate, Brotli and Zstandard, without I/O."""

from __future__ import annotations

import sys
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol, TypeAlias

import brotli

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

Bytes: TypeAlias = bytes | bytearray | memoryview

STEP = 256 * 1024
"""What a step brings at the most, or with Brotli half as much again, which knows the bound only as a wish."""

_LARGEST_BROTLI_WINDOW = 16 * 1024 * 1024
# RFC 9659: whoever packs for HTTP keeps to this.
_ZSTD_WINDOW_BITS = 23
_ZLIB_WINDOW = 64 * 1024


class CodingError(Exception):
    """A body can't be unpacked. `http_status` is what the client is answered."""

    http_status = 400


class BrokenCoding(CodingError):
    """It isn't packed as its coding wants it, or isn't whole, or has something behind its end."""


class Expansion:
    """
    What is packed in one coding, being unpacked.

    `feed` it when it is hungry, then take steps until it is hungry again. Steps are heavy, and release the interpreter
    lock; any thread may take them, one at a time.
    """

    def __init__(self, coding: Coding) -> None:
        self._coding = coding
        self._frame = coding.begin()
        self._input: Bytes = b""
        self.hungry = True

    @property
    def whole(self) -> bool:
        """It may end here."""
        return self._frame.eof and not self._input

    def feed(self, data: Bytes) -> None:
        self._input = data
        self.hungry = False

    def step(self) -> bytes:
        """Some of what the input becomes; empty if there is nothing yet. Raises `BrokenCoding`."""
        made = b""
        while not made and not self.hungry:
            if self._frame.eof and self._input:
                self._begin_another()
            if not self._frame.eof:
                given, self._input = self._input, b""
                made = self._take_step(given)
            # Whoever makes less than he may has nothing left to make.
            self.hungry = not self._input and len(made) < STEP
        return made

    def _begin_another(self) -> None:
        if not self._coding.in_frames:
            raise BrokenCoding(f"there is something behind the end of what is packed in {self._coding.name}")
        self._frame = self._coding.begin()

    def _take_step(self, given: Bytes) -> bytes:
        try:
            made = self._frame.decompress(given, STEP)
        except (zlib.error, brotli.error, zstd.ZstdError) as error:
            raise BrokenCoding(f"what should be packed in {self._coding.name} isn't, or is damaged: {error}") from error
        if self._frame.eof:
            self._input = self._frame.unused_data
        return made


class _Frame(Protocol):
    """From a beginning to an end. What it couldn't work on yet it keeps, and goes on with when it gets nothing more."""

    @property
    def eof(self) -> bool: ...

    @property
    def unused_data(self) -> bytes: ...

    def decompress(self, data: Bytes, max_length: int) -> bytes: ...


class _Inflate:
    def __init__(self, window_bits: int) -> None:
        self._object = zlib.decompressobj(window_bits)

    @property
    def eof(self) -> bool:
        return self._object.eof

    @property
    def unused_data(self) -> bytes:
        return self._object.unused_data

    def decompress(self, data: Bytes, max_length: int) -> bytes:
        return self._object.decompress(data or self._object.unconsumed_tail, max_length)


class _Deflate:
    """
    HTTP's "deflate" is zlib's format (RFC 9110, section 8.4.1.2); but some clients leave out what zlib puts around it.

    No encoder begins a bare stream with what would pass for zlib's first two bytes.
    """

    def __init__(self) -> None:
        self._inflate: _Inflate | None = None
        self._head = b""

    @property
    def eof(self) -> bool:
        return self._inflate is not None and self._inflate.eof

    @property
    def unused_data(self) -> bytes:
        return b"" if self._inflate is None else self._inflate.unused_data

    def decompress(self, data: Bytes, max_length: int) -> bytes:
        if self._inflate is None:
            self._head += data
            if len(self._head) < 2:
                return b""
            wrapped = self._head[0] & 0x0F == 8 and int.from_bytes(self._head[:2], "big") % 31 == 0
            self._inflate = _Inflate(zlib.MAX_WBITS if wrapped else -zlib.MAX_WBITS)
            data = self._head
        return self._inflate.decompress(data, max_length)


class _Brotli:
    unused_data = b""

    def __init__(self) -> None:
        self._object = brotli.Decompressor()

    @property
    def eof(self) -> bool:
        finished: bool = self._object.is_finished()
        return finished

    def decompress(self, data: Bytes, max_length: int) -> bytes:
        made: bytes = self._object.process(data, output_buffer_limit=max_length)
        return made


def _zstandard() -> _Frame:
    return zstd.ZstdDecompressor(options={zstd.DecompressionParameter.window_log_max: _ZSTD_WINDOW_BITS})


@dataclass(frozen=True)
class Coding:
    """One of the ways in which a body may be packed."""

    name: str
    begin: Callable[[], _Frame]
    memory: int
    """What unpacking it holds at the most, in bytes, beside a step's input and output."""
    in_frames: bool = False
    """Several, one behind the other, are as good as one."""


CODINGS: Mapping[str, Coding] = {
    coding.name: coding
    for coding in (
        Coding("gzip", lambda: _Inflate(zlib.MAX_WBITS | 16), _ZLIB_WINDOW, in_frames=True),
        Coding("deflate", _Deflate, _ZLIB_WINDOW),
        Coding("br", _Brotli, _LARGEST_BROTLI_WINDOW),
        Coding("zstd", _zstandard, 1 << _ZSTD_WINDOW_BITS, in_frames=True),
    )
}
