"""The catalogue: what everybody outside this room uses."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import copy
from typing import Any, TypeVar
from uuid import uuid4

from sqlalchemy import Connection

from tahoeish.namespace import changes, history, lock_table, locking, looking, properties, sharing, snapshots, trees
from tahoeish.namespace.conditions import UNCONDITIONAL, Conditions
from tahoeish.namespace.database import Database, OnlyLooking, Transactions, Within
from tahoeish.namespace.entries import Content, Entry, Outcome, Usage, Version
from tahoeish.namespace.errors import NamespaceError
from tahoeish.namespace.intent import Intent
from tahoeish.namespace.locks import Lock, LockLimits, LockWish
from tahoeish.namespace.names import Path
from tahoeish.namespace.properties import PropertyChange, PropertyName
from tahoeish.namespace.shares import Share
from tahoeish.namespace.snapshots import Planting, TreeVisitor
from tahoeish.namespace.view import NoTree, View
from tahoeish.namespace.viewer import Viewer

T = TypeVar("T")

DEFAULT_LIMITS = LockLimits()


def _new_token() -> str:
    return uuid4().urn


class Catalogue:
    """
    Every call is one transaction: it does all of what it says, durably, or raises a `NamespaceError` and changes
    nothing. Calls block, and may be made from many threads at once.

    A path that isn't there raises `NoSuchEntry`, one that the viewer may not use `Forbidden`, and a bad name `BadName`;
    whatever changes an entry can raise `ConditionFailed` and `Locked` too. Conditions and locks are looked at in the
    transaction that makes the change, so nothing comes between.
    """

    def __init__(
        self,
        database: Database,
        clock: Callable[[], float],
        *,
        lock_limits: LockLimits = DEFAULT_LIMITS,
        new_token: Callable[[], str] = _new_token,
    ) -> None:
        """`clock`: Unix seconds. `new_token`: a lock token that was never used before."""
        self._database = database
        self._transactions: Transactions = database
        self._clock = clock
        self._lock_limits = lock_limits
        self._new_token = new_token

    # Several calls at once

    @property
    def one_writer(self) -> bool:
        """Calls that change something wait for each other, so they had better be made together."""
        return self._database.one_writer

    def look_together(self, calls: Sequence[Callable[[Catalogue], Any]]) -> list[Any]:
        """Of each call, which only looks, the result or what it raised. All of them see the same moment."""

        def look(connection: Connection) -> list[Any]:
            within = self._within(connection, may_write=False)
            return [_outcome(call, within) for call in calls]

        outcomes = self._database.read(look)
        return [
            _outcome(call, self) if isinstance(outcome, OnlyLooking) else outcome
            for call, outcome in zip(calls, outcomes, strict=True)
        ]

    def change_together(self, calls: Sequence[Callable[[Catalogue], Any]]) -> list[Any]:
        """Of each call the result or what it raised. As if made one after the other, but they are safe all at once."""

        def work(call: Callable[[Catalogue], T]) -> Callable[[Connection], T]:
            return lambda connection: call(self._within(connection, may_write=True))

        return self._database.write_together([work(call) for call in calls])

    def joining(self, connection: Connection) -> Catalogue:
        """The same, whose calls are part of a transaction that is under way, and writes."""
        return self._within(connection, may_write=True)

    def _within(self, connection: Connection, *, may_write: bool) -> Catalogue:
        catalogue = copy(self)
        catalogue._transactions = Within(connection, may_write=may_write)
        return catalogue

    # Looking

    def find(self, viewer: Viewer, path: Path) -> Entry:
        """What lies at the path."""
        return self._read(viewer, lambda view: view.entry(path))

    def children(self, viewer: Viewer, path: Path, after: str | None = None, limit: int = 1000) -> list[Entry]:
        """
        The next members of a folder, in the order of their names' bytes: those that come after the name `after`.

        An empty list is the end. `NotAFolder` for a file.
        """
        return self._read(viewer, lambda view: view.children(path, after, limit))

    def check(self, viewer: Viewer, path: Path, conditions: Conditions, intent: Intent) -> Entry | None:
        """
        Whether the request would be refused, at this moment: raises what it would raise. Changes nothing.

        Returns what lies at the path. None if nothing does and the intent is to write it; a reader gets `NoSuchEntry`.
        """
        return self._read(viewer, lambda view: looking.check(view, path, conditions, intent))

    def usage(self, viewer: Viewer, path: Path) -> Usage:
        """The space of whoever owns what lies at the path."""
        return self._read(viewer, lambda view: looking.usage(view, path))

    # Changing

    def put(
        self,
        viewer: Viewer,
        path: Path,
        content: Content,
        *,
        modified: float | None = None,
        conditions: Conditions = UNCONDITIONAL,
    ) -> Outcome:
        """
        Let a file's name stand for this content. What it stood for becomes a version; properties and locks stay.

        `modified`: what the client says, or now. Raises `NoSuchParent`, `IsAFolder`, `OverQuota`.
        """
        return self._write(viewer, [path], lambda view: changes.put(view, path, content, modified, conditions))

    def make_folder(self, viewer: Viewer, path: Path, conditions: Conditions = UNCONDITIONAL) -> Entry:
        """Raises `AlreadyExists`, `NoSuchParent`."""
        return self._write(viewer, [path], lambda view: changes.make_folder(view, path, conditions))

    def remove(self, viewer: Viewer, path: Path, conditions: Conditions = UNCONDITIONAL) -> None:
        """Take the name away; a folder's with all that is in it. It becomes a version; locks end."""
        self._write(viewer, [path], lambda view: changes.remove(view, path, conditions))

    def copy(
        self,
        viewer: Viewer,
        source: Path,
        destination: Path,
        *,
        overwrite: bool,
        shallow: bool = False,
        conditions: Conditions = UNCONDITIONAL,
        modified: float | None = None,
    ) -> Outcome:
        """
        Give the same contents a second name, with properties and times, without locks and versions.

        `shallow`: of a folder, only itself. What was at the destination becomes a version. The conditions are about
        the source. Raises `AlreadyExists` if there is something that may not be overwritten, `NoSuchParent` for the
        destination, `IntoItself`, `OverQuota`.
        """

        def work(view: View) -> Outcome:
            return changes.copy(view, source, destination, overwrite, shallow, conditions, modified)

        return self._write(viewer, [source, destination], work)

    def move(
        self,
        viewer: Viewer,
        source: Path,
        destination: Path,
        *,
        overwrite: bool,
        conditions: Conditions = UNCONDITIONAL,
        modified: float | None = None,
    ) -> Outcome:
        """Give it another name, with all that is in it, in constant time. Locks on it end. Otherwise as `copy`."""

        def work(view: View) -> Outcome:
            return changes.move(view, source, destination, overwrite, conditions, modified)

        return self._write(viewer, [source, destination], work)

    # Properties

    def properties(self, viewer: Viewer, entries: Sequence[Entry]) -> dict[int, dict[PropertyName, str]]:
        """The dead properties of entries that the viewer has just found, by id; those that have none are missing."""
        numbers = [entry.id for entry in entries]
        return self._read(viewer, lambda view: properties.of_entries(view.connection, numbers))

    def change_properties(
        self,
        viewer: Viewer,
        path: Path,
        changed: Sequence[PropertyChange],
        conditions: Conditions = UNCONDITIONAL,
        modified: float | None = None,
    ) -> None:
        """Make all these changes, in this order, and set the entry's time if `modified` says so."""
        self._write(viewer, [path], lambda view: changes.change_properties(view, path, changed, modified, conditions))

    # Locks

    def lock(
        self, viewer: Viewer, path: Path, wish: LockWish, conditions: Conditions = UNCONDITIONAL
    ) -> tuple[Lock, bool]:
        """
        Lock an entry; whether an empty file had to be made for that.

        Raises `Locked` when another lock stands against it, `NoSuchParent`, `TooManyLocks`.
        """

        def work(view: View) -> tuple[Lock, bool]:
            return locking.lock(view, path, wish, conditions, self._lock_limits, self._new_token)

        return self._write(viewer, [path], work)

    def refresh(self, viewer: Viewer, path: Path, conditions: Conditions, seconds: int | None) -> Lock:
        """
        Begin the time of a lock anew: the one of those that cover the path whose token was submitted.

        `ConditionFailed` if there is none.
        """

        def work(view: View) -> Lock:
            return locking.refresh(view, path, conditions, seconds, self._lock_limits)

        return self._write(viewer, [path], work)

    def unlock(self, viewer: Viewer, path: Path, token: str) -> None:
        """
        End a lock that covers the path. `NoSuchLock` if there is none with this token.

        Its holder may do it, and the owner of the tree.
        """
        self._write(viewer, [path], lambda view: locking.unlock(view, path, token))

    def locks_on(self, viewer: Viewer, entries: Sequence[Entry]) -> dict[int, list[Lock]]:
        """All locks that cover entries that the viewer has just found, by id; those that are free are missing."""
        return self._read(viewer, lambda view: locking.locks_on(view, entries))

    def all_locks(self) -> list[Lock]:
        """For the administrator: every lock, with its path in its owner's tree, as `/@OWNER/...`."""
        now = self._clock()
        return self._transactions.read(lambda connection: locking.everywhere(connection, now))

    def break_lock(self, token: str) -> None:
        """For the administrator: end a lock, whoever holds it. `NoSuchLock`."""
        now = self._clock()
        self._transactions.write(lambda connection: locking.break_lock(connection, token, now))

    # Versions

    def versions(self, viewer: Viewer, path: Path, limit: int = 1000) -> list[Version]:
        """What the name stood for before, newest first. The name may be gone, its folder may not."""
        return self._read(viewer, lambda view: looking.versions(view, path, limit))

    def removed(self, viewer: Viewer, path: Path, limit: int = 1000) -> list[Version]:
        """Of the names that were removed from a folder, the latest version each, in order of names."""
        return self._read(viewer, lambda view: looking.removed(view, path, limit))

    def restore(self, viewer: Viewer, path: Path, version_id: int, conditions: Conditions = UNCONDITIONAL) -> Outcome:
        """
        Let the name stand for this version again. What it stands for now becomes a version.

        Raises `NoSuchVersion`, `OverQuota`.
        """
        return self._write(viewer, [path], lambda view: changes.restore(view, path, version_id, conditions))

    def purge(self, older_than: float, limit: int = 1000) -> int:
        """
        Delete for good what was replaced before `older_than`, and locks that have run out.

        One call deletes about `limit` entries at most and returns how many, so that others needn't wait for long.
        Zero means that there is nothing left to purge.
        """
        now = self._clock()

        def work(connection: Connection) -> int:
            lock_table.end_expired(connection, now)
            return history.purge(connection, older_than, limit)

        return self._transactions.write(work)

    # Whole trees

    def walk(self, viewer: Viewer, path: Path, visitor: TreeVisitor) -> None:
        """
        Tell the visitor of a folder and all below it, as it is at one moment.

        It is called within the transaction, and shouldn't dawdle. What others share with the viewer is only told of
        when the path leads into it.
        """
        self._read(viewer, lambda view: snapshots.walk(view, path, visitor))

    def plant(
        self,
        viewer: Viewer,
        path: Path,
        tree: Planting,
        *,
        overwrite: bool = False,
        conditions: Conditions = UNCONDITIONAL,
    ) -> Entry:
        """
        Put a whole tree into a folder, which is made if there is none. Others who write wait meanwhile.

        What is in the folder becomes versions if it may be overwritten; otherwise `NotEmpty` is raised. Also raises
        `NoSuchParent`, `NotAFolder`, `OverQuota`.
        """
        return self._write(viewer, [path], lambda view: snapshots.plant(view, path, tree, overwrite, conditions))

    def check_plant(
        self, viewer: Viewer, path: Path, *, overwrite: bool = False, conditions: Conditions = UNCONDITIONAL
    ) -> None:
        """Whether any tree would be let in, at this moment: raises what `plant` would raise. Changes nothing."""
        self._read(viewer, lambda view: snapshots.demand_plant(view, path, overwrite, conditions))

    # Users

    def set_quota(self, user: str, quota: int | None) -> None:
        """How many bytes may lie in the user's tree; None for as many as there is room for. `NoSuchUser`."""
        self._transactions.write(lambda connection: trees.set_quota(connection, user, quota))

    def share(self, viewer: Viewer, path: Path, with_user: str, name: str, writable: bool) -> Share:
        """
        Let another user into one of the viewer's own folders.

        Sharing the same folder by the same name again changes `writable`. Raises `NoSuchUser`, `NotAFolder`, and
        `AlreadyExists` if the name stands for another folder.
        """
        return self._write(viewer, [path], lambda view: sharing.share(view, path, with_user, name, writable))

    def unshare(self, viewer: Viewer, with_user: str, name: str) -> None:
        """Raises `NoSuchShare`. Whoever a folder is shared with may give that up only through its owner."""
        self._write(viewer, [], lambda view: sharing.unshare(view, with_user, name))

    def shares(self, viewer: Viewer) -> list[Share]:
        """What the viewer shares with others, and what others share with the viewer."""
        return self._read(viewer, sharing.all_shares)

    # Within

    def _read(self, viewer: Viewer, work: Callable[[View], T]) -> T:
        now = self._clock()

        def look(connection: Connection) -> T:
            return work(View(connection, viewer, now))

        try:
            return self._transactions.read(look)
        except NoTree:
            self._write(viewer, [], lambda view: None)
            return self._transactions.read(look)

    def _write(self, viewer: Viewer, paths: Sequence[Path], work: Callable[[View], T]) -> T:
        now = self._clock()

        def change(connection: Connection) -> T:
            view = View(connection, viewer, now)
            view.hold(*paths)
            return work(view)

        return self._transactions.write(change)


def _outcome(call: Callable[[Catalogue], Any], catalogue: Catalogue) -> Any:
    try:
        return call(catalogue)
    except (NamespaceError, OnlyLooking) as error:
        return error
