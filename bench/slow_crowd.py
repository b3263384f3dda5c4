"""Many clients that send a little at a time and never stop, until they are told to."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from multiprocessing.synchronize import Event
from time import monotonic, process_time, sleep

from bench.client import Address
from bench.http import LAST_CHUNK, OURS, Answer, Broken, Refused, chunk
from bench.sizes import KIB

RATE = 50_000
PAUSE = 0.2
"""Between two pieces of one client's."""
SEND_BUFFER = 16 * KIB
"""
Little, because the kernel takes bytes for as long as it has room, and then it isn't seen for a long time that the node
takes none. As it is, a node that doesn't read is noticed after two or three seconds.
"""
TIMEOUT = 120


@dataclass(frozen=True)
class SlowCrowdResult:
    """What the slow ones have seen."""

    stored: int
    failures: Sequence[str]
    longest_stall: float
    """For so long a client had something to send and the kernel didn't take a byte of it."""
    rates: Sequence[float]
    """What each of them got rid of, in bytes per second."""
    processor_seconds: float


def send_slowly(address: Address, count: int, all_there: Event, stop: Event) -> SlowCrowdResult:
    """Sets `all_there` when each has been connected, and ends all bodies properly when `stop` is set."""
    used = process_time()
    piece = chunk(os.urandom(round(RATE * PAUSE)))
    failures: list[str] = []
    clients = [client for _ in range(count) if (client := _begun(address, piece, failures)) is not None]
    all_there.set()
    _take_turns(clients, failures, stop)
    stored = _ended(clients, failures)
    return SlowCrowdResult(
        stored=stored,
        failures=failures,
        longest_stall=max((client.longest_stall for client in clients), default=0),
        rates=[client.rate for client in clients],
        processor_seconds=process_time() - used,
    )


class _SlowClient:
    """One upload that sends `piece` over and over."""

    def __init__(self, address: Address, piece: bytes) -> None:
        self.longest_stall = 0.0
        self._piece = piece
        self._unsent = memoryview(b"")
        self._sent = 0
        self.due = self._begun = self._progressed = self._ended = 0.0
        self._connection = socket.socket()
        self._connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)
        self._connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._connection.settimeout(TIMEOUT)
        self._connection.connect(address)
        self._connection.sendall(OURS.put_head(None, ""))

    @property
    def rate(self) -> float:
        return self._sent / max(self._ended - self._begun, PAUSE)

    def begin(self, when: float) -> None:
        """Take the first turn then."""
        self.due = self._begun = when

    def turn(self) -> None:
        """Send the next piece, or what is left of the one before, as far as the kernel takes it."""
        if not self._unsent:
            self._unsent = memoryview(self._piece)
            # Until now it wanted nothing.
            self._progressed = monotonic()
        try:
            count = self._connection.send(self._unsent, socket.MSG_DONTWAIT)
        except BlockingIOError:
            count = 0
        now = monotonic()
        self.longest_stall = max(self.longest_stall, now - self._progressed)
        if count:
            self._progressed = now
            self._sent += count
            self._unsent = self._unsent[count:]
        self.due += PAUSE
        if self.due < now:
            self.due = now + PAUSE

    def end(self) -> None:
        """Send the end of the body."""
        self._ended = monotonic()
        self._connection.sendall(bytes(self._unsent) + LAST_CHUNK)

    def confirm(self) -> None:
        """Wait for the answer that it is stored."""
        answer = Answer()
        while not answer.complete:
            answer.feed(self._connection.recv(4096))
        answer.expect(201)

    def close(self) -> None:
        self._connection.close()


def _begun(address: Address, piece: bytes, failures: list[str]) -> _SlowClient | None:
    try:
        return _SlowClient(address, piece)
    except OSError as error:
        failures.append(f"connecting: {error}")
        return None


def _take_turns(clients: list[_SlowClient], failures: list[str], stop: Event) -> None:
    """Everybody has the same pause, so whoever was first is first again."""
    for number, client in enumerate(clients):
        client.begin(monotonic() + PAUSE * number / len(clients))
    while clients and not stop.is_set():
        for client in list(clients):
            sleep(max(0, client.due - monotonic()))
            _attempt(client.turn, client, clients, failures)


def _ended(clients: list[_SlowClient], failures: list[str]) -> int:
    """How many were told that their file is stored."""
    unfinished = list(clients)
    for client in list(unfinished):
        _attempt(client.end, client, unfinished, failures)
    for client in list(unfinished):
        _attempt(client.confirm, client, unfinished, failures)
    for client in clients:
        client.close()
    return len(unfinished)


def _attempt(doing: Callable[[], None], client: _SlowClient, clients: list[_SlowClient], failures: list[str]) -> None:
    try:
        doing()
    except (OSError, Broken, Refused) as error:
        failures.append(f"{doing.__name__}: {type(error).__name__}: {error}")
        clients.remove(client)
        client.close()
