"""The body producer, driven by a consumer that does what a transport may do."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IConsumer
from twisted.python.failure import Failure
from twisted.web.iweb import UNKNOWN_LENGTH, IBodyProducer
from zope.interface import implementer
from zope.interface.verify import verifyObject

from tahoeish.streams.producer import PIECE, SourceTooLong, SourceTooShort, StreamProducer


@implementer(IConsumer)
class Consumer:
    """Keeps what is written. `on_write` is called within each write: a transport may call its producer there."""

    def __init__(self, on_write: Callable[[], object] = lambda: None) -> None:
        self.pieces: list[bytes] = []
        self._on_write = on_write

    @property
    def received(self) -> bytes:
        return b"".join(self.pieces)

    def write(self, data: bytes) -> None:
        assert type(data) is bytes, "a TCP transport takes nothing else"
        self.pieces.append(data)
        self._on_write()

    def registerProducer(self, producer: object, streaming: bool) -> None:
        raise NotImplementedError

    def unregisterProducer(self) -> None:
        raise NotImplementedError


class Source:
    """A stream whose pieces come when the test says so, and that knows whether it was closed."""

    def __init__(self) -> None:
        self.asked: Deferred[bytes | None] | None = None
        self.asked_times = 0
        self.closed_times = 0

    def give(self, piece: bytes | None) -> None:
        """The next piece; None for the end."""
        asked, self.asked = self.asked, None
        assert asked is not None
        asked.callback(piece)

    def fail(self, error: Exception) -> None:
        asked, self.asked = self.asked, None
        assert asked is not None
        asked.errback(error)

    def __aiter__(self) -> Source:
        return self

    async def __anext__(self) -> bytes:
        self.asked_times += 1
        self.asked = Deferred()
        piece = await self.asked
        if piece is None:
            raise StopAsyncIteration
        return piece

    async def aclose(self) -> None:
        self.closed_times += 1


class Outcome:
    """How often a producer's Deferred fired, and with what."""

    def __init__(self, finished: Deferred[None]) -> None:
        self.results: list[Any] = []
        self._finished = finished
        finished.addBoth(self.results.append)

    def cancel(self) -> None:
        self._finished.cancel()

    @property
    def error(self) -> BaseException | None:
        [failure] = self.results
        assert isinstance(failure, Failure)
        return failure.value


async def stream(*pieces: bytes | bytearray | memoryview) -> AsyncIterator[bytes | bytearray | memoryview]:
    for piece in pieces:
        yield piece


def test_it_is_a_body_producer() -> None:
    assert verifyObject(IBodyProducer, StreamProducer(stream(b"ab"), 2))


def test_buffers_of_all_kinds_are_written_in_order() -> None:
    consumer = Consumer()
    producer = StreamProducer(stream(b"ab", bytearray(b"cd"), memoryview(b"xefx")[1:3], b""), 6)
    outcome = Outcome(producer.startProducing(consumer))
    assert consumer.received == b"abcdef"
    assert outcome.results == [None]


def test_bytes_of_moderate_size_are_written_as_they_are() -> None:
    block = bytes(PIECE)
    consumer = Consumer()
    StreamProducer(stream(block), len(block)).startProducing(consumer)
    assert consumer.pieces[0] is block


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_a_big_buffer_is_written_in_bounded_pieces(kind: Callable[[bytes], Any]) -> None:
    content = bytes(range(256)) * (5 * PIECE // 512)
    consumer = Consumer()
    StreamProducer(stream(kind(content)), len(content)).startProducing(consumer)
    assert [len(piece) for piece in consumer.pieces] == [PIECE, PIECE, PIECE // 2]
    assert consumer.received == content


def test_a_pause_within_a_write_holds_the_next_one_back_until_it_is_resumed() -> None:
    producer = StreamProducer(stream(b"ab", b"cd", b"ef"), None)
    consumer = Consumer(on_write=lambda: producer.pauseProducing())
    outcome = Outcome(producer.startProducing(consumer))
    assert consumer.received == b"ab"
    producer.resumeProducing()
    assert consumer.received == b"abcd"
    assert outcome.results == []
    producer.resumeProducing()
    assert consumer.received == b"abcdef"
    producer.resumeProducing()
    assert outcome.results == [None]


def test_a_stop_within_a_write_ends_it_there_and_the_deferred_never_fires() -> None:
    producer = StreamProducer(stream(b"ab", b"cd"), None)
    consumer = Consumer(on_write=lambda: producer.stopProducing())
    outcome = Outcome(producer.startProducing(consumer))
    assert consumer.received == b"ab"
    assert outcome.results == []


def test_a_stop_within_a_later_write_ends_it_there_too() -> None:
    source = Source()
    producer = StreamProducer(source, None)
    consumer = Consumer(on_write=lambda: producer.stopProducing())
    outcome = Outcome(producer.startProducing(consumer))
    source.give(b"ab")
    assert consumer.received == b"ab"
    assert source.asked is None
    assert source.closed_times == 1
    assert outcome.results == []


def test_a_stop_while_paused_ends_it_and_a_late_resume_changes_nothing() -> None:
    producer = StreamProducer(stream(b"ab", b"cd"), None)
    consumer = Consumer(on_write=lambda: producer.pauseProducing())
    outcome = Outcome(producer.startProducing(consumer))
    producer.stopProducing()
    producer.resumeProducing()
    assert consumer.received == b"ab"
    assert outcome.results == []


def test_cancelling_while_paused_fails_the_deferred_once() -> None:
    producer = StreamProducer(stream(b"ab", b"cd"), None)
    consumer = Consumer(on_write=lambda: producer.pauseProducing())
    outcome = Outcome(producer.startProducing(consumer))
    outcome.cancel()
    producer.resumeProducing()
    producer.stopProducing()
    assert consumer.received == b"ab"
    assert isinstance(outcome.error, CancelledError)


def test_the_length_of_a_stream_is_announced_or_it_goes_out_in_chunks() -> None:
    assert StreamProducer(stream(), 5).length == 5
    assert StreamProducer(stream(), None).length is UNKNOWN_LENGTH


def test_a_stream_is_written_as_it_comes() -> None:
    source, consumer = Source(), Consumer()
    outcome = Outcome(StreamProducer(source, None).startProducing(consumer))
    source.give(b"ab")
    assert consumer.received == b"ab"
    source.give(b"cd")
    assert consumer.received == b"abcd"
    assert outcome.results == []
    source.give(None)
    assert outcome.results == [None]
    assert source.closed_times == 1


def test_a_stream_is_not_asked_for_more_while_the_transport_is_full() -> None:
    source = Source()
    producer = StreamProducer(source, None)
    consumer = Consumer(on_write=lambda: producer.pauseProducing())
    producer.startProducing(consumer)
    source.give(b"ab")
    assert source.asked_times == 1
    producer.resumeProducing()
    assert source.asked_times == 2
    producer.stopProducing()


def test_what_comes_while_the_transport_is_full_waits() -> None:
    source, consumer = Source(), Consumer()
    producer = StreamProducer(source, None)
    producer.startProducing(consumer)
    producer.pauseProducing()
    source.give(b"ab")
    assert consumer.received == b""
    producer.resumeProducing()
    assert consumer.received == b"ab"
    producer.stopProducing()


def test_stopping_cancels_a_source_that_is_waited_for_and_closes_it() -> None:
    closed = []
    waited_for: Deferred[None] = Deferred()

    async def source() -> AsyncIterator[bytes]:
        try:
            await waited_for
            yield b"never"
        finally:
            closed.append(True)

    producer = StreamProducer(source(), None)
    outcome = Outcome(producer.startProducing(Consumer()))
    producer.stopProducing()
    assert waited_for.called
    assert closed == [True]
    assert outcome.results == []


def test_cancelling_closes_a_source_that_stands_between_two_pieces() -> None:
    closed = []

    async def source() -> AsyncIterator[bytes]:
        try:
            yield b"ab"
            yield b"cd"
        finally:
            closed.append(True)

    producer = StreamProducer(source(), None)
    consumer = Consumer(on_write=lambda: producer.pauseProducing())
    outcome = Outcome(producer.startProducing(consumer))
    outcome.cancel()
    assert closed == [True]
    assert isinstance(outcome.error, CancelledError)


def test_an_error_in_the_source_fails_the_request() -> None:
    source, consumer = Source(), Consumer()
    outcome = Outcome(StreamProducer(source, 4).startProducing(consumer))
    source.give(b"ab")
    source.fail(OSError("the disk is gone"))
    assert str(outcome.error) == "the disk is gone"
    assert source.closed_times == 1


def test_a_source_that_ends_early_fails_the_request() -> None:
    outcome = Outcome(StreamProducer(stream(b"abc"), 4).startProducing(Consumer()))
    assert isinstance(outcome.error, SourceTooShort)
    assert str(outcome.error) == "the source ended after 3 of the 4 bytes that were promised"


def test_nothing_above_the_promised_length_is_written() -> None:
    consumer = Consumer()
    outcome = Outcome(StreamProducer(stream(b"abc", b"de", b"f"), 4).startProducing(consumer))
    assert isinstance(outcome.error, SourceTooLong)
    assert str(outcome.error) == "the source gave more than the 4 bytes that were promised"
    assert consumer.received == b"abc"


def test_a_stream_can_be_sent_only_once() -> None:
    producer = StreamProducer(stream(b"ab"), 2)
    producer.startProducing(Consumer())
    with pytest.raises(RuntimeError, match="only once"):
        producer.startProducing(Consumer())


def test_a_producer_that_was_stopped_before_it_began_asks_for_nothing() -> None:
    # A transport that is lost already stops its producer when that is registered.
    source = Source()
    producer = StreamProducer(source, None)
    producer.stopProducing()
    outcome = Outcome(producer.startProducing(Consumer()))
    assert source.asked_times == 0
    assert source.closed_times == 1
    assert outcome.results == []
