"""One client that sends and takes as fast as it is let, and looks at the clock."""

from __future__ import annotations

import socket
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from time import perf_counter

from bench.body import Body, Buffer
from bench.http import OURS, Answer, Broken, Door, chunked
from bench.sizes import MIB

TIMEOUT = 1200
"""Seconds. A stock gateway begins with a file only when it has all of it."""

Address = tuple[str, int]


@dataclass(frozen=True)
class Stored:
    """A file that was put. Times are in seconds."""

    cap: str
    sending: float
    """From before the connection was made until the kernel had taken the last byte of the body."""
    answering: float
    """From then until the complete answer was there."""

    @property
    def seconds(self) -> float:
        return self.sending + self.answering


@dataclass(frozen=True)
class Fetched:
    """A file that was got: how long it took, and what came if that was asked for."""

    seconds: float
    first: float
    """Seconds until the first byte of it was there."""
    digest: str | None


class WrongBytes(Exception):
    """A file came back as another one."""


def put(address: Address, body: Body, *, announced: bool = True, door: Door = OURS) -> Stored:
    return put_pieces(address, body, body.size if announced else None, door=door, name=body.name)


def put_pieces(
    address: Address, pieces: Iterable[Buffer], length: int | None, *, door: Door = OURS, name: str = ""
) -> Stored:
    """Put what `pieces` bring, when they bring it; with no length announced if `length` is None."""
    answer = Answer()
    begun = perf_counter()
    with _connected(address) as connection:
        try:
            connection.sendall(door.put_head(length, name))
            for piece in chunked(pieces) if length is None else pieces:
                connection.sendall(piece)
        except ConnectionError as error:
            # Whoever refuses a body says why before hanging up.
            with suppress(OSError, Broken):
                _receive(connection, answer)
            if not answer.complete:
                raise Broken(f"the connection broke while the body was being sent: {error}") from error
        sent = perf_counter()
        _receive(connection, answer)
        answered = perf_counter()
    # The latter is what Tahoe-LAFS says.
    answer.expect(201, 200)
    return Stored(door.file(name, answer.text()), sent - begun, answered - sent)


def get(address: Address, cap: str, size: int, *, expected_digest: str | None = None, door: Door = OURS) -> Fetched:
    """Take a file, and raise `WrongBytes` unless it has that size, and that digest if one is given."""
    digest = sha256() if expected_digest is not None else None
    first: float | None = None

    def take(piece: memoryview) -> None:
        nonlocal first
        if first is None and piece:
            first = perf_counter() - begun
        if digest is not None:
            digest.update(piece)

    answer = Answer(take)
    begun = perf_counter()
    with _connected(address) as connection:
        connection.sendall(door.get_head(cap))
        _receive(connection, answer)
    seconds = perf_counter() - begun
    answer.expect(200)
    came = digest.hexdigest() if digest is not None else None
    if answer.received != size or came != expected_digest:
        raise WrongBytes(f"of {size} bytes that were put, {answer.received} came back, with the SHA-256 {came}")
    return Fetched(seconds, seconds if first is None else first, came)


def _connected(address: Address) -> socket.socket:
    connection = socket.create_connection(address, TIMEOUT)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


def _receive(connection: socket.socket, answer: Answer) -> None:
    buffer = memoryview(bytearray(MIB))
    while not answer.complete:
        answer.feed(buffer[: connection.recv_into(buffer)])
