"""Pieces with `Content-Range`."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tahoeish.gateway.uploads.asked import Append, Query, UploadRefused
from tahoeish.gateway.uploads.decisions import Continue, Reason, Refuse, Tell
from tahoeish.gateway.uploads.dialects import pieces
from tahoeish.gateway.uploads.dialects.pieces import (
    ContentRange,
    Whereabouts,
    parse_content_range,
    read_piece,
    read_plain,
)


@pytest.mark.parametrize(
    ("header", "parsed"),
    [
        ("bytes 0-9/100", ContentRange(0, 9, 100)),
        (" Bytes  0-0/1 ", ContentRange(0, 0, 1)),
        ("bytes 5-9/*", ContentRange(5, 9, None)),
        ("bytes=5-9/10", ContentRange(5, 9, 10)),
        ("bytes */100", Whereabouts(100)),
        ("bytes */*", Whereabouts(None)),
    ],
)
def test_ranges(header: str, parsed: object) -> None:
    assert parse_content_range(header) == parsed


NO_RANGES = [
    "",
    "bytes",
    "bytes 0-9",
    "0-9/10",
    "lines 0-9/10",
    "bytes -5/10",
    "bytes 0-/10",
    "bytes 0-9/10, bytes 0-9/10",
]
NONSENSE = ["bytes 9-0/100", "bytes 0-100/100", "bytes १-२/३", f"bytes 0-9/{'9' * 19}", f"bytes 0-9/{'9' * 99}"]


@pytest.mark.parametrize("header", NO_RANGES + NONSENSE)
def test_no_ranges(header: str) -> None:
    with pytest.raises(UploadRefused) as caught:
        parse_content_range(header)
    assert caught.value.status == 400


def test_pieces() -> None:
    assert read_piece({"content-range": "bytes 0-9/20"}, 10) == Append(0, False, 10, 20)
    assert read_piece({"content-range": "bytes 10-19/20"}, 10) == Append(10, True, 10, 20)
    # In a form, as jQuery File Upload sends it, the length of what is around it says nothing.
    assert read_piece({"content-range": "bytes 10-19/20"}, None) == Append(10, True, 10, 20)
    assert read_piece({"content-range": "bytes 5-9/*"}, 5) == Append(5, False, 5, None)
    assert read_piece({"content-range": "bytes 5-9/*", "upload-complete": "?1"}, 5) == Append(5, True, 5, None)
    assert read_piece({"content-range": "bytes */20"}, 0) == Query()


@pytest.mark.parametrize(("header", "size"), [("bytes 0-9/20", 9), ("bytes 0-9/20", 0), ("bytes */20", 1)])
def test_a_range_that_the_length_contradicts_is_refused(header: str, size: int) -> None:
    with pytest.raises(UploadRefused) as caught:
        read_piece({"content-range": header}, size)
    assert caught.value.status == 400


def test_plain_bytes_go_to_the_end() -> None:
    plain = {"content-type": "application/octet-stream; x=y"}
    assert read_plain(plain, 10) == Append(None, False, 10)
    assert read_plain(plain | {"upload-complete": "?1"}, None) == Append(None, True, None)
    assert read_plain(plain | {"content-md5": "1B2M2Y8AsgTpgAmY7PhCfg=="}, 10) == Append(None, False, 10, verified=True)
    with pytest.raises(UploadRefused) as caught:
        read_plain({"content-type": "text/plain"}, 10)
    assert caught.value.status == 415


@pytest.mark.parametrize(
    ("header", "name"),
    [
        ('attachment; filename="a.txt"', "a.txt"),
        ('attachment; filename="%C3%BC%20%2B.txt"', "ü +.txt"),
        ("attachment; filename*=UTF-8''%C3%BC.txt", "ü.txt"),
        ('form-data; name="x"; FileName="a\\"b;c"', 'a"b;c'),
        ("attachment; filename=plain.txt; x=y", "plain.txt"),
        ("inline; filename=\"EURO rates.txt\"; filename*=UTF-8''%e2%82%ac%20rates.txt", "€ rates.txt"),
        ("inline; FILENAME*=UTF-8''%e2%82%ac; filename=EURO", "€"),
        ("inline; filename*=''; filename=EURO", "EURO"),
        ("attachment", None),
        ('attachment; filename=""', None),
    ],
)
def test_names(header: str, name: str | None) -> None:
    assert pieces.file_name({"content-disposition": header}) == name


def test_a_client_may_name_the_session() -> None:
    assert pieces.session_name({"x-session-id": "abc-1"}) == pieces.session_name({"session-id": " abc-1 "}) == "abc-1"
    assert pieces.session_name({}) is None
    for name in ("", "a b", "a" * 201, "ä"):
        with pytest.raises(UploadRefused):
            pieces.session_name({"x-session-id": name})


def test_answers_say_where_it_stands() -> None:
    continued = pieces.continued(Continue(1, 10))
    assert (continued.status, continued.headers) == (202, {"Upload-Offset": "10", "Range": "bytes=0-9"})
    told = pieces.told(Tell(1, 0, 20, complete=False)).headers
    assert told == {
        "Upload-Offset": "0",
        "Upload-Length": "20",
        "Upload-Complete": "?0",
        "Cache-Control": "no-store",
    }


@pytest.mark.parametrize(
    ("given", "words"),
    [(20, "bytes 10 to 19 are missing: the next piece has to begin at 10"), (5, "the first 10 bytes are here already")],
)
def test_gaps_and_overlaps_are_told_with_the_true_offset(given: int, words: str) -> None:
    error = pieces.refusal(Refuse(1, Reason.MISMATCH, 10, given))
    assert (error.status, error.headers["Upload-Offset"], error.members) == (409, "10", {"expected-offset": 10})
    assert words in str(error)


@pytest.mark.parametrize("reason", list(Reason))
def test_every_refusal_has_a_status(reason: Reason) -> None:
    assert pieces.refusal(Refuse(1, reason, 10, 10)).status in {400, 409, 410, 413}


@settings(deadline=None)
@given(
    st.dictionaries(
        st.sampled_from(["content-range", "content-disposition", "x-session-id", "upload-complete", "content-type"]),
        st.text(max_size=40) | st.text('bytes 0123456789-/*="%;filename', max_size=40),
    ),
    st.none() | st.integers(0, 100),
)
def test_whatever_the_headers_are_they_are_understood_or_refused(
    fields: dict[str, str], content_length: int | None
) -> None:
    pieces.file_name(fields)
    for read in (read_piece, read_plain):
        with suppress(UploadRefused):
            read(fields, content_length)
    with suppress(UploadRefused):
        pieces.session_name(fields)
