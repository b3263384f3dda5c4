"""`multipart/form-data`, taken apart while it arrives: each part is a stream of its own, nothing is gathered."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

from multipart import (
    MultipartError,
    MultipartSegment,
    ParserLimitReached,
    PushMultipartParser,
    parse_options_header,
)

from tahoeish.streams.body import BodyStream

MAX_PARTS = 10_000
"""A form with more parts than this isn't a person choosing files."""


class BadForm(Exception):
    """The body isn't a well-formed form; the message says where it goes wrong."""


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
    """The parts of one body: `async for part in form`."""

    def __init__(self, body: BodyStream, content_type: str) -> None:
        kind, options = parse_options_header(content_type)
        boundary = options.get("boundary", "")
        if kind != "multipart/form-data":
            raise BadForm(f"a form has the content type multipart/form-data, not {kind or 'none'!r}")
        if not boundary or len(boundary) > 200:
            raise BadForm("the content type multipart/form-data needs a boundary")
        self._body = body
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
                async for _ in self._body:
                    pass
                return
            assert isinstance(event, MultipartSegment)
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
                data = await self._body.read()
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
            raise BadForm(f"the form is broken: {error}") from error
