"""One request to a storage node and its whole answer, or the reason why none came."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from OpenSSL import SSL
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import ConnectError, ConnectingCancelledError, ConnectionClosed, DNSLookupError
from twisted.internet.error import TimeoutError as ConnectTimeout
from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure
from twisted.web.client import (  # type: ignore[attr-defined]
    RequestGenerationFailed,
    RequestNotSent,
    RequestTransmissionFailed,
    ResponseFailed,
)
from twisted.web.http_headers import Headers
from twisted.web.iweb import IAgent, IBodyProducer

from tahoeish.chk.buffers import Buffer
from tahoeish.grid.peer import PeerError, PeerUnavailable
from tahoeish.streams.answer import AnswerTooLong, gathered, innermost
from tahoeish.streams.producer import BufferProducer
from tahoeish.streams.tls import WrongKey


@dataclass(frozen=True, slots=True)
class Patience:
    """
    What a storage node is granted, in seconds.

    `answer` is how long it may take nothing of a request, and say nothing to it when it has all of it; `stall`, how
    long it may pause in the middle of its answer. Both should be more than what a busy disk needs. `farewell` is for
    requests that only clean up. `pause` lies between the attempts, of which there are `attempts` at what is worth it.
    """

    answer: float = 60.0
    stall: float = 60.0
    farewell: float = 10.0
    pause: float = 1.0
    attempts: int = 3


@dataclass(frozen=True, slots=True)
class Answer:
    """`attempts` is how often it was asked for: what is repeated may have been done already."""

    status: int
    headers: Headers
    body: bytes
    attempts: int = 1


class Unreachable(PeerUnavailable):
    """No connection comes about."""


class ConnectionBroke(PeerUnavailable):
    """There was a connection; it ended before the answer."""


class Silent(PeerUnavailable):
    """There is a connection, on which nothing happens."""

    def __init__(self, peer: str, seconds: float) -> None:
        super().__init__(peer, f"nothing was heard of it for {seconds:g} seconds")


@dataclass(frozen=True, slots=True)
class Request:
    """The body's buffers must not change until the request is over. No more than `longest` bytes are taken back."""

    method: str
    url: str
    headers: Headers
    body: Sequence[Buffer] | None
    longest: int


class Exchange:
    """Makes requests of the peer that messages call `name`. Each drops its connection when it is cancelled."""

    def __init__(self, name: str, agent: IAgent, clock: IReactorTime, patience: Patience) -> None:
        self._name = name
        self._agent = agent
        self._clock = clock
        self._patience = patience

    async def __call__(self, request: Request) -> Answer:
        """Raises `Unreachable`, `ConnectionBroke`, `Silent`, or another `PeerError`."""
        watch = _Watch(self._clock, self._patience.answer)
        asking = Deferred.fromCoroutine(self._ask(request, watch))
        watch.start(asking.cancel)
        try:
            return await asking
        except CancelledError:
            if watch.barked:
                raise Silent(self._name, watch.limit) from None
            raise
        finally:
            watch.stop()

    async def _ask(self, request: Request, watch: _Watch) -> Answer:
        producer: IBodyProducer | None = None
        if request.body is not None:
            producer = _WatchedProducer(request.body, watch.alive)
        with self._translated():
            response = await self._agent.request(
                request.method.encode("ascii"), request.url.encode("ascii"), request.headers, producer
            )
            watch.expect(self._patience.stall)
            return Answer(response.code, response.headers, await gathered(response, request.longest, watch.alive))

    @contextmanager
    def _translated(self) -> Iterator[None]:
        """Twisted's errors, said in ours."""
        try:
            yield
        except ConnectingCancelledError:
            raise CancelledError() from None
        # The last one is for what can't be a host's name.
        except (ConnectError, DNSLookupError, ConnectTimeout, ValueError) as error:
            raise Unreachable(self._name, f"it can't be reached: {_sentence(error)}") from error
        except AnswerTooLong as error:
            raise PeerError(self._name, str(error)) from error
        except (
            RequestNotSent,
            RequestGenerationFailed,
            RequestTransmissionFailed,
            ResponseFailed,
            # These two end an answer's body.
            ConnectionClosed,
            SSL.Error,
        ) as error:
            cause = innermost(Failure(error))
            if isinstance(cause, CancelledError):
                raise cause from None
            if isinstance(cause, WrongKey):
                raise PeerUnavailable(self._name, str(cause)) from error
            if isinstance(cause, SSL.Error):
                raise PeerUnavailable(self._name, f"TLS failed: {_of_openssl(cause)}") from error
            raise ConnectionBroke(self._name, f"the connection broke: {_sentence(cause)}") from error


class _Watch:
    """Barks when nothing has happened for too long."""

    def __init__(self, clock: IReactorTime, limit: float) -> None:
        self.limit = limit
        self.barked = False
        self._bark: Callable[[], object] = lambda: None
        self._call = clock.callLater(limit, self._overdue)

    def start(self, bark: Callable[[], object]) -> None:
        self._bark = bark

    def expect(self, limit: float) -> None:
        """From now on, this is too long."""
        self.limit = limit
        self.alive()

    def alive(self) -> None:
        if self._call.active():
            self._call.reset(self.limit)

    def stop(self) -> None:
        if self._call.active():
            self._call.cancel()

    def _overdue(self) -> None:
        self.barked = True
        self._bark()


class _WatchedProducer(BufferProducer):
    """Calls `passing` whenever the connection has taken some of it, and asks for more."""

    def __init__(self, buffers: Sequence[Buffer], passing: Callable[[], object]) -> None:
        # Whoever speaks to storage nodes speaks TLS.
        super().__init__(buffers, copied=False)
        self._passing = passing

    def resumeProducing(self) -> None:
        self._passing()
        super().resumeProducing()


def _sentence(error: BaseException) -> str:
    return (str(error) or type(error).__name__).rstrip(".")


def _of_openssl(error: SSL.Error) -> str:
    # It carries a list of tuples: library, function, reason.
    reasons = error.args[0] if error.args and isinstance(error.args[0], list) else []
    return ", ".join(reason[-1] for reason in reasons) or type(error).__name__
