"""
Reading an answer of HTTP/1.1 out of bytes, wherever they are cut. Pure.

It is strict: we know who we talk to, and what can be understood in two ways is understood in none. And it is bounded:
heads, chunks' lines and trailers have an end, and the body ends where the asker says.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from tahoeish.streams.exchange.message import Answer

LONGEST_HEAD = 32 * 1024
"""Bytes, of the head, and of all trailers."""

MOST_INTERIM = 16
"""Answers that say that the answer will come."""

_LONGEST_CHUNK_LINE = 1024
_STATUS = re.compile(rb"HTTP/1\.([01]) ([1-5][0-9][0-9])(?: [^\r\n\0]*)?\r\n")
_FIELD = re.compile(rb"([!#$%&'*+\-.^_`|~0-9A-Za-z]+):([^\r\n\0]*)\r\n")
_LENGTH = re.compile(r"[0-9]{1,18}", re.ASCII)
_CHUNK = re.compile(rb"([0-9A-Fa-f]{1,15})[ \t]*(?:;[^\r\n\0]*)?")
_NO_BODY = (204, 304)


class BadAnswer(Exception):
    """This isn't HTTP/1.1."""


class AnswerTooLong(Exception):
    """More comes than there could be any reason for."""


class AnswerParser:
    """
    Give it what comes with `receive`, which raises `BadAnswer` and `AnswerTooLong`, until it has the `answer`.

    `to_head`: whether a HEAD was asked, which is answered without a body. `begun`: whether the head is in.
    `keeps`: whether the connection may be used again, once there is an answer.
    """

    def __init__(self, longest: int, *, to_head: bool = False) -> None:
        self.answer: Answer | None = None
        self.begun = False
        self.keeps = False
        self._longest = longest
        self._to_head = to_head
        self._status = 0
        self._headers: dict[str, str] = {}
        self._interim = 0
        self._body: list[bytes | memoryview] = []
        self._length = 0
        self._missing = 0
        # What was too little to be understood.
        self._rest = b""
        # Takes what is there, and gives what it leaves; None is for more that it would need. A function and no method:
        # that would hold the parser, which holds it, and all that has come would wait for the collector of cycles.
        self._read: Callable[[AnswerParser, bytes], bytes | None] = AnswerParser._read_head
        self._ends_with_connection = False

    def receive(self, data: bytes | memoryview) -> None:
        """A large memoryview is worth being kept: what is content in it is not copied."""
        if isinstance(data, memoryview):
            data = self._without_content(data)
        if self._rest:
            data = self._rest + data
            self._rest = b""
        while data:
            if self.answer is not None:
                # Nobody has asked for that.
                self.keeps = False
                return
            left = self._read(self, data)
            if left is None:
                self._rest = data
                return
            data = left

    def _without_content(self, data: memoryview) -> bytes:
        """Takes the head of the answer, if it is there, and the content behind it. Gives the rest."""
        if self._read is AnswerParser._read_head and not self._rest:
            end = bytes(data[: LONGEST_HEAD + 4]).find(b"\r\n\r\n") + 4
            if end < 4:
                return bytes(data)
            self.receive(bytes(data[:end]))
            data = data[end:]
        if self._read is AnswerParser._read_measured and self.answer is None:
            content, data = data[: self._missing], data[self._missing :]
            self._body.append(content)
            self._missing -= len(content)
            if not self._missing:
                self._complete()
        return bytes(data)

    def end(self) -> Answer | None:
        """The other side has closed the connection in good order. The answer, if that is its end."""
        if self.answer is None and self._ends_with_connection:
            self._complete()
        return self.answer

    # The head.

    def _read_head(self, data: bytes) -> bytes | None:
        end = data.find(b"\r\n\r\n") + 4
        if end < 4 or end > LONGEST_HEAD:
            if len(data) > LONGEST_HEAD:
                raise AnswerTooLong(f"the head of the answer is longer than {LONGEST_HEAD} bytes")
            return None
        line = _STATUS.match(data)
        if line is None:
            raise BadAnswer("the answer doesn't begin as HTTP/1.1 does")
        status = int(line[2])
        headers = _fields(data, line.end(), end - 2)
        if status < 200:
            self._interim += 1
            if status == 101 or self._interim > MOST_INTERIM:
                raise BadAnswer(f"an answer with status {status} that nobody has asked for")
            return data[end:]
        self.begun = True
        self._status, self._headers = status, headers
        connection = headers.get("connection")
        self.keeps = line[1] == b"1" and (connection is None or "close" not in connection.lower())
        self._expect_body(status, headers, is_old=line[1] == b"0")
        return data[end:]

    def _expect_body(self, status: int, headers: dict[str, str], *, is_old: bool) -> None:
        length, coding = headers.get("content-length"), headers.get("transfer-encoding")
        if self._to_head or status in _NO_BODY:
            self._complete()
        elif coding is not None:
            if is_old or length is not None or coding.lower() != "chunked":
                raise BadAnswer("the answer doesn't say clearly where it ends")
            self._read = AnswerParser._read_chunk_line
        elif length is not None:
            if not _LENGTH.fullmatch(length):
                raise BadAnswer("the answer's length is no number")
            self._missing = int(length)
            self._note(self._missing)
            if self._missing:
                self._read = AnswerParser._read_measured
            else:
                self._complete()
        else:
            self._ends_with_connection = True
            self.keeps = False
            self._read = AnswerParser._read_all

    # The body.

    def _read_measured(self, data: bytes) -> bytes:
        data, left = self._take(data)
        if not self._missing:
            self._complete()
        return left

    def _read_all(self, data: bytes) -> bytes:
        self._note(len(data))
        self._body.append(data)
        return b""

    def _read_chunk_line(self, data: bytes) -> bytes | None:
        line, left = _line(data, _LONGEST_CHUNK_LINE)
        if line is None:
            return None
        said = _CHUNK.fullmatch(line)
        if said is None:
            raise BadAnswer("the answer has a chunk without a length")
        self._missing = int(said[1], 16)
        self._note(self._missing)
        self._read = AnswerParser._read_chunk if self._missing else AnswerParser._read_trailers
        return left

    def _read_chunk(self, data: bytes) -> bytes:
        data, left = self._take(data)
        if not self._missing:
            self._read = AnswerParser._read_chunk_end
        return left

    def _read_chunk_end(self, data: bytes) -> bytes | None:
        if len(data) < 2:
            return None
        if not data.startswith(b"\r\n"):
            raise BadAnswer("the answer has a chunk of another length than it says")
        self._read = AnswerParser._read_chunk_line
        return data[2:]

    def _read_trailers(self, data: bytes) -> bytes | None:
        # Nobody needs them, but they have to be passed.
        if data.startswith(b"\r\n"):
            self._complete()
            return data[2:]
        end = data.find(b"\r\n\r\n")
        if end < 0:
            if len(data) > LONGEST_HEAD:
                raise AnswerTooLong(f"the trailers of the answer are longer than {LONGEST_HEAD} bytes")
            return None
        _fields(data, 0, end + 2)
        self._complete()
        return data[end + 4 :]

    def _take(self, data: bytes) -> tuple[bytes, bytes]:
        """As much as is missing, and what is left."""
        if len(data) <= self._missing:
            taken, left = data, b""
        else:
            taken, left = data[: self._missing], data[self._missing :]
        self._body.append(taken)
        self._missing -= len(taken)
        return taken, left

    def _note(self, length: int) -> None:
        """So much more is to come."""
        self._length += length
        if self._length > self._longest:
            raise AnswerTooLong(f"the answer is longer than {self._longest} bytes")

    def _complete(self) -> None:
        body = self._body[0] if len(self._body) == 1 else b"".join(self._body)
        self._body = []
        self.answer = Answer(self._status, self._headers, body)


def _fields(data: bytes, start: int, end: int) -> dict[str, str]:
    fields: dict[str, str] = {}
    while start < end:
        field = _FIELD.match(data, start, end)
        if field is None:
            raise BadAnswer("the answer has a header that is none")
        name, value = field[1].decode("ascii").lower(), field[2].strip(b" \t").decode("latin-1")
        if name in fields:
            value = f"{fields[name]}, {value}"
        fields[name] = value
        start = field.end()
    return fields


def _line(data: bytes, longest: int) -> tuple[bytes | None, bytes]:
    end = data.find(b"\r\n", 0, longest + 2)
    if end >= 0:
        return data[:end], data[end + 2 :]
    if len(data) > longest:
        raise AnswerTooLong(f"the answer has a line that is longer than {longest} bytes")
    return None, data
