"""Files on their way in, unpacked as their clients have packed them, and set against what the clients claim of them."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from tahoeish.chk.buffers import Buffer
from tahoeish.gateway.checksums import ALWAYS_COMPUTED, Checksums, computed_checksums
from tahoeish.gateway.uploads.asked import Fields
from tahoeish.gateway.uploads.asking import fields_of, trailing_fields_of
from tahoeish.streams.body import BodyStream
from tahoeish.streams.budget import ByteBudget
from tahoeish.streams.codings import ExpansionLimits, decoded, memory_needed, parse_codings
from tahoeish.streams.digests import (
    Claim,
    Covers,
    announced_algorithms,
    claims_of,
    covering,
    digest_field,
    wanted_digest,
)
from tahoeish.streams.forms import FormPart
from tahoeish.streams.request import StreamingRequest
from tahoeish.streams.threads import ThreadRunner
from tahoeish.streams.verifier import Verifier


@dataclass(frozen=True)
class Deliveries:
    """What they all share. `unpacking` is the memory that packed ones are unpacked in."""

    run_in_thread: ThreadRunner
    unpacking: ByteBudget

    def of_request(self, request: StreamingRequest, body: BodyStream, max_size: int) -> Delivery:
        """The body is the file, of `max_size` bytes at the most, 0 for any number. Raises `BodyTooLong`, too."""
        delivery = Delivery(
            self,
            fields_of(request),
            body,
            body.length,
            max_size=max_size,
            trailing=lambda: trailing_fields_of(request),
        )
        if max_size:
            # What can't be packed any more becomes a little longer by packing.
            body.limit_to(max_size + max_size // 64 + 1024 if delivery.packed else max_size)
        return delivery

    def of_part(self, part: FormPart) -> Delivery:
        return Delivery(self, part.fields, part, None)


def _nothing() -> Fields:
    return {}


class Delivery:
    """
    What `fields` tell of `source`: those of a request, whose trailer `trailing` gives in the end, or of a form's part.

    `length` is the file's, None for an unknown one. Raises `UnknownCoding` and `BadDigest`, before anything is read.
    """

    def __init__(
        self,
        means: Deliveries,
        fields: Fields,
        source: AsyncIterable[Buffer],
        length: int | None,
        *,
        max_size: int = 0,
        trailing: Callable[[], Fields] = _nothing,
    ) -> None:
        self._means = means
        self._source = source
        self._trailing = trailing
        self._limits = ExpansionLimits(max_size)
        self._codings = parse_codings(fields.get("content-encoding"))
        self._wanted = wanted_digest(fields.get("want-repr-digest"))
        claims, announced = claims_of(fields), announced_algorithms(fields, Covers.CONTENT, Covers.REPRESENTATION)
        announced_of_file = announced_algorithms(fields, Covers.FILE)
        of_file = covering(claims, Covers.FILE)
        of_sent = _of_sent(claims)
        kept = ALWAYS_COMPUTED if of_file or announced_of_file else ()
        told = [*announced_of_file, *kept, *([self._wanted] if self._wanted else ())]
        self.verified_as_sent = bool(of_sent or announced)
        """The client has something to say of the very bytes that it sends."""
        if self.packed:
            self._as_sent = Verifier(of_sent, means.run_in_thread, also=announced)
            self._as_file = Verifier(of_file, means.run_in_thread, also=told)
        else:
            # The same bytes, which need to be hashed only once.
            self._as_sent = self._as_file = Verifier(claims, means.run_in_thread, also=[*told, *announced])
        # A trailer is possible where no length is, and what it says that nobody has computed must not pass.
        self._passes_as_it_is = not (claims or announced or told or self.packed or length is None)
        self.length = None if self.packed else length

    @property
    def packed(self) -> bool:
        return bool(self._codings)

    @asynccontextmanager
    async def unpacked(self) -> AsyncIterator[AsyncIterable[Buffer]]:
        """The file's bytes. Instead of their end comes what is wrong with them, so nobody may count on them before."""
        with await self._means.unpacking.lease(memory_needed(self._codings)):
            yield self._pieces()

    def checksums(self) -> Checksums:
        """All that have been computed of the file, when the end has come."""
        return computed_checksums(self._as_file)

    def answer(self, request: StreamingRequest) -> None:
        """Tell the digest of the file that the client wants to know."""
        if self._wanted is not None:
            request.setHeader("Repr-Digest", digest_field(self._wanted, self._as_file.digest(self._wanted)))

    def _pieces(self) -> AsyncIterable[Buffer]:
        if self._passes_as_it_is:
            return self._source
        if not self.packed:
            return self._as_sent.passing(self._source, self._trailing_claims)
        sent = self._as_sent.passing(self._source, lambda: _of_sent(self._trailing_claims()))
        unpacked = decoded(sent, self._codings, self._limits, self._means.run_in_thread)
        return self._as_file.passing(unpacked, lambda: covering(self._trailing_claims(), Covers.FILE))

    def _trailing_claims(self) -> tuple[Claim, ...]:
        return claims_of(self._trailing())


def _of_sent(claims: tuple[Claim, ...]) -> tuple[Claim, ...]:
    return covering(claims, Covers.CONTENT, Covers.REPRESENTATION)
