"""What digests are made with, each under its name in the registry of RFC 9530, as far as it has one."""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import cache
from importlib.metadata import PackageNotFoundError, distribution
from typing import Any, Protocol, TypeAlias

from cffi import FFI

Bytes: TypeAlias = bytes | bytearray | memoryview

_ffi = FFI()
_ffi.cdef(
    """
    unsigned int crc32_iscsi(unsigned char *data, int size, unsigned int crc);
    uint64_t crc64_rocksoft_refl(uint64_t crc, const unsigned char *data, uint64_t size);
    """
)


class Hasher(Protocol):
    def update(self, data: Any, /) -> None: ...

    def digest(self) -> bytes: ...


class Checksum:
    """A number that the whole of the data is folded into."""

    def __init__(self, fold: Callable[[Bytes, int], int], size: int, first: int = 0) -> None:
        self._fold = fold
        self._size = size
        self._value = first

    def update(self, data: Bytes, /) -> None:
        self._value = self._fold(data, self._value)

    def digest(self) -> bytes:
        return self._value.to_bytes(self._size, "big")


def new_hasher(name: str) -> Hasher:
    """One of `DIGEST_SIZES`."""
    return _MAKERS[name]()


_MAKERS: dict[str, Callable[[], Hasher]] = {
    "sha-256": hashlib.sha256,
    "sha-512": hashlib.sha512,
    "sha-1": lambda: hashlib.sha1(usedforsecurity=False),
    "md5": lambda: hashlib.md5(usedforsecurity=False),
    "adler32": lambda: Checksum(zlib.adler32, 4, first=1),
    "crc32": lambda: Checksum(zlib.crc32, 4),
}


@cache
def _isa_l() -> Any:
    """
    Intel's ISA-L, where it is: in the `pyeclib` wheels, or in the system. None elsewhere.

    Python itself has neither of the two functions, and would take a minute over what the library does in 100 ms.
    """
    places = ["libisal.so.2"]
    with suppress(PackageNotFoundError):
        places.insert(0, str(distribution("pyeclib").locate_file("pyeclib.libs/libisal-pyeclib.so.2")))
    for place in places:
        try:
            library = _ffi.dlopen(place)
            library.crc64_rocksoft_refl  # noqa: B018  Older ones don't have it.
            return library
        except (OSError, AttributeError):
            continue
    return None


def _crc32c(data: Bytes, crc: int) -> int:
    with _ffi.from_buffer("unsigned char[]", data) as bytes_:
        return int(_isa_l().crc32_iscsi(bytes_, len(bytes_), crc ^ 0xFFFFFFFF)) ^ 0xFFFFFFFF


def _crc64nvme(data: Bytes, crc: int) -> int:
    with _ffi.from_buffer("unsigned char[]", data) as bytes_:
        return int(_isa_l().crc64_rocksoft_refl(crc, bytes_, len(bytes_)))


if _isa_l() is not None:
    _MAKERS["crc32c"] = lambda: Checksum(_crc32c, 4)
    _MAKERS["crc64nvme"] = lambda: Checksum(_crc64nvme, 8)

DIGEST_SIZES: Mapping[str, int] = {name: len(make().digest()) for name, make in _MAKERS.items()}
"""All that can be computed on this machine, with the size of their digests in bytes."""
