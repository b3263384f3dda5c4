"""What becomes of a file that came in a session: a cap for whoever asks, or something that others add."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from tahoeish.gateway.uploads.final import FinalAnswer
from tahoeish.gateway.uploads.live import Target
from tahoeish.gateway.uploads.rereading import Rereading
from tahoeish.grid.upload import Uploaded
from tahoeish.namespace.uploads import UploadRow
from tahoeish.namespace.viewer import Viewer
from tahoeish.streams.digests import WHOLE, BadDigest, Claim, Covers, claims_of, covering
from tahoeish.streams.verifier import Verifier

CAP: Mapping[str, object] = {"kind": "cap"}
"""A target that is nothing but the file's cap."""

PROVISIONAL: Mapping[str, object] = {**CAP, "provisional": True}
"""Something else is told to be the target before the file is complete, even when all of its bytes are there."""

MakeTarget = Callable[[Viewer, Mapping[str, object]], Target]
"""From what was written down of a target, and `upload`: whose it is."""


class Targets:
    """Makes targets of what the catalogue knows of them, each kind by its maker in `makers`."""

    def __init__(self, makers: Mapping[str, MakeTarget], rereading: Rereading) -> None:
        self._makers = {"cap": lambda viewer, _: CapTarget(), **makers}
        self._rereading = rereading

    def of(self, row: UploadRow) -> Target:
        target = {**json.loads(row.target), "upload": row.id}
        viewer = Viewer(row.owner, below=tuple(target["below"]))
        made = self._makers[target["kind"]](viewer, target)
        claims = claims_in(target)
        return _Verified(made, claims, self._rereading) if claims else made


def with_claims(target: Mapping[str, object], claims: Iterable[Claim]) -> dict[str, object]:
    """
    The target, for a file that has to have these digests as a whole, too. Raises `BadDigest` if they can't all be true.
    """
    known = {claim.algorithm: claim for claim in claims_in(target)}
    for claim in claims:
        if known.setdefault(claim.algorithm, claim).digest != claim.digest:
            raise BadDigest(f"{claim.field} says something else of the whole upload than has been said of it before")
    written = [[claim.algorithm, claim.digest.hex(), claim.field] for claim in known.values()]
    return {**target, "claims": written} if written else dict(target)


def with_claims_of(target: Mapping[str, object], fields: Mapping[str, str]) -> dict[str, object]:
    """The same, of what a request's headers say of all of the upload."""
    return with_claims(target, covering(claims_of(fields), *WHOLE))


def claims_in(target: Mapping[str, Any]) -> tuple[Claim, ...]:
    """What `with_claims` has written."""
    return tuple(
        Claim(algorithm, bytes.fromhex(digest), field, Covers.REPRESENTATION)
        for algorithm, digest, field in target.get("claims", ())
    )


class CapTarget:
    """The file is known by its cap only."""

    async def complete(self, uploaded: Uploaded) -> FinalAnswer:
        cap = str(uploaded.cap)
        headers = {"Location": f"/uri/{quote(cap, safe='')}"} | missing_shares(uploaded)
        return FinalAnswer(201, cap, headers, cap)


@dataclass
class _Verified:
    """Reads the file back before it counts."""

    target: Target
    claims: tuple[Claim, ...]
    rereading: Rereading

    async def complete(self, uploaded: Uploaded) -> FinalAnswer:
        verifier = Verifier(self.claims, self.rereading.run_in_thread)
        await self.rereading.feed(verifier, uploaded.cap)
        verifier.check()
        return await self.target.complete(uploaded)


def missing_shares(uploaded: Uploaded) -> dict[str, str]:
    """What a client may want to know beside the cap."""
    return {"Tahoeish-Missing-Shares": ", ".join(map(str, uploaded.missing))} if uploaded.missing else {}
