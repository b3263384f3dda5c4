"""What all dialects need to serve a request."""

from __future__ import annotations

import json
from collections.abc import AsyncIterable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from tahoeish.chk.buffers import Buffer
from tahoeish.chk.caps import LiteralCap, ReadCap
from tahoeish.chk.directory_caps import parse_any_cap
from tahoeish.chk.errors import CorruptFile
from tahoeish.gateway.errors import write_nothing
from tahoeish.gateway.uploads.asked import Answer, Append, Cancel, Fields, Limits
from tahoeish.gateway.uploads.asking import ContentCheck
from tahoeish.gateway.uploads.decisions import Decision, Replay
from tahoeish.gateway.uploads.final import FinalAnswer
from tahoeish.gateway.uploads.keeper import Keeper
from tahoeish.gateway.uploads.live import LiveSession
from tahoeish.gateway.uploads.rereading import Rereading
from tahoeish.gateway.uploads.room import within_room
from tahoeish.gateway.uploads.targets import claims_in, with_claims, with_claims_of
from tahoeish.grid.errors import GridError
from tahoeish.namespace.errors import NoSuchUpload
from tahoeish.namespace.viewer import Viewer
from tahoeish.streams.digests import Claim, digest_field, wanted_digest
from tahoeish.streams.request import StreamingRequest
from tahoeish.streams.threads import ThreadRunner

log = Logger()

UPLOADS = "/uploads/"
"""Where sessions have their addresses."""


@dataclass(frozen=True)
class Services:
    keeper: Keeper
    limits: Limits
    viewer_of: Callable[[StreamingRequest], Viewer]
    rereading: Rereading
    run_in_thread: ThreadRunner
    clock: IReactorTime

    async def append(
        self, live: LiveSession, asked: Append, request: StreamingRequest, source: AsyncIterable[Buffer], fields: Fields
    ) -> Decision:
        """
        Let the session decide about what the request brings, and tell what the client wants to know of the file.

        Raises `BadDigest`, too, for what contradicts earlier requests.
        """
        with_claims_of(json.loads(live.row.target), fields)
        check = ContentCheck(request, fields, self.run_in_thread, partial(_remember, live))
        decision = await live.respond(asked, within_room(live, source), check)
        await self.tell_wanted(request, live, decision)
        return decision

    async def end(self, request: StreamingRequest, live: LiveSession) -> None:
        """Of a session that nobody can or will go on with, leave nothing."""
        with suppress(NoSuchUpload):
            await self.keeper.respond(self.viewer_of(request), live.row.id, Cancel())

    async def tell_wanted(self, request: StreamingRequest, live: LiveSession, decision: Decision) -> None:
        """Of a file that is stored now: the digest that the client wants to know (RFC 9530)."""
        algorithm = wanted_digest(request.getHeader("Want-Repr-Digest"))
        if algorithm is None or not isinstance(decision, Replay):
            return
        answer = FinalAnswer.unpack(decision.answer)
        if answer.cap is None:
            return
        cap = parse_any_cap(answer.cap)
        assert isinstance(cap, (ReadCap, LiteralCap))
        known = {claim.algorithm: claim.digest for claim in claims_in(json.loads(live.row.target))}
        try:
            digest = known.get(algorithm) or await self.rereading.digest(algorithm, cap)
        except (GridError, CorruptFile) as error:
            # The file is stored all the same, and a digest is no more than a wish.
            log.warn("can't tell a digest that a client wants: {error}", error=str(error))
            return
        request.setHeader("Repr-Digest", digest_field(algorithm, digest))


async def _remember(live: LiveSession, claims: tuple[Claim, ...]) -> None:
    """What all of the upload has to be."""
    before = json.loads(live.row.target)
    target = with_claims(before, claims)
    if target != before:
        await live.remember(target=target)


def write_answer(request: StreamingRequest, answer: Answer) -> None:
    for name, value in answer.headers.items():
        request.setHeader(name, value)
    write_nothing(request, answer.status)


def address_of(live: LiveSession) -> str:
    return UPLOADS + live.row.id


def encoded(headers: Mapping[str, str]) -> dict[bytes, bytes]:
    """As they go over the line."""
    return {name.encode(): value.encode() for name, value in headers.items()}
