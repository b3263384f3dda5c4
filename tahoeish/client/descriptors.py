"""
Pipes, terminals and sockets, read and written when they are ready.

A thread that waits for one of these can't be called back, so a command whose input stalls could not be
interrupted. The reactor can wait for many things at once.
"""

from __future__ import annotations

import os
import stat
from collections.abc import AsyncIterator, Sequence
from types import TracebackType
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorFDSet, IReadWriteDescriptor
from twisted.python.failure import Failure
from zope.interface import implementer

from tahoeish.streams.producer import PIECE

_TERMINAL_STEP = 1024


def must_be_waited_for(fd: int) -> bool:
    """Whether `fd` is for the classes here. Disks answer in their own time, but they do; a thread will do."""
    mode = os.fstat(fd).st_mode
    return stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode) or os.isatty(fd)


@implementer(IReadWriteDescriptor)
class _Readiness:
    """Asks the reactor about one descriptor, once at a time."""

    def __init__(self, reactor: IReactorFDSet, fd: int) -> None:
        self._reactor = reactor
        self._fd = fd
        self._waiting: Deferred[None] | None = None

    def readable(self) -> Deferred[None]:
        self._reactor.addReader(self)
        self._waiting = Deferred(self._forget)
        return self._waiting

    def writable(self) -> Deferred[None]:
        self._reactor.addWriter(self)
        self._waiting = Deferred(self._forget)
        return self._waiting

    def fileno(self) -> int:
        return self._fd

    def logPrefix(self) -> str:
        return f"descriptor {self._fd}"

    def doRead(self) -> None:
        self._ready()

    def doWrite(self) -> None:
        self._ready()

    def connectionLost(self, reason: Failure) -> None:
        # The other end is closed. Reading or writing says so, and what is still in the pipe comes first.
        self._ready()

    def _ready(self) -> None:
        waiting = self._waiting
        self._forget(None)
        if waiting is not None:
            waiting.callback(None)

    def _forget(self, _: Any) -> None:
        self._waiting = None
        self._reactor.removeReader(self)
        self._reactor.removeWriter(self)


class DescriptorReader:
    """What comes out of a descriptor, as it comes. It isn't closed."""

    def __init__(self, reactor: IReactorFDSet, fd: int) -> None:
        self._fd = fd
        self._readiness = _Readiness(reactor, fd)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while True:
            await self._readiness.readable()
            try:
                piece = os.read(self._fd, PIECE)
            except BlockingIOError:
                # Another process has been quicker.
                continue
            if not piece:
                return
            yield piece


class DescriptorWriter:
    """
    Writes into a descriptor as much as it takes at a time. It isn't closed.

    To be used in a `with`, at whose end the descriptor blocks again: it may be shared with other processes.
    """

    def __init__(self, reactor: IReactorFDSet, fd: int) -> None:
        self._fd = fd
        self._readiness = _Readiness(reactor, fd)
        # A terminal is usually our error output, too, where nobody expects to be told to try again.
        self._terminal = os.isatty(fd)
        self._was_blocking = os.get_blocking(fd)

    def __enter__(self) -> DescriptorWriter:
        if not self._terminal:
            os.set_blocking(self._fd, False)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.set_blocking(self._fd, self._was_blocking)

    async def write(self, pieces: Sequence[bytes]) -> None:
        for piece in pieces:
            with memoryview(piece) as rest:
                written = 0
                while written < len(rest):
                    written += await self._write_some(rest[written:])

    async def _write_some(self, data: memoryview) -> int:
        await self._readiness.writable()
        try:
            return os.write(self._fd, data[:_TERMINAL_STEP] if self._terminal else data)
        except BlockingIOError:
            return 0
