"""What a node finds where it runs: it may be a process alone, or one of several that are a node together."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

from twisted.internet.interfaces import IProtocolFactory

from tahoeish.gateway.page import WorkerLine
from tahoeish.gateway.pages.report import Elsewhere, Report
from tahoeish.node.directory import OpenNodeDirectory, RunningNodeDirectory
from tahoeish.node.listening import listen
from tahoeish.streams.site import StreamingSite


class Surroundings(Protocol):
    """
    `processes` is how many there are. One of them `leads`, which does what must be done once for the node. `crew` is
    what those of the same node know each other by, where there are several.
    """

    processes: int
    leads: bool
    crew: str | None

    def enter(self, path: Path, random_bytes: Callable[[int], bytes]) -> RunningNodeDirectory: ...

    async def listen(self, reactor: Any, endpoint: str, factory: IProtocolFactory) -> Any:
        """A port, on which nobody is let in before its `resumeProducing`. Raises `CannotListen`."""

    def serve(self, site: StreamingSite) -> None:
        """`site` is where this process's clients are."""

    def workers(self) -> Sequence[WorkerLine]:
        """All processes that serve clients."""

    def tell_of(self, report: Callable[[], Report]) -> None:
        """`report` says what this process is doing, to any other that wants to know."""

    async def elsewhere(self) -> Elsewhere:
        """What the others are doing."""


class Alone:
    """The only process of its node."""

    processes = 1
    leads = True
    crew: str | None = None

    def enter(self, path: Path, random_bytes: Callable[[int], bytes]) -> OpenNodeDirectory:
        return OpenNodeDirectory(path, random_bytes)

    async def listen(self, reactor: Any, endpoint: str, factory: IProtocolFactory) -> Any:
        return await listen(reactor, endpoint, factory)

    def serve(self, site: StreamingSite) -> None:
        self._site = site

    def workers(self) -> Sequence[WorkerLine]:
        return [WorkerLine(os.getpid(), len(self._site.transfers))]

    def tell_of(self, report: Callable[[], Report]) -> None:
        """Nobody wants to know."""

    async def elsewhere(self) -> Elsewhere:
        return Elsewhere()
