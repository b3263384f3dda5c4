"""
Files that get to the node in spite of what comes between.

A large file is sent as an upload that can be resumed, and where that is, is remembered: whoever puts the same file
again, be it after a reboot, goes on where it stopped. Everything is tried again that may pass by itself.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tahoeish.client.client import CONTENT_TYPE, Client, checked_cap
from tahoeish.client.credentials import Credentials
from tahoeish.client.destination import ByCap, ByName, Destination
from tahoeish.client.exchange import text_of
from tahoeish.client.patience import Patience
from tahoeish.client.resuming import ResumableUpload
from tahoeish.client.sessions import SessionStore, Slot
from tahoeish.client.steady import SteadyFile, opened_steadily
from tahoeish.client.tus import NotOffered, TusUploads
from tahoeish.client.watching import Watcher

RESUMABLE_FROM = 4 * 1024 * 1024
"""What is smaller is sent again sooner than asked after."""


class FileUploads:
    """
    Uploads of files to one node.

    All methods raise what those of `Client` do, and `GivenUp` after having tried again what might have passed. They may
    be cancelled; then what has been sent of a large file is kept, and the next `put` of it goes on from there.
    """

    def __init__(self, client: Client, patience: Patience, store: SessionStore | None) -> None:
        """Without a `store`, every file is sent in one request, from its beginning."""
        self._client = client
        self._patience = patience
        self._store = store
        self._tus = TusUploads(client.exchange)

    @classmethod
    def connect(
        cls, reactor: Any, url: str, credentials: Credentials | None = None, environ: Mapping[str, str] = os.environ
    ) -> FileUploads:
        """Over real connections, remembering in the user's state directory what isn't done."""
        client = Client.connect(reactor, url, credentials)
        return cls(client, Patience(reactor), SessionStore.of_user(environ))

    async def put(self, path: Path, *, watcher: Watcher | None = None) -> str:
        """Store a file and return its cap."""
        cap = await self._put(path, ByCap(), watcher or Watcher())
        assert cap is not None
        return cap

    async def put_as(self, path: Path, name: tuple[str, ...], *, watcher: Watcher | None = None) -> None:
        """Store a file under a name: its path below `/files`, in a folder that is there. It keeps its time."""
        await self._put(path, ByName(name), watcher or Watcher())

    async def _put(self, path: Path, destination: Destination, watcher: Watcher) -> str | None:
        async with opened_steadily(path, self._client.run_in_thread) as file:
            if self._store is None or file.size < RESUMABLE_FROM:
                return await self._put_whole(file, destination, watcher)
            slot = self._claimed(self._store, path, destination, watcher)
            try:
                return await ResumableUpload(self._tus, self._patience, file, destination, watcher, slot).run()
            except NotOffered:
                return await self._put_whole(file, destination, watcher)
            finally:
                slot.release()

    def _claimed(self, store: SessionStore, path: Path, destination: Destination, watcher: Watcher) -> Slot:
        store.clear_stale(time.time())
        try:
            return store.claim(self._client.url, path, destination.key)
        except OSError as error:
            watcher.not_remembered(error)
            return Slot()

    async def _put_whole(self, file: SteadyFile, destination: Destination, watcher: Watcher) -> str | None:
        exchange = self._client.exchange
        retries = self._patience.begin(watcher.waits, there=lambda: exchange.reached)
        passed = 0

        def progress(done: int, total: int | None) -> None:
            nonlocal passed
            passed = done
            watcher.passed(done, total)

        async def put() -> str | None:
            sent = await exchange.send(
                "PUT",
                destination.address,
                file.contents(),
                file.size,
                expected=(200, 201, 204),
                headers={**CONTENT_TYPE, **destination.headers(file)},
                progress=progress,
            )
            said = await text_of(sent.response)
            return checked_cap(said, sent.size) if isinstance(destination, ByCap) else None

        return await retries.until_done(lambda: self._patience.unless_silent(put(), moved=lambda: passed))
