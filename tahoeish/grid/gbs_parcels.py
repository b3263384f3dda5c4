"""
Small shares on their way to one storage node of ours.

One that comes while nothing is under way goes at once, in a request of its own. Those that come meanwhile go together
in the next one, a parcel: under load, a request costs both sides more than a small share does.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, TypeAlias

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from tahoeish.chk.buffers import Buffer
from tahoeish.grid.gbs_client import GbsClient
from tahoeish.storage.leases import LeaseSecrets
from tahoeish.storage.parcel import (
    LARGEST_ENCLOSED,
    LARGEST_PARCEL,
    PARCELS_PATH,
    Enclosed,
    dump_parcel,
    load_statuses,
)
from tahoeish.storage.undoing import ShareKey
from tahoeish.storage.wire import OCTETS, Secret
from tahoeish.streams.exchange.message import size
from tahoeish.streams.tasks import share_of

_STORED = 201

_Entry: TypeAlias = tuple[Enclosed, Deferred[int]]


class Parcels:
    """To the storage node of `client`. All shares have the same `upload_secret`, alone or not."""

    def __init__(self, client: GbsClient, upload_secret: bytes) -> None:
        self.upload_secret = upload_secret
        self._client = client
        # One request at a time: with more of them, fewer shares would go together.
        self._busy = False
        self._waiting: deque[_Entry] = deque()
        self._packed: dict[ShareKey, Deferred[Any]] = {}

    async def send(
        self,
        key: ShareKey,
        lease: LeaseSecrets,
        share: Sequence[Buffer],
        alone: Callable[[], Coroutine[Any, Any, None]],
    ) -> None:
        """
        Returns when the storage node has the share. `alone` sends it by itself, and raises what is wrong.

        Cancelling it doesn't stop a parcel; see `settled`.
        """
        if size(share) > LARGEST_ENCLOSED:
            await alone()
        elif not self._busy:
            self._busy = True
            try:
                await alone()
            finally:
                self._go_on()
        elif await self._with_others(Enclosed(key, lease, b"".join(share))) != _STORED:
            # A request of its own tells more than a number, and is repeated where that may help.
            await alone()

    async def settled(self, key: ShareKey) -> None:
        """Returns when no parcel is under way that this share is in. Raises what sending it has raised."""
        if key in self._packed:
            await share_of(self._packed[key])

    def _with_others(self, share: Enclosed) -> Deferred[int]:
        """Fires with the share's status."""

        def leave(_: Deferred[int]) -> None:
            if entry in self._waiting:
                self._waiting.remove(entry)

        entry: _Entry = (share, Deferred(leave))
        self._waiting.append(entry)
        return entry[1]

    def _go_on(self) -> None:
        parcel = self._pack()
        self._busy = bool(parcel)
        if parcel:
            sending = Deferred.fromCoroutine(self._send([share for share, _ in parcel]))
            self._packed.update((share.key, sending) for share, _ in parcel)
            sending.addBoth(self._sent, parcel)

    def _pack(self) -> list[_Entry]:
        content = 0
        parcel: list[_Entry] = []
        while self._waiting and content + self._waiting[0][0].size <= LARGEST_PARCEL:
            content += self._waiting[0][0].size
            parcel.append(self._waiting.popleft())
        return parcel

    def _sent(self, outcome: list[int] | Failure, parcel: Sequence[_Entry]) -> None:
        for share, _ in parcel:
            del self._packed[share.key]
        self._go_on()
        for number, (_, answered) in enumerate(parcel):
            # Otherwise nobody waits for it any more.
            if not answered.called:
                answered.callback(outcome if isinstance(outcome, Failure) else outcome[number])

    async def _send(self, shares: list[Enclosed]) -> list[int]:
        answer = await self._client.request(
            "POST",
            PARCELS_PATH,
            secrets={Secret.UPLOAD: self.upload_secret},
            headers={"Content-Type": OCTETS},
            body=dump_parcel(shares),
            insist=True,
        )
        if answer.status != 200:
            # The storage node may have come back as another program.
            return [answer.status] * len(shares)
        return self._client.read(lambda body: load_statuses(body, len(shares)), answer.body)
