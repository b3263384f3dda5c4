"""A tus client that sends a body in pieces over one connection, as fast as it is let."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from http.client import HTTPConnection
from time import perf_counter
from urllib.parse import urlsplit

from bench.body import Body, Buffer
from bench.client import TIMEOUT, Address
from bench.http import Refused
from bench.sizes import MIB

PIECE = 10 * MIB
"""As rclone sends them."""

_VERSION = {"Tus-Resumable": "1.0.0"}


@dataclass(frozen=True)
class Sent:
    """A file that was put in pieces, in seconds from before the connection was made."""

    cap: str
    seconds: float


def put_in_pieces(address: Address, body: Body) -> Sent:
    begun = perf_counter()
    connection = HTTPConnection(*address, timeout=TIMEOUT)
    try:
        told = _asked(connection, "POST", "/uploads/", {"Upload-Length": str(body.size), "Content-Length": "0"}, 201)
        upload = urlsplit(told["location"]).path
        offset = 0
        for piece, size in _pieces(body):
            headers = {
                "Content-Type": "application/offset+octet-stream",
                "Content-Length": str(size),
                "Upload-Offset": str(offset),
            }
            told = _asked(connection, "PATCH", upload, headers, 204, piece)
            offset += size
    finally:
        connection.close()
    return Sent(told["tahoeish-cap"], perf_counter() - begun)


def _asked(
    connection: HTTPConnection,
    method: str,
    path: str,
    headers: dict[str, str],
    status: int,
    body: list[Buffer] | None = None,
) -> dict[str, str]:
    connection.request(method, path, iter(body) if body is not None else None, {**_VERSION, **headers})
    answer = connection.getresponse()
    text = answer.read()
    if answer.status != status:
        raise Refused(f"{method} was answered with {answer.status}: {text[:200]!r}")
    return {name.lower(): value for name, value in answer.getheaders()}


def _pieces(body: Body) -> Iterator[tuple[list[Buffer], int]]:
    buffers: list[Buffer] = []
    size = 0
    for each in body:
        view = memoryview(each)
        while view:
            part = view[: PIECE - size]
            buffers.append(part)
            size += len(part)
            view = view[len(part) :]
            if size == PIECE:
                yield buffers, size
                buffers, size = [], 0
    if size:
        yield buffers, size
