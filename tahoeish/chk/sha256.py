"""
SHA-256 that can be put aside in the middle, and taken up again by another process on another machine.

hashlib can't do that. OpenSSL's older functions can: they keep what they know in a struct that its headers have
declared since 1998, and that whoever calls them owns. They are in the library that hashlib itself uses, and as fast.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterator
from functools import cache
from typing import Any, Protocol

from cffi import FFI

from tahoeish.chk.buffers import Buffer
from tahoeish.chk.errors import CannotBeSaved

_ffi = FFI()
_ffi.cdef(
    """
    typedef struct {
        uint32_t words[8];
        uint32_t bits_low, bits_high;
        unsigned char waiting[64];
        unsigned int waiting_size, digest_size;
    } SHA256_CTX;
    int SHA256_Init(SHA256_CTX *context);
    int SHA256_Update(SHA256_CTX *context, const void *data, size_t size);
    int SHA256_Final(unsigned char *digest, SHA256_CTX *context);
    """
)
_INSTALLED = ("libcrypto.so.3", "libcrypto.so.1.1")
_BLOCK = 64
# The eight words of the function, and the number of bytes so far; behind it those that don't fill a block yet. All of
# it is SHA-256's own, nothing a library's.
_STATE = struct.Struct(">8LQ")


class Sha256(Protocol):
    def update(self, data: Buffer, /) -> None: ...

    def digest(self) -> bytes:
        """Of what has come so far; more may follow."""

    def save(self) -> bytes:
        """What `resumed` needs to go on from here, at most 103 bytes. Raises `CannotBeSaved`."""


def begun() -> Sha256:
    library = _library()
    return _Unsavable() if library is None else _OpenSsl(library)


def resumed(state: bytes) -> Sha256:
    """Raises `CannotBeSaved` where there is no such library, `ValueError` for what no `save` gave."""
    library = _library()
    if library is None:
        raise CannotBeSaved
    return _OpenSsl(library, state)


def can_be_saved() -> bool:
    return _library() is not None


class _OpenSsl:
    __slots__ = ("_context", "_library")

    def __init__(self, library: Any, state: bytes | None = None) -> None:
        self._library = library
        self._context = _ffi.new("SHA256_CTX *")
        library.SHA256_Init(self._context)
        if state is not None:
            self._resume(state)

    def update(self, data: Buffer, /) -> None:
        with _ffi.from_buffer(data) as bytes_:
            self._library.SHA256_Update(self._context, bytes_, len(bytes_))

    def digest(self) -> bytes:
        copy, digest = _ffi.new("SHA256_CTX *", self._context[0]), _ffi.new("unsigned char[32]")
        self._library.SHA256_Final(digest, copy)
        return bytes(_ffi.buffer(digest))

    def save(self) -> bytes:
        context = self._context
        size = (context.bits_high << 32 | context.bits_low) // 8
        return _STATE.pack(*context.words, size) + bytes(_ffi.buffer(context.waiting, context.waiting_size))

    def _resume(self, state: bytes) -> None:
        context = self._context
        if len(state) < _STATE.size:
            raise ValueError("the state of a SHA-256 is cut off")
        *words, size = _STATE.unpack_from(state)
        waiting = state[_STATE.size :]
        if len(waiting) != size % _BLOCK or size >= 1 << 61:
            raise ValueError("that is not the state of a SHA-256")
        context.words = words
        context.bits_high, context.bits_low = divmod(size * 8, 1 << 32)
        _ffi.memmove(context.waiting, waiting, len(waiting))
        context.waiting_size = len(waiting)


class _Unsavable:
    """hashlib's, where there is no other."""

    __slots__ = ("_sha",)

    def __init__(self) -> None:
        self._sha = hashlib.sha256()

    def update(self, data: Buffer, /) -> None:
        self._sha.update(data)

    def digest(self) -> bytes:
        return self._sha.digest()

    def save(self) -> bytes:
        raise CannotBeSaved


@cache
def _library() -> Any:
    """The library, loaded when it is needed first; None where there is none that does what it should."""
    for place in _places():
        try:
            library = _ffi.dlopen(place)
            if _is_right(library):
                return library
        except (OSError, AttributeError):
            continue
    return None


def _places() -> Iterator[str]:
    # The module that hashlib is made of: looking for a name in it looks in the libraries it was linked with, wherever
    # they are.
    try:
        import _hashlib
    except ImportError:
        pass
    else:
        # Without a file it is part of the interpreter itself.
        if place := getattr(_hashlib, "__file__", None):
            yield place
    yield from _INSTALLED


def _is_right(library: Any) -> bool:
    # A library that had other ideas of the struct would give wrong hashes without a word.
    content = bytes(range(256))
    first = _OpenSsl(library)
    first.update(content[:100])
    second = _OpenSsl(library, first.save())
    second.update(content[100:])
    return second.digest() == hashlib.sha256(content).digest()
