"""What a client hasn't read yet, over a real pair of sockets, and how long it is waited for."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from twisted.internet.protocol import Factory, Protocol
from twisted.protocols.policies import ProtocolWrapper, WrappingFactory

from tahoeish.streams.slowness import Patience, unsent
from tests.streams.socket_pair import Pair

MUCH = bytes(range(256)) * 32768


@pytest.fixture
def pair() -> Iterator[Pair]:
    with Pair(Protocol()) as made:
        yield made


def test_what_the_other_side_has_not_got_is_counted_wherever_it_lies(pair: Pair) -> None:
    assert unsent(pair.transport) == 0
    pair.transport.write(MUCH)
    assert unsent(pair.transport) == len(MUCH)
    pair.transport.doWrite()
    in_the_transport = len(pair.transport.dataBuffer) - pair.transport.offset
    # A socket also counts what it needs around the bytes.
    assert in_the_transport < len(MUCH) <= unsent(pair.transport)
    received, before = b"", unsent(pair.transport)
    while piece := pair.drink(1 << 20):
        received += piece
        assert unsent(pair.transport) < before
        before = unsent(pair.transport)
    assert received == MUCH and before == 0


def test_what_lies_in_the_socket_alone_is_counted(pair: Pair) -> None:
    pair.transport.write(b"12345")
    pair.transport.doWrite()
    assert not pair.transport.dataBuffer and unsent(pair.transport) >= 5
    assert pair.drink(5) == b"12345" and unsent(pair.transport) == 0


def test_what_waits_below_tls_is_counted(pair: Pair) -> None:
    pair.transport.write(b"12345")
    around = ProtocolWrapper(WrappingFactory(Factory()), Protocol())
    around.transport = pair.transport
    assert unsent(around) == 5


def test_what_isn_t_a_socket_or_is_none_any_more_has_nothing(pair: Pair) -> None:
    assert unsent(Any) == 0
    pair.transport.write(b"12345")
    pair.transport.connected = False
    assert unsent(pair.transport) == 0


def test_patience_lasts_while_it_becomes_less() -> None:
    patience = Patience()
    assert [patience.lasts(waiting) for waiting in (5, 4, 3, 3)] == [True, True, True, False]


def test_nobody_is_waited_for_who_has_everything() -> None:
    patience = Patience()
    assert not patience.lasts(0)
    assert patience.lasts(5) is False


def test_it_is_as_long_as_ever_after_something_new() -> None:
    patience = Patience()
    assert patience.lasts(3) and not patience.lasts(3)
    patience.renew()
    assert patience.lasts(9)


def test_nothing_taken_since_something_new_is_the_end_of_it() -> None:
    patience = Patience()
    patience.renew(9)
    assert not patience.lasts(9)
    patience.renew(9)
    assert patience.lasts(8)
