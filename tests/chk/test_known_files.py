"""Files that Tahoe-LAFS made, made again."""

from __future__ import annotations

import base64
from hashlib import sha256
from typing import Any

import pytest

from tahoeish.chk import base32, cipher
from tahoeish.chk.caps import ReadCap, parse_cap
from tahoeish.chk.encoder import Encoder
from tahoeish.chk.erasure import ZfecCodec
from tahoeish.chk.hashes import convergence_hasher
from tahoeish.chk.layout import Segmentation
from tests.chk.shares import decode, encode, repeated, sample, vectors


def convergent_key(content: bytes, secret: bytes, segmentation: Segmentation) -> bytes:
    hasher = convergence_hasher(secret, segmentation.needed, segmentation.total, segmentation.segment_size)
    hasher.update(content)
    return hasher.digest()


def name_of_published(vector: dict[str, Any]) -> str:
    return f"{vector['k']}-of-{vector['n']}-{vector['sample']['length']}"


@pytest.mark.parametrize("vector", vectors("chk_vectors")["vectors"], ids=name_of_published)
def test_published_caps(vector: dict[str, Any]) -> None:
    content = sample(vector["sample"]["seed_b64"], vector["sample"]["length"])
    segmentation = Segmentation(len(content), vector["k"], vector["n"], vector["segment_size"])
    encoder = Encoder(
        key=convergent_key(content, base64.b64decode(vector["secret_b64"]), segmentation),
        needed=segmentation.needed,
        total=segmentation.total,
        max_segment_size=segmentation.max_segment_size,
        size=segmentation.size,
        codec=ZfecCodec(),
    )
    for segment in encoder.write(content) + encoder.end():
        encoder.absorb(segment.seal())
    assert str(encoder.finish().cap) == vector["cap"]


def known_file(vector: dict[str, Any]) -> tuple[ReadCap, list[bytes]]:
    content = repeated(b"0123456789abcdef", vector["size"])
    segmentation = Segmentation(len(content), vector["k"], vector["n"], vector["max_segment_size"])
    key = convergent_key(content, bytes.fromhex(vector["convergence_secret_hex"]), segmentation)
    return encode(
        [content],
        key=key,
        needed=vector["k"],
        total=vector["n"],
        max_segment_size=vector["max_segment_size"],
        size=len(content),
    )


FILES = vectors("hash_vectors")["files"]


@pytest.mark.parametrize("vector", FILES, ids=lambda vector: str(vector["size"]))
def test_shares_are_those_of_tahoe_lafs_byte_for_byte(vector: dict[str, Any]) -> None:
    cap, shares = known_file(vector)
    assert str(cap) == vector["cap"]
    assert base32.encode(cap.storage_index) == vector["storage_index"]
    assert {len(share) for share in shares} == {vector["share_len"]}
    for number, share in enumerate(shares):
        assert sha256(share).hexdigest() == vector["share_sha256"][str(number)]
        if "shares_b64" in vector:
            assert share == base64.b64decode(vector["shares_b64"][str(number)])
    if "share0_without_block_data_b64" in vector:
        framing = base64.b64decode(vector["share0_without_block_data_b64"])
        data_size = vector["share_len"] - len(framing)
        assert shares[0][:36] + shares[0][36 + data_size :] == framing


@pytest.mark.parametrize(
    "vector", [vector for vector in FILES if "shares_b64" in vector], ids=lambda vector: str(vector["size"])
)
@pytest.mark.parametrize("survivors", [(0, 1, 2), (7, 8, 9), (9, 0, 4)], ids=str)
def test_shares_by_tahoe_lafs_are_read(vector: dict[str, Any], survivors: tuple[int, ...]) -> None:
    cap = parse_cap(vector["cap"])
    assert isinstance(cap, ReadCap)
    shares = {number: base64.b64decode(vector["shares_b64"][str(number)]) for number in survivors}
    assert decode(cap, shares) == repeated(b"0123456789abcdef", vector["size"])


@pytest.mark.parametrize("vector", vectors("hash_vectors")["aes_ctr"])
def test_known_ciphertext_from_any_offset_on(vector: dict[str, str]) -> None:
    key, plaintext, ciphertext = (
        bytes.fromhex(vector[name]) for name in ("key_hex", "plaintext_hex", "ciphertext_hex")
    )
    for start in range(len(plaintext)):
        out = bytearray(len(plaintext) - start)
        cipher.apply_keystream(key, start, [plaintext[start : start + 3], plaintext[start + 3 :]], out)
        assert out == ciphertext[start:]
