"""What the catalogue holds, as its callers see it: values that don't change when the catalogue does."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from hashlib import blake2b

from tahoeish.namespace.errors import BadContent
from tahoeish.namespace.names import Path

# The id of a folder `@OWNER`, which is not in the database.
VIRTUAL = 0


class Kind(Enum):
    FILE = "file"
    FOLDER = "folder"


@dataclass(frozen=True, slots=True)
class Content:
    """What is in a file. `checksums` are pairs like `("SHA1", hex)`, of the plaintext."""

    cap: str
    size: int
    content_type: str | None = None
    checksums: tuple[tuple[str, str], ...] = ()

    def __post_init__(self) -> None:
        # PostgreSQL has no text with NUL in it.
        if "\0" in self.cap or "\0" in (self.content_type or ""):
            raise BadContent("there is a NUL in the cap or the type of a file's content")

    @property
    def etag(self) -> str:
        """A strong entity tag, quoted: the same for the same cap, wherever it lies and whenever it lay there."""
        # Not the cap itself: whoever sees it can read the file.
        return _tag(self.cap)


def _tag(identity: str) -> str:
    return f'"{blake2b(identity.encode(), digest_size=16, person=b"etag").hexdigest()}"'


NOTHING = Content("URI:LIT:", 0)


@dataclass(frozen=True, slots=True)
class Entry:
    """
    A file or folder, as it was at one moment, seen by one viewer.

    `path` is where the viewer found it, `place` where it lies in its owner's tree: two names for the same
    thing, which differ in what others share with the viewer. `content` is None for a folder; `size` counts the bytes
    of a file, or of everything below a folder. Times are Unix seconds.
    """

    id: int
    parent: int | None
    name: str
    owner: str
    kind: Kind
    content: Content | None
    size: int
    created: float
    modified: float
    changes: int
    path: Path
    place: Path

    @property
    def is_folder(self) -> bool:
        return self.kind is Kind.FOLDER

    @property
    def etag(self) -> str:
        """
        A strong entity tag, quoted.

        For a file it tells the content, and is the same for the same cap; for a folder it changes when a direct
        member comes, goes or is replaced.
        """
        return self.content.etag if self.content is not None else _tag(f"{self.owner}/{self.id}/{self.changes}")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a change has made. `created`: the name is new; otherwise something has been replaced."""

    entry: Entry
    created: bool


@dataclass(frozen=True, slots=True)
class Usage:
    """How much of the owner's space is used and free, in bytes. `available` is None when there is no quota."""

    used: int
    available: int | None


@dataclass(frozen=True, slots=True)
class Version:
    """
    What a name stood for until `replaced`: the content of a file, or a folder with all that was in it.

    Versions don't count against the quota, because they go away by themselves.
    """

    id: int
    name: str
    kind: Kind
    content: Content | None
    size: int
    modified: float
    replaced: float
