"""`OC-Checksum`, verified while a file passes."""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import AsyncIterator

import pytest
import pytest_twisted

from tahoeish.gateway.checksums import LITTLE_TO_HASH, Verification, checksums_text, parse_checksums
from tahoeish.gateway.errors import Refused
from tahoeish.streams.threads import direct

PIECES = [b"a" * 10, b"b" * LITTLE_TO_HASH, b"c", b"", b"d" * (3 * LITTLE_TO_HASH), b"e" * LITTLE_TO_HASH]
CONTENT = b"".join(PIECES)
DIGESTS = {
    "SHA1": hashlib.sha1(CONTENT).hexdigest(),
    "MD5": hashlib.md5(CONTENT).hexdigest(),
    "SHA256": hashlib.sha256(CONTENT).hexdigest(),
    "ADLER32": f"{zlib.adler32(CONTENT):08x}",
}


async def source() -> AsyncIterator[bytes]:
    for piece in PIECES:
        yield piece


async def passed(header: str) -> Verification:
    verification = Verification(parse_checksums(header), direct)
    assert b"".join([piece async for piece in verification.passing(source())]) == CONTENT
    return verification


@pytest_twisted.ensureDeferred
async def test_right_ones_let_everything_through() -> None:
    for algorithm, digest in DIGESTS.items():
        verification = await passed(f"{algorithm}:{digest.upper()}")
        assert dict(verification.checksums) == {name: DIGESTS[name] for name in {"SHA1", "MD5", algorithm}}


@pytest_twisted.ensureDeferred
async def test_all_of_several_have_to_be_right() -> None:
    text = " ".join(f"{algorithm}:{digest}" for algorithm, digest in DIGESTS.items())
    assert checksums_text((await passed(text)).checksums) == text
    with pytest.raises(Refused, match="MD5"):
        await passed(text.replace(DIGESTS["MD5"], "0" * 32))


@pytest_twisted.ensureDeferred
async def test_wrong_ones_come_instead_of_the_end() -> None:
    for algorithm, digest in DIGESTS.items():
        verification = Verification(((algorithm, digest[::-1]),), direct)
        passing = aiter(verification.passing(source()))
        assert [await anext(passing) for _ in PIECES] == PIECES
        with pytest.raises(Refused, match=algorithm) as caught:
            await anext(passing)
        assert caught.value.status == 400


def test_names_are_written_in_several_ways() -> None:
    assert parse_checksums(f"sha-1:{DIGESTS['SHA1']} Adler32:{DIGESTS['ADLER32']}") == (
        ("SHA1", DIGESTS["SHA1"]),
        ("ADLER32", DIGESTS["ADLER32"]),
    )
    assert parse_checksums(None) == ()


@pytest.mark.parametrize(
    "header", ["SHA1", "SHA1:", "SHA1:xyz", "CRC32:00000000", f"MD5:{'0' * 31}", f"MD5:{'g' * 32}"]
)
def test_what_cannot_be_verified_is_refused(header: str) -> None:
    with pytest.raises(Refused) as caught:
        parse_checksums(header)
    assert caught.value.status == 400
