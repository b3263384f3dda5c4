"""Whole files and whole shares in memory, for tests that look at them from outside."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from tahoeish.chk.caps import ReadCap
from tahoeish.chk.decoder import Decoder, ShareReader, Span
from tahoeish.chk.encoder import Encoder
from tahoeish.chk.erasure import ZfecCodec

KEY = bytes(range(16))


@cache
def vectors(name: str) -> Any:
    return json.loads((Path(__file__).parent.parent / "vectors" / f"{name}.json").read_text())


def repeated(seed: bytes, length: int) -> bytes:
    return (seed * (length // len(seed) + 1))[:length]


def sample(seed_b64: str, length: int) -> bytes:
    return repeated(base64.b64decode(seed_b64), length)


def encode(
    pieces: Iterable[bytes],
    *,
    needed: int = 3,
    total: int = 10,
    max_segment_size: int = 1000,
    size: int | None,
    key: bytes = KEY,
) -> tuple[ReadCap, list[bytes]]:
    """A file's cap and all its shares."""
    encoder = Encoder(
        key=key, needed=needed, total=total, max_segment_size=max_segment_size, size=size, codec=ZfecCodec()
    )
    shares = [bytearray() for _ in range(total)]

    segments = [segment for piece in pieces for segment in encoder.write(piece)] + encoder.end()
    for segment in segments:
        sealed = segment.seal()
        encoder.absorb(sealed)
        for share, block in zip(shares, sealed.blocks, strict=True):
            _put(share, sealed.share_offset, block)

    finished = encoder.finish()
    for share, end in zip(shares, finished.shares, strict=True):
        _put(share, end.trailer_offset, b"".join(end.trailer))
        _put(share, 0, end.header)
        assert len(share) == encoder.share_size
        assert len(end.header) == encoder.data_offset
    return finished.cap, [bytes(share) for share in shares]


def _put(share: bytearray, offset: int, data: bytes | bytearray | memoryview) -> None:
    share += bytes(max(0, offset + len(data) - len(share)))
    share[offset : offset + len(data)] = data


def fetch(share: bytes, span: Span) -> bytes:
    """What an honest holder answers."""
    return share[span.offset : span.end]


def open_reader(reader: ShareReader, share: bytes) -> list[Span]:
    """Feed the reader until it is ready; returns what it wanted."""
    wanted = []
    while (span := reader.wanted()) is not None:
        wanted.append(span)
        reader.received(fetch(share, span))
    return wanted


class Download:
    """Reads from shares in memory, as many as the file needs."""

    def __init__(self, cap: ReadCap, shares: Mapping[int, bytes]) -> None:
        self.decoder = Decoder(cap, ZfecCodec())
        self.shares = shares
        self.readers = {number: self.decoder.share(number) for number in shares}
        for number, reader in self.readers.items():
            open_reader(reader, shares[number])

    def segment(self, index: int) -> bytes:
        blocks = {
            number: fetch(self.shares[number], reader.block_span(index)) for number, reader in self.readers.items()
        }
        return bytes(self.decoder.open_segment(index, blocks, self.readers))

    def content(self) -> bytes:
        assert self.decoder.num_segments is not None
        return b"".join(map(self.segment, range(self.decoder.num_segments)))


def decode(cap: ReadCap, shares: Mapping[int, bytes]) -> bytes:
    return Download(cap, shares).content()
