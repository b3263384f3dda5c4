"""Reading answers of HTTP/1.1, wherever their bytes are cut."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from time import process_time

import pytest

from tahoeish.streams.exchange.message import Answer
from tahoeish.streams.exchange.parser import LONGEST_HEAD, MOST_INTERIM, AnswerParser, AnswerTooLong, BadAnswer
from tests.cycles import without_collector

LONGEST = 100
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


def parsed(
    wire: bytes,
    *,
    piece: int = 10**6,
    longest: int = LONGEST,
    to_head: bool = False,
    kind: Callable[[bytes], bytes | memoryview] = bytes,
) -> AnswerParser:
    parser = AnswerParser(longest, to_head=to_head)
    for start in range(0, len(wire), piece):
        parser.receive(kind(wire[start : start + piece]))
    return parser


@pytest.mark.parametrize(
    "wire", [b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc", CHUNKED + b"3\r\nabc\r\n0\r\n\r\n"]
)
@pytest.mark.parametrize("length", [10, 50, 1000])
def test_what_has_come_is_let_go_with_the_parser(wire: bytes, length: int) -> None:
    with without_collector():
        parser = weakref.ref(parsed(wire[:length]))
        assert parser() is None


def answer(wire: bytes) -> Answer:
    found = parsed(wire).answer
    assert found is not None
    return found


@pytest.mark.parametrize("kind", [bytes, memoryview])
@pytest.mark.parametrize("piece", [1, 2, 3, 7, 10**6])
@pytest.mark.parametrize(
    ("wire", "status", "body"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", 200, b"hello"),
        (b"HTTP/1.1 201 \r\nContent-Length: 0\r\n\r\n", 201, b""),
        (b"HTTP/1.1 206\r\nContent-Length: 1\r\n\r\n\n", 206, b"\n"),
        (b"HTTP/1.1 204 No Content\r\n\r\n", 204, b""),
        (b"HTTP/1.1 304 Not Modified\r\nContent-Length: 70\r\n\r\n", 304, b""),
        (CHUNKED + b"5\r\nhello\r\n1;x=y\r\n!\r\n0\r\n\r\n", 200, b"hello!"),
        (CHUNKED + b"00A\r\n0123456789\r\n0\r\nEtag: x\r\nB: c\r\n\r\n", 200, b"0123456789"),
        (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 102 \r\nA: b\r\n\r\nHTTP/1.1 204 \r\n\r\n", 204, b""),
    ],
)
def test_an_answer_ends_where_it_says(
    wire: bytes, status: int, body: bytes, piece: int, kind: Callable[[bytes], bytes | memoryview]
) -> None:
    parser = parsed(wire, piece=piece, kind=kind)
    assert parser.answer is not None
    assert (parser.answer.status, parser.answer.body) == (status, body)
    assert parser.keeps


def test_headers_are_found_by_small_names_and_joined() -> None:
    wire = b"HTTP/1.1 204 \r\nContent-TYPE:text/plain \r\nA:  b\t\r\na: c\r\nempty:\r\n\r\n"
    assert answer(wire).headers == {"content-type": "text/plain", "a": "b, c", "empty": ""}


def test_the_answer_to_a_head_has_no_body() -> None:
    parser = parsed(b"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n", to_head=True)
    assert parser.answer is not None and parser.answer.body == b"" and parser.keeps


@pytest.mark.parametrize(
    "head", [b"HTTP/1.1 204 \r\nConnection: Close\r\n\r\n", b"HTTP/1.0 204 \r\n\r\n", b"HTTP/1.1 204 \r\n\r\nmore"]
)
def test_a_connection_is_not_kept_if_it_may_not_be(head: bytes) -> None:
    parser = parsed(head)
    assert parser.answer is not None and not parser.keeps


def test_a_body_of_unknown_length_ends_with_the_connection() -> None:
    parser = parsed(b"HTTP/1.1 200 OK\r\n\r\nsome", piece=1)
    assert parser.answer is None
    assert parser.end()
    assert parser.answer is not None and parser.answer.body == b"some" and not parser.keeps


@pytest.mark.parametrize("wire", [b"", b"HTTP/1.1 200", b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhell", CHUNKED])
def test_a_connection_that_ends_earlier_ends_no_answer(wire: bytes) -> None:
    assert not parsed(wire).end()


@pytest.mark.parametrize(
    "wire",
    [
        b"SSH-2.0-OpenSSH\r\n\r\n",
        b"HTTP/2 200 OK\r\n\r\n",
        b"HTTP/1.1 999 What\r\n\r\n",
        b"HTTP/1.1  200 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\nA: b\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\n\r\n",
        b"HTTP/1.1 100 \r\n\r\n" * (MOST_INTERIM + 1),
        b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nA : b\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nA: b\r\n folded\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nA: b\0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nA: b\rc\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 0x5\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
        b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        CHUNKED + b"g\r\n",
        CHUNKED + b"-1\r\n",
        CHUNKED + b"5 5\r\n",
        CHUNKED + b"1\r\nab\r\n",
        CHUNKED + b"0\r\nno colon\r\n\r\n",
    ],
)
def test_what_isnt_clear_is_refused(wire: bytes) -> None:
    for piece in (1, 10**6):
        with pytest.raises(BadAnswer):
            parsed(wire, piece=piece)


@pytest.mark.parametrize(
    "wire",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 101\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n\r\n" + bytes(101),
        CHUNKED + b"64\r\n" + bytes(100) + b"\r\n1\r\n",
        CHUNKED + b"fffffffffffffff\r\n",
        CHUNKED + b"1;" + bytes(2000),
        CHUNKED + b"0\r\n" + b"a: b\r\n" * LONGEST_HEAD,
        b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * LONGEST_HEAD,
        b"x" * (LONGEST_HEAD + 1),
    ],
)
def test_nothing_goes_on_for_ever(wire: bytes) -> None:
    for piece in (11, 10**6):
        with pytest.raises(AnswerTooLong):
            parsed(wire, piece=piece)


def test_blanks_around_a_header_take_no_longer_than_there_are_many() -> None:
    # Where each of them were to begin a look at all that follow it, this would take minutes.
    began = process_time()
    blanks = b" \t" * 7_000
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nA:%s\r\n\r\n"
    assert answer(head % (blanks + b"b" + blanks)).headers["a"] == "b"
    assert answer(head % (b"b" + blanks + b"c")).headers["a"] == "b" + blanks.decode() + "c"
    with pytest.raises(BadAnswer):
        parsed(head % (blanks + b"\0"))
    assert process_time() - began < 10
