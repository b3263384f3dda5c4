"""Forms taken apart while they arrive, however the network has cut them."""

from __future__ import annotations

import tracemalloc
from collections.abc import Sequence
from dataclasses import dataclass

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from tahoeish.streams.body import BodyStream, ClientGone
from tahoeish.streams.forms import MAX_PARTS, BadBoundary, BadForm, FormStream

BOUNDARY = b"--boundary"
CONTENT_TYPE = "multipart/form-data; boundary=--boundary"


class NoFlow:
    """A connection on which all has come already, or comes when the test says so."""

    def pause(self) -> None: ...
    def resume(self) -> None: ...
    def invite(self) -> None: ...
    def abort(self) -> None: ...


@dataclass(frozen=True)
class Field:
    name: str
    filename: str | None
    content: bytes

    def encoded(self) -> bytes:
        filename = "" if self.filename is None else f'; filename="{self.filename}"'
        head = f'Content-Disposition: form-data; name="{self.name}"{filename}\r\n\r\n'
        return b"--" + BOUNDARY + b"\r\n" + head.encode() + self.content + b"\r\n"


def encoded(fields: Sequence[Field]) -> bytes:
    return b"".join(field.encoded() for field in fields) + b"--" + BOUNDARY + b"--\r\n"


class Arrival:
    """A form that is being read while a test sends it."""

    def __init__(self, *, skipped: Sequence[int] = ()) -> None:
        self.body = BodyStream(NoFlow(), Clock(), length=None, idle_timeout=0)
        self.fields: list[Field] = []
        self.begun: list[str] = []
        self._skipped = skipped
        self.error: Exception | None = None
        self.reading = Deferred.fromCoroutine(self._read())

    async def _read(self) -> None:
        try:
            async for part in FormStream(self.body, CONTENT_TYPE):
                self.begun.append(part.name)
                if len(self.begun) - 1 not in self._skipped:
                    content = b"".join([bytes(piece) async for piece in part])
                    self.fields.append(Field(part.name, part.filename, content))
        except (BadForm, ClientGone) as error:
            self.error = error

    def send(self, data: bytes) -> None:
        self.body.arrived(data)
        self.body.flush()

    def end(self) -> None:
        self.body.complete()
        self.body.flush()


def parsed(*pieces: bytes) -> list[Field]:
    arrival = Arrival()
    for piece in pieces:
        arrival.send(piece)
    arrival.end()
    assert arrival.reading.called
    if arrival.error is not None:
        raise arrival.error
    return arrival.fields


NAMES = st.text(st.characters(codec="utf-8", categories=["L", "N"]), min_size=1, max_size=5)
# Contents that are made of what a parser looks for.
CONTENTS = st.lists(
    st.one_of(st.sampled_from([b"\r", b"\n", b"-", b"--", b"\r\n--", BOUNDARY[:-1], b"\r\n"]), st.binary(max_size=5)),
    max_size=8,
).map(b"".join).filter(lambda content: b"\r\n--" + BOUNDARY not in b"\r\n" + content)  # fmt: skip
FIELDS = st.lists(st.builds(Field, NAMES, st.none() | NAMES, CONTENTS), max_size=4)


@settings(deadline=None)
@given(FIELDS, st.data())
def test_any_cut_gives_the_same_parts(fields: list[Field], data: st.DataObject) -> None:
    wire = encoded(fields)
    cuts = sorted(data.draw(st.sets(st.integers(0, len(wire)))))
    pieces = [wire[start:end] for start, end in zip([0, *cuts], [*cuts, len(wire)], strict=True)]
    assert parsed(*filter(None, pieces)) == fields


@settings(deadline=None)
@given(FIELDS)
@example([Field("a", "b", b"\r\n--" + BOUNDARY[:-1] + b"\r\n")])
def test_byte_by_byte(fields: list[Field]) -> None:
    wire = encoded(fields)
    assert parsed(*(wire[index : index + 1] for index in range(len(wire)))) == fields


@settings(deadline=None)
@given(FIELDS.filter(bool), st.data())
def test_a_form_that_breaks_off_is_no_form(fields: list[Field], data: st.DataObject) -> None:
    wire = encoded(fields)
    # The line break at the very end may be missing.
    whole = len(wire) - 2
    cut = data.draw(st.integers(0, whole - 1))
    with pytest.raises(BadForm):
        parsed(*filter(None, [wire[:cut]]))
    assert parsed(wire[:whole]) == fields


@settings(deadline=None)
@given(FIELDS.filter(bool), st.sets(st.integers(0, 3)))
def test_what_is_not_read_is_skipped(fields: list[Field], skipped: set[int]) -> None:
    arrival = Arrival(skipped=sorted(skipped))
    arrival.send(encoded(fields))
    arrival.end()
    assert arrival.begun == [field.name for field in fields]
    assert arrival.fields == [field for index, field in enumerate(fields) if index not in skipped]


def test_a_part_is_there_before_its_content_is() -> None:
    arrival = Arrival()
    wire = Field("file", "a.txt", b"x" * 1000).encoded()
    arrival.send(wire[:200])
    assert arrival.begun == ["file"]
    assert not arrival.reading.called
    arrival.send(wire[200:] + b"--" + BOUNDARY + b"--")
    assert [field.content for field in arrival.fields] == [b"x" * 1000]


def test_the_body_is_read_to_its_end() -> None:
    arrival = Arrival()
    arrival.send(encoded([Field("a", None, b"1")]))
    arrival.send(b"an epilogue")
    assert not arrival.reading.called
    arrival.end()
    assert arrival.reading.called and arrival.error is None


def test_the_client_leaves() -> None:
    arrival = Arrival()
    arrival.send(Field("file", "a.txt", b"x" * 1000).encoded()[:500])
    arrival.body.fail(ClientGone("gone"))
    assert arrival.reading.called and isinstance(arrival.error, ClientGone)


def test_nothing_is_gathered() -> None:
    arrival = Arrival(skipped=[0])
    arrival.send(Field("file", "a.txt", b"").encoded()[:-2])
    tracemalloc.start()
    try:
        for _ in range(200):
            arrival.send(bytes(65536))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 1024 * 1024
    arrival.send(b"\r\n--" + BOUNDARY + b"--")
    arrival.end()
    assert arrival.error is None and arrival.begun == ["file"]


@pytest.mark.parametrize(
    ("wire", "told"),
    [
        (b"", "broken"),
        (b"no form at all", "broken"),
        (b"--" + BOUNDARY + b"garbage\r\n", "broken"),
        (b"--" + BOUNDARY + b"\r\nno header\r\n\r\n", "broken"),
        (b"--" + BOUNDARY + b"\r\nContent-Type: text/plain\r\n\r\n", "broken"),
        (b"--" + BOUNDARY + b"\r\nX: " + b"x" * 5000, "out of bounds"),
        (b"--" + BOUNDARY + b"\r\n" + b"X: x\r\n" * 9, "out of bounds"),
        (Field("a", None, b"").encoded() * (MAX_PARTS + 1), "out of bounds"),
    ],
    ids=["empty", "text", "garbage", "no header", "no disposition", "long header", "many headers", "many parts"],
)
def test_broken_forms(wire: bytes, told: str) -> None:
    with pytest.raises(BadForm, match=told):
        parsed(*filter(None, [wire]))
    with pytest.raises(BadForm, match=told):
        parsed(*(wire[start : start + 1000] for start in range(0, len(wire), 1000)))


@pytest.mark.parametrize(
    "content_type",
    ["", "text/plain", "multipart/form-data", "multipart/form-data; boundary=", 'multipart/form-data; boundary="a\nb"',
     "multipart/form-data; boundary=" + 201 * "x", "multipart/mixed; boundary=x"],
)  # fmt: skip
def test_what_is_no_form(content_type: str) -> None:
    body = BodyStream(NoFlow(), Clock(), length=None, idle_timeout=0)
    with pytest.raises(BadForm):
        FormStream(body, content_type)


@pytest.mark.parametrize("size", [1, 1000])
@pytest.mark.parametrize(
    ("wire", "kind"),
    [
        (b"--other\r\n\r\n", BadBoundary),
        (b"", BadBoundary),
        (b"--" + BOUNDARY + b"\r\nContent-Dispo", BadForm),
        (b"before it\r\n" + encoded([Field("a", "b", b"c")])[:-10], BadForm),
    ],
    ids=["another boundary", "nothing", "broken off", "broken off behind a preamble"],
)
def test_a_wrong_beginning_is_told_from_what_breaks_off_later(size: int, wire: bytes, kind: type[BadForm]) -> None:
    with pytest.raises(BadForm) as raised:
        parsed(*(wire[start : start + size] for start in range(0, len(wire), size)))
    assert type(raised.value) is kind
