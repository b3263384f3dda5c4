from __future__ import annotations

from time import process_time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tahoeish.chk import base32
from tahoeish.chk.caps import LITERAL_MAX, LiteralCap, ReadCap, VerifyCap, parse_cap
from tahoeish.chk.errors import BadCap
from tests.chk.shares import vectors

KEY, HASH = base32.encode(b"k" * 16), base32.encode(b"h" * 32)
READ = f"URI:CHK:{KEY}:{HASH}:3:10:1000"


@pytest.mark.parametrize("file", vectors("hash_vectors")["files"], ids=lambda file: str(file["size"]))
def test_known_file_caps(file: dict[str, str]) -> None:
    cap = parse_cap(file["cap"])
    assert isinstance(cap, ReadCap)
    assert str(cap) == file["cap"]
    assert base32.encode(cap.storage_index) == file["storage_index"]
    assert str(cap.verify_cap) == file["verify_cap"]
    assert parse_cap(file["verify_cap"]) == cap.verify_cap


def test_known_literal_cap() -> None:
    (vector,) = vectors("hash_vectors")["lit"]
    cap = LiteralCap(b"x" * LITERAL_MAX)
    assert str(cap) == vector["cap"]
    assert parse_cap(vector["cap"]) == cap
    assert cap.size == vector["size"]


def test_the_empty_file_is_a_literal() -> None:
    assert str(LiteralCap(b"")) == "URI:LIT:"
    assert parse_cap("URI:LIT:") == LiteralCap(b"")


def test_a_literal_longer_than_we_write_is_read() -> None:
    cap = LiteralCap(b"x" * 2500)
    assert parse_cap(str(cap)) == cap


@pytest.mark.parametrize("marker", ["ro.", "imm."])
@pytest.mark.parametrize("text", [READ, f"URI:CHK-Verifier:{KEY}:{HASH}:3:10:1000", "URI:LIT:my"])
def test_markers_of_read_only_and_immutable_are_dropped(marker: str, text: str) -> None:
    assert str(parse_cap(marker + text)) == text


def test_leading_zeros_are_read_but_not_written() -> None:
    assert str(parse_cap(f"URI:CHK:{KEY}:{HASH}:03:010:001000")) == READ


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "not a cap"),
        ("http://example.org/", "not a cap"),
        ("uri:chk:", "not a cap"),
        (" " + READ, "not a cap"),
        ("ro.imm." + READ, "not a cap"),
        ("ro.ro." + READ, "not a cap"),
        ("URI:DIR2:abc:def", "directory"),
        ("URI:SSK:abc:def", "mutable"),
        ("URI:CHK:", "5 fields"),
        (READ + ":1", "5 fields"),
        (READ.rpartition(":")[0], "cut off"),
        (READ + "\n", "size"),
        (READ + " ", "size"),
        (READ.replace(":3:", ":-3:"), "needed"),
        (READ.replace(":3:", ":+3:"), "needed"),
        (READ.replace(":3:", ":\N{ARABIC-INDIC DIGIT THREE}:"), "needed"),
        (READ.replace(":3:", "::"), "needed"),
        (READ.replace(":10:", ":1_0:"), "total"),
        (READ.replace(":3:10:", ":0:10:"), "0 of 10"),
        (READ.replace(":3:10:", ":11:10:"), "11 of 10"),
        (READ.replace(":3:10:", ":3:257:"), "3 of 257"),
        (READ.replace(":1000", ":0"), "empty"),
        (READ.replace(":1000", ":" + "1" * 21), "20 digits"),
        (READ.replace(KEY, KEY[:-1]), "key"),
        (READ.replace(KEY, KEY[:-2]), "15 bytes instead of 16"),
        (READ.replace(KEY, HASH), "32 bytes instead of 16"),
        (READ.replace(KEY, KEY.upper()), "key"),
        (READ.replace(KEY, KEY[:-1] + "7"), "last character"),
        (READ.replace(HASH, HASH[:-1]), "hash"),
        ("URI:LIT:a", "data"),
        ("URI:LIT:my:", "data"),
    ],
)
def test_what_is_wrong_with_a_cap_is_said(text: str, complaint: str) -> None:
    with pytest.raises(BadCap, match=complaint):
        parse_cap(text)


@given(st.integers(0, len(READ) - 1), st.characters(codec="utf-8"))
def test_complaints_and_reprs_never_show_the_key(position: int, character: str) -> None:
    text = READ[:position] + character + READ[position + 1 :]
    try:
        shown = repr(parse_cap(text))
    except BadCap as error:
        shown = str(error)
    assert KEY[:8] not in shown
    assert KEY[-8:] not in shown
    assert HASH[:8] not in shown


def test_reprs_show_what_may_be_known() -> None:
    cap = parse_cap(READ)
    assert isinstance(cap, ReadCap)
    assert base32.encode(cap.storage_index) in repr(cap)
    assert "3-of-10" in repr(cap.verify_cap)
    assert "secret" not in repr(LiteralCap(b"secret"))
    assert base32.encode(b"secret") not in repr(LiteralCap(b"secret"))


@pytest.mark.parametrize("beginning", ["URI:LIT:", READ, "URI:CHK:", "URI:CHK:::::", "ro.", ""])
def test_absurd_lengths_are_refused_at_once(beginning: str) -> None:
    text = beginning + "1" * 10_000_000
    began = process_time()
    with pytest.raises(BadCap, match="characters long"):
        parse_cap(text)
    assert process_time() - began < 0.1


sizes = st.integers(1, 10**20 - 1)
encodings = st.integers(1, 256).flatmap(lambda total: st.tuples(st.integers(1, total), st.just(total)))


@given(st.binary(min_size=16, max_size=16), st.binary(min_size=32, max_size=32), encodings, sizes)
def test_parsing_undoes_spelling(name: bytes, ueb_hash: bytes, encoding: tuple[int, int], size: int) -> None:
    for kind in (ReadCap, VerifyCap):
        cap = kind(name, ueb_hash, *encoding, size)
        assert parse_cap(str(cap)) == cap
