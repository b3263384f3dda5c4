"""
A worker: the process that serves clients. The crew starts it, tells it over a pipe what to do, and is told the log.

When the pipe breaks, the crew is gone, and the worker goes, too.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Coroutine, Mapping, Sequence
from itertools import count
from pathlib import Path
from typing import Any

from twisted.internet import stdio
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IHalfCloseableProtocol, IProtocolFactory, ITransport
from twisted.internet.protocol import Protocol
from twisted.logger import (
    FilteringLogObserver,
    ILogObserver,
    LogEvent,
    Logger,
    LogLevel,
    LogLevelFilterPredicate,
    eventAsText,
    globalLogBeginner,
)
from twisted.python.failure import Failure
from twisted.python.threadable import isInIOThread
from zope.interface import implementer

from tahoeish.gateway.page import WorkerLine
from tahoeish.gateway.pages.report import Elsewhere, Report
from tahoeish.gateway.pages.trouble import Incident
from tahoeish.node.background import CANNOT_START
from tahoeish.node.config import parse
from tahoeish.node.crew import messages
from tahoeish.node.crew.board import Board, Row
from tahoeish.node.crew.listener import SharedListener
from tahoeish.node.crew.messages import Message, Messages, message
from tahoeish.node.directory import RunningNodeDirectory, VisitedNodeDirectory
from tahoeish.node.listening import secured
from tahoeish.node.service import Node
from tahoeish.streams.site import StreamingSite

log = Logger()


class Berth:
    """The `Surroundings` of a worker."""

    def __init__(self, order: Message, board: Board, tell: Callable[..., None]) -> None:
        """`tell(kind, **content)` says something to the crew."""
        self.processes: int = order["processes"]
        self.leads = order["number"] == 0
        self.crew: str | None = order["crew"]
        self._number: int = order["number"]
        self._listeners: list[tuple[str, int]] = [(endpoint, descriptor) for endpoint, descriptor in order["listeners"]]
        self._board = board
        self._open = False
        self._site: StreamingSite | None = None
        self._tell = tell
        self._report: Callable[[], Report] | None = None
        self._questions = count()
        self._asking: dict[int, Deferred[Message]] = {}

    def enter(self, path: Path, random_bytes: Callable[[int], bytes]) -> RunningNodeDirectory:
        return VisitedNodeDirectory(path)

    async def listen(self, reactor: Any, endpoint: str, factory: IProtocolFactory) -> Any:
        descriptor = next(descriptor for at, descriptor in self._listeners if at == endpoint)
        self._listeners.remove((endpoint, descriptor))
        shared = factory is self._site
        spoken = secured(endpoint, factory, reactor)
        port = SharedListener(reactor, descriptor, spoken, self._gives_way if shared else _never)
        port.startListening()
        port.pauseProducing()
        return port

    def serve(self, site: StreamingSite) -> None:
        self._site = site
        site.changed = self.note

    def workers(self) -> Sequence[WorkerLine]:
        return [WorkerLine(row.pid, row.transfers) for row in self._board if row.pid]

    def tell_of(self, report: Callable[[], Report]) -> None:
        self._report = report

    async def elsewhere(self) -> Elsewhere:
        question = next(self._questions)
        answer = self._asking[question] = Deferred()
        self._tell(messages.ASK, question=question)
        try:
            told = await answer
        finally:
            del self._asking[question]
        return Elsewhere(
            [Report.of_json(report) for report in told["reports"]], [Incident(**each) for each in told["trouble"]]
        )

    def heard(self, told: Message) -> None:
        """The answer to a question of `elsewhere`, unless whoever asked has left."""
        answer = self._asking.get(told["question"])
        if answer is not None:
            answer.callback(told)

    def report(self) -> Mapping[str, Any] | None:
        """None before there is anything to tell."""
        return None if self._report is None else self._report().as_json()

    def open(self, is_open: bool) -> None:
        """Whether clients are let in from now on."""
        self._open = is_open
        self.note()

    def note(self) -> None:
        site = self._site
        connections, transfers = (site.connections, len(site.transfers)) if site is not None else (0, 0)
        self._board.write(self._number, Row(os.getpid(), self._open, connections, transfers))

    def _gives_way(self) -> bool:
        assert self._site is not None
        own = self._site.connections
        return any(row.open and row.connections < own for row in self._board)


@implementer(ILogObserver)
class Relay:
    """Tells the crew, which writes the log of the node, what there is for it."""

    def __init__(self, transport: ITransport, reactor: Any) -> None:
        self._transport = transport
        self._reactor = reactor

    def __call__(self, event: LogEvent) -> None:
        line = message(
            messages.LOG,
            level=event["log_level"].name,
            namespace=event["log_namespace"],
            text=eventAsText(event, includeTimestamp=False, includeSystem=False),
        )
        if isInIOThread():
            self._transport.write(line)
        else:
            self._reactor.callFromThread(self._transport.write, line)


@implementer(IHalfCloseableProtocol)
class WorkerProcess(Protocol):
    """Does what the crew says."""

    transport: ITransport

    def __init__(self, path: Path, reactor: Any) -> None:
        self._path = path
        self._reactor = reactor
        self._messages = Messages()
        self._node: Node | None = None
        self._berth: Berth | None = None
        self._connected = True
        self._stopping = False
        self._ended = False

    def dataReceived(self, data: bytes) -> None:
        for received in self._messages.feed(data):
            match received["kind"]:
                case messages.BEGIN:
                    _in_background(self._begin(received))
                case messages.RELOAD:
                    _in_background(self._reload())
                case messages.REPORT:
                    _in_background(self._tell_report())
                case messages.ELSEWHERE if self._berth is not None:
                    self._berth.heard(received)
                case messages.STOP:
                    self.stop()
                case messages.HURRY:
                    self._hurry()

    def readConnectionLost(self) -> None:
        self.connectionLost()

    def writeConnectionLost(self) -> None:
        # Who isn't told of this, and then lets go of the rest of the connection, hears nothing more at all.
        self.connectionLost()

    def connectionLost(self, reason: Failure | None = None) -> None:
        if not self._connected:
            return
        self._connected = False
        if self._ended:
            self._reactor.stop()
            return
        # The crew is gone, and another one may want to begin.
        self.stop()
        self._hurry()

    def stop(self) -> None:
        """Let transfers end, and end then. May be called again."""
        if not self._stopping:
            self._stopping = True
            _in_background(self._stop())

    async def _begin(self, order: Message) -> None:
        level = LogLevelFilterPredicate(LogLevel.lookupByName(order["log_level"]))
        relay = FilteringLogObserver(Relay(self.transport, self._reactor), [level])
        globalLogBeginner.beginLoggingTo([relay], redirectStandardIO=False)
        config = parse(order["config"], base=self._path, source="the configuration of the node")
        self._berth = Berth(order, Board(messages.BOARD, order["processes"]), self._tell)
        self._berth.note()
        self._node = Node(config, self._path, self._reactor, os.urandom, self._berth)
        try:
            await self._node.start()
        except CancelledError:
            # Told to stop before it was up.
            return
        except CANNOT_START as error:
            self._tell(messages.FAILED, reason=str(error))
            self.stop()
            return
        self._berth.open(True)
        nurl = self._node.nurl
        self._tell(messages.READY, nurl=None if nurl is None else str(nurl), missing=self._node.missing_peers)

    async def _reload(self) -> None:
        if self._node is not None:
            await self._node.reload()
            self._tell(messages.RELOADED, missing=self._node.missing_peers)

    async def _tell_report(self) -> None:
        self._tell(messages.REPORTED, report=None if self._berth is None else self._berth.report())

    async def _stop(self) -> None:
        try:
            if self._berth is not None:
                self._berth.open(False)
            if self._node is not None:
                await self._node.stop()
        finally:
            self._ended = True
            if self._connected:
                # What was said last has to get through before the end.
                self.transport.loseConnection()
            else:
                self._reactor.stop()

    def _hurry(self) -> None:
        if self._node is not None:
            self._node.hurry()

    def _tell(self, kind: str, **content: Any) -> None:
        self.transport.write(message(kind, **content))


def _never() -> bool:
    return False


def _in_background(work: Coroutine[Deferred[Any], Any, None]) -> None:
    Deferred.fromCoroutine(work).addErrback(lambda failure: log.failure("in a worker", failure))


def main() -> None:
    from twisted.internet import reactor as the_reactor

    reactor: Any = the_reactor
    # A terminal sends these to all processes that were started there. What they mean, the crew says.
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    worker = WorkerProcess(Path(sys.argv[1]), reactor)
    # mypy takes it for that of Windows.
    stdio.StandardIO(worker, stdin=messages.COMMANDS, stdout=messages.REPLIES)  # type: ignore[call-arg]
    reactor.callWhenRunning(_stop_by_signal, worker, reactor)
    reactor.run(installSignalHandlers=False)


def _stop_by_signal(worker: WorkerProcess, reactor: Any) -> None:
    signal.signal(signal.SIGTERM, lambda number, frame: reactor.callFromThread(worker.stop))


if __name__ == "__main__":
    main()
