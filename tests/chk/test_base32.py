from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tahoeish.chk import base32
from tests.chk.shares import vectors


@pytest.mark.parametrize("vector", vectors("hash_vectors")["base32"], ids=lambda vector: vector["text"][:20])
def test_known_texts(vector: dict[str, str]) -> None:
    raw = bytes.fromhex(vector["raw_hex"])
    assert base32.encode(raw) == vector["text"]
    assert base32.decode(vector["text"]) == raw


@pytest.mark.parametrize("vector", vectors("hash_vectors")["base32_invalid"], ids=lambda vector: vector["text"])
def test_what_is_not_canonical_is_refused(vector: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="base32"):
        base32.decode(vector["text"])


@pytest.mark.parametrize("text", ["MY", "my======", "my\n", " my", "m1", "m8", "mé", "m\N{KELVIN SIGN}", "mz"])
def test_lax_spellings_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="base32"):
        base32.decode(text)


@given(st.binary(max_size=100))
def test_decode_undoes_encode(data: bytes) -> None:
    assert base32.decode(base32.encode(data)) == data


@given(st.text("abcdefghijklmnopqrstuvwxyz234567", max_size=40))
def test_no_two_texts_mean_the_same(text: str) -> None:
    try:
        data = base32.decode(text)
    except ValueError:
        return
    assert base32.encode(data) == text
