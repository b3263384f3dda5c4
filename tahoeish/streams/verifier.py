"""Digests of bytes on their way through, set against what was claimed of them."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable
from typing import TypeAlias

from twisted.internet.defer import Deferred

from tahoeish.streams.digests import BadDigest, Claim, DigestMismatch
from tahoeish.streams.hashers import Hasher, new_hasher
from tahoeish.streams.threads import ThreadRunner

LITTLE_TO_HASH = 16 * 1024
"""Bytes that are hashed sooner than a thread is found for them."""

_Bytes: TypeAlias = bytes | bytearray | memoryview


class Verifier:
    """
    Computes what `claims` are about, and `also` other algorithms: for claims that come in a trailer, or to be told.

    Pieces are hashed while the caller works on them, so they must not be changed afterwards. `hasher` makes what each
    algorithm is computed with.
    """

    def __init__(
        self,
        claims: Iterable[Claim],
        run_in_thread: ThreadRunner,
        *,
        also: Iterable[str] = (),
        hasher: Callable[[str], Hasher] = new_hasher,
    ) -> None:
        self._claims = tuple(claims)
        self._run_in_thread = run_in_thread
        algorithms = dict.fromkeys([*(claim.algorithm for claim in self._claims), *also])
        self._hashers = {algorithm: hasher(algorithm) for algorithm in algorithms}
        self._hashing: Deferred[None] | None = None

    @property
    def algorithms(self) -> tuple[str, ...]:
        return tuple(self._hashers)

    async def feed(self, piece: _Bytes) -> None:
        """The next bytes. Returns when the piece before has been hashed, and this one has been begun with."""
        await self.settle()
        if not self._hashers:
            return
        if len(piece) < LITTLE_TO_HASH:
            self._update(piece)
        else:
            self._hashing = self._run_in_thread(self._update, piece)

    async def settle(self) -> None:
        """All that was fed has been hashed."""
        hashing, self._hashing = self._hashing, None
        if hashing is not None:
            await hashing

    def digest(self, algorithm: str) -> bytes:
        """Of what was fed, once that has settled. Raises `KeyError` for what isn't computed."""
        return self._hashers[algorithm].digest()

    def check(self, trailing: Iterable[Claim] = ()) -> None:
        """
        Once all has settled. Raises `DigestMismatch`, or `BadDigest` for a claim in `trailing` that nobody announced.
        """
        for claim in (*self._claims, *trailing):
            if claim.algorithm not in self._hashers:
                raise BadDigest(f"{claim.field} came in the trailer, but the header Trailer hasn't announced it")
            found = self.digest(claim.algorithm)
            if found != claim.digest:
                raise DigestMismatch(claim, found)

    async def passing(
        self, source: AsyncIterable[_Bytes], trailing: Callable[[], Iterable[Claim]] = tuple
    ) -> AsyncIterator[_Bytes]:
        """What `source` brings, at once; instead of its end comes what `check` raises. `trailing` is asked then."""
        async for piece in source:
            await self.feed(piece)
            yield piece
        await self.settle()
        self.check(trailing())

    def _update(self, piece: _Bytes) -> None:
        for hasher in self._hashers.values():
            hasher.update(piece)
