"""What is written down of an upload in its row of the catalogue: its standing, and who may go on with it."""

from __future__ import annotations

import json
from dataclasses import replace

from tahoeish.chk.caps import LiteralCap, ReadCap
from tahoeish.chk.directory_caps import parse_any_cap
from tahoeish.gateway.uploads.asked import Limits
from tahoeish.gateway.uploads.final import FinalAnswer
from tahoeish.grid.resumable import Progress, ResumableUpload, Standing
from tahoeish.grid.shareset import Ticket
from tahoeish.grid.upload import Uploaded
from tahoeish.namespace.uploads import UploadRow
from tahoeish.namespace.viewer import Viewer

AUTHORITY = ("below", "by_link")
"""What a target tells of whoever has begun the upload."""

STORED = "stored"
"""What a target tells of the file when it is in the grid, but its name, or whatever it is for, was refused to it."""

KEPT = (*AUTHORITY, STORED)
"""What stays when an upload gets another target."""


def authority_of(viewer: Viewer) -> dict[str, object]:
    """As it is written into a target."""
    return {"below": list(viewer.below)} | ({"by_link": True} if viewer.by_link else {})


def limits_of(row: UploadRow, limits: Limits) -> Limits:
    """What an upload is held to: what all are, or less if its target says so."""
    return limits.of_place(json.loads(row.target).get("max_size"))


def is_provisional(row: UploadRow) -> bool:
    """It isn't known yet what is to become of the file."""
    return bool(json.loads(row.target).get("provisional"))


def progress_of(row: UploadRow, upload: ResumableUpload | None = None) -> Progress:
    """If the file isn't at hand, all that is known of is safe; who has a share of it is known also then."""
    if upload is None:
        return Progress(row.offset, row.offset, row.offset, _peers_in(row))
    progress = upload.progress
    return replace(progress, peers=progress.peers or _peers_in(row))


def _peers_in(row: UploadRow) -> int:
    stored = stored_in(row)
    if row.answer is not None:
        return FinalAnswer.unpack(row.answer).peers
    if stored is not None:
        return peers_of(stored)
    return len({identity for _, identity, _ in json.loads(row.shares or "[]")})


def peers_of(uploaded: Uploaded) -> int:
    """How many have a share of the file."""
    return len({peer for peers in (uploaded.shares or {}).values() for peer in peers})


def stored_in(row: UploadRow) -> Uploaded | None:
    """The file, if it is in the grid already."""
    stored = json.loads(row.target).get(STORED)
    if stored is None:
        return None
    cap, total, shares = stored
    parsed = parse_any_cap(cap)
    assert isinstance(parsed, (ReadCap, LiteralCap))
    return Uploaded(parsed, total, shares={int(number): peers for number, peers in shares.items()})


def with_stored(row: UploadRow, uploaded: Uploaded) -> UploadRow:
    shares = {number: list(peers) for number, peers in (uploaded.shares or {}).items()}
    target = {**json.loads(row.target), STORED: [str(uploaded.cap), uploaded.total, shares]}
    return replace(row, target=json.dumps(target))


def standing_in(row: UploadRow) -> Standing | None:
    """Without the records, which lie elsewhere. None if nothing has come yet."""
    if row.encoder is None:
        return None
    tickets = tuple(Ticket(*ticket) for ticket in json.loads(row.shares or "[]"))
    return Standing(row.offset, row.encoder, row.segments, tickets, row.tail)


def with_standing(row: UploadRow, standing: Standing) -> UploadRow:
    tickets = [[ticket.number, ticket.identity, ticket.text] for ticket in standing.shares]
    return replace(
        row,
        encoder=standing.encoder,
        shares=json.dumps(tickets) if tickets else None,
        tail=standing.tail,
        segments=standing.segments,
    )


def without_standing(row: UploadRow) -> UploadRow:
    """Of what has come to its end nothing is left to go on with."""
    return replace(row, encoder=None, shares=None, tail=b"", segments=0)
