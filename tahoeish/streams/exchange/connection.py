"""One connection to a server, with at most one request on it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IHandshakeListener, IPushProducer, IReactorTime
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure
from zope.interface import implementer

from tahoeish.streams.deadline import Deadline
from tahoeish.streams.exchange.message import Answer, Request, batches, size
from tahoeish.streams.exchange.parser import AnswerParser, AnswerTooLong, BadAnswer
from tahoeish.streams.openssl import RECORD
from tahoeish.streams.records import BatchingTLSTransport

if TYPE_CHECKING:
    from typing_extensions import Buffer


@dataclass(frozen=True, slots=True)
class Limits:
    """
    Seconds. `answer` is how long the server may take nothing of a request, and say nothing to it when it has all of it;
    `stall`, how long it may pause in the middle of its answer.
    """

    answer: float
    stall: float


class Broken(Exception):
    """The connection ended before the answer did; `cause` is what ended it."""

    def __init__(self, cause: BaseException) -> None:
        super().__init__(str(cause))
        self.cause = cause


class Overdue(Exception):
    """Nothing has happened for so many `seconds`."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"nothing has happened for {seconds:g} seconds")
        self.seconds = seconds


@implementer(IHandshakeListener, IPushProducer)
class Connection(Protocol):
    """
    `free` is called when it can be used for the next request, for which it waits `idle_timeout` seconds; `gone` when it
    never can again.

    An answer may come while the request is still being sent; then that is the answer, and the connection ends.
    """

    transport: BatchingTLSTransport
    takes_views = True

    def __init__(
        self,
        clock: IReactorTime,
        idle_timeout: float,
        free: Callable[[Connection], object],
        gone: Callable[[Connection], object],
    ) -> None:
        self._idle_timeout = idle_timeout
        self._free = free
        self._gone = gone
        self._deadline = Deadline(clock, self._overdue)
        self._limits = Limits(idle_timeout, idle_timeout)
        self._waited = 0.0
        self._is_ready = False
        self._paused = False
        self._answered: Deferred[Answer] | None = None
        self._parser: AnswerParser | None = None
        # What waits for the handshake; what waits for the socket.
        self._unbegun: tuple[bytes, Sequence[Buffer], int] | None = None
        self._unsent: Iterator[list[Buffer]] | None = None

    def ask(self, request: Request, head: bytes, limits: Limits, at_once: int) -> Deferred[Answer]:
        """
        `head` is the request's; about `at_once` bytes of the two are sealed at a time. Fails with `Broken`, `Overdue`,
        `BadAnswer` or `AnswerTooLong`; then, and when it is cancelled, the connection is dropped.
        """
        assert self._answered is None
        answered: Deferred[Answer] = Deferred(self._cancelled)
        self._answered = answered
        self._parser = AnswerParser(request.longest, to_head=request.method == "HEAD")
        self._limits = limits
        self._wait(limits.answer)
        if self._is_ready:
            self._begin(head, request.body or (), at_once)
        else:
            self._unbegun = head, request.body or (), at_once
        return answered

    def close(self) -> None:
        """In good order. Not while a request is on it."""
        self.transport.loseConnection()

    # What the transport calls.

    def handshakeCompleted(self) -> None:
        # Somebody with another key may have completed it.
        if not self.transport.disconnecting:
            self._is_ready = True
            if self._unbegun is not None:
                begun, self._unbegun = self._unbegun, None
                self._begin(*begun)

    def pauseProducing(self) -> None:
        self._paused = True

    def resumeProducing(self) -> None:
        self._paused = False
        if self._unsent is not None:
            self._wait(self._limits.answer)
            self._send_on()

    def stopProducing(self) -> None:
        """The connection is lost, which will be said."""

    def dataReceived(self, data: bytes | memoryview) -> None:
        parser = self._parser
        if parser is None:
            # Who speaks without being asked can't be understood later.
            self.transport.abortConnection()
            return
        try:
            parser.receive(data)
        except (BadAnswer, AnswerTooLong) as error:
            self._fail(error)
            return
        if parser.answer is not None:
            self._succeed(parser.answer, parser.keeps)
        else:
            self._wait(self._limits.stall if parser.begun else self._limits.answer)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._deadline.stop()
        self._is_ready = False
        self._gone(self)
        parser = self._parser
        if parser is None:
            return
        answered = self._take()
        assert reason.value is not None
        if reason.check(ConnectionDone) and (answer := parser.end()) is not None:
            answered.callback(answer)
        else:
            answered.errback(Broken(reason.value))

    # Inside.

    def _begin(self, head: bytes, body: Sequence[Buffer], at_once: int) -> None:
        if len(head) + size(body) <= at_once:
            self.transport.write_together([head, *body])
        else:
            self._unsent = batches(head, body, at_once, RECORD)
            self.transport.registerProducer(self, True)
            self._send_on()

    def _send_on(self) -> None:
        while not self._paused and self._unsent is not None:
            batch = next(self._unsent, None)
            if batch is None:
                self._unsent = None
                self.transport.unregisterProducer()
            else:
                self.transport.write_together(batch)

    def _succeed(self, answer: Answer, keeps: bool) -> None:
        everything_is_sent = self._unsent is None
        answered = self._take()
        if not everything_is_sent:
            self.transport.abortConnection()
        elif not keeps:
            self._deadline.put(self._limits.stall)
            self.transport.loseConnection()
        elif not self.transport.disconnecting:
            self._deadline.put(self._idle_timeout)
            self._free(self)
        answered.callback(answer)

    def _fail(self, error: Exception) -> None:
        answered = self._take()
        self.transport.abortConnection()
        answered.errback(error)

    def _cancelled(self, _: Deferred[Answer]) -> None:
        self._take()
        self.transport.abortConnection()

    def _take(self) -> Deferred[Answer]:
        """From now on nobody waits for an answer."""
        answered, self._answered, self._parser = self._answered, None, None
        self._unbegun = self._unsent = None
        assert answered is not None
        return answered

    def _wait(self, seconds: float) -> None:
        self._waited = seconds
        self._deadline.put(seconds)

    def _overdue(self) -> None:
        if self._answered is not None:
            self._fail(Overdue(self._waited))
        elif self.transport.disconnecting:
            self.transport.abortConnection()
        else:
            self._deadline.put(self._limits.stall)
            self.close()
