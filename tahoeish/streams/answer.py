"""A short answer to a request of ours, taken in as a whole."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure
from twisted.web.client import ResponseDone
from twisted.web.http import PotentialDataLoss
from twisted.web.iweb import IResponse


class AnswerTooLong(Exception):
    """More came than there could be any reason for."""


class _Gathering(Protocol):
    # Declared as less than it is: what an Agent gives to a body's protocol can also be paused.
    transport: Any

    def __init__(self, longest: int, heard: Callable[[], object]) -> None:
        self.gathered: Deferred[bytes] = Deferred(self._abandon)
        self._longest = longest
        self._heard = heard
        self._pieces: list[bytes] = []
        self._length = 0

    def dataReceived(self, data: bytes) -> None:
        self._heard()
        self._pieces.append(data)
        self._length += len(data)
        if self._length > self._longest and not self.gathered.called:
            self.gathered.errback(AnswerTooLong(f"the answer is longer than {self._longest} bytes"))
            self._abandon(self.gathered)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        if self.gathered.called:
            return
        if reason.check(ResponseDone, PotentialDataLoss):
            self.gathered.callback(b"".join(self._pieces))
        else:
            self.gathered.errback(reason)

    def _abandon(self, _: Deferred[bytes]) -> None:
        # A paused connection is dropped; an open one would be closed in good order, which takes the other side.
        self.transport.pauseProducing()
        self.transport.loseConnection()


def gathered(response: IResponse, longest: int, heard: Callable[[], object]) -> Deferred[bytes]:
    """
    The response's body. `heard` is called whenever some of it comes.

    Fails with `AnswerTooLong`, or with what ended the connection. Cancelling it drops the connection, if that is one
    of those in `attentive`.
    """
    gathering = _Gathering(longest, heard)
    response.deliverBody(gathering)
    return gathering.gathered


def innermost(failure: Failure) -> BaseException:
    """Twisted's web client wraps the cause of a failure into one or two layers of `reasons`."""
    while nested := getattr(failure.value, "reasons", None):
        failure = nested[0]
    assert failure.value is not None
    return failure.value
