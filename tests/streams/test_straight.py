"""What goes straight to a socket, over a real pair of sockets."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from typing import Any

import pytest
from twisted.internet.protocol import Factory, Protocol
from twisted.protocols.policies import ProtocolWrapper, WrappingFactory

from tahoeish.streams.straight import WORTH_IT, send_now
from tests.streams.socket_pair import Pair


@pytest.fixture
def pair() -> Iterator[Pair]:
    with Pair(Protocol()) as made:
        yield made


def test_a_large_piece_is_on_its_way_at_once(pair: Pair) -> None:
    piece = bytes(range(256)) * (WORTH_IT // 256)
    assert send_now(pair.transport, memoryview(piece)) == WORTH_IT
    assert pair.theirs.recv(WORTH_IT, socket.MSG_WAITALL) == piece


def test_a_small_one_waits_for_company(pair: Pair) -> None:
    assert send_now(pair.transport, memoryview(bytes(WORTH_IT - 1))) == 0


def test_nothing_overtakes_what_waits(pair: Pair) -> None:
    pair.transport.write(b"first")
    assert send_now(pair.transport, memoryview(bytes(WORTH_IT))) == 0
    pair.transport.doWrite()
    assert send_now(pair.transport, memoryview(bytes(WORTH_IT))) == WORTH_IT
    assert pair.theirs.recv(WORTH_IT + 5, socket.MSG_WAITALL) == b"first" + bytes(WORTH_IT)


def test_a_full_socket_takes_what_it_can(pair: Pair) -> None:
    much = memoryview(bytes(1 << 23))
    taken = send_now(pair.transport, much)
    assert 0 < taken < len(much)
    assert send_now(pair.transport, much) == 0


def test_a_socket_that_is_lost_takes_nothing(pair: Pair) -> None:
    pair.theirs.close()
    assert send_now(pair.transport, memoryview(bytes(WORTH_IT))) == 0
    pair.transport.connected = False
    assert send_now(pair.transport, memoryview(bytes(WORTH_IT))) == 0


def test_what_isn_t_a_socket_takes_nothing() -> None:
    assert send_now(object(), memoryview(bytes(WORTH_IT))) == 0


def test_nothing_passes_by_what_lies_around_a_socket(pair: Pair) -> None:
    around: Any = ProtocolWrapper(WrappingFactory(Factory.forProtocol(Protocol)), Protocol())
    around.transport = pair.transport
    assert around.writeSomeData
    assert send_now(around, memoryview(bytes(WORTH_IT))) == 0


def test_nothing_passes_by_tls_that_has_begun_on_the_socket_itself(pair: Pair) -> None:
    pair.transport.TLS = True
    assert send_now(pair.transport, memoryview(bytes(WORTH_IT))) == 0
