from __future__ import annotations

import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tahoeish.chk.buffers import Buffer
from tahoeish.chk.erasure import ErasureCodec, ZfecCodec
from tests.chk.shares import vectors

VECTORS = vectors("hash_vectors")

encodings = st.integers(1, 20).flatmap(lambda total: st.tuples(st.integers(1, total), st.just(total)))


@pytest.fixture(name="codec", scope="module")
def any_codec() -> ErasureCodec:
    return ZfecCodec()


@pytest.mark.parametrize("vector", VECTORS["zfec"], ids=lambda vector: f"{vector['k']}-of-{vector['n']}")
def test_known_blocks(codec: ErasureCodec, vector: dict[str, Any]) -> None:
    needed, total, length = vector["k"], vector["n"], vector["block_len"]
    primary: list[Buffer] = [bytes((37 * i + 11 * j + needed) % 256 for j in range(length)) for i in range(needed)]
    blocks = codec.encode(needed, total, primary)
    assert len(blocks) == total
    assert all(given is returned for given, returned in zip(primary, blocks, strict=False))
    parity = {str(number): bytes(blocks[number]).hex() for number in range(needed, total)}
    assert parity == vector["parity_hex"]


@pytest.mark.parametrize("vector", VECTORS["zfec_unit_rows"], ids=lambda vector: f"{vector['k']}-of-{vector['n']}")
def test_known_coefficients(codec: ErasureCodec, vector: dict[str, Any]) -> None:
    needed, total = vector["k"], vector["n"]
    units: list[Buffer] = [bytes(i == j for j in range(needed)) for i in range(needed)]
    blocks = codec.encode(needed, total, units)
    rows = {str(number): list(blocks[number]) for number in range(needed, total)}
    assert rows == vector["rows"]


@given(encodings, st.integers(1, 50), st.data())
def test_any_needed_blocks_restore_the_primary_ones(
    codec: ErasureCodec, encoding: tuple[int, int], length: int, data: st.DataObject
) -> None:
    needed, total = encoding
    content = data.draw(st.binary(min_size=needed * length, max_size=needed * length))
    primary: list[Buffer] = [memoryview(content)[i * length : (i + 1) * length] for i in range(needed)]
    blocks = codec.encode(needed, total, primary)
    survivors = data.draw(st.permutations(range(total)))[:needed]
    restored = codec.decode(needed, total, {number: blocks[number] for number in survivors})
    assert b"".join(restored) == content
    for number in survivors:
        if number < needed:
            assert restored[number] is blocks[number]


def test_decoding_lets_go_of_the_blocks(codec: ErasureCodec) -> None:
    blocks = codec.encode(2, 3, [bytearray(1000), bytearray(1000)])
    parity = blocks[2]
    before = sys.getrefcount(parity)
    for _ in range(10):
        codec.decode(2, 3, {0: blocks[0], 2: parity})
    assert sys.getrefcount(parity) == before
