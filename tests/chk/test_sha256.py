"""SHA-256, put aside and taken up again."""

from __future__ import annotations

import hashlib
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tahoeish.chk import sha256
from tahoeish.chk.errors import CannotBeSaved


@pytest.fixture
def no_library(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sha256, "_library", lambda: None)


@settings(deadline=None)
@given(st.lists(st.binary(max_size=200), max_size=12))
def test_putting_it_aside_between_any_two_pieces_changes_nothing(pieces: list[bytes]) -> None:
    hasher = sha256.begun()
    for count, piece in enumerate(pieces):
        hasher.update(piece)
        assert hasher.digest() == hashlib.sha256(b"".join(pieces[: count + 1])).digest()
        hasher = sha256.resumed(hasher.save())
    assert hasher.digest() == hashlib.sha256(b"".join(pieces)).digest()


def test_buffers_of_any_kind_are_hashed_where_they_lie() -> None:
    content = bytes(range(256)) * 300
    hasher = sha256.begun()
    for piece in (bytearray(content), memoryview(content)[1:], memoryview(bytearray(content)).toreadonly(), b""):
        hasher.update(piece)
    assert hasher.digest() == hashlib.sha256(content + content[1:] + content).digest()


def test_the_state_is_the_functions_own() -> None:
    # The words that FIPS 180-4 begins with, and no bytes yet: not how some library arranges them.
    first = bytes.fromhex("6a09e667bb67ae853c6ef372a54ff53a510e527f9b05688c1f83d9ab5be0cd19")
    assert sha256.begun().save() == first + bytes(8)


def test_more_than_four_gigabits_are_counted() -> None:
    # As if 2**61 - 64 bytes had come: the largest number of whole blocks that SHA-256 can count.
    state = sha256.begun().save()[:32] + struct.pack(">Q", (1 << 61) - 64)
    hasher = sha256.resumed(state)
    assert hasher.save() == state
    hasher.update(b"x" * 63)
    assert hasher.save() == state[:32] + struct.pack(">Q", (1 << 61) - 1) + b"x" * 63


@pytest.mark.parametrize(
    "state",
    [
        b"",
        bytes(39),
        bytes(41),
        bytes(32) + struct.pack(">Q", 3) + b"ab",
        bytes(32) + struct.pack(">Q", 3) + b"abcd",
        bytes(32) + struct.pack(">Q", 1 << 61),
    ],
)
def test_what_was_never_put_aside_is_not_taken_up(state: bytes) -> None:
    with pytest.raises(ValueError, match="SHA-256"):
        sha256.resumed(state)


@pytest.mark.usefixtures("no_library")
def test_without_the_library_it_still_hashes_but_cannot_be_put_aside() -> None:
    hasher = sha256.begun()
    hasher.update(b"content")
    assert hasher.digest() == hashlib.sha256(b"content").digest()
    assert not sha256.can_be_saved()
    with pytest.raises(CannotBeSaved, match="libcrypto"):
        hasher.save()
    with pytest.raises(CannotBeSaved, match="libcrypto"):
        sha256.resumed(bytes(40))


def test_the_library_is_where_it_is_looked_for() -> None:
    assert sha256.can_be_saved()
