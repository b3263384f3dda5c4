"""What clients claim of what they send, and whether it is so."""

from __future__ import annotations

import base64
import hashlib
import zlib
from collections.abc import AsyncIterator

import pytest
import pytest_twisted
from hypothesis import given, settings
from hypothesis import strategies as st

from tahoeish.streams.digests import (
    BadDigest,
    Claim,
    Covers,
    DigestError,
    DigestMismatch,
    announced_algorithms,
    claims_of,
    covering,
    digest_field,
    wanted_digest,
)
from tahoeish.streams.hashers import DIGEST_SIZES, new_hasher
from tahoeish.streams.threads import direct
from tahoeish.streams.verifier import LITTLE_TO_HASH, Verifier

PIECES = [b"a" * 10, b"b" * LITTLE_TO_HASH, b"c", b"", b"d" * (3 * LITTLE_TO_HASH), b"e" * LITTLE_TO_HASH]
CONTENT = b"".join(PIECES)
SHA1, SHA256, SHA512, MD5 = (getattr(hashlib, name)(CONTENT).digest() for name in ("sha1", "sha256", "sha512", "md5"))
CRC32 = zlib.crc32(CONTENT).to_bytes(4, "big")
ADLER32 = zlib.adler32(CONTENT).to_bytes(4, "big")


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


SPELLINGS = [
    ("content-md5", b64(MD5), "md5", Covers.CONTENT),
    ("content-digest", f"sha-256=:{b64(SHA256)}:", "sha-256", Covers.CONTENT),
    ("content-digest", f"md5=:{b64(MD5)}:", "md5", Covers.CONTENT),
    ("repr-digest", f"sha-512=:{b64(SHA512)}:", "sha-512", Covers.REPRESENTATION),
    ("repr-digest", f"sha=:{b64(SHA1)}:", "sha-1", Covers.REPRESENTATION),
    ("repr-digest", f"adler=:{b64(ADLER32)}:", "adler32", Covers.REPRESENTATION),
    ("oc-checksum", f"SHA1:{SHA1.hex().upper()}", "sha-1", Covers.FILE),
    ("oc-checksum", f"Adler32:{ADLER32.hex()}", "adler32", Covers.FILE),
    ("upload-checksum", f"sha1 {b64(SHA1)}", "sha-1", Covers.CONTENT),
    ("upload-checksum", f"sha512 {b64(SHA512)}", "sha-512", Covers.CONTENT),
    ("upload-checksum", f"crc32 {b64(CRC32)}", "crc32", Covers.CONTENT),
    ("x-amz-checksum-sha1", b64(SHA1), "sha-1", Covers.CONTENT),
    ("x-amz-checksum-sha256", b64(SHA256), "sha-256", Covers.CONTENT),
    ("x-amz-checksum-crc32", b64(CRC32), "crc32", Covers.CONTENT),
]
every_spelling = pytest.mark.parametrize(("field", "value", "algorithm", "covers"), SPELLINGS)


async def source() -> AsyncIterator[bytes]:
    for piece in PIECES:
        yield piece


async def passed(verifier: Verifier, trailing: tuple[Claim, ...] = ()) -> None:
    assert b"".join([bytes(piece) async for piece in verifier.passing(source(), lambda: trailing)]) == CONTENT


@every_spelling
@pytest_twisted.ensureDeferred
async def test_a_right_digest_lets_everything_through(field: str, value: str, algorithm: str, covers: Covers) -> None:
    (claim,) = claims_of({field: value})
    assert (claim.algorithm, claim.field.lower(), claim.covers) == (algorithm, field, covers)
    await passed(Verifier([claim], direct))


@every_spelling
@pytest_twisted.ensureDeferred
async def test_a_wrong_digest_comes_instead_of_the_end(field: str, value: str, algorithm: str, covers: Covers) -> None:
    (claim,) = claims_of({field: value})
    wrong = Claim(claim.algorithm, claim.digest[::-1], claim.field, claim.covers)
    passing = aiter(Verifier([wrong], direct).passing(source()))
    assert [await anext(passing) for _ in PIECES] == PIECES
    with pytest.raises(DigestMismatch, match=claim.field) as caught:
        await anext(passing)
    assert (caught.value.claim, caught.value.found, caught.value.http_status) == (wrong, claim.digest, 400)


def test_all_fields_of_a_request_are_seen() -> None:
    claims = claims_of({field: value for field, value, *_ in SPELLINGS} | {"content-length": "5"})
    assert len(claims) == len({field for field, *_ in SPELLINGS})
    assert {claim.covers for claim in claims} == set(Covers)
    assert [claim.field for claim in covering(claims, Covers.REPRESENTATION)] == ["Repr-Digest"]


def test_several_digests_in_one_field() -> None:
    claims = claims_of(
        {
            "repr-digest": f"sha-256=:{b64(SHA256)}:, unixsum=:AAA=:, future, md5=:{b64(MD5)}:",
            "oc-checksum": f"MD5:{MD5.hex()} SHA-256:{SHA256.hex()}",
        }
    )
    assert [(claim.algorithm, claim.digest) for claim in claims] == [
        ("sha-256", SHA256),
        ("md5", MD5),
        ("md5", MD5),
        ("sha-256", SHA256),
    ]


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("content-md5", "?", "in base64"),
        ("content-md5", "AAAA", "has 3 bytes, and should have 16"),
        ("content-md5", "é", "in base64"),
        ("content-digest", "sha-256", "between colons"),
        ("content-digest", "sha-256=abc", "between colons"),
        ("content-digest", "sha-256=:AAAA:", "has 3 bytes, and should have 32"),
        ("repr-digest", "SHA-256=:AAAA:", "a list like"),
        ("oc-checksum", "SHA1", "has 0 bytes, and should have 20"),
        ("oc-checksum", f"SHA1:{'0 ' * 20}", "has 0 bytes"),
        ("oc-checksum", "CRC32:00000000", "not of 'CRC32'"),
        ("upload-checksum", "sha1", "has 0 bytes"),
        ("upload-checksum", f"SHA1 {b64(SHA1)}", "sha1,md5,sha256,sha512,crc32"),
        ("upload-checksum", "sha3 AAAA", "sha1,md5,sha256,sha512,crc32"),
        ("x-amz-checksum-sha1", "AAAA-3", "in base64"),
        ("x-amz-checksum-xxhash64", "AAAA", "can't be verified here"),
    ],
)
def test_what_cannot_be_verified_is_refused(field: str, value: str, words: str) -> None:
    with pytest.raises(BadDigest, match=words) as caught:
        claims_of({field: value})
    assert caught.value.http_status == 400


def test_amazons_other_fields_are_no_digests() -> None:
    assert claims_of({"x-amz-checksum-type": "FULL_OBJECT", "x-amz-checksum-algorithm": "CRC32"}) == ()


FIELDS = sorted({field for field, *_ in SPELLINGS} | {"trailer", "x-amz-trailer", "x-amz-checksum-crc32c"})


@settings(deadline=None)
@given(st.dictionaries(st.sampled_from(FIELDS), st.text(max_size=40) | st.text("shacr12560 =:,;/+Aa?", max_size=50)))
def test_noise_is_refused_or_ignored(fields: dict[str, str]) -> None:
    assert announced_algorithms(fields) <= DIGEST_SIZES.keys()
    try:
        claims = claims_of(fields)
    except DigestError:
        return
    assert all(len(claim.digest) == DIGEST_SIZES[claim.algorithm] for claim in claims)


@pytest.mark.parametrize(
    ("field", "wanted"),
    [
        (None, None),
        ("", None),
        ("sha-256=10", "sha-256"),
        ("sha-256=3, sha-512=10", "sha-512"),
        ("sha-512=1, sha-256=1", "sha-256"),
        ("md5=10, sha-256=1, unixsum=3", "sha-256"),
        ("sha-256=0", None),
        ("sha-256=11, sha-512=?1", None),
        ("sha-256", None),
        ("nonsense!", None),
    ],
)
def test_which_digest_is_wanted(field: str | None, wanted: str | None) -> None:
    assert wanted_digest(field) == wanted


def test_a_digest_is_told_as_it_is_read() -> None:
    (claim,) = claims_of({"repr-digest": digest_field("sha-256", SHA256)})
    assert claim.digest == SHA256


@pytest_twisted.ensureDeferred
async def test_an_announced_trailer_is_verified() -> None:
    for field, value, algorithm, _ in SPELLINGS:
        if field == "oc-checksum" or "md5=" in value or "sha=" in value or "adler=" in value:
            continue
        announced = announced_algorithms({"trailer": f"ETag, {field.title()}"})
        assert algorithm in announced
        trailing = claims_of({field: value})
        await passed(Verifier((), direct, also=announced), trailing)
        wrong = Claim(algorithm, bytes(DIGEST_SIZES[algorithm]), field, Covers.CONTENT)
        with pytest.raises(DigestMismatch):
            await passed(Verifier((), direct, also=announced), (wrong,))
    assert announced_algorithms({"x-amz-trailer": "x-amz-checksum-sha256"}) == {"sha-256"}


@pytest_twisted.ensureDeferred
async def test_a_trailer_that_nobody_announced_cannot_be_verified() -> None:
    with pytest.raises(BadDigest, match="Trailer hasn't announced it"):
        await passed(Verifier((), direct), claims_of({"content-md5": b64(MD5)}))


@pytest_twisted.ensureDeferred
async def test_digests_are_told_without_claims() -> None:
    verifier = Verifier((), direct, also=["sha-256", "sha-512"])
    await passed(verifier)
    assert (verifier.digest("sha-256"), verifier.digest("sha-512")) == (SHA256, SHA512)


@pytest.mark.parametrize(
    ("name", "value"),
    [("crc32c", "e3069283"), ("crc64nvme", "ae8b14860a799888"), ("crc32", "cbf43926"), ("adler32", "091e01de")],
)
def test_checksums_have_their_published_values_however_they_are_fed(name: str, value: str) -> None:
    if name not in DIGEST_SIZES:
        pytest.skip("ISA-L is not to be had here: neither the pyeclib wheel nor libisal.so.2 of the system")
    for pieces in ([b"123456789"], [b"1234", bytearray(b"5"), memoryview(b"06789")[1:]], [b"", b"123456789", b""]):
        hasher = new_hasher(name)
        for piece in pieces:
            hasher.update(piece)
        assert hasher.digest().hex() == value
