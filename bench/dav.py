"""A WebDAV client that keeps its connection, and many of them at once."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from time import perf_counter

from bench.body import Body
from bench.http import Answer

Address = tuple[str, int]

TIMEOUT = 600
"""Seconds."""


class DavClient:
    """One connection, on which a request follows the other."""

    def __init__(self, address: Address) -> None:
        self._socket = socket.create_connection(address, TIMEOUT)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._buffer = memoryview(bytearray(256 * 1024))

    def ask(
        self,
        method: str,
        path: str,
        body: bytes = b"",
        *fields: str,
        take: Callable[[memoryview], object] = lambda piece: None,
    ) -> Answer:
        """The answer, if it is one of success; its body goes to `take`."""
        lines = (f"{method} {path} HTTP/1.1", "Host: 127.0.0.1", *fields, f"Content-Length: {len(body)}")
        self._socket.sendall("".join(f"{line}\r\n" for line in (*lines, "")).encode() + body)
        answer = Answer(take)
        while not answer.complete:
            answer.feed(self._buffer[: self._socket.recv_into(self._buffer)])
        answer.expect(201, 200, 207)
        return answer

    def close(self) -> None:
        self._socket.close()


def put_files(address: Address, paths: Iterable[tuple[str, Body]], clients: int, *fields: str) -> float:
    """Put files, so many at a time; gives the seconds that it took."""
    waiting = iter([(path, b"".join(map(bytes, body))) for path, body in paths])

    def work(client: DavClient) -> None:
        try:
            # Taking the next one of a list's iterator is one step, also between threads.
            for path, content in waiting:
                client.ask("PUT", path, content, *fields)
        finally:
            client.close()

    connected = [DavClient(address) for _ in range(clients)]
    with ThreadPoolExecutor(clients) as threads:
        begun = perf_counter()
        for ending in [threads.submit(work, client) for client in connected]:
            ending.result()
        return perf_counter() - begun
