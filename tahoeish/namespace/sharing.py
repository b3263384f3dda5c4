"""Letting other users in. Each is the work of one transaction."""

from __future__ import annotations

from sqlalchemy import select

from tahoeish.namespace import shares
from tahoeish.namespace.errors import AlreadyExists, Forbidden, NoSuchShare, NoSuchUser
from tahoeish.namespace.names import Path, check_name
from tahoeish.namespace.places import SHARED
from tahoeish.namespace.schema import users
from tahoeish.namespace.shares import Share
from tahoeish.namespace.view import View


def share(view: View, path: Path, with_user: str, name: str, writable: bool) -> Share:
    _demand_whole_user(view, path)
    _demand_user(view, view.user)
    place = view.reach(path)
    if place.shared:
        raise Forbidden(place.path, f"only {place.owner} can share it")
    folder = place.folder()
    name = check_name(name)
    if with_user == view.user:
        raise Forbidden(place.path, f"it is {with_user}'s own, and can be shared with others")
    _demand_user(view, with_user)
    other = shares.find(view.connection, view.user, with_user, name)
    if other is not None and other.records[-1].id != folder.id:
        raise AlreadyExists((SHARED + view.user, name))
    shares.put(view.connection, view.user, with_user, name, folder.id, writable)
    return Share(view.user, with_user, name, writable, place.path)


def unshare(view: View, with_user: str, name: str) -> None:
    _demand_whole_user(view, ())
    if not shares.end(view.connection, view.user, with_user, check_name(name)):
        raise NoSuchShare(with_user, name)


def all_shares(view: View) -> list[Share]:
    given = [
        Share(one.owner, one.with_user, one.name, one.writable, one.place)
        for one in shares.by_owner(view.connection, view.user)
    ]
    taken = [
        Share(one.owner, one.with_user, one.name, one.writable, (SHARED + one.owner, one.name))
        for one in shares.with_user(view.connection, view.user)
    ]
    return given + taken


def _demand_whole_user(view: View, path: Path) -> None:
    if view.viewer.read_only or view.viewer.below:
        raise Forbidden(path, "sharing takes a password, or a token without limits")


def _demand_user(view: View, name: str) -> None:
    if view.connection.execute(select(users.c.name).where(users.c.name == name)).one_or_none() is None:
        raise NoSuchUser(name)
