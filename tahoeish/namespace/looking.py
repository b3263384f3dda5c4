"""What else can be asked about a name: whether a request would be refused, its owner's space, what it was before."""

from __future__ import annotations

from tahoeish.namespace import changes, history, trees
from tahoeish.namespace.conditions import Conditions
from tahoeish.namespace.entries import Entry, Usage, Version
from tahoeish.namespace.errors import Forbidden
from tahoeish.namespace.intent import Intent, Writing
from tahoeish.namespace.names import Path
from tahoeish.namespace.places import Place
from tahoeish.namespace.view import View


def check(view: View, path: Path, conditions: Conditions, intent: Intent) -> Entry | None:
    if isinstance(intent, Writing):
        place = changes.demand_put(view, path, conditions, intent.size)
        return None if place.record is None else place.entry()
    entry = view.entry(path)
    view.demand(entry.path, conditions)
    return entry


def usage(view: View, path: Path) -> Usage:
    # Looking at it is what shows that the viewer may know of it.
    entry = view.entry(path)
    return trees.usage(view.connection, entry.owner)


def versions(view: View, path: Path, limit: int) -> list[Version]:
    place = _with_history(view, path)
    return [] if place.is_top else history.of_name(view.connection, place.parent.id, place.path[-1], limit)


def removed(view: View, path: Path, limit: int) -> list[Version]:
    return history.removed(view.connection, _with_history(view, path).folder().id, limit)


def _with_history(view: View, path: Path) -> Place:
    """What was there before may have been there before the folder was shared."""
    place = view.reach(path)
    if not place.writable:
        raise Forbidden(place.path, f"{place.owner} shares it for reading only, and so only as it is")
    return place
