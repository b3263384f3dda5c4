"""What every kind of node is to those who run it: the command in the foreground, and twistd."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any

from twisted.application.service import Service
from twisted.internet.defer import CancelledError, Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from tahoeish.node.config import Config
from tahoeish.node.directory import NodeDirectoryError
from tahoeish.node.listening import CannotListen
from tahoeish.storage.nurl import Nurl

log = Logger()


class WorkerFailed(Exception):
    """A process of the node doesn't come up."""


CANNOT_START = (NodeDirectoryError, CannotListen, WorkerFailed)
"""What the operator is told in one line."""


class NodeService(Service, ABC):
    """`start` and `stop` are for those who can wait; as a twisted service it does both in the background."""

    config: Config
    path: Path
    urls: list[str]
    without_users = False
    """Nobody has been added yet, so it serves only its own machine."""

    missing_peers: dict[str, str]
    """What is wrong, by name, with peers that can't be had."""

    _reactor: Any
    _starting: Deferred[None] | None = None

    @property
    @abstractmethod
    def nurl(self) -> Nurl | None:
        """Where other nodes find the shares, if this is a storage node."""

    async def start(self) -> None:
        """Raises one of `CANNOT_START`; `stop` is still due then. It may also come before the end."""
        self._starting = Deferred.fromCoroutine(self._start())
        try:
            await self._starting
        finally:
            self._starting = None

    async def stop(self) -> None:
        """Let running transfers end within the grace time, then end them; nothing half-done is left."""
        if self._starting is not None:
            self._starting.cancel()
        await self._stop()

    @abstractmethod
    def hurry(self) -> None:
        """Somebody has asked twice: no more grace."""

    @abstractmethod
    async def reload(self) -> None:
        """
        Read anew which peers there are. Transfers that are under way keep those that they have. A configuration with
        problems changes nothing.
        """

    @abstractmethod
    async def _start(self) -> None:
        """May be cancelled."""

    @abstractmethod
    async def _stop(self) -> None:
        """Whatever has been started, or half started."""

    # As a service of twistd's.

    def startService(self) -> None:
        super().startService()
        starting = Deferred.fromCoroutine(self.start())
        at_once = getattr(starting, "result", None)
        if isinstance(at_once, Failure):
            starting.addErrback(lambda _: None)
            # twistd ends with a status of its own only for what goes wrong before the reactor runs.
            at_once.raiseException()
        starting.addErrback(self._could_not_start)

    def stopService(self) -> Deferred[None]:
        super().stopService()
        return Deferred.fromCoroutine(self.stop())

    def _could_not_start(self, failure: Failure) -> None:
        if failure.check(CancelledError):
            return
        if failure.check(*CANNOT_START):
            log.critical("the node can't start: {reason}", reason=failure.getErrorMessage())
        else:
            log.failure("the node can't start", failure)
        self._reactor.callWhenRunning(self._reactor.stop)
