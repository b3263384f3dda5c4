"""HTTP as far as the clients here need it, without any I/O."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
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


@dataclass(frozen=True)
class Door:
    """
    How a program wants to be asked.

    Where the path of a PUT has a place for a name, the client names the file; else the answer does.
    """

    put_path: str
    get_path: str
    fields: tuple[str, ...] = ()

    def put_head(self, length: int | None, name: str) -> bytes:
        framing = "Transfer-Encoding: chunked" if length is None else f"Content-Length: {length}"
        return self._head("PUT", self.put_path.format(name=name), framing)

    def get_head(self, file: str) -> bytes:
        return self._head("GET", self.get_path.format(file=quote(file, safe="")))

    def file(self, name: str, answer: str) -> str:
        """What is to be asked for by whoever wants back what was put."""
        return name if "{name}" in self.put_path else answer

    def _head(self, method: str, path: str, *more: str) -> bytes:
        lines = (f"{method} {path} HTTP/1.1", "Host: 127.0.0.1", "Connection: close", *self.fields, *more)
        return "".join(f"{line}\r\n" for line in (*lines, "")).encode()


OURS = Door("/uri", "/uri/{file}")
"""And Tahoe-LAFS's."""


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
