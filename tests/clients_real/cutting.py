"""A line between a client and a node that breaks."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from urllib.parse import urlsplit

PIECE = 64 * 1024


class CuttingLine:
    """
    Passes connections on to where `url` says, and breaks them each time that so many bytes more have gone there as is
    written next in `cuts`. `then` is called at each.
    """

    def __init__(self, url: Callable[[], str], cuts: Sequence[int], then: Callable[[], object] | None = None) -> None:
        self._url = url
        self._cuts = list(cuts)
        self._then = then
        self._passed = 0
        self._turn = threading.Lock()
        self._server = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._server.getsockname()[1]}"
        self.left = len(self._cuts)
        """Cuts that are still to come."""
        self._serving = threading.Thread(target=self._serve)
        self._passing: list[threading.Thread] = []
        self._open: list[socket.socket] = []

    def _serve(self) -> None:
        while True:
            try:
                client, _ = self._server.accept()
            except OSError:
                return
            self._open.append(client)
            passing = threading.Thread(target=self._pass_on, args=(client,))
            self._passing.append(passing)
            passing.start()

    def _pass_on(self, client: socket.socket) -> None:
        # The node may not be there at the moment.
        with client, suppress(OSError), socket.create_connection(_address(self._url())) as node:
            self._open.append(node)
            back = threading.Thread(target=_copy, args=(node, client))
            back.start()
            with suppress(OSError):
                while piece := client.recv(PIECE):
                    node.sendall(piece)
                    if self._breaks_after(len(piece)):
                        break
            _hang_up(client, node)
            back.join()

    def _breaks_after(self, size: int) -> bool:
        with self._turn:
            self._passed += size
            if not self._cuts or self._passed < self._cuts[0]:
                return False
            self._cuts.pop(0)
            self._passed = 0
            if self._then is not None:
                self._then()
            self.left = len(self._cuts)
            return True

    def start(self) -> None:
        self._serving.start()

    def close(self) -> None:
        _hang_up(self._server)
        self._serving.join()
        _hang_up(*self._open)
        for passing in self._passing:
            passing.join()
        self._server.close()


def _address(url: str) -> tuple[str, int]:
    parts = urlsplit(url)
    return str(parts.hostname), parts.port or 80


def _hang_up(*connections: socket.socket) -> None:
    for connection in connections:
        with suppress(OSError):
            connection.shutdown(socket.SHUT_RDWR)


def _copy(source: socket.socket, sink: socket.socket) -> None:
    with suppress(OSError):
        while piece := source.recv(PIECE):
            sink.sendall(piece)
    with suppress(OSError):
        sink.shutdown(socket.SHUT_RDWR)


@contextmanager
def cutting(
    url: Callable[[], str], cuts: Sequence[int], then: Callable[[], object] | None = None
) -> Iterator[CuttingLine]:
    line = CuttingLine(url, cuts, then)
    line.start()
    try:
        yield line
    finally:
        line.close()
