"""A body that gathers in its socket: when the socket is told what, and for how long."""

from __future__ import annotations

import socket

import pytest
from twisted.internet.task import Clock

from tahoeish.streams.gathering import LONGEST_SECONDS, Gathering

GULP = 512 * 1024
MIB = 1024 * 1024
RECORD = 16 * 1024 + 64
"""What TLS may hold back, because it isn't whole."""


class Connection:
    """Notes what its socket is told."""

    def __init__(self) -> None:
        self.socket = self
        self.told: list[int] = []

    def setsockopt(self, level: int, option: int, value: int) -> None:
        assert (level, option) == (socket.SOL_SOCKET, socket.SO_RCVLOWAT)
        self.told.append(value)

    @property
    def wakes_at(self) -> int:
        return self.told[-1] if self.told else 1


@pytest.fixture
def connection() -> Connection:
    return Connection()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def gathering(connection: Connection, clock: Clock) -> Gathering:
    return Gathering(connection, GULP, clock.callLater)


class TestWhileItComesFast:
    def test_a_gulp_is_waited_for(self, gathering: Gathering, connection: Connection) -> None:
        for remaining in (4 * MIB, 3 * MIB, 2 * MIB):
            gathering.expect(remaining)
        assert connection.told == [GULP]

    def test_no_more_is_waited_for_than_comes(self, gathering: Gathering, connection: Connection) -> None:
        for remaining in range(MIB, 0, -10_000):
            gathering.expect(remaining)
            assert connection.wakes_at <= max(1, remaining - RECORD)
        assert connection.wakes_at == 1

    def test_what_is_small_needs_no_telling(self, gathering: Gathering, connection: Connection, clock: Clock) -> None:
        gathering.expect(40_000)
        assert connection.told == []
        assert clock.getDelayedCalls() == []

    def test_it_goes_on_for_as_long_as_that_takes(
        self, gathering: Gathering, connection: Connection, clock: Clock
    ) -> None:
        for remaining in range(20 * MIB, MIB, -GULP):
            gathering.expect(remaining)
            clock.advance(LONGEST_SECONDS * 0.4)
        assert connection.told == [GULP]


class TestWhenItComesSlowly:
    def test_it_is_seen_to_come(self, gathering: Gathering, connection: Connection, clock: Clock) -> None:
        gathering.expect(MIB)
        clock.pump([LONGEST_SECONDS / 2] * 4)
        assert connection.wakes_at == 1

    def test_it_stays_so(self, gathering: Gathering, connection: Connection, clock: Clock) -> None:
        gathering.expect(2 * MIB)
        clock.pump([LONGEST_SECONDS / 2] * 4)
        gathering.expect(MIB)
        assert connection.wakes_at == 1
        assert clock.getDelayedCalls() == []

    def test_also_after_a_fast_beginning(self, gathering: Gathering, connection: Connection, clock: Clock) -> None:
        for remaining in (8 * MIB, 7 * MIB, 6 * MIB):
            gathering.expect(remaining)
            clock.advance(LONGEST_SECONDS * 0.4)
        clock.pump([LONGEST_SECONDS / 2] * 4)
        assert connection.wakes_at == 1


class TestTheEnd:
    def test_the_next_request_is_heard_at_once(
        self, gathering: Gathering, connection: Connection, clock: Clock
    ) -> None:
        gathering.expect(MIB)
        gathering.stop()
        assert connection.wakes_at == 1
        assert clock.getDelayedCalls() == []

    def test_a_lost_connection_is_told_nothing(
        self, gathering: Gathering, connection: Connection, clock: Clock
    ) -> None:
        gathering.expect(MIB)
        del connection.socket
        gathering.stop()
        assert connection.told == [GULP]
        assert clock.getDelayedCalls() == []
