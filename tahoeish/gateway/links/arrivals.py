"""What becomes of a file that somebody has brought by an upload link: it gets a name that nothing has yet."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import partial
from typing import Any

from tahoeish.gateway.checksums import Checksums, checksums_of
from tahoeish.gateway.dav.visit import Names
from tahoeish.gateway.errors import Refused
from tahoeish.gateway.filenames import served_type
from tahoeish.gateway.links.hooks import arrival
from tahoeish.gateway.uploads.final import FinalAnswer
from tahoeish.gateway.uploads.live import Target
from tahoeish.gateway.uploads.room import with_room
from tahoeish.gateway.uploads.targets import claims_in, missing_shares
from tahoeish.grid.upload import Uploaded
from tahoeish.namespace.catalogue import Catalogue
from tahoeish.namespace.entries import Content
from tahoeish.namespace.errors import OverQuota
from tahoeish.namespace.names import Path, check_name, check_path
from tahoeish.namespace.places import is_virtual
from tahoeish.namespace.upload_links import UploadLink, UploadLinks
from tahoeish.namespace.viewer import Viewer
from tahoeish.streams.body import BodyTooLong

KIND = "arrival"

DEEPEST = 64
"""Names of a path, so that nobody can make folders without end."""


def is_unwanted(name: str, refuse: Iterable[str]) -> bool:
    """Whether one of the operator's patterns is for it."""
    return any(fnmatchcase(name, pattern) for pattern in refuse)


@dataclass(frozen=True)
class Announced:
    """
    A file that somebody wants to bring, as far as it is known beforehand. `path` is its name, behind those of the
    folders that it comes in.
    """

    path: Path
    content_type: str | None = None
    """What they say that it is."""
    size: int | None = None
    modified: float | None = None


@dataclass(frozen=True)
class Arrivals:
    """Lets files in; is the maker of targets of those that come over several requests."""

    links: UploadLinks
    names: Names
    refuse: tuple[str, ...]
    """Patterns of names that the operator doesn't want."""

    async def expect(self, link: UploadLink, file: Announced) -> int | None:
        """
        The most that may come, None for any number. Raises what speaks against the file before any of it comes, also
        `BadName`.
        """
        path, most = check_path(file.path), link.bounds.max_size
        name = path[-1]
        if is_unwanted(name, self.refuse):
            raise Refused(403, f"files called like {name!r} are not wanted here")
        if len(path) > DEEPEST or (len(path) > 1 and is_virtual((*link.folder, *path)[:1])):
            raise Refused(403, f"a file can't come in the folder {'/'.join(path[:-1])} here")
        kind = served_type(name, file.content_type).partition(";")[0]
        if link.bounds.content_types and not any(fnmatchcase(kind, each) for each in link.bounds.content_types):
            wanted = ", ".join(link.bounds.content_types)
            raise Refused(415, f"files of the type {kind} are not wanted here, only {wanted}")
        if most is not None and (file.size or 0) > most:
            raise BodyTooLong(f"{name} is {file.size} bytes long, but at most {most} are taken here")
        usage = await self.names.look(Catalogue.usage, link.viewer, link.folder)
        if usage.available is not None and (file.size or 0) > usage.available:
            raise OverQuota(link.user, usage.used + usage.available, usage.used, file.size or 0)
        return usage.available if file.size is None else None

    async def target(self, link: UploadLink, file: Announced) -> Mapping[str, object]:
        """Of a file that comes over several requests. Raises as `expect`."""
        target: dict[str, object] = {
            "kind": KIND,
            "link": link.id,
            "name": check_name(file.path[-1]),
            "folders": list(check_path(file.path[:-1])),
            "type": file.content_type,
            "modified": file.modified,
        }
        if link.bounds.max_size is not None:
            target["max_size"] = link.bounds.max_size
        return with_room(target, await self.expect(link, file))

    async def take_in(
        self, link_id: str, file: Announced, uploaded: Uploaded, checksums: Checksums, *, upload: str | None = None
    ) -> str:
        """As `UploadLinks.take_in`. Raises `NoSuchLink` and `LinkOver`, too, if that has changed meanwhile."""
        content = Content(str(uploaded.cap), uploaded.cap.size, file.content_type, checksums)
        path, take_in = check_path(file.path), partial(self.links.take_in, upload=upload)
        return await self.names.run_in_thread(
            take_in, self.names.catalogue, link_id, path, content, file.modified, arrival
        )

    def __call__(self, viewer: Viewer, written: Mapping[str, Any]) -> Target:
        file = Announced((*written.get("folders", ()), written["name"]), written["type"], None, written["modified"])
        return _ArrivalTarget(self, written["link"], file, checksums_of(claims_in(written)), written["upload"])


@dataclass(frozen=True)
class _ArrivalTarget:
    arrivals: Arrivals
    link_id: str
    file: Announced
    checksums: Checksums
    upload: str

    async def complete(self, uploaded: Uploaded) -> FinalAnswer:
        name = await self.arrivals.take_in(self.link_id, self.file, uploaded, self.checksums, upload=self.upload)
        return FinalAnswer(201, name, missing_shares(uploaded))
