"""One request at a session at hand, while it waits for its decision."""

from __future__ import annotations

from collections.abc import AsyncIterable
from typing import Protocol

from twisted.internet.defer import Deferred

from tahoeish.chk.buffers import Buffer
from tahoeish.gateway.uploads.asked import Append, Asked
from tahoeish.gateway.uploads.content import Content
from tahoeish.gateway.uploads.decisions import Decision


class Passing(Protocol):
    """Lets content through, and raises at its end what is wrong with it, as `Verifier.passing` does."""

    def __call__(self, source: AsyncIterable[Buffer], /) -> AsyncIterable[Buffer]: ...


class Guest:
    def __init__(self, asked: Asked, source: AsyncIterable[Buffer] | None, verified_by: Passing | None) -> None:
        self.content_length = asked.content_length if isinstance(asked, Append) else 0
        self.source = source
        self.verified_by = verified_by
        self.decided: Deferred[Decision] = Deferred()
        self.content: Content | None = None

    def decide(self, decision: Decision) -> None:
        if not self.decided.called:
            self.decided.callback(decision)

    def fail(self, error: BaseException) -> None:
        if not self.decided.called:
            self.decided.errback(error)
