from __future__ import annotations

import pytest

from tahoeish.chk import base32
from tahoeish.chk.caps import LiteralCap, ReadCap, VerifyCap, parse_cap
from tahoeish.chk.directory_caps import DirectoryCap, DirectoryVerifyCap, parse_any_cap
from tahoeish.chk.errors import BadCap, MutableCap

KEY, HASH = base32.encode(b"k" * 16), base32.encode(b"h" * 32)
FIELDS = f"{KEY}:{HASH}:3:10:1000"


def test_a_directory_is_a_file_under_another_name() -> None:
    cap = parse_any_cap(f"URI:DIR2-CHK:{FIELDS}")
    assert isinstance(cap, DirectoryCap) and isinstance(cap.contents, ReadCap)
    assert cap.contents == parse_cap(f"URI:CHK:{FIELDS}")
    assert str(cap) == f"URI:DIR2-CHK:{FIELDS}"


def test_a_small_directory_is_a_literal() -> None:
    cap = parse_any_cap("URI:DIR2-LIT:nbswy3dp")
    assert cap == DirectoryCap(LiteralCap(b"hello"))
    assert str(cap) == "URI:DIR2-LIT:nbswy3dp"
    assert cap.verify_cap is None


def test_the_empty_directory() -> None:
    assert parse_any_cap("URI:DIR2-LIT:") == DirectoryCap(LiteralCap(b""))


def test_verifying_a_directory_is_verifying_its_file() -> None:
    cap = parse_any_cap(f"URI:DIR2-CHK:{FIELDS}")
    assert isinstance(cap, DirectoryCap) and isinstance(cap.contents, ReadCap)
    verify_cap = cap.verify_cap
    assert isinstance(verify_cap, DirectoryVerifyCap) and isinstance(verify_cap.contents, VerifyCap)
    assert verify_cap.contents == cap.contents.verify_cap
    assert str(verify_cap) == "URI:DIR2-CHK-Verifier:" + str(verify_cap.contents).removeprefix("URI:CHK-Verifier:")
    assert parse_any_cap(str(verify_cap)) == verify_cap


@pytest.mark.parametrize("marker", ["ro.", "imm."])
@pytest.mark.parametrize("text", [f"URI:DIR2-CHK:{FIELDS}", f"URI:DIR2-CHK-Verifier:{FIELDS}", "URI:DIR2-LIT:my"])
def test_markers_of_read_only_and_immutable_are_dropped(marker: str, text: str) -> None:
    assert str(parse_any_cap(marker + text)) == text


@pytest.mark.parametrize("text", [f"URI:CHK:{FIELDS}", f"imm.URI:CHK-Verifier:{FIELDS}", "ro.URI:LIT:my"])
def test_caps_of_files_are_what_they_always_are(text: str) -> None:
    assert parse_any_cap(text) == parse_cap(text)


@pytest.mark.parametrize("marker", ["", "ro.", "imm."])
@pytest.mark.parametrize(
    "kind", ["SSK", "SSK-RO", "SSK-Verifier", "MDMF", "MDMF-RO", "DIR2", "DIR2-RO", "DIR2-Verifier", "DIR2-MDMF"]
)
def test_what_is_mutable_is_recognised(marker: str, kind: str) -> None:
    with pytest.raises(MutableCap, match="mutable"):
        parse_any_cap(f"{marker}URI:{kind}:{KEY}:{HASH}")


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "not a cap"),
        ("URI:DIR2-CHK:", "5 fields"),
        (f"URI:DIR2-CHK:{FIELDS}:1", "5 fields"),
        (f"URI:DIR2-CHK:{HASH}:{HASH}:3:10:1000", "32 bytes instead of 16"),
        (f"URI:DIR2-CHK-Verifier:{KEY}:{HASH}:11:10:1000", "11 of 10"),
        ("URI:DIR2-LIT:a", "data"),
        ("ro.imm.URI:DIR2-LIT:", "not a cap"),
        (" URI:DIR2-LIT:", "not a cap"),
        ("URI:DIR3-LIT:", "not a cap"),
        ("URI:DIR2-LIT:" + "a" * 10_000, "characters long"),
    ],
)
def test_what_is_wrong_with_a_cap_is_said(text: str, complaint: str) -> None:
    with pytest.raises(BadCap, match=complaint) as caught:
        parse_any_cap(text)
    assert not isinstance(caught.value, MutableCap)
    assert KEY not in str(caught.value)


def test_reprs_show_no_secrets() -> None:
    cap = parse_any_cap(f"URI:DIR2-CHK:{FIELDS}")
    assert isinstance(cap, DirectoryCap)
    assert KEY not in repr(cap) and "3-of-10" in repr(cap)
    assert "3-of-10" in repr(cap.verify_cap)
    assert "hello" not in repr(DirectoryCap(LiteralCap(b"hello")))
