"""`multipart/form-data`, taken apart while it arrives: each part is a stream of its own, nothing is gathered."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Iterable, Iterator
from typing import TypeAlias

from multipart import (
    MultipartError,
    MultipartSegment,
    ParserLimitReached,
    PushMultipartParser,
    parse_options_header,
)

_Bytes: TypeAlias = bytes | bytearray | memoryview

MAX_PARTS = 10_000
"""A form with more parts than this isn't a person choosing files."""


class BadForm(Exception):
    """The body isn't a well-formed form; the message says where it goes wrong."""


class BadBoundary(BadForm):
    """It doesn't begin with the boundary that its content type told."""


class FormPart:
    """
    One field of a form, in the order in which they were sent.

    `filename` is None for a plain field. Iterate over it for its content, once; moving on to the next part skips
    what wasn't read.
    """

    def __init__(self, form: FormStream, segment: MultipartSegment) -> None:
        self._form = form
        self.name: str = segment.name
        self.filename: str | None = segment.filename
        self.content_type: str = segment.content_type
        self.fields = _joined(segment.headerlist)
        """Its header: names in lower case, the values of a repeated one joined by commas."""
        self.ended = False

    async def __aiter__(self) -> AsyncIterator[bytes | bytearray]:
        while not self.ended:
            event = await self._form._next_event()
            if event is None:
                self.ended = True
            else:
                assert isinstance(event, (bytes, bytearray))
                yield event

    async def text(self, limit: int = 64 * 1024) -> str:
        """The value of a plain field; `BadForm` when it is longer than `limit` bytes or not UTF-8."""
        value = bytearray()
        async for piece in self:
            value += piece
            if len(value) > limit:
                raise BadForm(f"the form's field {self.name!r} is longer than {limit} bytes")
        try:
            return value.decode()
        except UnicodeDecodeError as error:
            raise BadForm(f"the form's field {self.name!r} is not UTF-8") from error


class FormStream:
    """The parts of one body: `async for part in form`. What is wrong with the body is told to all who go on."""

    def __init__(self, body: AsyncIterable[_Bytes], content_type: str) -> None:
        kind, options = parse_options_header(content_type)
        boundary = options.get("boundary", "")
        if kind != "multipart/form-data":
            raise BadForm(f"a form has the content type multipart/form-data, not {kind or 'none'!r}")
        if not boundary or len(boundary) > 200:
            raise BadForm("the content type multipart/form-data needs a boundary")
        self._body = aiter(body)
        self._opening = f"--{boundary}\r\n".encode()
        self._start = b""
        self._has_parts = False
        self._failure: Exception | None = None
        self._events: Iterator[MultipartSegment | bytes | bytearray | None] = iter(())
        try:
            self._parser = PushMultipartParser(boundary, max_segment_count=MAX_PARTS)
        except MultipartError as error:
            raise BadForm(f"the form's boundary is not usable: {error}") from error

    async def __aiter__(self) -> AsyncIterator[FormPart]:
        while True:
            event = await self._next_event()
            if event is None:
                # Behind the last boundary may be more of the body, which is nobody's business, but has to be taken.
                while await self._read():
                    pass
                return
            assert isinstance(event, MultipartSegment)
            self._has_parts = True
            part = FormPart(self, event)
            yield part
            async for _ in part:
                pass

    async def _next_event(self) -> MultipartSegment | bytes | bytearray | None:
        """The parser's next event; None at the end of a part, and of the whole form."""
        try:
            while True:
                for event in self._events:
                    return event
                if self._parser.closed:
                    return None
                data = await self._read()
                if len(self._start) < len(self._opening):
                    self._start += data[: len(self._opening)]
                if not data and self._parser.closed:
                    return None
                self._events = self._parser.parse(data)
                if not data:
                    # Says whether the form was complete.
                    for event in self._events:
                        return event
                    return None
        except ParserLimitReached as error:
            raise BadForm(f"the form is out of bounds: {error}") from error
        except MultipartError as error:
            if not (self._has_parts or self._start.startswith(self._opening)):
                raise BadBoundary("the form is broken: it doesn't begin with the boundary of its type") from error
            raise BadForm(f"the form is broken: {error}") from error

    async def _read(self) -> bytes | bytearray:
        """The next bytes of the body, empty at its end."""
        if self._failure is not None:
            raise self._failure
        try:
            async for piece in self._body:
                # The parser can't take a view.
                return bytes(piece) if isinstance(piece, memoryview) else piece
        except Exception as error:
            self._failure = error
            raise
        return b""


def _joined(headers: Iterable[tuple[str, str]]) -> dict[str, str]:
    fields: dict[str, str] = {}
    for name, value in headers:
        name = name.lower()
        fields[name] = f"{fields[name]}, {value}" if name in fields else value
    return fields
