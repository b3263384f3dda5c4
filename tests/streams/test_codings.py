"""Bodies that are packed, unpacked while they arrive."""

from __future__ import annotations

import gzip
import random
import tracemalloc
import zlib
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Iterator
from contextlib import suppress
from itertools import pairwise
from typing import Any, TypeVar, cast

import brotli
import pytest
import pytest_twisted
from backports import zstd
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.defer import Deferred

from tahoeish.streams.codings import (
    MAX_CODINGS,
    ExpandsTooFar,
    ExpansionLimits,
    UnknownCoding,
    decoded,
    memory_needed,
    parse_codings,
)
from tahoeish.streams.expansion import STEP, BrokenCoding
from tahoeish.streams.threads import direct


def bare_deflate(data: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return packer.compress(data) + packer.flush()


PACKERS: dict[str, tuple[str, Callable[[bytes], bytes]]] = {
    "gzip": ("gzip", lambda data: gzip.compress(data, 6, mtime=0)),
    "zlib": ("deflate", zlib.compress),
    "bare deflate": ("deflate", bare_deflate),
    "brotli": ("br", lambda data: brotli.compress(data, quality=5)),
    "zstandard": ("zstd", zstd.compress),
}
every_packer = pytest.mark.parametrize(("coding", "pack"), PACKERS.values(), ids=PACKERS)
in_frames = pytest.mark.parametrize("name", ["gzip", "zstandard"])
not_in_frames = pytest.mark.parametrize("name", ["zlib", "bare deflate", "brotli"])

T = TypeVar("T")

NO_LIMITS = ExpansionLimits(max_ratio=1 << 40)


async def source(pieces: Iterable[bytes]) -> AsyncIterator[bytes]:
    for piece in pieces:
        yield piece


async def unpack(header: str, pieces: Iterable[bytes], limits: ExpansionLimits = NO_LIMITS) -> bytes:
    return b"".join([bytes(piece) async for piece in decoded(source(pieces), parse_codings(header), limits, direct)])


def run(coroutine: Coroutine[Any, Any, T]) -> T:
    """The result of what needn't wait for anything."""
    try:
        coroutine.send(None)
    except StopIteration as ended:
        return cast("T", ended.value)
    raise AssertionError("it waits")


def unpacked(header: str, pieces: Iterable[bytes], limits: ExpansionLimits = NO_LIMITS) -> bytes:
    return run(unpack(header, pieces, limits))


def cut(data: bytes, places: Iterable[int]) -> list[bytes]:
    edges = [0, *sorted(place % (len(data) + 1) for place in places), len(data)]
    return [data[start:end] for start, end in pairwise(edges)]


contents = st.one_of(
    st.binary(max_size=300),
    st.builds(lambda byte, size: bytes([byte]) * size, st.integers(0, 255), st.integers(1, 3 * STEP)),
    st.builds(lambda seed, size: random.Random(seed).randbytes(size), st.integers(0, 9), st.integers(1, 2 * STEP)),
)


@settings(deadline=None)
@given(st.sampled_from(sorted(PACKERS)), contents, st.lists(st.integers(0, 1 << 20), max_size=12))
def test_what_was_packed_comes_out_however_it_was_cut(name: str, content: bytes, places: list[int]) -> None:
    coding, pack = PACKERS[name]
    assert unpacked(coding, cut(pack(content), places)) == content


@settings(deadline=None)
@given(st.lists(st.sampled_from(sorted(PACKERS)), min_size=1, max_size=MAX_CODINGS), st.binary(max_size=2000))
def test_several_codings_are_taken_off_in_turn(names: list[str], content: bytes) -> None:
    packed = content
    for name in names:
        packed = PACKERS[name][1](packed)
    assert unpacked(", ".join(PACKERS[name][0] for name in names), cut(packed, [7, 50])) == content


@every_packer
def test_a_byte_at_a_time(coding: str, pack: Callable[[bytes], bytes]) -> None:
    content = bytes(range(256)) * 8
    assert unpacked(coding, (bytes([byte]) for byte in pack(content))) == content


@in_frames
def test_frames_behind_each_other_are_one_body(name: str) -> None:
    coding, pack = PACKERS[name]
    packed = pack(b"one ") + pack(b"") * 50 + pack(b"two")
    for pieces in ([packed], cut(packed, [len(pack(b"one "))]), [bytes([byte]) for byte in packed]):
        assert unpacked(coding, pieces) == b"one two"


@every_packer
def test_a_body_that_ends_early_is_broken(coding: str, pack: Callable[[bytes], bytes]) -> None:
    packed = pack(random.Random(1).randbytes(1000))
    for size in (0, 1, 2, len(packed) // 2, len(packed) - 1):
        with pytest.raises(BrokenCoding, match="ends in the middle") as caught:
            unpacked(coding, [packed[:size]])
        assert caught.value.http_status == 400


@every_packer
def test_a_body_with_something_behind_its_end_is_broken(coding: str, pack: Callable[[bytes], bytes]) -> None:
    packed = pack(b"content")
    for pieces in ([packed + b"garbage"], [packed, b"garbage"], [packed, b"", b"\0"]):
        with pytest.raises(BrokenCoding):
            unpacked(coding, pieces)


@settings(deadline=None)
@given(st.sampled_from(sorted(PACKERS)), st.integers(0, 10_000), st.integers(1, 255))
def test_damage_is_found_or_does_no_harm(name: str, place: int, flip: int) -> None:
    coding, pack = PACKERS[name]
    packed = bytearray(pack(b"some content, which has to repeat itself, itself, itself, to be worth packing" * 3))
    packed[place % len(packed)] ^= flip
    with suppress(BrokenCoding):
        unpacked(coding, [bytes(packed)])


@settings(deadline=None)
@given(st.sampled_from(["gzip", "deflate", "br", "zstd"]), st.lists(st.binary(max_size=60), max_size=5))
def test_noise_is_never_a_crash(coding: str, pieces: list[bytes]) -> None:
    with suppress(BrokenCoding):
        unpacked(coding, pieces)


def test_a_zstandard_window_larger_than_http_allows_is_refused() -> None:
    packer = zstd.ZstdCompressor(options={zstd.CompressionParameter.window_log: 25})
    with pytest.raises(BrokenCoding, match="memory"):
        unpacked("zstd", [packer.compress(b"content") + packer.flush()])


def zeros(mebibytes: int) -> Iterator[bytes]:
    """Packed in gzip, made while it is read."""
    packer = zlib.compressobj(wbits=zlib.MAX_WBITS | 16)
    for _ in range(mebibytes):
        yield packer.compress(bytes(1 << 20))
    yield packer.flush()


@pytest.mark.parametrize(
    ("header", "bomb"),
    [
        ("gzip", b"".join(zeros(64))),
        ("br", brotli.compress(bytes(64 << 20), quality=5)),
        ("zstd", zstd.compress(bytes(64 << 20))),
        ("gzip, gzip", gzip.compress(b"".join(zeros(64)))),
        ("gzip, br, zstd", zstd.compress(brotli.compress(b"".join(zeros(64)), quality=5))),
    ],
)
def test_a_bomb_ends_within_a_bounded_memory(header: str, bomb: bytes) -> None:
    passed = 0

    async def swallow(limits: ExpansionLimits) -> None:
        nonlocal passed
        async for piece in decoded(source([bomb]), parse_codings(header), limits, direct):
            assert len(piece) <= 2 * STEP
            passed += len(piece)

    for limits, bound in (
        (ExpansionLimits(max_size=5 << 20), 5 << 20),
        (ExpansionLimits(max_ratio=20, free=3 << 20), (3 << 20) + 20 * len(bomb)),
    ):
        passed = 0
        tracemalloc.start()
        with pytest.raises(ExpandsTooFar) as caught:
            run(swallow(limits))
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert caught.value.http_status == 413
        assert passed <= bound
        assert peak < 8 * STEP


def test_much_of_nothing_may_be_sent_packed() -> None:
    # As much as deflate can do: an empty disk image is no bomb.
    assert len(unpacked("gzip", zeros(40), ExpansionLimits())) == 40 << 20


def test_what_it_says_of_its_memory_grows_with_the_codings() -> None:
    assert memory_needed(()) == 0
    assert memory_needed(parse_codings("gzip")) < 1 << 20
    assert 1 << 24 < memory_needed(parse_codings("br, gzip")) < 1 << 25


def test_nothing_is_read_before_what_came_of_the_last_piece_was_taken() -> None:
    pulled = 0

    async def watched() -> AsyncIterator[bytes]:
        nonlocal pulled
        for piece in (gzip.compress(bytes(4 * STEP)), gzip.compress(b"end")):
            pulled += 1
            yield piece

    async def read() -> list[tuple[int, int]]:
        return [(len(piece), pulled) async for piece in decoded(watched(), parse_codings("gzip"), NO_LIMITS, direct)]

    assert run(read()) == [(STEP, 1)] * 4 + [(3, 2)]


@pytest_twisted.ensureDeferred
async def test_large_pieces_are_unpacked_where_they_may_block() -> None:
    packed = gzip.compress(random.Random(2).randbytes(STEP + 5))
    handed_over = 0

    def counting(work: Callable[[], bytes], /) -> Deferred[bytes]:
        nonlocal handed_over
        handed_over += 1
        return direct(work)

    for pieces in ([packed], [packed[i : i + 1000] for i in range(0, len(packed), 1000)]):
        handed_over = 0
        out = decoded(source(pieces), parse_codings("gzip"), NO_LIMITS, counting)  # type: ignore[arg-type]
        assert sum([len(piece) async for piece in out]) == STEP + 5
        assert handed_over == (2 if len(pieces) == 1 else 0)


def test_what_goes_wrong_with_the_body_is_told_as_it_is() -> None:
    async def broken() -> AsyncIterator[bytes]:
        yield gzip.compress(b"content")[:5]
        raise ConnectionError("gone")

    async def read() -> None:
        async for _ in decoded(broken(), parse_codings("gzip"), NO_LIMITS, direct):
            pass

    with pytest.raises(ConnectionError, match="gone"):
        run(read())


@pytest.mark.parametrize(
    ("header", "names"),
    [
        (None, []),
        ("", []),
        ("identity", []),
        ("GZIP", ["gzip"]),
        ("x-gzip", ["gzip"]),
        (" deflate , br,, identity", ["deflate", "br"]),
        ("zstd,gzip", ["zstd", "gzip"]),
    ],
)
def test_headers(header: str | None, names: list[str]) -> None:
    assert [coding.name for coding in parse_codings(header)] == names


@pytest.mark.parametrize(
    ("header", "words"),
    [
        ("compress", "'compress'"),
        ("gzip, exi", "gzip, deflate, br, zstd, but not in 'exi'"),
        ("br,br,br,br", "4 times"),
    ],
)
def test_unknown_codings_are_refused_with_what_there_is(header: str, words: str) -> None:
    with pytest.raises(UnknownCoding, match=words) as caught:
        parse_codings(header)
    assert caught.value.http_status == 415
