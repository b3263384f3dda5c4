"""What an `Authorization` header says."""

from __future__ import annotations

from base64 import b64encode

import pytest

from tahoeish.gateway.credentials import Bearer, Password, Unreadable, claim_in


def basic(text: str, encoding: str = "utf-8") -> bytes:
    return b"Basic " + b64encode(text.encode(encoding))


@pytest.mark.parametrize("header", [None, b"", b"  "])
def test_no_header_is_no_claim(header: bytes | None) -> None:
    assert claim_in(header) is None


@pytest.mark.parametrize(
    ("header", "claim"),
    [
        (basic("alice:secret"), Password("alice", "secret")),
        (basic("alice:se:cr:et"), Password("alice", "se:cr:et")),
        (basic("alice:"), Password("alice", "")),
        (basic(":secret"), Password("", "secret")),
        (basic("WORKGROUP\\alice:se\\cret"), Password("alice", "se\\cret")),
        (basic("J\u00fcrgen:Stra\u00dfe"), Password("J\u00fcrgen", "Stra\u00dfe")),
        (basic("J\u00fcrgen:Stra\u00dfe", "latin-1"), Password("J\u00fcrgen", "Stra\u00dfe")),
        (basic("Ju\u0308rgen:x"), Password("J\u00fcrgen", "x")),
        (b"bAsIc  " + b64encode(b"alice:secret") + b" ", Password("alice", "secret")),
        (b"Bearer tahoeish_abc", Bearer("tahoeish_abc")),
        (b"bearer tahoeish_abc", Bearer("tahoeish_abc")),
    ],
)
def test_a_claim_is_read_as_clients_write_it(header: bytes, claim: Password | Bearer) -> None:
    assert claim_in(header) == claim


@pytest.mark.parametrize(
    "header", [b"Digest username=alice", b"Basic", b"Basic !!!", b"Basic " + b64encode(b"secret"), b"secret"]
)
def test_what_makes_no_claim_is_refused_without_showing_it(header: bytes) -> None:
    with pytest.raises(Unreadable) as refused:
        claim_in(header)
    assert "secret" not in str(refused.value) and refused.value.__cause__ is None


def test_a_claim_does_not_show_its_secret() -> None:
    assert "hunter2" not in repr([Password("alice", "hunter2"), Bearer("hunter2")])
