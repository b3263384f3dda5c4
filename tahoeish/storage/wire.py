"""
The storage protocol's words, for both sides: paths, headers, and the messages in bodies. Pure.

`dump_*` makes the body of a message, `load_*` reads it and raises `BadMessage` when it isn't exactly what the
protocol says: nothing may be missing, and nothing may be added.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache
from typing import Any

import cbor2

from tahoeish.chk import base32
from tahoeish.storage.ranges import Range
from tahoeish.storage.vectors import ReadVector, ShareChange, Test, Write

CBOR = "application/cbor"
OCTETS = "application/octet-stream"
JSON = "application/json"

MAX_SHARE_NUMBERS = 256
MAX_VECTORS = 30
MAX_REASON = 32765
MAX_ALLOCATION_BODY = 8192
MAX_CORRUPTION_BODY = 32768
LARGEST_NUMBER = 2**64 - 1
LARGEST_WHOLE_SHARE = 1024 * 1024 + 64 * 1024
"""What may come in one request that is understood only when it is whole: a segment, and what a share adds to it."""

VERSION_PATH = "/storage/v1/version"
EXTENSIONS_PATH = "/tahoeish/v1/extensions"
PROTOCOL_NAME = b"http://allmydata.org/tahoe/protocols/storage/v1"


class BadMessage(ValueError):
    """The other side has said something that the protocol doesn't know."""


class Secret(Enum):
    """What proves that one may do something to a share."""

    LEASE_RENEW = "lease-renew-secret"
    LEASE_CANCEL = "lease-cancel-secret"
    UPLOAD = "upload-secret"
    WRITE_ENABLER = "write-enabler"


_LEASE_SECRET_LENGTH = 32
_LEASE_SECRETS = (Secret.LEASE_RENEW, Secret.LEASE_CANCEL)


@dataclass(frozen=True, slots=True)
class Version:
    """What a storage node says of itself. Sizes in bytes."""

    max_immutable_share_size: int
    max_mutable_share_size: int
    available_space: int
    application: str


@dataclass(frozen=True, slots=True)
class AllocationRequest:
    share_numbers: frozenset[int]
    size: int


@dataclass(frozen=True, slots=True)
class Allocation:
    """`already_have` are all complete shares of the file, `allocated` those that may be uploaded now."""

    already_have: frozenset[int]
    allocated: frozenset[int]


# Paths.


@lru_cache(256)
def _name(storage_index: bytes) -> str:
    """One after the other, many requests name the same."""
    return base32.encode(storage_index)


def immutable_path(storage_index: bytes) -> str:
    return f"/storage/v1/immutable/{_name(storage_index)}"


def share_path(storage_index: bytes, number: int) -> str:
    return f"{immutable_path(storage_index)}/{number}"


def shares_path(storage_index: bytes) -> str:
    return f"{immutable_path(storage_index)}/shares"


def abort_path(storage_index: bytes, number: int) -> str:
    return f"{share_path(storage_index, number)}/abort"


def corrupt_path(storage_index: bytes, number: int) -> str:
    return f"{share_path(storage_index, number)}/corrupt"


def lease_path(storage_index: bytes) -> str:
    return f"/storage/v1/lease/{_name(storage_index)}"


def finish_path(storage_index: bytes, number: int) -> str:
    return f"/tahoeish/v1/immutable/{_name(storage_index)}/{number}/finish"


def whole_share_path(storage_index: bytes, number: int) -> str:
    return f"/tahoeish/v1/immutable/{_name(storage_index)}/{number}"


def lasting_path(storage_index: bytes) -> str:
    return f"/tahoeish/v1/immutable/{_name(storage_index)}"


def secure_path(storage_index: bytes, number: int) -> str:
    return f"{lasting_path(storage_index)}/{number}/secure"


def mutable_path(storage_index: bytes) -> str:
    return f"/storage/v1/mutable/{_name(storage_index)}"


# Headers.


def authorization(swissnum: str) -> str:
    """The value of `Authorization`, in every request."""
    return f"Tahoe-LAFS {base64.b64encode(swissnum.encode('ascii')).decode()}"


def secret_header(kind: Secret, secret: bytes) -> str:
    """A value of `X-Tahoe-Authorization`. A request has one for each secret."""
    return f"{kind.value} {base64.b64encode(secret).decode()}"


def parse_secrets(values: Iterable[str], wanted: Collection[Secret]) -> dict[Secret, bytes]:
    """The secrets in these values of `X-Tahoe-Authorization`, which must be the wanted ones and no others."""
    secrets = dict(map(_parse_secret, values))
    if secrets.keys() != set(wanted):
        names = ", ".join(sorted(kind.value for kind in wanted)) or "none"
        raise BadMessage(f"other secrets than these are missing or too many here: {names}")
    return secrets


def _parse_secret(value: str) -> tuple[Secret, bytes]:
    name, _, text = value.strip().partition(" ")
    try:
        kind = Secret(name)
        secret = base64.b64decode(text.strip(), validate=True)
    except ValueError as error:
        raise BadMessage("each X-Tahoe-Authorization names a kind of secret, and has the secret in base64") from error
    if not secret or (kind in _LEASE_SECRETS and len(secret) != _LEASE_SECRET_LENGTH):
        raise BadMessage(f"{kind.value} has an impossible length")
    return kind, secret


def content_range(first: int, last: int) -> str:
    """The value of `Content-Range` for the bytes `first` to `last`, both included."""
    return f"bytes {first}-{last}/*"


def range_header(first: int, last: int) -> str:
    """The value of `Range` that asks for the bytes `first` to `last`, both included."""
    return f"bytes={first}-{last}"


_CONTENT_RANGE = re.compile(r"bytes ([0-9]{1,20})-([0-9]{1,20})/([0-9]{1,20}|\*)", re.ASCII)
_RANGE = re.compile(r"bytes=([0-9]{1,20})-([0-9]{1,20})", re.ASCII)


def parse_content_range(value: str) -> Range:
    """What a body is a part of. The length of the whole may be left open; when it is told, it must not be absurd."""
    match = _CONTENT_RANGE.fullmatch(value.strip())
    if match is None:
        raise BadMessage('Content-Range must look like "bytes 0-99/*"')
    first, last = int(match[1]), int(match[2])
    if last < first or (match[3] != "*" and int(match[3]) <= first):
        raise BadMessage(f"the Content-Range {match[0]} makes no sense")
    return Range(first, last + 1)


def parse_range(value: str) -> Range:
    """One closed range of bytes: nothing else is spoken here."""
    match = _RANGE.fullmatch(value.strip())
    if match is None or int(match[2]) < int(match[1]):
        raise BadMessage('Range must look like "bytes=0-99"')
    return Range(int(match[1]), int(match[2]) + 1)


# Messages.


def dump_version(version: Version) -> bytes:
    about = {
        b"maximum-immutable-share-size": version.max_immutable_share_size,
        b"maximum-mutable-share-size": version.max_mutable_share_size,
        b"available-space": version.available_space,
    }
    return cbor2.dumps({PROTOCOL_NAME: about, b"application-version": version.application.encode()})


def load_version(body: bytes) -> Version:
    whole = _map(_load(body), {PROTOCOL_NAME, b"application-version"})
    keys = (b"maximum-immutable-share-size", b"maximum-mutable-share-size", b"available-space")
    about = _map(whole[PROTOCOL_NAME], set(keys))
    immutable, mutable, space = (_number(about[key]) for key in keys)
    return Version(immutable, mutable, space, _bytes(whole[b"application-version"]).decode("utf-8", "replace"))


def dump_allocation_request(request: AllocationRequest) -> bytes:
    return cbor2.dumps({"share-numbers": set(request.share_numbers), "allocated-size": request.size})


def load_allocation_request(body: bytes) -> AllocationRequest:
    message = _map(_load(body), {"share-numbers", "allocated-size"})
    numbers = _number_set(message["share-numbers"])
    if len(numbers) > MAX_SHARE_NUMBERS:
        raise BadMessage(f"at most {MAX_SHARE_NUMBERS} shares can be asked for at once")
    return AllocationRequest(numbers, _number(message["allocated-size"]))


def dump_allocation(allocation: Allocation) -> bytes:
    return cbor2.dumps({"already-have": set(allocation.already_have), "allocated": set(allocation.allocated)})


def load_allocation(body: bytes) -> Allocation:
    message = _map(_load(body), {"already-have", "allocated"})
    return Allocation(_number_set(message["already-have"]), _number_set(message["allocated"]))


def required_ranges(required: Iterable[Range]) -> dict[str, list[dict[str, int]]]:
    """What is still missing of a share, as both CBOR and JSON spell it."""
    return {"required": [missing._asdict() for missing in required]}


def dump_required(required: Iterable[Range]) -> bytes:
    return cbor2.dumps(required_ranges(required))


def load_required(body: bytes) -> list[Range]:
    message = _map(_load(body), {"required"})
    ranges = (_map(item, {"begin", "end"}) for item in _list(message["required"]))
    return [Range(_number(item["begin"]), _number(item["end"])) for item in ranges]


def dump_share_numbers(numbers: Iterable[int]) -> bytes:
    return cbor2.dumps(set(numbers))


def load_share_numbers(body: bytes) -> frozenset[int]:
    return _number_set(_load(body))


def dump_corruption(reason: str) -> bytes:
    return cbor2.dumps({"reason": reason})


def load_corruption(body: bytes) -> str:
    reason = _map(_load(body), {"reason"})["reason"]
    if not isinstance(reason, str) or not 1 <= len(reason.encode()) <= MAX_REASON:
        raise BadMessage(f"a reason is a text of 1 to {MAX_REASON} bytes")
    return reason


def dump_read_test_write(changes: Mapping[int, ShareChange], read_vector: ReadVector) -> bytes:
    vectors = {
        number: {
            "test": [{"offset": test.offset, "size": test.size, "specimen": test.specimen} for test in change.tests],
            "write": [{"offset": write.offset, "data": write.data} for write in change.writes],
            "new-length": change.new_length,
        }
        for number, change in changes.items()
    }
    reads = [{"offset": offset, "size": size} for offset, size in read_vector]
    return cbor2.dumps({"test-write-vectors": vectors, "read-vector": reads})


def load_read_test_write(body: bytes) -> tuple[dict[int, ShareChange], list[tuple[int, int]]]:
    message = _map(_load(body), {"test-write-vectors", "read-vector"})
    vectors = message["test-write-vectors"]
    if not isinstance(vectors, Mapping) or len(vectors) > MAX_SHARE_NUMBERS:
        raise BadMessage(f"test-write-vectors must be a map of at most {MAX_SHARE_NUMBERS} shares")
    reads = (_map(item, {"offset", "size"}) for item in _list(message["read-vector"], MAX_VECTORS))
    return (
        {_number(number): _share_change(change) for number, change in vectors.items()},
        [(_number(read["offset"]), _number(read["size"])) for read in reads],
    )


def dump_read_test_write_answer(success: bool, data: Mapping[int, Sequence[bytes]]) -> bytes:
    return cbor2.dumps({"success": success, "data": {number: list(pieces) for number, pieces in data.items()}})


def load_read_test_write_answer(body: bytes) -> tuple[bool, dict[int, list[bytes]]]:
    message = _map(_load(body), {"success", "data"})
    success, data = message["success"], message["data"]
    if not isinstance(success, bool) or not isinstance(data, Mapping):
        raise BadMessage("success must be true or false, and data a map")
    return success, {_number(number): [_bytes(piece) for piece in _list(pieces)] for number, pieces in data.items()}


# What messages are made of.


def _share_change(value: object) -> ShareChange:
    change = _map(value, {"test", "write", "new-length"})
    tests = (_map(item, {"offset", "size", "specimen"}) for item in _list(change["test"], MAX_VECTORS))
    writes = (_map(item, {"offset", "data"}) for item in _list(change["write"]))
    new_length = change["new-length"]
    return ShareChange(
        [Test(_number(test["offset"]), _number(test["size"]), _bytes(test["specimen"])) for test in tests],
        [Write(_number(write["offset"]), _bytes(write["data"])) for write in writes],
        None if new_length is None else _number(new_length),
    )


def _refuse_tag(*_: object) -> Any:
    raise cbor2.CBORDecodeError("a tag that the protocol doesn't use")


_SET_TAG = 258
# Everything else that the decoder has a meaning for: dates, patterns, references that make much of little, and so on.
_OTHER_TAGS = (0, 1, 2, 3, 4, 5, 25, 28, 29, 30, 35, 36, 37, 52, 54, 100, 256, 260, 261, 1004, 43000, 55799)
_TAG_DECODERS = dict.fromkeys(_OTHER_TAGS, _refuse_tag)


def _load(body: bytes) -> object:
    try:
        return cbor2.loads(body, tag_hook=_refuse_tag, semantic_decoders=_TAG_DECODERS)
    # Besides its own errors, the decoder lets those through that come from keys that can't be keys.
    except (cbor2.CBORDecodeError, ValueError, TypeError, RecursionError, binascii.Error) as error:
        raise BadMessage("the body is not CBOR as the protocol has it") from error


def _map(value: object, keys: Collection[object]) -> Mapping[Any, object]:
    if not isinstance(value, Mapping) or value.keys() != set(keys):
        names = ", ".join(sorted(repr(key) for key in keys))
        raise BadMessage(f"there must be a map with these keys and no others: {names}")
    return value


def _list(value: object, at_most: int | None = None) -> Sequence[object]:
    if not isinstance(value, list):
        raise BadMessage("there must be an array")
    if at_most is not None and len(value) > at_most:
        raise BadMessage(f"there can be at most {at_most} entries, not {len(value)}")
    return value


def _number(value: object) -> int:
    # In Python, but not on the wire, true is a number.
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= LARGEST_NUMBER:
        raise BadMessage("there must be a number from 0 to 2**64 - 1")
    return value


def _number_set(value: object) -> frozenset[int]:
    if not isinstance(value, set | frozenset):
        raise BadMessage(f"there must be a set, which is an array with tag {_SET_TAG}")
    return frozenset(map(_number, value))


def _bytes(value: object) -> bytes:
    if not isinstance(value, bytes):
        raise BadMessage("there must be a byte string")
    return value
