"""Many clients at once, all as fast as they are let. They share one process, which is busy enough with them."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from time import perf_counter, process_time

from bench.body import Body
from bench.client import Address
from bench.http import OURS, Answer, Broken, Door
from bench.sizes import KIB

TIMEOUT = 900

Client = Callable[[], Awaitable[str]]


@dataclass(frozen=True)
class CrowdResult:
    """What became of a crowd."""

    caps: Sequence[str | None]
    """The file of each client, None where it failed."""
    failures: Sequence[str]
    seconds: float
    """From the first connection to the last answer."""
    slowest: float
    """What the client that waited longest waited."""
    processor_seconds: float
    """What all of this cost the crowd's own process."""


def put_all(address: Address, bodies: Sequence[Body], door: Door = OURS, at_once: int | None = None) -> CrowdResult:
    """A client for each body; all at once, or so many."""
    return _run([partial(_put, address, body, door) for body in bodies], at_once)


def get_all(address: Address, wanted: Sequence[tuple[str, str]]) -> CrowdResult:
    """A client for each pair of cap and digest, all at once; wrong bytes are a failure."""
    return _run([partial(_get, address, cap, digest) for cap, digest in wanted])


def _run(clients: Sequence[Client], at_once: int | None = None) -> CrowdResult:
    return asyncio.run(_all_served(clients, at_once or len(clients)))


async def _all_served(clients: Sequence[Client], at_once: int) -> CrowdResult:
    places = asyncio.Semaphore(at_once)
    begun, used = perf_counter(), process_time()
    outcomes = await asyncio.gather(*(_timed(client, places) for client in clients), return_exceptions=True)
    seconds = perf_counter() - begun
    return CrowdResult(
        caps=[None if isinstance(outcome, BaseException) else outcome[0] for outcome in outcomes],
        failures=[f"{type(error).__name__}: {error}" for error in outcomes if isinstance(error, BaseException)],
        seconds=seconds,
        slowest=max((outcome[1] for outcome in outcomes if not isinstance(outcome, BaseException)), default=0),
        processor_seconds=process_time() - used,
    )


async def _timed(client: Client, places: asyncio.Semaphore) -> tuple[str, float]:
    async with places:
        begun = perf_counter()
        async with asyncio.timeout(TIMEOUT):
            return await client(), perf_counter() - begun


async def _put(address: Address, body: Body, door: Door) -> str:
    loop = asyncio.get_running_loop()
    answer = Answer()
    with await _connected(address) as connection:
        try:
            await loop.sock_sendall(connection, door.put_head(body.size, body.name))
            for piece in body:
                await loop.sock_sendall(connection, piece)
        except ConnectionError as error:
            # Whoever refuses a body says why before hanging up.
            with suppress(OSError, Broken):
                await _receive(connection, answer)
            if not answer.complete:
                raise Broken(f"the connection broke while the body was being sent: {error}") from error
        else:
            await _receive(connection, answer)
    answer.expect(201, 200)
    return door.file(body.name, answer.text())


async def _get(address: Address, cap: str, expected_digest: str) -> str:
    digest = sha256()
    answer = Answer(digest.update)
    with await _connected(address) as connection:
        await asyncio.get_running_loop().sock_sendall(connection, OURS.get_head(cap))
        await _receive(connection, answer)
    answer.expect(200)
    if digest.hexdigest() != expected_digest:
        raise ValueError(f"{answer.received} bytes came back, but not those that were put")
    return cap


async def _connected(address: Address) -> socket.socket:
    connection = socket.socket()
    try:
        connection.setblocking(False)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        await asyncio.get_running_loop().sock_connect(connection, address)
    except BaseException:
        connection.close()
        raise
    return connection


async def _receive(connection: socket.socket, answer: Answer) -> None:
    loop = asyncio.get_running_loop()
    buffer = memoryview(bytearray(128 * KIB))
    while not answer.complete:
        answer.feed(buffer[: await loop.sock_recv_into(connection, buffer)])
