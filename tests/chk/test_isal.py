"""ISA-L against zfec: the same bytes, whatever the code, the size and the erasures."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tahoeish.chk import isal
from tahoeish.chk.erasure import ErasureCodec, ZfecCodec, best_codec

ZFEC = ZfecCodec()


@pytest.fixture(scope="module")
def codec() -> ErasureCodec:
    loaded = isal.load()
    if loaded is None:
        pytest.skip("ISA-L is not to be had here: neither the pyeclib wheel nor libisal.so.2 of the system")
    return loaded


@st.composite
def codes(draw: st.DrawFn) -> tuple[int, int, int, int]:
    total = draw(st.integers(1, 256))
    return draw(st.integers(1, total)), total, draw(st.integers(1, 300)), draw(st.integers(0, 2**32))


@settings(max_examples=150, deadline=None)
@given(code=codes())
def test_it_makes_and_mends_the_very_same_blocks(codec: ErasureCodec, code: tuple[int, int, int, int]) -> None:
    needed, total, length, seed = code
    source = random.Random(seed)
    primary = [source.randbytes(length) for _ in range(needed)]
    encoded = [bytes(block) for block in codec.encode(needed, total, primary)]
    assert encoded == [bytes(block) for block in ZFEC.encode(needed, total, primary)]
    kept = source.sample(range(total), needed)
    decoded = codec.decode(needed, total, {number: encoded[number] for number in kept})
    assert [bytes(block) for block in decoded] == primary


def test_it_takes_views_and_bytearrays(codec: ErasureCodec) -> None:
    whole = memoryview(bytearray(random.Random(1).randbytes(3000)))
    primary = [whole[start : start + 1000].toreadonly() for start in range(0, 3000, 1000)]
    assert [bytes(b) for b in codec.encode(3, 5, primary)] == [bytes(b) for b in ZFEC.encode(3, 5, primary)]


def test_the_library_is_where_it_is_looked_for() -> None:
    pytest.importorskip("pyeclib", reason="pyeclib is not installed: it has wheels for x86-64 Linux only")
    assert best_codec().name == "ISA-L"
