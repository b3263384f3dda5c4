"""Encoding a file in several processes' lives: the shares and the cap are those of one."""

from __future__ import annotations

import base64
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tahoeish.chk import sha256
from tahoeish.chk.checkpoint import Checkpoint, EncoderState
from tahoeish.chk.encoder import Encoder, FinishedFile
from tahoeish.chk.erasure import ZfecCodec
from tahoeish.chk.errors import BadCheckpoint, CannotBeSaved
from tahoeish.chk.layout import Segmentation
from tahoeish.chk.segment import Segment
from tests.chk.shares import KEY, encode, repeated, sample, vectors
from tests.chk.test_known_files import convergent_key, name_of_published

CODEC = ZfecCodec()


@dataclass
class Store:
    """Peers and a session store, which outlive the encoder."""

    shares: list[bytearray]
    state: bytes = b""
    records: bytearray = field(default_factory=bytearray)
    segments: int = 0
    offset: int = 0

    def put(self, number: int, offset: int, data: bytes | bytearray | memoryview) -> None:
        share = self.shares[number]
        share += bytes(max(0, offset + len(data) - len(share)))
        share[offset : offset + len(data)] = data

    def seal(self, encoder: Encoder, segments: list[Segment]) -> None:
        for segment in segments:
            sealed = segment.seal()
            encoder.absorb(sealed)
            for number, block in enumerate(sealed.blocks):
                self.put(number, sealed.share_offset, block)

    def save(self, checkpoint: Checkpoint) -> None:
        self.records += checkpoint.records
        self.state, self.segments, self.offset = checkpoint.state, checkpoint.segments, checkpoint.offset

    def finish(self, finished: FinishedFile) -> list[bytes]:
        for number, end in enumerate(finished.shares):
            self.put(number, end.trailer_offset, b"".join(end.trailer))
            self.put(number, 0, end.header)
        return [bytes(share) for share in self.shares]


def encoder_for(size: int | None, *, needed: int = 3, total: int = 10, max_segment_size: int = 100) -> Encoder:
    return Encoder(key=KEY, needed=needed, total=total, max_segment_size=max_segment_size, size=size, codec=CODEC)


def half_encoded(content: bytes = bytes(250), size: int | None = None) -> Encoder:
    encoder = encoder_for(size)
    for segment in encoder.write(content):
        encoder.absorb(segment.seal())
    return encoder


encodings = st.integers(1, 8).flatmap(lambda total: st.tuples(st.integers(1, total), st.just(total)))


@settings(deadline=None)
@given(
    content=st.builds(repeated, st.binary(min_size=1, max_size=40), st.integers(1, 600)),
    encoding=encodings,
    max_segment_size=st.integers(1, 120),
    cuts=st.lists(st.tuples(st.integers(1, 200), st.integers(0, 3)), max_size=12),
    known=st.booleans(),
)
def test_being_cut_off_anywhere_changes_nothing(
    content: bytes, encoding: tuple[int, int], max_segment_size: int, cuts: list[tuple[int, int]], known: bool
) -> None:
    needed, total = encoding
    size = len(content) if known else None
    expected = encode([content], needed=needed, total=total, max_segment_size=max_segment_size, size=size)

    store = Store([bytearray() for _ in range(total)])
    encoder = encoder_for(size, needed=needed, total=total, max_segment_size=max_segment_size)
    for taken, ending in cuts:
        store.seal(encoder, encoder.write(content[encoder.position : encoder.position + taken]))
        if ending == 0:
            continue
        store.save(encoder.checkpoint(store.segments))
        if ending == 1:
            # More arrives, and some of it gets to the peers, but nobody writes it down.
            store.seal(encoder, encoder.write(content[encoder.position : encoder.position + taken]))
        # The records are appended first: of those that were on their way, some bytes may be there.
        torn = encoder.checkpoint(store.segments).records[: 7 * ending]
        encoder = Encoder.resume(store.state, store.records + torn, codec=CODEC)
        assert encoder.position == store.offset
        assert encoder.position % encoder.segment_size == 0 or encoder.position == len(content)
    store.seal(encoder, encoder.write(content[encoder.position :]))
    store.seal(encoder, encoder.end())
    store.save(encoder.checkpoint(store.segments))
    encoder = Encoder.resume(store.state, store.records, codec=CODEC)
    assert encoder.position == len(content)
    finished = encoder.finish()
    assert (finished.cap, store.finish(finished)) == expected


SHORT_ENOUGH = [vector for vector in vectors("chk_vectors")["vectors"] if vector["sample"]["length"] < 1 << 22]


@pytest.mark.parametrize("vector", SHORT_ENOUGH, ids=name_of_published)
def test_published_caps_come_out_of_a_life_per_segment(vector: dict[str, Any]) -> None:
    content = sample(vector["sample"]["seed_b64"], vector["sample"]["length"])
    segmentation = Segmentation(len(content), vector["k"], vector["n"], vector["segment_size"])
    encoder = Encoder(
        key=convergent_key(content, base64.b64decode(vector["secret_b64"]), segmentation),
        needed=segmentation.needed,
        total=segmentation.total,
        max_segment_size=segmentation.max_segment_size,
        size=segmentation.size,
        codec=CODEC,
    )
    records = b""
    for number in range(segmentation.num_segments):
        step = encoder.segment_size
        for segment in encoder.write(content[number * step : (number + 1) * step]):
            encoder.absorb(segment.seal())
        checkpoint = encoder.checkpoint(number)
        records += checkpoint.records
        encoder = Encoder.resume(checkpoint.state, records, codec=CODEC)
    encoder.end()
    assert str(encoder.finish().cap) == vector["cap"]


def test_a_checkpoint_after_another_has_only_what_is_new() -> None:
    encoder = half_encoded()
    first = encoder.checkpoint()
    assert (first.segments, first.offset, len(first.records)) == (2, 204, 2 * 32 * 11)
    for segment in encoder.write(bytes(100)):
        encoder.absorb(segment.seal())
    second = encoder.checkpoint(first.segments)
    assert (second.segments, second.offset, len(second.records)) == (3, 306, 32 * 11)
    assert first.records + second.records == encoder.checkpoint().records
    assert len(second.state) < 256


def test_what_waits_for_the_rest_of_its_segment_is_the_callers_to_keep() -> None:
    encoder = half_encoded(b"x" * 204 + b"tail")
    assert encoder.tail() == b"tail"
    checkpoint = encoder.checkpoint()
    resumed = Encoder.resume(checkpoint.state, checkpoint.records, codec=CODEC)
    assert (resumed.position, resumed.tail()) == (204, b"")
    resumed.write(encoder.tail())
    assert (resumed.position, resumed.segment_remaining) == (encoder.position, encoder.segment_remaining)


def test_segments_that_were_not_absorbed_are_not_in_it() -> None:
    encoder = encoder_for(None)
    first, _ = encoder.write(bytes(250))
    encoder.absorb(first.seal())
    assert (encoder.checkpoint().segments, encoder.checkpoint().offset) == (1, 102)


def test_nothing_is_a_beginning_too() -> None:
    checkpoint = encoder_for(300).checkpoint()
    assert (checkpoint.segments, checkpoint.offset, checkpoint.records) == (0, 0, b"")
    resumed = Encoder.resume(checkpoint.state, b"", codec=CODEC)
    assert (resumed.position, resumed.share_size) == (0, encoder_for(300).share_size)


def test_records_that_came_after_the_state_are_ignored() -> None:
    encoder = half_encoded()
    before = encoder.checkpoint()
    for segment in encoder.write(bytes(100)):
        encoder.absorb(segment.seal())
    after = encoder.checkpoint()
    for records in (after.records, after.records[:-50]):
        assert Encoder.resume(before.state, records, codec=CODEC).position == before.offset


def test_missing_or_damaged_records_are_refused() -> None:
    checkpoint = half_encoded().checkpoint()
    with pytest.raises(BadCheckpoint, match="need 704 bytes, not 703"):
        Encoder.resume(checkpoint.state, checkpoint.records[:-1], codec=CODEC)
    damaged = bytearray(checkpoint.records)
    damaged[400] ^= 1
    others = half_encoded(b"other" * 50).checkpoint().records
    for records in (damaged, others):
        with pytest.raises(BadCheckpoint, match="damaged, or another file's"):
            Encoder.resume(checkpoint.state, records, codec=CODEC)


@settings(deadline=None)
@given(st.data())
def test_no_damage_to_the_state_goes_unnoticed(data: st.DataObject) -> None:
    checkpoint = half_encoded().checkpoint()
    place = data.draw(st.integers(0, len(checkpoint.state) - 1))
    damaged = bytearray(checkpoint.state)
    damaged[place] ^= data.draw(st.integers(1, 255))
    for state in (bytes(damaged), checkpoint.state[:place], checkpoint.state + b"\0"):
        with pytest.raises(BadCheckpoint):
            Encoder.resume(state, checkpoint.records, codec=CODEC)


def test_a_state_of_another_version_is_refused_by_its_number() -> None:
    state = bytearray(half_encoded().checkpoint().state)
    state[16:18] = (7).to_bytes(2, "big")
    with pytest.raises(BadCheckpoint, match="has version 7; this program understands 1 only"):
        Encoder.resume(bytes(state), b"", codec=CODEC)


def test_a_machine_that_cannot_put_files_aside_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    checkpoint = half_encoded().checkpoint()
    monkeypatch.setattr(sha256, "_library", lambda: None)
    encoder = half_encoded()
    with pytest.raises(CannotBeSaved, match="libcrypto"):
        encoder.checkpoint()
    with pytest.raises(CannotBeSaved, match="libcrypto"):
        Encoder.resume(checkpoint.state, checkpoint.records, codec=CODEC)
    encoder.end()


def test_what_gets_into_logs_shows_no_key() -> None:
    encoder = Encoder(key=b"sixteen secrets!", needed=2, total=3, max_segment_size=100, size=100, codec=CODEC)
    checkpoint = encoder.checkpoint()
    for shown in (repr(checkpoint), repr(EncoderState.parse(checkpoint.state))):
        assert "sixteen" not in shown
