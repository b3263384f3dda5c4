"""Where a viewer's path leads: into whose tree, and along which records."""

from __future__ import annotations

from dataclasses import dataclass

from tahoeish.namespace.entries import Entry
from tahoeish.namespace.errors import IsAFolder, NoSuchEntry, NoSuchParent, NotAFolder
from tahoeish.namespace.names import Path
from tahoeish.namespace.records import Record

# What begins so at the top of a tree is a user of whom the viewer may see something.
SHARED = "@"


def is_virtual(path: Path) -> bool:
    """Whether it is a folder `@OWNER`, which holds what this owner shares with the viewer, and no record of its own."""
    return len(path) == 1 and path[0].startswith(SHARED)


# Of a path into a share, `@OWNER` and the share's name.
_NAMES_OF_SHARE = 2


def seen(path: Path, place: Path, other: Path) -> Path:
    """
    What a viewer who finds `place` at `path` finds another place at, which lies above or below it.

    Above a share the viewer finds nothing; its top stands for what is there.
    """
    given = 0 if path == place else _NAMES_OF_SHARE
    return (*path[: max(given, len(other) - len(place) + len(path))], *other[len(place) :])


@dataclass(frozen=True, slots=True)
class Place:
    """
    A path in somebody's tree, whether or not there is anything.

    `path` is the viewer's, `place` the owner's. `records` are what is there, from the top of the tree down to where the
    path ends, or to the last thing on it that exists. `shared`: another user's.
    """

    path: Path
    place: Path
    owner: str
    records: tuple[Record, ...]
    shared: bool
    writable: bool

    @property
    def is_top(self) -> bool:
        """Of the viewer's own tree, or of a share."""
        return len(self.path) == (_NAMES_OF_SHARE if self.shared else 0)

    @property
    def record(self) -> Record | None:
        return self.records[-1] if len(self.records) > len(self.place) else None

    @property
    def top(self) -> Record:
        return self.records[0]

    @property
    def folders(self) -> tuple[Record, ...]:
        """All above the place, from the top of the tree. `NoSuchParent` if one of them is missing, or is a file."""
        above = self.records[: len(self.place)]
        if above and not above[-1].folder:
            raise NoSuchParent(self.path, self.seen(self.place[: len(above) - 1]))
        if len(above) < len(self.place):
            raise NoSuchParent(self.path)
        return above

    @property
    def parent(self) -> Record:
        return self.folders[-1]

    def demand_parent(self) -> None:
        """As `folders`, for whoever only wants to know."""
        _ = self.folders

    def existing(self) -> Record:
        if self.record is None:
            raise NoSuchEntry(self.path)
        return self.record

    def folder(self) -> Record:
        record = self.existing()
        if not record.folder:
            raise NotAFolder(self.path)
        return record

    def demand_file_or_nothing(self) -> None:
        if self.record is not None and self.record.folder:
            raise IsAFolder(self.path)

    def entry(self, record: Record | None = None) -> Entry:
        """Of what is there; or of what is there now."""
        return (record or self.existing()).entry(self.owner, self.path, self.place)

    def member(self, record: Record) -> Entry:
        return record.entry(self.owner, (*self.path, record.name), (*self.place, record.name))

    def seen(self, place: Path) -> Path:
        return seen(self.path, self.place, place)

    def is_within(self, other: Place) -> bool:
        """Whether it is the same as the other, or lies below it."""
        return self.owner == other.owner and self.place[: len(other.place)] == other.place
