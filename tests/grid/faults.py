"""Peers that go wrong when a test says so. Underneath is a real folder."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from pathlib import Path

from twisted.internet.defer import Deferred
from zope.interface import implementer

from tahoeish.chk.buffers import Buffer
from tahoeish.grid.local import LocalPeer
from tahoeish.grid.peer import (
    Allocation,
    IShareSource,
    IShareWriter,
    IStoragePeer,
    NeedsLength,
    PeerError,
    PeerFull,
)
from tahoeish.streams.threads import direct


def folder_peer(directory: Path) -> LocalPeer:
    LocalPeer.initialise(directory, lambda size: directory.name.encode().ljust(size, b"."))
    return LocalPeer(
        directory.name, directory, run_in_thread=direct, lease_secret=bytes(32), now=lambda: 1e9, durable=False
    )


@implementer(IStoragePeer)
class FaultyPeer:
    """`fault` is asked before everything: its name is what happens, and it may raise, or return a Deferred."""

    def __init__(self, peer: LocalPeer) -> None:
        self.peer = peer
        self.name = peer.name
        self.permutation_seed = peer.permutation_seed
        self.fault: Callable[[str], Deferred[None] | None] = lambda what: None
        self.tamper: Callable[[int, int, bytes], bytes] = lambda number, offset, data: data
        self.reports: list[tuple[int, str]] = []
        self.parallel_writes = 1
        self.needs_length = False

    @property
    def disk(self) -> object:
        return self.peer.disk

    async def share_numbers(self, storage_index: bytes) -> set[int]:
        await self._meet("share_numbers")
        return await self.peer.share_numbers(storage_index)

    async def allocate(
        self, storage_index: bytes, numbers: Collection[int], size: int | None, *, lasting: bool = False
    ) -> Allocation:
        await self._meet("allocate")
        if size is None and self.needs_length:
            raise NeedsLength(self.name, "wants to know the length")
        allocation = await self.peer.allocate(storage_index, numbers, size, lasting=lasting)
        writers: dict[int, IShareWriter] = {
            number: FaultyWriter(self, writer) for number, writer in allocation.writers.items()
        }
        return Allocation(allocation.existing, writers, allocation.refusal)

    async def reopen(self, storage_index: bytes, number: int, ticket: str) -> IShareWriter:
        await self._meet("reopen")
        return FaultyWriter(self, await self.peer.reopen(storage_index, number, ticket))

    async def keep_alive(self, storage_index: bytes, number: int, ticket: str) -> None:
        await self._meet("keep_alive")
        await self.peer.keep_alive(storage_index, number, ticket)

    async def allocate_whole(self, storage_index: bytes, numbers: Collection[int], size: int) -> Allocation:
        await self._meet("allocate")
        allocation = await self.peer.allocate_whole(storage_index, numbers, size)
        writers: dict[int, IShareWriter] = {
            number: FaultyWriter(self, writer) for number, writer in allocation.writers.items()
        }
        return Allocation(allocation.existing, writers, allocation.refusal)

    async def open_share(self, storage_index: bytes, number: int) -> IShareSource:
        await self._meet("open")
        return FaultySource(self, await self.peer.open_share(storage_index, number))

    async def report_corruption(self, storage_index: bytes, number: int, reason: str) -> None:
        self.reports.append((number, reason))

    async def available_space(self) -> int | None:
        return await self.peer.available_space()

    async def _meet(self, what: str) -> None:
        waiting = self.fault(what)
        if waiting is not None:
            await waiting


@implementer(IShareWriter)
class FaultyWriter:
    def __init__(self, peer: FaultyPeer, writer: IShareWriter) -> None:
        self.number = writer.number
        self.parallel_writes = peer.parallel_writes
        self.ticket = writer.ticket
        self._peer = peer
        self._writer = writer

    async def write(self, offset: int, buffers: Sequence[Buffer]) -> None:
        await self._peer._meet("write")
        await self._writer.write(offset, buffers)

    async def secure(self) -> None:
        await self._peer._meet("secure")
        await self._writer.secure()

    async def forget(self) -> None:
        await self._writer.forget()

    async def prepare(self) -> None:
        await self._peer._meet("prepare")
        await self._writer.prepare()

    async def commit(self) -> None:
        await self._peer._meet("commit")
        await self._writer.commit()

    async def abort(self) -> None:
        await self._writer.abort()


@implementer(IShareSource)
class FaultySource:
    def __init__(self, peer: FaultyPeer, source: IShareSource) -> None:
        self.number = source.number
        self._peer = peer
        self._source = source

    async def read(self, offset: int, length: int) -> bytes:
        await self._peer._meet("read")
        return self._peer.tamper(self.number, offset, bytes(await self._source.read(offset, length)))

    async def close(self) -> None:
        await self._source.close()


def failing(when: str, after: int = 0) -> Callable[[str], None]:
    """Works `after` times, then fails for ever."""
    left = after

    def fault(what: str) -> None:
        nonlocal left
        if what == when:
            left -= 1
            if left < 0:
                raise PeerError("it", f"failed at {what}")

    return fault


def full(when: str) -> Callable[[str], None]:
    def fault(what: str) -> None:
        if what == when:
            raise PeerFull("it", "no room left")

    return fault


def stalling(when: str, after: int = 0) -> Callable[[str], Deferred[None] | None]:
    """Works `after` times, then never answers."""
    left = after

    def fault(what: str) -> Deferred[None] | None:
        nonlocal left
        if what != when:
            return None
        left -= 1
        return Deferred() if left < 0 else None

    return fault


def files_in(directories: Collection[Path]) -> list[str]:
    """Every share, whole or not."""
    return sorted(
        str(path.relative_to(directory.parent))
        for directory in directories
        for path in (directory / "shares").rglob("*")
        if path.is_file()
    )
