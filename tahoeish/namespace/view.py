"""One transaction as one viewer sees it: what the paths lead to, what may be changed, and whether conditions hold."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

from sqlalchemy import Connection

from tahoeish.namespace import lock_table, locks, records, shares, trees
from tahoeish.namespace.conditions import Conditions, State
from tahoeish.namespace.entries import VIRTUAL, Entry, Kind
from tahoeish.namespace.errors import ConditionFailed, Forbidden, Locked, NamespaceError, NoSuchEntry, shown
from tahoeish.namespace.names import Path, check_path
from tahoeish.namespace.places import SHARED, Place, is_virtual
from tahoeish.namespace.shares import SharedFolder
from tahoeish.namespace.trees import Tree
from tahoeish.namespace.viewer import LOCAL, Viewer


class NoTree(Exception):
    """The viewer looks for the first time, and has no tree yet."""


class View:
    def __init__(self, connection: Connection, viewer: Viewer, now: float) -> None:
        self.connection = connection
        self.viewer = viewer
        self.now = now
        self._below = check_path(viewer.below)
        self._trees: dict[str, Tree] = {}

    @property
    def user(self) -> str:
        return self.viewer.user

    def hold(self, *paths: Path) -> None:
        """
        Before anything else in a transaction that changes something: keep others from changing the trees that the
        paths lead into, and the viewer's own, which is made if there is none.
        """
        owners = {_owner(check_path(path)) or self.user for path in paths} | {self.user}
        trees.hold(self.connection, owners)
        if self._tree(self.user) is None:
            trees.make_root(self.connection, self.user, self.now)
            # After that, which waits for whoever is just becoming the first user.
            if self.user == LOCAL and trees.has_users(self.connection):
                raise Forbidden((), "by now this node has users, the first of whom has these files; say who you are")

    # Looking

    def entry(self, path: Path) -> Entry:
        """What is there, be it a record or a folder `@OWNER`."""
        path = check_path(path)
        if is_virtual(path):
            return self._virtual(path, self.shared_by(path))
        return self._reach(path, on_the_way=True).entry()

    def reach(self, path: Path) -> Place:
        """The place for whoever wants to look into it. A folder `@OWNER` is none."""
        return self._reach(check_path(path), on_the_way=False)

    def children(self, path: Path, after: str | None, limit: int) -> list[Entry]:
        path = check_path(path)
        way = self._below[len(path) : len(path) + 1] if self._is_on_the_way(path) else ()
        if way:
            return self._next_on_the_way(path, way[0]) if after is None or way[0] > after else []
        if is_virtual(path):
            found = [self._top_of(share).entry() for share in self.shared_by(path)]
            return [entry for entry in found if after is None or entry.name > after][:limit]
        place = self._reach(path, on_the_way=True)
        members = [place.member(record) for record in records.members(self.connection, place.folder().id, after, limit)]
        return members if path else self._with_virtual(members, after, limit)

    def shared_by(self, path: Path) -> list[SharedFolder]:
        """What is in a folder `@OWNER`. `NoSuchEntry` if nothing is, or the viewer may not look."""
        owner = _owner(path)
        if owner is None:
            raise NoSuchEntry(path)
        self._demand_allowed(path, on_the_way=True)
        found = shares.between(self.connection, owner, self.user)
        if not found:
            raise NoSuchEntry(path)
        return found

    # Changing

    def change(self, path: Path) -> Place:
        """The place for whoever wants to change it. `Forbidden` if the viewer may not."""
        path = check_path(path)
        if is_virtual(path):
            raise Forbidden(path, f"names that begin with {SHARED} at the top stand for what other users share")
        place = self.reach(path)
        if self.viewer.read_only:
            raise Forbidden(path, "this token is for reading only")
        if not place.writable:
            raise Forbidden(path, f"{place.owner} shares it for reading only")
        return place

    def demand(self, path: Path, conditions: Conditions) -> None:
        """`ConditionFailed` unless all is as the request, which is about this path, wants it to be."""
        if not conditions.demand_nothing and not conditions.holds(path, cache(self._state)):
            raise ConditionFailed(path)

    def demand_tokens(self, place: Place, conditions: Conditions, *, listing: bool = False, tree: bool = False) -> None:
        """As `locks.demand_tokens`, for the locks that there are."""
        found = self.locks_about(place, tree=tree)
        try:
            locks.demand_tokens(found, place.place, self.user, conditions.submitted, listing=listing, tree=tree)
        except Locked as error:
            raise Locked(place.path, tuple(as_seen(lock, place) for lock in error.locks)) from None
        except Forbidden as error:
            raise Forbidden(place.path, error.reason) from None

    def locks_about(self, place: Place, *, tree: bool) -> list[locks.Lock]:
        whole = self._tree(place.owner)
        if whole is None or not whole.locked:
            return []
        return lock_table.about(self.connection, place.owner, place.place, self.now, tree=tree)

    def demand_room(self, place: Place, growth: int) -> None:
        whole = self._tree(place.owner)
        trees.demand_room(None if whole is None else whole.quota, place.owner, place.top, growth)

    # Within

    def _reach(self, path: Path, *, on_the_way: bool) -> Place:
        self._demand_allowed(path, on_the_way=on_the_way)
        owner = _owner(path)
        if owner is None:
            found = records.along(self.connection, self._own_tree().root, path)
            return Place(path, path, self.user, found, shared=False, writable=True)
        if is_virtual(path):
            raise Forbidden(path, "it only shows what is shared")
        share = shares.find(self.connection, owner, self.user, path[1])
        if share is None:
            raise NoSuchEntry(path)
        place = (*share.place, *path[2:])
        found = (*share.records[:-1], *records.along(self.connection, share.records[-1].id, path[2:]))
        return Place(path, place, owner, found, shared=True, writable=share.writable)

    def _own_tree(self) -> Tree:
        tree = self._tree(self.user)
        if tree is None:
            raise NoTree
        return tree

    def _tree(self, owner: str) -> Tree | None:
        if owner not in self._trees:
            tree = trees.find(self.connection, owner)
            if tree is None:
                return None
            self._trees[owner] = tree
        return self._trees[owner]

    def _top_of(self, share: SharedFolder) -> Place:
        path = (SHARED + share.owner, share.name)
        return Place(path, share.place, share.owner, share.records, shared=True, writable=share.writable)

    def _virtual(self, path: Path, found: list[SharedFolder]) -> Entry:
        folders = [share.records[-1] for share in found]
        return Entry(
            id=VIRTUAL,
            parent=None,
            name=path[0],
            owner=found[0].owner,
            kind=Kind.FOLDER,
            content=None,
            size=sum(record.size for record in folders),
            created=min(record.created for record in folders),
            modified=max(record.modified for record in folders),
            changes=len(found),
            path=path,
            place=(),
        )

    def _with_virtual(self, members: list[Entry], after: str | None, limit: int) -> list[Entry]:
        by_owner: dict[str, list[SharedFolder]] = {}
        for share in shares.with_user(self.connection, self.user):
            by_owner.setdefault(share.owner, []).append(share)
        virtual = [self._virtual((SHARED + owner,), found) for owner, found in by_owner.items()]
        wanted = [entry for entry in virtual if after is None or entry.name > after]
        return sorted([*members, *wanted], key=lambda entry: entry.name)[:limit]

    def _next_on_the_way(self, path: Path, name: str) -> list[Entry]:
        """All that the viewer may know of what is in the folder."""
        self.entry(path)
        try:
            return [self.entry((*path, name))]
        except NoSuchEntry:
            return []

    def _is_on_the_way(self, path: Path) -> bool:
        return self._below[: len(path)] == path

    def _demand_allowed(self, path: Path, *, on_the_way: bool) -> None:
        if path[: len(self._below)] == self._below or (on_the_way and self._is_on_the_way(path)):
            return
        raise Forbidden(path, f"this token is only for what is in {shown(self._below)}")

    def _state(self, path: Path) -> State | None:
        try:
            if is_virtual(path):
                entry = self.entry(path)
                return State(entry.etag, frozenset(), entry.modified)
            place = self.reach(path)
        except NamespaceError:
            return None
        tokens = frozenset(lock.token for lock in locks.covering(self.locks_about(place, tree=False), place.place))
        if place.record is None:
            return State(None, tokens)
        return State(place.entry().etag, tokens, place.record.modified)


def as_seen(lock: locks.Lock, place: Place) -> locks.Lock:
    """The lock, with the path that whoever knows the place knows it by."""
    return replace(lock, path=place.seen(lock.path))


def _owner(path: Path) -> str | None:
    """Whose tree the path leads into; None for the viewer's own."""
    return path[0][len(SHARED) :] if path and path[0].startswith(SHARED) else None
