"""
Caps: the short texts that name a file, and say how to get it.

A read cap and a literal cap are secrets. `str()` spells a cap out, on purpose; `repr()`, which ends up in
logs and tracebacks, shows nothing that would let anybody read the file.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from tahoeish.chk import base32
from tahoeish.chk.cipher import KEY_SIZE
from tahoeish.chk.errors import BadCap
from tahoeish.chk.hashes import HASH_SIZE, storage_index_hash

LITERAL_MAX = 55
"""Files up to this size are not stored at all, they are written into their cap."""

STORAGE_INDEX_SIZE = 16
MAX_SHARES = 256

_LONGEST_CAP = 8192
_NUMBER = re.compile(r"[0-9]{1,20}")


@dataclass(frozen=True, slots=True, repr=False)
class ReadCap:
    """Names a file and decrypts it."""

    key: bytes
    ueb_hash: bytes
    needed: int
    total: int
    size: int

    @property
    def storage_index(self) -> bytes:
        return storage_index_hash(self.key)

    @property
    def verify_cap(self) -> VerifyCap:
        return VerifyCap(self.storage_index, self.ueb_hash, self.needed, self.total, self.size)

    def __str__(self) -> str:
        return _spell("URI:CHK:", self.key, self.ueb_hash, self.needed, self.total, self.size)

    def __repr__(self) -> str:
        return f"<ReadCap of {self.verify_cap!r}>"


@dataclass(frozen=True, slots=True, repr=False)
class VerifyCap:
    """Names a file: enough to find and verify its shares, not to decrypt them."""

    storage_index: bytes
    ueb_hash: bytes
    needed: int
    total: int
    size: int

    def __str__(self) -> str:
        return _spell("URI:CHK-Verifier:", self.storage_index, self.ueb_hash, self.needed, self.total, self.size)

    def __repr__(self) -> str:
        return f"<VerifyCap {base32.encode(self.storage_index)} {self.needed}-of-{self.total} {self.size} bytes>"


@dataclass(frozen=True, slots=True, repr=False)
class LiteralCap:
    """Is a (small) file."""

    data: bytes

    @property
    def size(self) -> int:
        return len(self.data)

    def __str__(self) -> str:
        return "URI:LIT:" + base32.encode(self.data)

    def __repr__(self) -> str:
        return f"<LiteralCap {self.size} bytes>"


Cap: TypeAlias = ReadCap | VerifyCap | LiteralCap


def _spell(prefix: str, name: bytes, ueb_hash: bytes, needed: int, total: int, size: int) -> str:
    return f"{prefix}{base32.encode(name)}:{base32.encode(ueb_hash)}:{needed}:{total}:{size}"


def parse_cap(text: str) -> Cap:
    """
    Accepts what Tahoe-LAFS writes, also behind its `ro.` and `imm.` markers. Raises BadCap for all else.

    Percent-encoding has to be undone before.
    """
    if len(text) > _LONGEST_CAP:
        raise BadCap(f"this cap is {len(text)} characters long, and no cap has more than {_LONGEST_CAP}")
    marker = next((marker for marker in ("ro.", "imm.") if text.startswith(marker)), "")
    unmarked = text.removeprefix(marker)
    for prefix, parse in _PARSERS.items():
        if unmarked.startswith(prefix):
            return parse(unmarked.removeprefix(prefix))
    if unmarked.startswith(_MUTABLE_PREFIXES):
        raise BadCap("this cap is of a mutable file or a directory; only URI:CHK, URI:CHK-Verifier and URI:LIT work")
    raise BadCap("this is not a cap: a cap begins with URI:CHK:, URI:CHK-Verifier: or URI:LIT:")


def _parse_read(fields: str) -> ReadCap:
    return ReadCap(*_parse_fields(fields, "key", KEY_SIZE))


def _parse_verify(fields: str) -> VerifyCap:
    return VerifyCap(*_parse_fields(fields, "storage index", STORAGE_INDEX_SIZE))


def _parse_literal(field: str) -> LiteralCap:
    return LiteralCap(_parse_base32("data", field))


_PARSERS: dict[str, Callable[[str], Cap]] = {
    "URI:CHK:": _parse_read,
    "URI:CHK-Verifier:": _parse_verify,
    "URI:LIT:": _parse_literal,
}
_MUTABLE_PREFIXES = ("URI:SSK", "URI:MDMF", "URI:DIR2")


def _parse_fields(fields: str, first_name: str, first_size: int) -> tuple[bytes, bytes, int, int, int]:
    parts = fields.split(":")
    if len(parts) != 5:
        raise BadCap(f"this cap should have 5 fields after its kind, and has {len(parts)}: is it cut off?")
    first = _parse_base32(first_name, parts[0], first_size)
    ueb_hash = _parse_base32("hash", parts[1], HASH_SIZE)
    needed, total, size = (
        _parse_number(name, part) for name, part in zip(("needed", "total", "size"), parts[2:], strict=True)
    )
    if not 1 <= needed <= total <= MAX_SHARES:
        raise BadCap(f"this cap says {needed} of {total} shares: it should be 1 <= needed <= total <= {MAX_SHARES}")
    if size < 1:
        raise BadCap("this cap says the file is empty, but empty files have a URI:LIT: cap")
    return first, ueb_hash, needed, total, size


def _parse_base32(name: str, text: str, size: int | None = None) -> bytes:
    try:
        data = base32.decode(text)
    except ValueError as error:
        raise BadCap(f"the {name} in this cap is damaged: {error}") from None
    if size is not None and len(data) != size:
        raise BadCap(f"the {name} in this cap has {len(data)} bytes instead of {size}")
    return data


def _parse_number(name: str, text: str) -> int:
    if not _NUMBER.fullmatch(text):
        raise BadCap(f"the {name} in this cap is not a decimal number of at most 20 digits")
    return int(text)
