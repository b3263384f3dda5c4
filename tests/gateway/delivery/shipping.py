"""What is sent, as clients pack it and what they claim of it, and what became of it."""

from __future__ import annotations

import gzip
import hashlib
import random
import zlib
from base64 import b64encode
from collections.abc import Callable, Mapping

import brotli
import pytest
from backports import zstd

from tests.nodes import Answer, NodeProcess, chunk, head

KIB, MIB = 1 << 10, 1 << 20

PACKERS: Mapping[str, Callable[[bytes], bytes]] = {
    "gzip": lambda data: gzip.compress(data, 1),
    "deflate": lambda data: zlib.compress(data, 1),
    "br": lambda data: brotli.compress(data, quality=1),
    "zstd": lambda data: zstd.compress(data, 1),
}
every_coding = pytest.mark.parametrize("coding", PACKERS)
every_place = pytest.mark.parametrize("target", ["/uri", "/uri?convergent=true", "/files/delivered"])


def content_of(size: int) -> bytes:
    """Half of it can be packed away."""
    noise = random.Random(size).randbytes(size // 2)
    return noise + bytes(size - len(noise))


def packed(content: bytes, *codings: str) -> bytes:
    for coding in codings:
        content = PACKERS[coding](content)
    return content


def structured(algorithm: str, content: bytes) -> str:
    return f"{algorithm}=:{base64_of(algorithm, content)}:"


def base64_of(algorithm: str, content: bytes) -> str:
    return b64encode(hashlib.new(algorithm.replace("-", ""), content).digest()).decode()


CLAIMS: Mapping[str, Callable[[bytes], str]] = {
    "Content-MD5": lambda content: base64_of("md5", content),
    "Content-Digest": lambda content: structured("sha-256", content),
    "Repr-Digest": lambda content: structured("sha-512", content),
    "OC-Checksum": lambda content: f"SHA1:{hashlib.sha1(content).hexdigest()}",
    "x-amz-checksum-sha256": lambda content: base64_of("sha-256", content),
    "x-amz-checksum-crc32": lambda content: b64encode(zlib.crc32(content).to_bytes(4, "big")).decode(),
}
every_claim = pytest.mark.parametrize("field", CLAIMS)


def stored(node: NodeProcess, target: str, answer: Answer) -> bytes:
    """What became of it."""
    assert answer.status in (201, 204), answer
    return node.get(answer.headers["Location"] if target.startswith("/uri") else target).body


def send_chunked(
    node: NodeProcess,
    target: str,
    body: bytes,
    headers: Mapping[str, str],
    trailer: Mapping[str, str] | None = None,
) -> Answer:
    with node.connect() as client:
        client.send(head("PUT", target, {"Transfer-Encoding": "chunked", **headers}))
        for start in range(0, len(body), 100_000):
            client.send(chunk(body[start : start + 100_000]))
        end = "".join(f"{name}: {value}\r\n" for name, value in (trailer or {}).items())
        client.send(f"0\r\n{end}\r\n".encode())
        return client.answer("PUT")


def expect_nothing_stored(node: NodeProcess, answer: Answer, status: int = 400) -> None:
    assert answer.status == status, answer
    assert node.is_empty()
    assert node.get("/files/delivered").status == 404
