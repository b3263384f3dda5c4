"""The protocol's words: what is dumped is loaded again, and nothing else is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import cbor2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tahoeish.storage import wire
from tahoeish.storage.ranges import Range
from tahoeish.storage.vectors import ShareChange, Test, Write
from tahoeish.storage.wire import (
    Allocation,
    AllocationRequest,
    BadMessage,
    Secret,
    Version,
    parse_content_range,
    parse_range,
    parse_secrets,
    secret_header,
)

SI = bytes(range(16))
NAME = "aaaqeayeaudaocajbifqydiob4"

numbers = st.integers(0, 2**64 - 1)
number_sets = st.frozensets(numbers, max_size=5)
changes = st.builds(
    ShareChange,
    st.lists(st.builds(Test, numbers, numbers, st.binary(max_size=9)), max_size=3),
    st.lists(st.builds(Write, numbers, st.binary(max_size=9)), max_size=3),
    st.none() | numbers,
)


@given(st.builds(Version, numbers, numbers, numbers, st.text()))
def test_versions_come_back(version: Version) -> None:
    assert wire.load_version(wire.dump_version(version)) == version


@given(st.builds(AllocationRequest, number_sets, numbers), st.builds(Allocation, number_sets, number_sets))
def test_allocations_come_back(request: AllocationRequest, answer: Allocation) -> None:
    assert wire.load_allocation_request(wire.dump_allocation_request(request)) == request
    assert wire.load_allocation(wire.dump_allocation(answer)) == answer


@given(st.lists(st.builds(Range, numbers, numbers), max_size=4), number_sets, st.text(min_size=1, max_size=50))
def test_short_messages_come_back(required: list[Range], shares: frozenset[int], reason: str) -> None:
    assert wire.load_required(wire.dump_required(required)) == required
    assert wire.load_share_numbers(wire.dump_share_numbers(shares)) == shares
    assert wire.load_corruption(wire.dump_corruption(reason)) == reason


@given(
    st.dictionaries(numbers, changes, max_size=3),
    st.lists(st.tuples(numbers, numbers), max_size=3),
    st.dictionaries(numbers, st.lists(st.binary(max_size=9), max_size=3), max_size=3),
    st.booleans(),
)
def test_changes_of_mutable_shares_come_back(
    asked: dict[int, ShareChange], read: list[tuple[int, int]], data: dict[int, list[bytes]], success: bool
) -> None:
    assert wire.load_read_test_write(wire.dump_read_test_write(asked, read)) == (asked, read)
    answer = wire.dump_read_test_write_answer(success, data)
    assert wire.load_read_test_write_answer(answer) == (success, data)


def test_a_set_is_a_tagged_array() -> None:
    assert wire.dump_share_numbers({5}) == bytes.fromhex("d9010281" + "05")


def test_the_keys_of_the_version_are_byte_strings() -> None:
    message = cbor2.loads(wire.dump_version(Version(1, 2, 3, "x/1")))
    assert message == {
        b"http://allmydata.org/tahoe/protocols/storage/v1": {
            b"maximum-immutable-share-size": 1,
            b"maximum-mutable-share-size": 2,
            b"available-space": 3,
        },
        b"application-version": b"x/1",
    }


def asked(**replaced: Any) -> dict[str, Any]:
    return {"share-numbers": {1}, "allocated-size": 5} | replaced


def change(**replaced: Any) -> dict[str, Any]:
    share = {"test": [], "write": [], "new-length": None} | replaced
    return {"test-write-vectors": {0: share}, "read-vector": []}


TEST = {"offset": 0, "size": 0, "specimen": b""}
READ = {"offset": 0, "size": 0}


@pytest.mark.parametrize(
    ("load", "message"),
    [
        (wire.load_allocation_request, asked(extra=1)),
        (wire.load_allocation_request, {"share-numbers": {1}}),
        (wire.load_allocation_request, asked(**{"share-numbers": [1]})),
        (wire.load_allocation_request, asked(**{"share-numbers": {-1}})),
        (wire.load_allocation_request, asked(**{"share-numbers": {"1"}})),
        (wire.load_allocation_request, asked(**{"share-numbers": {True}})),
        (wire.load_allocation_request, asked(**{"share-numbers": set(range(257))})),
        (wire.load_allocation_request, asked(**{"allocated-size": 2**64})),
        (wire.load_allocation_request, asked(**{"allocated-size": 1.0})),
        (wire.load_allocation_request, [1]),
        (wire.load_share_numbers, [1]),
        (wire.load_corruption, {"reason": ""}),
        (wire.load_corruption, {"reason": "x" * 32766}),
        (wire.load_corruption, {"reason": b"bytes"}),
        (wire.load_required, {"required": [{"begin": 0}]}),
        (wire.load_required, {"required": {}}),
        (wire.load_version, {"application-version": b""}),
        (wire.load_read_test_write, {"test-write-vectors": {}}),
        (wire.load_read_test_write, {"test-write-vectors": [], "read-vector": []}),
        (wire.load_read_test_write, {"test-write-vectors": {}, "read-vector": [READ] * 31}),
        (wire.load_read_test_write, change(test=[TEST] * 31)),
        (wire.load_read_test_write, change(test=[TEST | {"specimen": "text"}])),
        (wire.load_read_test_write, change(write=[{"offset": 0}])),
        (wire.load_read_test_write, change(**{"new-length": -1})),
        (wire.load_read_test_write, change(more=1)),
        (wire.load_read_test_write_answer, {"success": 1, "data": {}}),
        (wire.load_read_test_write_answer, {"success": True, "data": {0: b"x"}}),
    ],
)
def test_what_the_schema_does_not_know_is_refused(load: Callable[[bytes], object], message: object) -> None:
    with pytest.raises(BadMessage):
        load(cbor2.dumps(message))


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\xff",
        b"\x1c",
        b"\x81" * 3000,
        bytes.fromhex("a1d90102810101"),
        # A pattern, a date, a bignum, a reference to itself: tags that the decoder would follow.
        bytes.fromhex("d8236128"),
        bytes.fromhex("c100"),
        bytes.fromhex("c249010000000000000000"),
        bytes.fromhex("d81c81d81d00"),
        bytes.fromhex("d9010281c24101"),
    ],
)
@pytest.mark.parametrize("load", [wire.load_share_numbers, wire.load_allocation_request, wire.load_read_test_write])
def test_what_is_no_message_is_refused(load: Callable[[bytes], object], body: bytes) -> None:
    with pytest.raises(BadMessage):
        load(body)


@given(st.binary(max_size=200))
def test_no_bytes_make_it_fail_otherwise(body: bytes) -> None:
    for load in (wire.load_share_numbers, wire.load_version, wire.load_read_test_write):
        with pytest.raises(BadMessage):
            load(b"\xa3" + body)


@pytest.mark.parametrize("array", ["9f0102ff", "83010202", "820102ff"])
def test_what_the_protocol_tolerates_is_taken(array: str) -> None:
    """An array of unknown length, a number twice, something after the message."""
    assert wire.load_share_numbers(bytes.fromhex("d90102" + array)) == {1, 2}


class TestHeaders:
    def test_secrets(self) -> None:
        values = [secret_header(Secret.UPLOAD, b"abc"), secret_header(Secret.LEASE_RENEW, b"r" * 32)]
        assert values[0] == "upload-secret YWJj"
        wanted = {Secret.UPLOAD, Secret.LEASE_RENEW}
        assert parse_secrets(values, wanted) == {Secret.UPLOAD: b"abc", Secret.LEASE_RENEW: b"r" * 32}

    def test_the_last_of_a_kind_counts(self) -> None:
        values = ["upload-secret YQ==", "upload-secret Yg=="]
        assert parse_secrets(values, [Secret.UPLOAD]) == {Secret.UPLOAD: b"b"}

    @pytest.mark.parametrize(
        "values",
        [
            [],
            ["upload-secret"],
            ["upload-secret "],
            ["upload-secret YQ"],
            ["upload-secret Y*Q="],
            ["Upload-Secret YQ=="],
            ["other-secret YQ=="],
            ["lease-renew-secret YQ=="],
            ["upload-secret YQ==", "write-enabler YQ=="],
        ],
    )
    def test_other_secrets_are_refused(self, values: list[str]) -> None:
        with pytest.raises(BadMessage):
            parse_secrets(values, [Secret.UPLOAD])

    @pytest.mark.parametrize(
        ("value", "target"),
        [
            (wire.content_range(0, 9), (0, 10)),
            ("bytes 5-5/*", (5, 6)),
            ("bytes 5-9/6", (5, 10)),
        ],
    )
    def test_content_range(self, value: str, target: tuple[int, int]) -> None:
        assert parse_content_range(value) == target

    @pytest.mark.parametrize(
        "value",
        ["", "bytes 0-9", "bytes=0-9/*", "bytes */100", "bytes 5-4/*", "bytes 5-9/5", "items 0-9/*", "bytes 0-9/x"],
    )
    def test_an_odd_content_range_is_refused(self, value: str) -> None:
        with pytest.raises(BadMessage):
            parse_content_range(value)

    def test_range(self) -> None:
        assert parse_range(wire.range_header(3, 7)) == (3, 8)

    @pytest.mark.parametrize(
        "value", ["", "bytes=3-", "bytes=-3", "bytes=1-2,4-5", "items=1-2", "bytes 1-2", "bytes=2-1"]
    )
    def test_an_odd_range_is_refused(self, value: str) -> None:
        with pytest.raises(BadMessage):
            parse_range(value)


def test_paths() -> None:
    assert wire.immutable_path(SI) == f"/storage/v1/immutable/{NAME}"
    assert wire.share_path(SI, 3) == f"/storage/v1/immutable/{NAME}/3"
    assert wire.shares_path(SI) == f"/storage/v1/immutable/{NAME}/shares"
    assert wire.abort_path(SI, 3) == f"/storage/v1/immutable/{NAME}/3/abort"
    assert wire.corrupt_path(SI, 3) == f"/storage/v1/immutable/{NAME}/3/corrupt"
    assert wire.lease_path(SI) == f"/storage/v1/lease/{NAME}"
    assert wire.finish_path(SI, 3) == f"/tahoeish/v1/immutable/{NAME}/3/finish"
    assert wire.mutable_path(SI) == f"/storage/v1/mutable/{NAME}"
