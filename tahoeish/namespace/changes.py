"""The changes of names. Each is the work of one transaction, after `View.hold`."""

from __future__ import annotations

from collections.abc import Sequence

from tahoeish.namespace import copying, history, lock_table, properties, records
from tahoeish.namespace.conditions import Conditions
from tahoeish.namespace.entries import Content, Entry, Outcome
from tahoeish.namespace.errors import AlreadyExists, Forbidden, IntoItself
from tahoeish.namespace.names import Path
from tahoeish.namespace.places import Place
from tahoeish.namespace.properties import PropertyChange
from tahoeish.namespace.view import View


def demand_put(view: View, path: Path, conditions: Conditions, size: int | None) -> Place:
    """The place, if a put of so many bytes would be let in."""
    place = view.change(path)
    new = place.record is None
    if new:
        place.demand_parent()
    view.demand(place.path, conditions)
    view.demand_tokens(place, conditions, listing=new)
    place.demand_file_or_nothing()
    if size is not None:
        view.demand_room(place, size - _size(place))
    return place


def put(view: View, path: Path, content: Content, modified: float | None, conditions: Conditions) -> Outcome:
    place = demand_put(view, path, conditions, content.size)
    return write(view, place, content, view.now if modified is None else modified)


def write(view: View, place: Place, content: Content, modified: float) -> Outcome:
    """Make the file or give it another content, which has been allowed."""
    old = place.record
    if old is None:
        record = records.add_file(view.connection, place.parent.id, place.path[-1], content, (view.now, modified))
    else:
        history.keep_content(view.connection, old, content, view.now)
        record = records.change(view.connection, old.id, modified=modified, **records.content_columns(content))
    _told(view, place, content.size - _size(place), listed_anew=old is None)
    return Outcome(place.entry(record), created=old is None)


def make_folder(view: View, path: Path, conditions: Conditions) -> Entry:
    place = view.change(path)
    if place.record is None:
        place.demand_parent()
    view.demand(place.path, conditions)
    if place.record is not None:
        raise AlreadyExists(place.path)
    view.demand_tokens(place, conditions, listing=True)
    record = records.add_folder(view.connection, place.parent.id, place.path[-1], (view.now, view.now))
    _told(view, place, 0, listed_anew=True)
    return place.entry(record)


def remove(view: View, path: Path, conditions: Conditions) -> None:
    place = view.change(path)
    place.existing()
    _demand_not_top(place)
    view.demand(place.path, conditions)
    view.demand_tokens(place, conditions, listing=True, tree=True)
    take_away(view, place)


def take_away(view: View, place: Place) -> None:
    """Make what is there a version, which has been allowed."""
    record = place.existing()
    history.detach(view.connection, record, view.now)
    lock_table.end_within(view.connection, place.owner, place.place)
    _told(view, place, -record.size, listed_anew=True)


def copy(
    view: View,
    source_path: Path,
    destination_path: Path,
    overwrite: bool,
    shallow: bool,
    conditions: Conditions,
    modified: float | None,
) -> Outcome:
    source = view.reach(source_path)
    destination = view.change(destination_path)
    original = source.existing()
    alone = shallow or not original.folder
    size = 0 if original.folder and shallow else original.size
    if source.is_within(destination) or (destination.is_within(source) and not alone):
        raise IntoItself(source.path, destination.path)
    view.demand(source.path, conditions)
    created = _make_way(view, destination, conditions, overwrite, growth=size)
    times = (view.now, original.modified if modified is None else modified)
    copied = copying.copy_one if alone else copying.copy_tree
    record = copied(view.connection, original, destination.parent.id, destination.path[-1], times)
    _told(view, destination, size, listed_anew=True)
    return Outcome(destination.entry(record), created)


def move(
    view: View,
    source_path: Path,
    destination_path: Path,
    overwrite: bool,
    conditions: Conditions,
    modified: float | None,
) -> Outcome:
    source = view.change(source_path)
    destination = view.change(destination_path)
    moved = source.existing()
    _demand_not_top(source)
    if source.is_within(destination) or destination.is_within(source):
        raise IntoItself(source.path, destination.path)
    view.demand(source.path, conditions)
    view.demand_tokens(source, conditions, listing=True, tree=True)
    growth = moved.size if source.owner != destination.owner else 0
    created = _make_way(view, destination, conditions, overwrite, growth)
    lock_table.end_within(view.connection, source.owner, source.place)
    record = records.change(
        view.connection,
        moved.id,
        parent=destination.parent.id,
        name=destination.path[-1],
        modified=moved.modified if modified is None else modified,
    )
    _told(view, source, -moved.size, listed_anew=True)
    _told(view, destination, moved.size, listed_anew=True)
    return Outcome(destination.entry(record), created)


def change_properties(
    view: View, path: Path, changed: Sequence[PropertyChange], modified: float | None, conditions: Conditions
) -> None:
    place = view.change(path)
    record = place.existing()
    view.demand(place.path, conditions)
    view.demand_tokens(place, conditions)
    view.demand_room(place, properties.growth(changed))
    properties.change(view.connection, record.id, place.path, changed)
    if modified is not None:
        records.change(view.connection, record.id, modified=modified)


def restore(view: View, path: Path, version_id: int, conditions: Conditions) -> Outcome:
    place = view.change(path)
    _demand_not_top(place)
    kept = history.find(view.connection, place.parent.id, place.path, version_id)
    view.demand(place.path, conditions)
    in_place = place.record is not None and not place.record.folder and not kept.folder
    view.demand_tokens(place, conditions, listing=not in_place, tree=not in_place)
    view.demand_room(place, kept.size - _size(place))
    history.release(view.connection, place.parent.id, place.path, version_id)
    if in_place and kept.content is not None:
        records.remove(view.connection, kept.id)
        return write(view, place, kept.content, kept.modified)
    created = place.record is None
    if not created:
        take_away(view, place)
    record = records.change(view.connection, kept.id, parent=place.parent.id, name=place.path[-1])
    _told(view, place, kept.size, listed_anew=True)
    return Outcome(place.entry(record), created)


def _make_way(view: View, place: Place, conditions: Conditions, overwrite: bool, growth: int) -> bool:
    """Clear the place for something that is to be there; whether it was free."""
    _demand_not_top(place)
    place.demand_parent()
    if place.record is not None and not overwrite:
        raise AlreadyExists(place.path)
    view.demand_tokens(place, conditions, listing=True, tree=True)
    view.demand_room(place, growth - _size(place))
    if place.record is None:
        return True
    take_away(view, place)
    return False


def _demand_not_top(place: Place) -> None:
    if place.is_top:
        reason = "only its owner can end a share" if place.shared else "the top of a tree stays where it is"
        raise Forbidden(place.path, reason)


def _told(view: View, place: Place, growth: int, *, listed_anew: bool) -> None:
    records.member_changed(view.connection, place.folders, growth, listed_anew=view.now if listed_anew else None)


def _size(place: Place) -> int:
    return 0 if place.record is None else place.record.size
