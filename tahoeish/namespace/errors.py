"""Why the catalogue refuses something. Every message is written for the person who asked."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tahoeish.namespace.locks import Lock
    from tahoeish.namespace.names import Path


def shown(path: Path) -> str:
    return "/" + "/".join(path)


class NamespaceError(Exception):
    """The catalogue didn't do what it was asked, and nothing has changed."""


class CatalogueUnavailable(NamespaceError):
    """The database can't be reached, is full, or is kept busy by somebody else. It may be worth trying again."""


class SchemaTooNew(NamespaceError):
    """A newer release has changed the database in a way that this one doesn't know."""


class BadName(NamespaceError):
    """No entry can have this name."""

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(f"{name[:100]!a}: {reason}")
        self.name = name
        self.reason = reason


class NoSuchEntry(NamespaceError):
    """There is nothing at the path, or nothing that this viewer may know of."""

    def __init__(self, path: Path) -> None:
        super().__init__(f"there is nothing at {shown(path)}")
        self.path = path


class NoSuchParent(NamespaceError):
    """The folder in which the entry should be made isn't there, or isn't a folder."""

    def __init__(self, path: Path, file: Path | None = None) -> None:
        """`file`: the path of one that is where a folder would have to be."""
        missing = f"there is no folder {shown(path[:-1])}; make it first"
        super().__init__(missing if file is None else f"{shown(file)} is a file, not a folder")
        self.path = path


class NotAFolder(NamespaceError):
    """A file is where a folder is needed."""

    def __init__(self, path: Path) -> None:
        super().__init__(f"{shown(path)} is a file, not a folder")
        self.path = path


class IsAFolder(NamespaceError):
    """A folder is where a file is needed."""

    def __init__(self, path: Path) -> None:
        super().__init__(f"{shown(path)} is a folder, not a file")
        self.path = path


class AlreadyExists(NamespaceError):
    """The name is taken, and the request doesn't say to overwrite it."""

    def __init__(self, path: Path) -> None:
        super().__init__(f"{shown(path)} is there already")
        self.path = path


class NotEmpty(NamespaceError):
    """Something is in the folder, and the request doesn't say to replace it."""

    def __init__(self, path: Path) -> None:
        super().__init__(f"there is something in {shown(path)} already")
        self.path = path


class IntoItself(NamespaceError):
    """Source and destination of a copy or move are the same, or one lies in the other."""

    def __init__(self, source: Path, destination: Path) -> None:
        relation = "the same as" if source == destination else "inside"
        inner, outer = (source, destination) if len(source) > len(destination) else (destination, source)
        super().__init__(f"{shown(inner)} is {relation} {shown(outer)}")


class Forbidden(NamespaceError):
    """The viewer may see that there is something, but not do this with it."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(f"{shown(path)}: {reason}")
        self.path = path
        self.reason = reason


class ConditionFailed(NamespaceError):
    """What the request demands to be so isn't so."""

    def __init__(self, path: Path) -> None:
        headers = "If, If-Match, If-None-Match or If-Unmodified-Since"
        super().__init__(f"{shown(path)} is not as the request's {headers} header demands")
        self.path = path


class Locked(NamespaceError):
    """Somebody has locked what would change, and the request doesn't carry the lock's token."""

    def __init__(self, path: Path, locks: tuple[Lock, ...]) -> None:
        """`locks`: those that stand in the way; their `path` is what the viewer knows the locked entry by."""
        holders = ", ".join(sorted({lock.holder for lock in locks}))
        super().__init__(f"{shown(path)} is locked by {holders}")
        self.path = path
        self.locks = locks


class NoSuchLock(NamespaceError):
    """No lock with this token covers the entry. It may have run out."""

    def __init__(self, token: str) -> None:
        super().__init__(f"there is no lock {token} on it; it may have run out")
        self.token = token


class TooManyLocks(NamespaceError):
    """The user holds as many locks as one may."""

    def __init__(self, user: str, most: int) -> None:
        super().__init__(f"{user} holds {most} locks already, and may not hold more")


class TooManyProperties(NamespaceError):
    """There is no more room for what clients want remembered about an entry."""

    def __init__(self, path: Path, most: int, most_text: int) -> None:
        super().__init__(f"{shown(path)} can have {most} properties, of {most_text} characters in all, and not more")


class BadContent(NamespaceError):
    """What is said of a file's content can't be kept."""


class OverQuota(NamespaceError):
    """The owner of the folder has no room for it."""

    def __init__(self, owner: str, quota: int, used: int, needed: int) -> None:
        super().__init__(f"{owner} has a quota of {quota} bytes, of which {used} are used: no room for {needed} more")
        self.owner = owner
        self.available = max(0, quota - used)
        self.needed = needed


class NoSuchVersion(NamespaceError):
    """The name has no version with this number. It may have been purged."""

    def __init__(self, path: Path, version: int) -> None:
        super().__init__(f"{shown(path)} has no version {version}; it may have been purged")


class NoSuchUpload(NamespaceError):
    """No upload has this id. It may have been ended, or have expired."""

    def __init__(self, id: str) -> None:
        super().__init__("there is no such upload; it may have been ended, or have expired")
        self.id = id


class Superseded(NamespaceError):
    """Somebody else has claimed the upload since, and carries it on."""

    def __init__(self, id: str) -> None:
        super().__init__("another process of the node has taken over this upload")
        self.id = id


class TooManyUploads(NamespaceError):
    """The owner has as many unfinished uploads as one may have."""

    def __init__(self, most: int) -> None:
        super().__init__(f"there are {most} unfinished uploads already; finish or end some of them first")


class NoSuchLink(NamespaceError):
    """Nobody has given away such a link, or not any more."""

    def __init__(self) -> None:
        super().__init__("there is no such link; it may have been revoked, or the address isn't complete")


class LinkOver(NamespaceError):
    """The link was good once."""


class NoSuchUser(NamespaceError):
    """There is no user with this name."""

    def __init__(self, user: str) -> None:
        super().__init__(f"there is no user {user}")
        self.user = user


class NoSuchShare(NamespaceError):
    """The viewer shares nothing by this name with this user."""

    def __init__(self, with_user: str, name: str) -> None:
        super().__init__(f"nothing is shared with {with_user} by the name of {name}")
