"""A road to a node on which what passes is counted, and can be held up."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit

_PIECE = 64 * 1024


class CountingProxy:
    """
    Listens on a port of its own, and hands connections on to where `target` says that the node is now.

    `sent` bytes have gone to the node. With a `limit`, no connection brings more than that; `held` says that one has
    come to it.
    """

    def __init__(self, target: Callable[[], str]) -> None:
        self.sent = 0
        self.limit: int | None = None
        self.held = threading.Event()
        self._target = target
        self._lock = threading.Lock()
        self._open: list[socket.socket] = []
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listening.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def reset(self) -> None:
        """Count anew, let everything pass, and break off what was held up."""
        self.sent, self.limit = 0, None
        self.held.clear()
        self.break_off()

    def break_off(self) -> None:
        """End all connections, as a router does that is switched off and on."""
        with self._lock:
            ending, self._open = self._open, []
        for each in ending:
            _end(each)

    def __enter__(self) -> CountingProxy:
        return self

    def __exit__(self, *_: Any) -> None:
        _end(self._listening)
        self._listening.close()
        self.break_off()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listening.accept()
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with client, suppress(OSError):
            url = urlsplit(self._target())
            assert url.hostname is not None and url.port is not None
            with socket.create_connection((url.hostname, url.port)) as node:
                with self._lock:
                    self._open += [client, node]
                back = threading.Thread(target=self._carry_back, args=(node, client), daemon=True)
                back.start()
                self._carry(client, node)
                back.join()

    def _carry(self, client: socket.socket, node: socket.socket) -> None:
        brought, limit = 0, self.limit
        with suppress(OSError):
            while limit is None or brought < limit:
                piece = client.recv(_PIECE if limit is None else min(_PIECE, limit - brought))
                if not piece:
                    _end(node)
                    return
                node.sendall(piece)
                brought += len(piece)
                with self._lock:
                    self.sent += len(piece)
            self.held.set()

    def _carry_back(self, node: socket.socket, client: socket.socket) -> None:
        with suppress(OSError):
            while piece := node.recv(_PIECE):
                client.sendall(piece)
        _end(client)


def _end(each: socket.socket) -> None:
    with suppress(OSError):
        each.shutdown(socket.SHUT_RDWR)
