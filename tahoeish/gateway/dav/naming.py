"""A name under `/files` as the target of an upload that comes over several requests."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from tahoeish.chk.caps import ReadCap
from tahoeish.gateway.checksums import Checksums, checksums_of
from tahoeish.gateway.dav.addresses import tagged_path
from tahoeish.gateway.dav.headers import parse_mtime
from tahoeish.gateway.dav.if_header import parse_conditions
from tahoeish.gateway.dav.visit import CONDITIONS, Names, Visit
from tahoeish.gateway.filenames import told_type
from tahoeish.gateway.uploads.final import FinalAnswer
from tahoeish.gateway.uploads.live import Target
from tahoeish.gateway.uploads.targets import claims_in, missing_shares
from tahoeish.grid.upload import Uploaded
from tahoeish.namespace.catalogue import Catalogue
from tahoeish.namespace.conditions import Conditions
from tahoeish.namespace.entries import Content, Outcome
from tahoeish.namespace.errors import NoSuchEntry
from tahoeish.namespace.intent import Writing
from tahoeish.namespace.names import Path
from tahoeish.namespace.viewer import Viewer
from tahoeish.streams.body import BodyTooLong

KIND = "name"


def name_target(visit: Visit, path: Path, modified: float | None = None) -> dict[str, object]:
    """What has to be known later of a file that gets a name when it is whole, under the conditions of this visit."""
    target: dict[str, object] = {
        "kind": KIND,
        "path": list(path),
        "type": told_type(visit.header("Content-Type")),
        "modified": modified if modified is not None else parse_mtime(visit.header("X-OC-Mtime")),
        "conditions": [visit.header(name) for name in CONDITIONS],
        "hosts": sorted(visit.hosts),
    }
    return {**target, "max_size": visit.max_size} if visit.max_size else target


async def expect_room(names: Names, visit: Visit, path: Path, length: int | None) -> int | None:
    """
    The most that may come, where that isn't decided yet. Raises what speaks against such a file before it comes.
    """
    if visit.max_size and (length or 0) > visit.max_size:
        raise BodyTooLong(f"the file is {length} bytes long, but at most {visit.max_size} are taken here")
    return await names.look(_admitted, visit, path, length)


def _admitted(catalogue: Catalogue, visit: Visit, path: Path, length: int | None) -> int | None:
    present = catalogue.check(visit.viewer, path, visit.conditions, Writing(length))
    if length is not None:
        return None
    available = catalogue.usage(visit.viewer, path[:-1]).available
    # What is replaced makes room.
    return None if available is None else available + (present.size if present is not None else 0)


@dataclass(frozen=True)
class NameTargets:
    """Makes such targets again of what was known of them."""

    names: Names

    def __call__(self, viewer: Viewer, written: Mapping[str, Any]) -> Target:
        hosts = frozenset(written["hosts"])
        conditions = parse_conditions(*written["conditions"], path_of=lambda address: tagged_path(address, hosts))
        return NameTarget(
            self.names,
            viewer,
            tuple(written["path"]),
            written["type"],
            written["modified"],
            conditions,
            checksums_of(claims_in(written)),
        )


@dataclass(frozen=True)
class NameTarget:
    """The file gets its name in one step, when it is whole."""

    names: Names
    viewer: Viewer
    path: Path
    content_type: str | None
    modified: float | None
    conditions: Conditions
    checksums: Checksums

    async def complete(self, uploaded: Uploaded) -> FinalAnswer:
        cap = str(uploaded.cap)
        content = Content(cap, uploaded.cap.size, self.content_type, self.checksums)
        outcome = await self.names.ask(self._put, content, has_own_cap=isinstance(uploaded.cap, ReadCap))
        headers = {"ETag": outcome.entry.etag} | missing_shares(uploaded)
        if self.modified is not None:
            headers["X-OC-Mtime"] = "accepted"
        return FinalAnswer(201 if outcome.created else 204, "", headers, cap)

    def _put(self, catalogue: Catalogue, content: Content, *, has_own_cap: bool) -> Outcome:
        # A crash may have come between this and the note of it. By now, what was a condition then may not be true.
        if has_own_cap:
            with suppress(NoSuchEntry):
                present = catalogue.find(self.viewer, self.path)
                if present.content is not None and present.content.cap == content.cap:
                    return Outcome(present, created=True)
        return catalogue.put(self.viewer, self.path, content, modified=self.modified, conditions=self.conditions)
