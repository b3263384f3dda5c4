"""How much of a file is on its way at a time."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from twisted.internet.defer import Deferred

from tahoeish.chk.encoder import Encoder
from tahoeish.chk.erasure import ErasureCodec, best_codec
from tahoeish.chk.segment import SealedSegment
from tahoeish.grid.road import FEWEST_SEGMENTS, NARROWEST_BYTES, Road
from tahoeish.streams.budget import ByteBudget
from tahoeish.streams.threads import direct

SEGMENT = 256 * 1024
PLACES = 100


class Trip:
    """A file on a road whose end takes a segment only when it is told to."""

    def __init__(self, segments: int, *, room: int, announced: bool = True, segment_size: int = SEGMENT) -> None:
        codec: ErasureCodec = best_codec()
        size = segments * segment_size if announced else None
        self.encoder = Encoder(key=bytes(16), needed=1, total=1, max_segment_size=segment_size, size=size, codec=codec)
        self.sent: list[Deferred[None]] = []
        self.given = 0
        self.hurries = 0
        self.errors: list[Exception] = []
        self._pieces = [bytes(segment_size)] * segments
        road = Road(
            self.encoder,
            1,
            room=room * 2 * segment_size,
            budget=ByteBudget(1 << 40),
            run_in_thread=direct,
            send=self._send,
            broken=self.errors.append,
            narrows=self._narrows,
        )
        self.done = Deferred.fromCoroutine(road.carry(self._bring()))

    @property
    def on_the_way(self) -> int:
        return sum(not sent.called for sent in self.sent)

    def arrive(self) -> None:
        next(sent for sent in self.sent if not sent.called).callback(None)

    async def _bring(self) -> AsyncIterator[bytes]:
        for piece in self._pieces:
            self.given += 1
            yield piece

    def _send(self, sealed: SealedSegment) -> Deferred[None]:
        self.sent.append(Deferred())
        return self.sent[-1]

    def _narrows(self) -> None:
        self.hurries += 1


def test_a_road_narrows_before_the_known_end_of_a_file() -> None:
    narrowest = NARROWEST_BYTES // SEGMENT
    trip = Trip(4 * PLACES, room=40)
    widths = []
    while not trip.done.called:
        widths.append((len(trip.sent), trip.on_the_way))
        trip.arrive()
    # It gives up a place with every second segment.
    begins = 4 * PLACES - 2 * (40 - narrowest) - 1
    assert [width for sent, width in widths if sent <= begins] == [40] * (begins - 39)
    at_the_end = next(width for sent, width in widths if sent == 4 * PLACES)
    assert at_the_end == narrowest
    assert trip.hurries > 0


@pytest.mark.parametrize("segment_size", [SEGMENT, 4 * NARROWEST_BYTES])
def test_it_never_becomes_so_narrow_that_nothing_could_be_sealed_meanwhile(segment_size: int) -> None:
    trip = Trip(9, room=8, segment_size=segment_size)
    while len(trip.sent) < 9:
        trip.arrive()
    assert trip.on_the_way >= FEWEST_SEGMENTS


def test_a_road_keeps_its_width_as_long_as_nobody_knows_where_it_ends() -> None:
    trip = Trip(PLACES, room=40, announced=False)
    while trip.given < PLACES:
        assert trip.on_the_way == 40
        trip.arrive()
    assert trip.hurries == 0


def test_a_file_that_fits_the_narrowest_road_sets_off_as_one() -> None:
    trip = Trip(NARROWEST_BYTES // SEGMENT, room=PLACES)
    assert trip.on_the_way == NARROWEST_BYTES // SEGMENT
