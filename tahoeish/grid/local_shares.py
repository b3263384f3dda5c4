"""Shares in the folder of a peer, open for writing or reading."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from zope.interface import implementer

from tahoeish.chk.buffers import Buffer
from tahoeish.grid.peer import IShareSource, IShareWriter, PeerError, PeerFull, PeerUnavailable, ShareMissing
from tahoeish.grid.tickets import FolderTicket
from tahoeish.storage.errors import NoSuchShare, StoreError, StoreFull, StoreInUse
from tahoeish.storage.incoming import IncomingShare
from tahoeish.storage.share_file import ShareFile
from tahoeish.storage.steps import Step, Steps
from tahoeish.streams.threads import ThreadRunner, Turns


@implementer(IShareWriter)
class LocalShareWriter:
    """A share that is being written into a folder."""

    def __init__(self, peer: str, number: int, share: IncomingShare, run_in_thread: ThreadRunner, steps: Steps) -> None:
        self.number = number
        self.parallel_writes = 1
        self.ticket = FolderTicket(share.size).dump() if share.lasting else None
        self._peer = peer
        self._share = share
        self._steps = steps
        self._in_turn = Turns(run_in_thread)

    async def write(self, offset: int, buffers: Sequence[Buffer]) -> None:
        await self._do(self._share.write, offset, buffers)

    async def secure(self) -> None:
        await self._take(self._share.securing())

    async def forget(self) -> None:
        await self._do(self._share.forget)

    async def prepare(self) -> None:
        await self._take(self._share.preparing())

    async def commit(self) -> None:
        await self._take(self._share.committing())

    async def abort(self) -> None:
        await self._do(self._share.abort)

    async def _do(self, work: Callable[..., None], *args: object) -> None:
        with errors_of(self._peer):
            await self._in_turn(work, *args)

    async def _take(self, step: Step[None]) -> None:
        with errors_of(self._peer):
            await self._in_turn.of(lambda: self._steps(step))


@implementer(IShareSource)
class LocalShareSource:
    """A share in a folder, open for reading."""

    def __init__(self, peer: str, number: int, file: ShareFile, run_in_thread: ThreadRunner) -> None:
        self.number = number
        self._peer = peer
        self._file = file
        self._in_turn = Turns(run_in_thread)

    async def read(self, offset: int, length: int) -> bytes:
        with errors_of(self._peer):
            return await self._in_turn(self._file.read, offset, length)

    async def close(self) -> None:
        with errors_of(self._peer):
            await self._in_turn(self._file.close)


@contextmanager
def errors_of(peer: str) -> Iterator[None]:
    """Turn what a share store says into what this peer says."""
    try:
        yield
    except StoreFull as error:
        raise PeerFull(peer, str(error)) from error
    except StoreInUse as error:
        raise PeerUnavailable(peer, str(error)) from error
    except NoSuchShare as error:
        raise ShareMissing(peer, str(error)) from error
    except StoreError as error:
        raise PeerError(peer, str(error)) from error
