"""Leases on all shares of a file: `/storage/v1/lease`."""

from __future__ import annotations

from tahoeish.storage.errors import NoSuchShare
from tahoeish.storage.http.answers import answer
from tahoeish.storage.http.routing import LEASE_SECRETS, Call, Endpoint
from tahoeish.storage.shares import ShareStore
from tahoeish.streams.threads import ThreadRunner


class Leases:
    """Adds leases, and renews them."""

    def __init__(self, store: ShareStore, *, run_in_thread: ThreadRunner) -> None:
        self._store = store
        self._run_in_thread = run_in_thread

    def endpoint(self) -> Endpoint:
        return Endpoint("PUT", "/storage/v1/lease/:si", self.add_or_renew, LEASE_SECRETS)

    async def add_or_renew(self, call: Call) -> None:
        if not await self._run_in_thread(self._store.add_lease, call.storage_index, call.lease):
            raise NoSuchShare("there are no shares with this storage index")
        answer(call.request, 204)
