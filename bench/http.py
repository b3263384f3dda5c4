"""HTTP as far as the clients here need it, without any I/O."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from urllib.parse import quote

from bench.body import Buffer
from bench.sizes import KIB

CHUNK_SIZE = 64 * KIB
"""As curl cuts a body whose length it doesn't know."""

LAST_CHUNK = b"0\r\n\r\n"

_KEPT = 2 * KIB


class Refused(Exception):
    """The node gave another answer than was hoped for."""


class Broken(Exception):
    """The connection ended before the answer did."""


def put_head(length: int | None) -> bytes:
    framing = b"Transfer-Encoding: chunked" if length is None else b"Content-Length: %d" % length
    return b"PUT /uri HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n" + framing + b"\r\n\r\n"


def get_head(cap: str) -> bytes:
    path = f"/uri/{quote(cap, safe='')}"
    return f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n".encode()


def chunk(data: Buffer) -> bytes:
    return b"".join((b"%x\r\n" % len(data), data, b"\r\n"))


def chunked(pieces: Iterable[Buffer]) -> Iterator[bytes]:
    """The pieces in the chunked transfer coding, to the very end."""
    for piece in pieces:
        view = memoryview(piece)
        for start in range(0, len(view), CHUNK_SIZE):
            yield chunk(view[start : start + CHUNK_SIZE])
    yield LAST_CHUNK


class Answer:
    """
    An answer as it comes in. Its body goes to `take`, piece by piece.

    `size` is that of the body, once it is known. `beginning` keeps the first of it: all of a cap, enough of an error.
    """

    def __init__(self, take: Callable[[memoryview], object] = lambda piece: None) -> None:
        self.status = 0
        self.size: int | None = None
        self.received = 0
        self.beginning = bytearray()
        self._take = take
        self._head = bytearray()
        self._chunks: bytearray | None = None
        """What isn't a whole chunk yet, of an answer in the chunked transfer coding."""

    @property
    def complete(self) -> bool:
        return self.received == self.size

    def feed(self, data: Buffer) -> None:
        """More of it; nothing when the connection has ended. Raises `Broken`."""
        if not data:
            raise Broken(f"the connection ended after {self.received} of {self.size} bytes of the answer")
        if not self.status:
            self._head += data
            head, end, rest = self._head.partition(b"\r\n\r\n")
            if not end:
                return
            self._parse(head)
            data = rest
        if self._chunks is None:
            self._receive(memoryview(data))
        else:
            self._chunks = self._take_chunks(self._chunks + data)

    def text(self) -> str:
        return self.beginning.decode("utf-8", "replace").strip()

    def expect(self, *statuses: int) -> None:
        """Raises `Refused` when it's another one."""
        if self.status not in statuses:
            raise Refused(f"{self.status} instead of {statuses[0]}: {self.text()}")

    def _parse(self, head: bytearray) -> None:
        status_line, *lines = head.decode("latin-1").split("\r\n")
        self.status = int(status_line.split()[1])
        fields = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        if fields.get("transfer-encoding") == "chunked":
            self._chunks = bytearray()
        else:
            self.size = int(fields["content-length"])

    def _receive(self, piece: memoryview) -> None:
        self.received += len(piece)
        if len(self.beginning) < _KEPT:
            self.beginning += piece[: _KEPT - len(self.beginning)]
        self._take(piece)

    def _take_chunks(self, data: bytearray) -> bytearray:
        """Gives back what isn't a whole one."""
        while self.size is None:
            length, end, rest = data.partition(b"\r\n")
            size = int(length, 16) if end else 0
            if not end or len(rest) < size + 2:
                break
            self._receive(memoryview(rest)[:size])
            data = rest[size + 2 :]
            if size == 0:
                self.size = self.received
        return data
