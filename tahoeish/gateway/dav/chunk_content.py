"""What the request for one of Nextcloud's chunks brings."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator

from tahoeish.chk.buffers import Buffer
from tahoeish.gateway.dav.visit import Visit
from tahoeish.gateway.uploads.asked import Fields
from tahoeish.gateway.uploads.asking import trailing_fields_of
from tahoeish.streams.digests import announced_algorithms, claims_of
from tahoeish.streams.threads import ThreadRunner
from tahoeish.streams.verifier import Verifier

_KNOWN_BY = "sha-256"
_KNOWN_SIZE = 16
"""Bytes of it, which tell chunks from each other well enough."""


class ChunkContent:
    """
    For the client, a chunk is a file of its own, so all that it claims is of the chunk. Raises `BadDigest`; instead of
    the end comes what is wrong with it.
    """

    def __init__(self, visit: Visit, fields: Fields, run_in_thread: ThreadRunner) -> None:
        self._visit = visit
        claims, announced = claims_of(fields), announced_algorithms(fields)
        self.verified = bool(claims or announced)
        self._verifier = Verifier(claims, run_in_thread, also=[*announced, _KNOWN_BY])

    def limit_to(self, size: int) -> None:
        self._visit.body.limit_to(size)

    def __aiter__(self) -> AsyncIterator[Buffer]:
        return self._verifier.passing(self._visit.body, lambda: claims_of(trailing_fields_of(self._visit.request)))

    def print(self) -> str:
        """By which the chunk is known again, once all of it has come."""
        return self._verifier.digest(_KNOWN_BY)[:_KNOWN_SIZE].hex()


async def without(size: int, content: AsyncIterable[Buffer]) -> AsyncIterator[Buffer]:
    """All but the first bytes."""
    async for piece in content:
        if size < len(piece):
            yield memoryview(piece)[size:] if size else piece
        size = max(0, size - len(piece))
