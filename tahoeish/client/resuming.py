"""One file on its way to a node, that goes on after whatever breaks it off."""

from __future__ import annotations

import time
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any, TypeVar

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import TimeoutError

from tahoeish.client.client import checked_cap
from tahoeish.client.destination import ByCap, Destination
from tahoeish.client.errors import ClientError, FileChanged, Refused, TransferBroken
from tahoeish.client.patience import Patience, Retries
from tahoeish.client.sessions import Remembered, Slot
from tahoeish.client.steady import SteadyFile
from tahoeish.client.tus import SessionGone, TusUploads
from tahoeish.client.watching import Watcher

T = TypeVar("T")

_NEW_BEGINNINGS = 3
"""A node that loses what it is sent again and again won't keep it the next time either."""

_LAST_LOOK_SECONDS = 3.0
_MAY_GO_ON = {401, 403, 429, 507}
"""Refusals that the same upload may get around later: as somebody else, or when there is more room."""


class ResumableUpload:
    """`slot` is where it is remembered as long as there is something to go on with."""

    def __init__(
        self,
        tus: TusUploads,
        patience: Patience,
        file: SteadyFile,
        destination: Destination,
        watcher: Watcher,
        slot: Slot,
    ) -> None:
        self._tus = tus
        self._patience = patience
        self._file = file
        self._destination = destination
        self._watcher = watcher
        self._slot = slot
        self._sent = 0
        self._safe = 0
        self._new_beginnings = 0

    async def run(self) -> str | None:
        """Gives the file's cap, if the node tells it. Raises `NotOffered`."""
        try:
            cap = await self._to_the_end()
        except (ClientError, CancelledError) as error:
            await self._leave(error)
            raise
        self._slot.forget()
        return cap

    async def _to_the_end(self) -> str | None:
        remembered = self._slot.recall()
        retries = self._patience.begin(
            self._watcher.waits, there=lambda: remembered is not None or self._tus.node_is_there
        )
        if remembered is not None and remembered.file != self._file.fingerprint:
            await self._drop()
            self._watcher.begins_anew("the file has changed since")
        while True:
            try:
                await self._find_place(retries)
                return await self._send_rest()
            except SessionGone as error:
                self._begin_anew(error)
            except ClientError as error:
                await retries.pause(error)

    async def _find_place(self, retries: Retries) -> None:
        """Begin, or ask how much is there already."""
        if not await self._file.is_steady():
            raise FileChanged("the file was changed while it was being sent; send it again when it is at rest")
        remembered, file = self._slot.recall(), self._file
        if remembered is None:
            create = self._tus.create(self._destination.collection, file.size, self._destination.metadata(file))
            address = await self._unless_silent(create)
            self._slot.remember(Remembered(address, file.fingerprint, time.time()))
            self._sent = self._safe = 0
            return
        standing = await self._unless_silent(self._tus.ask(remembered.address, file.size))
        if standing.offset > self._safe:
            retries.got_on()
        self._sent = self._safe = standing.offset
        self._watcher.goes_on(standing.offset, file.size)

    async def _send_rest(self) -> str | None:
        remembered, size = self._slot.recall(), self._file.size
        assert remembered is not None
        rest = self._file.contents(self._safe)
        append = self._tus.append(remembered.address, self._safe, rest, size, self._passed)
        standing = await self._unless_silent(append)
        if standing.offset < size:
            raise TransferBroken(f"the node has taken only {standing.offset} of {size} bytes")
        if standing.cap is not None:
            return checked_cap(standing.cap, size)
        if isinstance(self._destination, ByCap):
            raise TransferBroken("the node doesn't tell the file's cap")
        return None

    def _passed(self, done: int, total: int | None) -> None:
        self._sent = done
        self._watcher.passed(done, total)

    async def _unless_silent(self, work: Coroutine[Deferred[Any], Any, T]) -> T:
        return await self._patience.unless_silent(work, moved=lambda: self._sent)

    def _begin_anew(self, error: SessionGone) -> None:
        self._slot.forget()
        self._new_beginnings += 1
        if self._new_beginnings > _NEW_BEGINNINGS:
            raise TransferBroken("the node has lost again and again what it was sent") from error
        self._watcher.begins_anew("the node doesn't have any more what was sent of it")

    # When it ends early.

    async def _leave(self, error: ClientError | CancelledError) -> None:
        """Keep what the same upload could go on with, and say how much that is."""
        if self._slot.recall() is None:
            return
        if isinstance(error, FileChanged) or (isinstance(error, Refused) and error.status not in _MAY_GO_ON):
            await self._drop()
            return
        self._watcher.left(await self._last_look(), self._file.size)

    async def _last_look(self) -> int | None:
        """How much is there? With what was on its way when it ended, that is more than has been heard of."""
        remembered = self._slot.recall()
        assert remembered is not None
        asking = Deferred.fromCoroutine(self._tus.ask(remembered.address, self._file.size))
        try:
            standing = await asking.addTimeout(_LAST_LOOK_SECONDS, self._patience.clock)
        except (ClientError, SessionGone, TimeoutError):
            return None
        return standing.offset

    async def _drop(self) -> None:
        """What is there is of no use any more. The node finds that out by itself, if it doesn't hear of it."""
        remembered = self._slot.recall()
        assert remembered is not None
        self._slot.forget()
        discarding = Deferred.fromCoroutine(self._tus.discard(remembered.address))
        with suppress(ClientError, SessionGone, TimeoutError):
            await discarding.addTimeout(_LAST_LOOK_SECONDS, self._patience.clock)
