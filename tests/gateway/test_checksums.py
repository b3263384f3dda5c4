"""How checksums are kept with a file's name, and told again."""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import AsyncIterator

import pytest
import pytest_twisted

from tahoeish.gateway.checksums import (
    ALWAYS_COMPUTED,
    checksums_of,
    checksums_text,
    computed_checksums,
    parse_checksums,
)
from tahoeish.streams.digests import BadDigest
from tahoeish.streams.threads import direct
from tahoeish.streams.verifier import Verifier

CONTENT = b"what is in the file"
SHA1 = f"SHA1:{hashlib.sha1(CONTENT).hexdigest()}"
MD5 = f"MD5:{hashlib.md5(CONTENT).hexdigest()}"
SHA256 = f"SHA256:{hashlib.sha256(CONTENT).hexdigest()}"
ADLER32 = f"ADLER32:{zlib.adler32(CONTENT):08x}"


@pytest.mark.parametrize(
    ("claimed", "kept"),
    [
        (SHA1, f"{SHA1} {MD5}"),
        (MD5.upper(), f"{SHA1} {MD5}"),
        (ADLER32, f"{SHA1} {MD5} {ADLER32}"),
        (f"{SHA256} {SHA1}", f"{SHA1} {MD5} {SHA256}"),
    ],
)
@pytest_twisted.ensureDeferred
async def test_sha1_and_md5_are_kept_beside_what_was_claimed(claimed: str, kept: str) -> None:
    async def source() -> AsyncIterator[bytes]:
        yield CONTENT

    claims = parse_checksums(claimed)
    verifier = Verifier(claims, direct, also=ALWAYS_COMPUTED)
    assert [piece async for piece in verifier.passing(source())] == [CONTENT]
    assert checksums_text(computed_checksums(verifier)) == kept


def test_what_was_told_is_read_again() -> None:
    text = f"{SHA1} {MD5} {SHA256} {ADLER32}"
    assert checksums_text(checksums_of(parse_checksums(text))) == text
    assert parse_checksums(None) == ()


@pytest.mark.parametrize(
    "header", ["SHA1", "SHA1:", "SHA1:xyz", "CRC32:00000000", f"MD5:{'0' * 31}", f"MD5:{'g' * 32}"]
)
def test_what_is_no_checksum_is_not_read(header: str) -> None:
    with pytest.raises(BadDigest):
        parse_checksums(header)
