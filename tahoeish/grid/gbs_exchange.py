"""One request to a storage node and its whole answer, or the reason why none came."""

from __future__ import annotations

from dataclasses import dataclass

from OpenSSL import SSL
from twisted.internet.error import ConnectError, DNSLookupError
from twisted.internet.error import TimeoutError as ConnectTimeout

from tahoeish.grid.peer import PeerError, PeerUnavailable
from tahoeish.streams.exchange.connection import Broken, Limits, Overdue
from tahoeish.streams.exchange.connections import Connections
from tahoeish.streams.exchange.message import Answer, Request
from tahoeish.streams.exchange.parser import AnswerTooLong, BadAnswer
from tahoeish.streams.tls import WrongKey


@dataclass(frozen=True, slots=True)
class Patience:
    """
    What a storage node is granted, in seconds.

    `answer` is how long it may take nothing of a request, and say nothing to it when it has all of it; `stall`, how
    long it may pause in the middle of its answer. Both should be more than what a busy disk needs. `farewell` is for
    requests that only clean up. `pause` lies between the attempts, of which there are `attempts` at what is worth it,
    and `lasting_attempts` to reach one that keeps what it has over a restart.
    """

    answer: float = 60.0
    stall: float = 60.0
    farewell: float = 10.0
    pause: float = 1.0
    attempts: int = 3
    lasting_attempts: int = 20


class Unreachable(PeerUnavailable):
    """No connection comes about."""


class ConnectionBroke(PeerUnavailable):
    """There was a connection; it ended before the answer."""


class Silent(PeerUnavailable):
    """There is a connection, on which nothing happens."""

    def __init__(self, peer: str, seconds: float) -> None:
        super().__init__(peer, f"nothing was heard of it for {seconds:g} seconds")


class Exchange:
    """Makes requests of the peer that messages call `name`. Each drops its connection when it is cancelled."""

    def __init__(self, name: str, connections: Connections, patience: Patience) -> None:
        self._name = name
        self._connections = connections
        self._limits = Limits(patience.answer, patience.stall)

    async def __call__(self, request: Request) -> Answer:
        """Raises `Unreachable`, `ConnectionBroke`, `Silent`, or another `PeerError`."""
        try:
            return await self._connections.ask(request, self._limits)
        # The last one is for what can't be a host's name.
        except (ConnectError, DNSLookupError, ConnectTimeout, ValueError) as error:
            raise Unreachable(self._name, f"it can't be reached: {_sentence(error)}") from error
        except Overdue as error:
            raise Silent(self._name, error.seconds) from None
        except AnswerTooLong as error:
            raise PeerError(self._name, str(error)) from error
        except BadAnswer as error:
            raise ConnectionBroke(self._name, f"the connection broke: {_sentence(error)}") from error
        except Broken as error:
            raise self._told(error.cause) from error

    def _told(self, cause: BaseException) -> PeerUnavailable:
        """Why a connection broke."""
        if isinstance(cause, WrongKey):
            return PeerUnavailable(self._name, str(cause))
        if isinstance(cause, SSL.Error):
            return PeerUnavailable(self._name, f"TLS failed: {_of_openssl(cause)}")
        return ConnectionBroke(self._name, f"the connection broke: {_sentence(cause)}")


def _sentence(error: BaseException) -> str:
    return (str(error) or type(error).__name__).rstrip(".")


def _of_openssl(error: SSL.Error) -> str:
    # It carries a list of tuples: library, function, reason.
    reasons = error.args[0] if error.args and isinstance(error.args[0], list) else []
    return ", ".join(reason[-1] for reason in reasons) or type(error).__name__
