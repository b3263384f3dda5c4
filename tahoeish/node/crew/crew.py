"""The process that was started, where a node is several: it holds what there can be only once, and serves nobody."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred, DeferredLock, maybeDeferred
from twisted.internet.protocol import Factory
from twisted.logger import Logger, globalLogPublisher

from tahoeish.chk import base32
from tahoeish.gateway.pages.trouble import Trouble
from tahoeish.node.background import NodeService
from tahoeish.node.config import Config, ConfigError, effective_text
from tahoeish.node.crew import messages
from tahoeish.node.crew.board import Board, Row
from tahoeish.node.crew.messages import Message
from tahoeish.node.crew.portion import portion_of
from tahoeish.node.crew.worker import Outfit, Worker
from tahoeish.node.directory import NodeDirectoryError, OpenNodeDirectory
from tahoeish.node.listening import CannotListen, listen, url_of
from tahoeish.storage.nurl import Nurl
from tahoeish.streams.tasks import together

log = Logger()

LAST_PATIENCE = 30.0
"""What a worker gets beyond the grace for transfers before it is taken for hung."""

NAME_LENGTH = 16


class _Nobody(Factory):
    noisy = False


class Crew(NodeService):
    """A node whose clients are served by `size` workers."""

    def __init__(
        self, config: Config, size: int, path: Path, reactor: Any, random_bytes: Callable[[int], bytes]
    ) -> None:
        self.config = config
        self.path = path
        self.urls = []
        self.missing_peers = {}
        self._nurl: str | None = None
        self._reactor = reactor
        self._random_bytes = random_bytes
        # Another one each time: whoever is left of an earlier crew isn't of this one.
        self._name = base32.encode(random_bytes(NAME_LENGTH))
        self._directory: OpenNodeDirectory | None = None
        self._board: Board | None = None
        self._ports: list[tuple[str, Any]] = []
        self._workers = [
            Worker(
                number,
                path,
                outfit=partial(self._outfit, number),
                died=partial(self._died, number),
                asked=partial(self._asked, number),
                reactor=reactor,
            )
            for number in range(size)
        ]
        self._reloading = DeferredLock()
        self._trouble = Trouble()

    @property
    def nurl(self) -> Nurl | None:
        return None if self._nurl is None else Nurl.parse(self._nurl)

    async def _stop(self) -> None:
        globalLogPublisher.removeObserver(self._trouble)
        ports, self._ports = self._ports, []
        for _, port in ports:
            await maybeDeferred(port.stopListening)
        patience = self.config.gateway.shutdown_grace + LAST_PATIENCE
        await together(worker.stop(patience) for worker in self._workers)
        if self._directory is not None:
            self._directory.close()
            self._directory = None
        if self._board is not None:
            self._board.close()
            self._board = None

    def hurry(self) -> None:
        for worker in self._workers:
            worker.hurry()

    async def reload(self) -> None:
        if self._directory is None or self._starting is not None:
            return
        try:
            peers = self._directory.config().grid.peers
        except (ConfigError, NodeDirectoryError) as error:
            log.error("the peers stay as they are: {problem}", problem=str(error))
            return
        self.config = replace(self.config, grid=replace(self.config.grid, peers=peers))
        await self._reloading.run(Deferred.fromCoroutine, self._reload())

    async def _reload(self) -> None:
        # One after the other, so that what is new is made by one.
        for worker in self._workers:
            said = await worker.reload()
            if said is not None:
                self.missing_peers = said["missing"]

    async def _start(self) -> None:
        # The log of all workers comes through here.
        globalLogPublisher.addObserver(self._trouble)
        self._directory = OpenNodeDirectory(self.path, self._random_bytes)
        if self.config.storage.enabled:
            await self._listen(self.config.storage.listen)
        await self._listen(self.config.gateway.listen)
        self._board = Board.make(len(self._workers))
        # Whatever could end this process before it hears signals would leave workers behind, and they hold the lock.
        running: Deferred[None] = Deferred()
        self._reactor.callWhenRunning(running.callback, None)
        await running
        for worker in self._workers:
            worker.launch()
        # The first one alone: it makes what isn't there yet, and brings the catalogue up to date.
        first, *others = self._workers
        said = await first.begin()
        await together(worker.begin() for worker in others)
        self._take_notice(said)
        self.urls = [url_of(endpoint, port) for endpoint, port in self._ports[-len(self.config.gateway.listen) :]]
        self._directory.write_url(self.urls[0])
        log.info("{count} workers listen at {urls}", count=len(self._workers), urls=", ".join(self.urls))

    async def _listen(self, endpoints: tuple[str, ...]) -> None:
        for endpoint in endpoints:
            if endpoint.partition(":")[0] not in ("tcp", "tcp4", "tcp6", "ssl", "unix"):
                raise CannotListen(
                    f"can't listen at {endpoint} with several workers, only at tcp, tcp6, ssl and unix endpoints; set"
                    " workers = 1 in [gateway], or let a proxy do the rest"
                )
            # Nobody is let in here: workers do that, with the same socket.
            self._ports.append((endpoint, await listen(self._reactor, endpoint, _Nobody())))

    def _take_notice(self, said: Message) -> None:
        self._nurl = said["nurl"]
        self.missing_peers = said["missing"]

    def _outfit(self, number: int) -> Outfit:
        assert self._directory is not None and self._board is not None
        leads = number == 0
        config = portion_of(self.config, len(self._workers), leads=leads)
        ports = self._ports if leads else self._ports[-len(config.gateway.listen) :]
        listeners = dict(enumerate(ports, messages.LISTENERS))
        order = {
            "config": effective_text(config),
            "log_level": config.log.level,
            "number": number,
            "processes": len(self._workers),
            "crew": self._name,
            "listeners": [(endpoint, descriptor) for descriptor, (endpoint, _) in listeners.items()],
        }
        descriptors = {messages.LOCK: self._directory.lock, messages.BOARD: self._board.descriptor}
        return Outfit(order, descriptors | {there: port.fileno() for there, (_, port) in listeners.items()})

    def _asked(self, number: int, question: int) -> None:
        answering = Deferred.fromCoroutine(self._tell_elsewhere(number, question))
        answering.addErrback(lambda failure: log.failure("a worker isn't told what the others do", failure))

    async def _tell_elsewhere(self, number: int, question: int) -> None:
        others = [worker for worker in self._workers if worker.number != number]
        reports = await together(worker.report() for worker in others)
        self._workers[number].answer(
            question,
            reports=[report for report in reports if report is not None],
            trouble=[asdict(incident) for incident in self._trouble],
        )

    def _died(self, number: int) -> None:
        if self._board is not None:
            self._board.write(number, Row())
