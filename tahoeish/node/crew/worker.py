"""A worker as the crew sees it: a process that is begun anew when it dies."""

from __future__ import annotations

import os
import signal
import sys
from collections import defaultdict
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.defer import TimeoutError as PatienceOver
from twisted.internet.error import ProcessExitedAlready, ProcessTerminated
from twisted.internet.interfaces import IProcessTransport
from twisted.internet.protocol import ProcessProtocol
from twisted.internet.task import deferLater
from twisted.logger import Logger, LogLevel
from twisted.python.failure import Failure

import tahoeish
from tahoeish.node.background import WorkerFailed
from tahoeish.node.crew import messages
from tahoeish.node.crew.messages import Message, Messages, message

log = Logger()

FIRST_PAUSE, LONGEST_PAUSE = 0.5, 60.0
"""Seconds between the end of a worker and the next one; each time twice as many, until one has lived for a while."""

STEADY_SECONDS = 60.0
FIRST_TRIES = 3
"""How often a worker may die before any of its kind has come up."""

REPORT_PATIENCE = 2.0
"""Seconds that a worker may take to say what it is doing; somebody waits for it."""

LAST_WORDS = 2000
"""Characters of what a dying process has to say."""


@dataclass(frozen=True)
class Outfit:
    """What a worker begins with: the content of its first message, and its descriptors by what they are in here."""

    order: Mapping[str, Any]
    descriptors: Mapping[int, int]


@dataclass
class _Process(ProcessProtocol):
    """One process."""

    number: int
    order: Mapping[str, Any]
    on_ready: Callable[[Message], None]
    on_question: Callable[[int], None]
    transport: IProcessTransport = field(init=False)
    ready: bool = False
    reason: str | None = None
    """Why it can't do its work, as it says itself."""

    def __post_init__(self) -> None:
        self.ended: Deferred[Exception] = Deferred()
        self._awaited: defaultdict[str, list[Deferred[Message]]] = defaultdict(list)
        self._messages = Messages()
        self._last_words = ""

    def tell(self, kind: str, **content: Any) -> None:
        # It may be dead already, and its end not have been told yet.
        with suppress(KeyError):
            self.transport.writeToChild(messages.COMMANDS, message(kind, **content))

    def ask(self, kind: str, answer: str) -> Deferred[Message]:
        """The next of its answers of this kind; fails with `CancelledError` when it ends before that."""
        awaited: Deferred[Message] = Deferred()
        self._awaited[answer].append(awaited)
        self.tell(kind)
        return awaited

    def childDataReceived(self, childFD: int, data: bytes) -> None:
        if childFD == messages.REPLIES:
            for received in self._messages.feed(data):
                self._received(received)
        else:
            # Its log comes as messages: this is the interpreter's.
            text = data.decode("utf-8", "replace")
            self._last_words = (self._last_words + text)[-LAST_WORDS:]
            log.error("worker {number}: {text}", number=self.number, text=text.rstrip())

    def processEnded(self, reason: Failure) -> None:
        for awaited in self._awaited.values():
            for one in awaited:
                one.cancel()
        assert isinstance(reason.value, Exception)
        self.ended.callback(reason.value)

    def why(self, end: Exception) -> str:
        """What is known of its end."""
        if self.reason is not None:
            return self.reason
        if not isinstance(end, ProcessTerminated):
            return "it was told to"
        how = f"exit status {end.exitCode}" if end.signal is None else signal.Signals(end.signal).name
        last_line = self._last_words.strip().rpartition("\n")[2]
        return f"{how}, {last_line}" if last_line else how

    def _received(self, received: Message) -> None:
        match received["kind"]:
            case messages.LOG:
                emit = Logger(namespace=received["namespace"]).emit
                level = LogLevel.lookupByName(received["level"])
                emit(level, "worker {number}: {text}", number=self.number, text=received["text"])
            case messages.READY:
                self.ready = True
                self.on_ready(received)
            case messages.FAILED:
                self.reason = received["reason"]
            case messages.ASK:
                self.on_question(received["question"])
            case messages.RELOADED | messages.REPORTED as kind:
                self._awaited[kind].pop(0).callback(received)


class Worker:
    """One of the node's workers, from `launch` to `stop`, through any number of processes."""

    def __init__(
        self,
        number: int,
        path: Path,
        *,
        outfit: Callable[[], Outfit],
        died: Callable[[], None],
        asked: Callable[[int], None],
        reactor: Any,
    ) -> None:
        """
        `outfit` is asked anew for each process; `died` is called after each. `asked` is called with the number of the
        question when it wants to know what the others do.
        """
        self.number = number
        self._path = path
        self._outfit = outfit
        self._died = died
        self._asked = asked
        self._reactor = reactor
        self._process: _Process | None = None
        self._up: Deferred[Message] = Deferred()
        self._may_begin = False
        self._missed_change = False
        self._stopping = False
        self._pausing: Deferred[None] | None = None
        self._life: Deferred[None] | None = None

    def launch(self) -> None:
        """Start a process, which takes a while to get ready."""
        self._life = Deferred.fromCoroutine(self._live())
        self._life.addErrback(lambda failure: log.failure("a worker isn't looked after any more", failure))

    async def begin(self) -> Message:
        """Let it use what is the node's. What it says when it is up. Raises `WorkerFailed`."""
        self._may_begin = True
        if self._process is not None:
            self._process.tell(messages.BEGIN, **self._process.order)
        return await self._up

    async def reload(self) -> Message | None:
        """What it says about it, if it runs."""
        process = self._process
        if process is None or not process.ready:
            self._missed_change = True
            return None
        with suppress(CancelledError):
            return await process.ask(messages.RELOAD, messages.RELOADED)
        return None

    async def report(self) -> Mapping[str, Any] | None:
        """What it is doing, if it says so soon enough."""
        process = self._process
        if process is None or not process.ready:
            return None
        asking = process.ask(messages.REPORT, messages.REPORTED).addTimeout(REPORT_PATIENCE, self._reactor)
        with suppress(CancelledError, PatienceOver):
            report: Mapping[str, Any] | None = (await asking)["report"]
            return report
        return None

    def answer(self, question: int, **content: Any) -> None:
        if self._process is not None:
            self._process.tell(messages.ELSEWHERE, question=question, **content)

    async def stop(self, patience: float) -> None:
        """Let it end what it does; it has so many seconds before it is killed."""
        self._stopping = True
        if self._pausing is not None:
            self._pausing.cancel()
        # Nobody waits for it any more.
        self._up.addErrback(lambda _: None)
        if self._life is None:
            return
        if self._may_begin and self._process is not None:
            self._process.tell(messages.STOP)
        else:
            # It has nothing to bring to an end.
            self._kill()
        ended: Deferred[None] = Deferred()
        self._life.addCallback(ended.callback)
        try:
            await ended.addTimeout(patience, self._reactor)
        except PatienceOver:
            log.error("worker {number} doesn't end, and is killed", number=self.number)
            self._kill()

    def hurry(self) -> None:
        if self._process is not None:
            self._process.tell(messages.HURRY)

    def _kill(self) -> None:
        if self._process is not None:
            with suppress(ProcessExitedAlready):
                self._process.transport.signalProcess("KILL")

    async def _live(self) -> None:
        pause, tries = FIRST_PAUSE, 0
        while not self._stopping:
            began = self._reactor.seconds()
            process = self._process = self._launched()
            if self._may_begin:
                process.tell(messages.BEGIN, **process.order)
            end = await process.ended
            self._process = None
            self._died()
            if self._stopping:
                break
            why = process.why(end)
            tries += 1
            if not self._up.called and (process.reason is not None or tries == FIRST_TRIES):
                self._up.errback(WorkerFailed(why if process.reason is not None else f"worker {self.number}: {why}"))
                return
            if self._reactor.seconds() - began >= STEADY_SECONDS:
                pause = FIRST_PAUSE
            log.error(
                "worker {number} has ended ({why}); another one takes its place in {pause:g} s",
                number=self.number,
                why=why,
                pause=pause,
            )
            await self._pause(pause)
            pause = min(2 * pause, LONGEST_PAUSE)

    async def _pause(self, seconds: float) -> None:
        self._pausing = deferLater(self._reactor, seconds)
        with suppress(CancelledError):
            await self._pausing
        self._pausing = None

    def _launched(self) -> _Process:
        outfit = self._outfit()
        process = _Process(self.number, outfit.order, self._is_up, self._asked)
        package = Path(tahoeish.__file__).parents[1]
        search = os.pathsep.join(filter(None, [str(package), os.environ.get("PYTHONPATH")]))
        self._reactor.spawnProcess(
            process,
            sys.executable,
            [sys.executable, "-m", "tahoeish.node.crew.process", str(self._path), f"worker={self.number}"],
            env={**os.environ, "PYTHONPATH": search},
            childFDs={0: 0, 1: 1, 2: "r", messages.COMMANDS: "w", messages.REPLIES: "r", **outfit.descriptors},
        )
        return process

    def _is_up(self, said: Message) -> None:
        if self._missed_change:
            self._missed_change = False
            Deferred.fromCoroutine(self.reload()).addErrback(lambda failure: log.failure("changing peers", failure))
        if not self._up.called:
            self._up.callback(said)
