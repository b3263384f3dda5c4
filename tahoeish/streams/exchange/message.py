"""What is asked, and what is answered. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing_extensions import Buffer

_WITHOUT_BODY = ("GET", "HEAD", "DELETE")


@dataclass(frozen=True, slots=True)
class Request:
    """
    `headers` come besides those that all requests to a server have, and those that say how long the body is. The body's
    buffers must not change until the request is over. No more than `longest` bytes are taken back.
    """

    method: str
    path: str
    headers: Sequence[tuple[str, str]]
    body: Sequence[Buffer] | None
    longest: int

    def head(self, for_all: bytes) -> bytes:
        """All that comes before the body; `for_all` is from `header_lines`."""
        lines = f"{self.method} {self.path} HTTP/1.1\r\n".encode("ascii")
        own = list(self.headers)
        if self.body is not None or self.method not in _WITHOUT_BODY:
            own.append(("Content-Length", str(size(self.body or ()))))
        return b"".join((lines, for_all, header_lines(own), b"\r\n"))


@dataclass(frozen=True, slots=True)
class Answer:
    """
    The names of `headers` are in small letters. `content` is the body as it has come, which may be part of a larger
    buffer. `attempts` is for those who ask more than once: what is repeated may have been done already.
    """

    status: int
    headers: Mapping[str, str]
    content: bytes | memoryview
    attempts: int = 1

    @property
    def body(self) -> bytes:
        return bytes(self.content)


def header_lines(headers: Sequence[tuple[str, str]]) -> bytes:
    text = "".join([f"{name}: {value}\r\n" for name, value in headers])
    # A line's end within a value would begin a header of its own.
    if text.count("\n") != len(headers) or text.count("\r") != len(headers):
        raise ValueError("a header's value has more than one line")
    return text.encode("ascii")


def size(buffers: Sequence[Buffer]) -> int:
    """Bytes."""
    return sum([memoryview(buffer).nbytes for buffer in buffers])


def batches(head: bytes, body: Sequence[Buffer], at_once: int, rest: int) -> Iterator[list[Buffer]]:
    """
    All of it in order, in lists of `at_once` bytes. What would be left for another list goes with the last one, if it
    is no more than `rest` bytes. Nothing is copied.
    """
    left = len(head) + size(body)
    batch: list[Buffer] = []
    room = 0
    for buffer in (head, *body):
        octets = memoryview(buffer).cast("B")
        while octets:
            if not room:
                room = left if left <= at_once + rest else at_once
            piece = octets[:room]
            batch.append(piece)
            octets, room, left = octets[len(piece) :], room - len(piece), left - len(piece)
            if not room:
                yield batch
                batch = []
