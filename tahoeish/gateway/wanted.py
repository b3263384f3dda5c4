"""Digests that clients want to have of what they are sent (RFC 9530): in the head if they are known, else behind it."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator

from tahoeish.chk.buffers import Buffer
from tahoeish.gateway.checksums import Checksums, kept_digest
from tahoeish.streams.digests import digest_field, wanted_digest
from tahoeish.streams.hashers import new_hasher
from tahoeish.streams.request import StreamingRequest
from tahoeish.streams.threads import ThreadRunner
from tahoeish.streams.verifier import Verifier


class WantedDigests:
    """What one request wants to know. `whole`: the answer is all of the file."""

    def __init__(self, request: StreamingRequest, *, whole: bool) -> None:
        self._request = request
        self._whole = whole
        self._missing: dict[str, str] = {}
        """Fields, each with the algorithm that the client likes best."""
        for field in ("Repr-Digest", "Content-Digest"):
            algorithm = wanted_digest(request.getHeader(f"Want-{field}"))
            if algorithm is not None:
                self._missing[field] = algorithm

    def tell_kept(self, checksums: Checksums) -> None:
        """What is known of the file."""
        for field, algorithm in list(self._missing.items()):
            digest = kept_digest(checksums, algorithm)
            if digest is not None and (self._whole or field == "Repr-Digest"):
                self._request.setHeader(field, digest_field(algorithm, digest))
                del self._missing[field]

    def tell_of(self, file: bytes, sent: bytes) -> None:
        """Of what is at hand."""
        for field, algorithm in self._missing.items():
            hasher = new_hasher(algorithm)
            hasher.update(file if field == "Repr-Digest" else sent)
            self._request.setHeader(field, digest_field(algorithm, hasher.digest()))
        self._missing.clear()

    @property
    def come_later(self) -> bool:
        """Something can only be told at the end, and the client reads on there."""
        if not self._whole:
            # A part doesn't tell what the file is.
            self._missing.pop("Repr-Digest", None)
        return bool(self._missing) and self._request.takes_closing_fields

    def announce(self) -> None:
        """When the head is ready otherwise."""
        if self.come_later:
            self._request.announce_closing_fields(self._missing)

    async def passing(self, pieces: AsyncIterable[Buffer], run_in_thread: ThreadRunner) -> AsyncIterator[Buffer]:
        """The content of the answer, whose end is followed by what was announced."""
        verifier = Verifier((), run_in_thread, also=self._missing.values())
        async for piece in pieces:
            await verifier.feed(piece)
            yield piece
        await verifier.settle()
        self._request.closing_fields = {
            field: digest_field(algorithm, verifier.digest(algorithm)) for field, algorithm in self._missing.items()
        }
