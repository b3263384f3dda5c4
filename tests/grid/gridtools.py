"""A grid of folders in this thread, with time and memory in a test's hands."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Coroutine
from contextlib import aclosing
from pathlib import Path
from typing import Any, TypeVar

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.python.failure import Failure

from tahoeish.chk import base32
from tahoeish.chk.buffers import Buffer
from tahoeish.chk.caps import ReadCap
from tahoeish.chk.erasure import ZfecCodec
from tahoeish.grid.check import Checker
from tahoeish.grid.download import Downloader
from tahoeish.grid.repair import Repairer
from tahoeish.grid.shareset import EncodingChoice
from tahoeish.grid.spool import SpoolRoom
from tahoeish.grid.upload import Uploaded, Uploader
from tahoeish.storage.container import DATA_OFFSET
from tahoeish.streams.budget import ByteBudget, SegmentAllowance
from tahoeish.streams.gate import Gate
from tahoeish.streams.threads import direct
from tests.grid.faults import FaultyPeer, files_in, folder_peer

T = TypeVar("T")

STALL_SECONDS = 10


class FolderGrid:
    """Some folders, and what uploads to them and downloads from them."""

    def __init__(
        self, path: Path, peers: int = 5, *, needed: int = 2, total: int = 5, happy: int = 4, segment: int = 4096
    ) -> None:
        self.clock = Clock()
        self.folders = [path / f"peer{number}" for number in range(peers)]
        self.peers = [FaultyPeer(folder_peer(folder)) for folder in self.folders]
        for peer in self.peers:
            succeeded(peer.peer.start())
            peer.permutation_seed = peer.peer.permutation_seed
        self.allowance = SegmentAllowance(1 << 20, smallest=segment)
        self.work = ByteBudget(1 << 20)
        # So large that nobody waits at the gate for the clock to tick.
        self.reading = ByteBudget(1 << 24)
        self.uploader = Uploader(
            peers=lambda: self.peers,
            encoding=EncodingChoice(needed, total, happy, segment),
            gate=Gate(self.work, self.clock),
            allowance=self.allowance,
            budget=self.work,
            run_in_thread=direct,
            codec=ZfecCodec(),
            clock=self.clock,
            random_bytes=random.Random(7).randbytes,
            peer_timeout=STALL_SECONDS,
            spool_room=SpoolRoom(path / "spool", 200_000, direct, random.Random(8).randbytes),
        )
        self.downloader = Downloader(
            peers=lambda: self.peers,
            gate=Gate(self.reading, self.clock),
            budget=self.reading,
            run_in_thread=direct,
            codec=ZfecCodec(),
            clock=self.clock,
            stall_timeout=STALL_SECONDS,
        )
        self.checker = Checker(
            peers=lambda: self.peers,
            budget=self.reading,
            run_in_thread=direct,
            clock=self.clock,
            stall_timeout=STALL_SECONDS,
        )
        self.repairer = Repairer(self.checker, self.downloader, self.uploader)

    def __enter__(self) -> FolderGrid:
        return self

    def __exit__(self, *_: object) -> None:
        for peer in self.peers:
            succeeded(peer.peer.stop())

    def upload(self, data: bytes, length: int | None = -1) -> Deferred[Uploaded]:
        known = len(data) if length == -1 else length
        return Deferred.fromCoroutine(self.uploader.upload(pieces(data), known))

    def store(self, data: bytes) -> ReadCap:
        cap = succeeded(self.uploader.upload(pieces(data), len(data))).cap
        assert isinstance(cap, ReadCap)
        return cap

    async def fetch(self, cap: ReadCap, first: int = 0, last: int | None = None) -> bytes:
        file = await self.downloader.open(cap)
        try:
            async with aclosing(file.read(first, cap.size - 1 if last is None else last)) as stream:
                return b"".join([bytes(piece) async for piece in stream])
        finally:
            await file.close()

    def files(self) -> list[str]:
        return files_in(self.folders)

    def held(self) -> int:
        """Bytes of all budgets that somebody holds."""
        return self.work.used + self.reading.used + self.allowance.promised

    def peer_of(self, number: int, uploaded: ReadCap) -> FaultyPeer:
        """The peer that has this share."""
        (peer,) = [peer for peer in self.peers if number in succeeded(peer.peer.share_numbers(uploaded.storage_index))]
        return peer

    def share_file(self, number: int, cap: ReadCap) -> Path:
        """Where the only copy of this share lies."""
        index = base32.encode(cap.storage_index)
        (path,) = [
            path for folder in self.folders if (path := folder / "shares" / index[:2] / index / str(number)).exists()
        ]
        return path

    def damage(self, number: int, cap: ReadCap, offset: int) -> None:
        """Flip a bit of a share."""
        with self.share_file(number, cap).open("r+b") as file:
            file.seek(DATA_OFFSET + offset)
            (byte,) = file.read(1)
            file.seek(DATA_OFFSET + offset)
            file.write(bytes([byte ^ 1]))


async def pieces(data: bytes, size: int = 1000) -> AsyncIterator[Buffer]:
    for start in range(0, len(data), size):
        yield data[start : start + size]


class Tap:
    """A source that brings something when the test says so."""

    def __init__(self) -> None:
        self._waiting: Deferred[bytes] | None = None
        self._ready: list[bytes] = []

    def bring(self, data: bytes) -> None:
        if self._waiting is not None:
            waiting, self._waiting = self._waiting, None
            waiting.callback(data)
        else:
            self._ready.append(data)

    def break_off(self, error: Exception) -> None:
        assert self._waiting is not None
        self._waiting.errback(error)

    async def __aiter__(self) -> AsyncIterator[Buffer]:
        while True:
            if self._ready:
                data = self._ready.pop(0)
            else:
                self._waiting = Deferred()
                data = await self._waiting
            if not data:
                return
            yield data


def succeeded(work: Coroutine[Any, Any, T] | Deferred[T]) -> T:
    """The result of something that doesn't have to wait."""
    results: list[T] = []
    deferred = work if isinstance(work, Deferred) else Deferred.fromCoroutine(work)
    deferred.addCallback(results.append)
    if not results:
        failures: list[BaseException | None] = []

        def keep(failure: Failure) -> None:
            failures.append(failure.value)

        deferred.addErrback(keep)
        if failures and failures[0] is not None:
            raise failures[0]
        raise AssertionError("it still waits")
    return results[0]


def failure_of(work: Coroutine[Any, Any, T] | Deferred[T]) -> BaseException:
    """The error of something that has failed already."""
    try:
        succeeded(work)
    except AssertionError:
        raise
    except BaseException as error:
        return error
    raise AssertionError("it succeeded")


def content(size: int, seed: int = 1) -> bytes:
    return random.Random(seed).randbytes(size)
