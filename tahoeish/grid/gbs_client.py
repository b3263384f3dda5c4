"""
What can be asked of one storage node.

Each request can be repeated without harm. One that came too late for a kept connection is repeated at once, for then
nothing is wrong; those of an upload, which it would be a pity to lose, also when the storage node is away for a moment.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater

from tahoeish.chk.buffers import Buffer
from tahoeish.grid.gbs_exchange import ConnectionBroke, Exchange, Patience, Silent, Unreachable
from tahoeish.grid.peer import PeerError, PeerFull, PeerUnavailable
from tahoeish.storage.nurl import Nurl
from tahoeish.storage.wire import (
    EXTENSIONS_PATH,
    VERSION_PATH,
    BadMessage,
    Secret,
    Version,
    authorization,
    load_version,
    secret_header,
)
from tahoeish.streams.exchange.connections import Connections
from tahoeish.streams.exchange.message import Answer, Request

LONGEST_MESSAGE = 1024 * 1024
"""Bytes. No message that makes sense is nearly as long."""

LATELY_SECONDS = 5.0

_MOST_SHOWN = 200

M = TypeVar("M", bytes, str)
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Offer:
    """
    `finish`: it takes shares whose length shows in the end. `whole`: the most bytes of a share in one request.
    `lasting`: it keeps unfinished shares over a restart. `parcels`: it takes several small shares in one request.
    """

    finish: bool = False
    whole: int = 0
    lasting: bool = False
    parcels: bool = False


def connections_to(nurl: Nurl, reactor: IReactorTime, **settings: Any) -> Connections:
    """To the storage node there, and nobody else; the `settings` are those of `Connections`."""
    headers = [("Authorization", authorization(nurl.swissnum))]
    return Connections(reactor, nurl.spki_hash, nurl.host, nurl.port, headers, **settings)


class GbsClient:
    """
    Talks over `connections` (see `connections_to`) to the storage node that messages call `name`.

    All of it raises `PeerUnavailable` when no answer comes, and may be cancelled.
    """

    def __init__(
        self, name: str, connections: Connections, *, clock: IReactorTime, patience: Patience | None = None
    ) -> None:
        self.name = name
        self._clock = clock
        self._patience = patience or Patience()
        self._exchange = Exchange(name, connections, self._patience)
        self._offer: Offer | None = None
        self._heard = -LATELY_SECONDS

    async def version(self) -> Version:
        answer = await self.request("GET", VERSION_PATH)
        if answer.status != 200:
            raise self.refusal(answer)
        return self.read(load_version, answer.body)

    @property
    def heard_lately(self) -> bool:
        """Whether it has answered something within the last few seconds."""
        return self._clock.seconds() - self._heard < LATELY_SECONDS

    async def offer(self) -> Offer:
        """What it can do beyond the protocol. Asked once, and again after it was away."""
        if self._offer is None:
            answer = await self.request("GET", EXTENSIONS_PATH)
            if answer.status >= 500:
                raise self.refusal(answer)
            self._offer = _read_offer(answer.body) if answer.status == 200 else Offer()
        return self._offer

    async def request(
        self,
        method: str,
        path: str,
        *,
        secrets: Mapping[Secret, bytes] | None = None,
        headers: Mapping[str, str] | None = None,
        body: Sequence[Buffer] | None = None,
        longest: int = LONGEST_MESSAGE,
        insist: bool = False,
        lasting: bool = False,
    ) -> Answer:
        """
        The answer, whatever its status.

        To `insist` is to try again when the storage node can't be reached, or has failed; of a `lasting` upload, also
        to wait until one that can't be reached is there again. The body's buffers must not change until the request is
        over.
        """
        request = Request(method, path, _lines(secrets, headers), body, longest)
        attempts = max(2, self._patience.attempts) if insist else 2
        if insist and lasting:
            attempts = max(attempts, self._patience.lasting_attempts)
        for attempt in range(1, attempts):
            pause = self._patience.pause
            try:
                answer = await self._once(request)
                if not insist or not _is_passing(answer.status) or attempt >= self._patience.attempts:
                    return answer if attempt == 1 else replace(answer, attempts=attempt)
            except ConnectionBroke:
                if attempt == 1:
                    # As a rule it was one that we had kept, and the other side hadn't.
                    pause = 0
            except Unreachable:
                if not insist:
                    raise
            await deferLater(self._clock, pause)
        return replace(await self._once(request), attempts=attempts)

    async def farewell(self, method: str, path: str, secrets: Mapping[Secret, bytes]) -> Answer:
        """A request that only cleans up, and isn't worth waiting for long."""
        return await self.at_farewell(self.request(method, path, secrets=secrets))

    async def at_farewell(self, work: Coroutine[Any, Any, T]) -> T:
        """What isn't worth waiting for long any more. Raises `Silent`."""
        asking = Deferred.fromCoroutine(work)
        timer = self._clock.callLater(self._patience.farewell, asking.cancel)
        try:
            return await asking
        except CancelledError:
            if timer.active():
                raise
            raise Silent(self.name, self._patience.farewell) from None
        finally:
            if timer.active():
                timer.cancel()

    def read(self, load: Callable[[M], T], message: M) -> T:
        """What a message says. Raises `PeerError`."""
        try:
            return load(message)
        except BadMessage as error:
            raise PeerError(self.name, f"its answer isn't what the protocol has: {error}") from error

    def refusal(self, answer: Answer) -> PeerError:
        """What to raise for an answer that is of no use."""
        if answer.status == 507:
            return PeerFull(self.name, "it has no room left")
        return PeerError(self.name, f"it answered with status {answer.status}{_said(answer)}")

    async def _once(self, request: Request) -> Answer:
        try:
            answer = await self._exchange(request)
        except PeerUnavailable:
            # It may come back as another program.
            self._offer = None
            self._heard = -LATELY_SECONDS
            raise
        self._heard = self._clock.seconds()
        return answer


def _lines(secrets: Mapping[Secret, bytes] | None, others: Mapping[str, str] | None) -> list[tuple[str, str]]:
    lines = list(others.items()) if others else []
    if secrets:
        lines += [("X-Tahoe-Authorization", secret_header(kind, secret)) for kind, secret in secrets.items()]
    return lines


def _is_passing(status: int) -> bool:
    """Whether it may be otherwise in a moment. A disk that is full won't."""
    return status >= 500 and status != 507


def _read_offer(body: bytes) -> Offer:
    try:
        offer = json.loads(body)
    except (ValueError, RecursionError):
        return Offer()
    if not isinstance(offer, dict):
        return Offer()
    whole = offer.get("whole")
    return Offer(
        finish=offer.get("finish") == 1,
        whole=whole if isinstance(whole, int) else 0,
        lasting=offer.get("lasting") == 1,
        parcels=offer.get("parcels") == 1,
    )


def _said(answer: Answer) -> str:
    """Its own words, where they are for people."""
    content_type = answer.headers.get("content-type", "text/plain")
    text = answer.body[: 4 * _MOST_SHOWN].decode("utf-8", "replace").strip()
    if not content_type.startswith("text/plain") or not text:
        return ""
    shown = "".join(character if character.isprintable() else " " for character in text)
    return f": {shown[:_MOST_SHOWN]}"
