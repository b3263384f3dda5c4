"""Dead properties: what clients want remembered about an entry, verbatim."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

from sqlalchemy import Connection, delete, func, insert, select, tuple_

from tahoeish.namespace.errors import TooManyProperties
from tahoeish.namespace.names import Path
from tahoeish.namespace.schema import properties

MOST = 1000
"""Properties of one entry."""

MOST_TEXT = 256 * 1024
"""Characters of all of them together."""

# Its namespace, which may be empty, and its local name.
PropertyName: TypeAlias = tuple[str, str]


@dataclass(frozen=True, slots=True)
class SetProperty:
    """`value`: the property's element, serialised, with the namespaces and the xml:lang that it needs."""

    name: PropertyName
    value: str


@dataclass(frozen=True, slots=True)
class RemoveProperty:
    """It is no error if there is none."""

    name: PropertyName


PropertyChange: TypeAlias = SetProperty | RemoveProperty


def of_entries(connection: Connection, numbers: Sequence[int]) -> dict[int, dict[PropertyName, str]]:
    found: dict[int, dict[PropertyName, str]] = {}
    for row in connection.execute(select(properties).where(properties.c.entry.in_(numbers))):
        found.setdefault(row.entry, {})[row.namespace, row.name] = row.value
    return found


def change(connection: Connection, number: int, path: Path, changes: Sequence[PropertyChange]) -> None:
    """
    One after the other, in this order; of several about the same property the last one counts.

    Raises `TooManyProperties` if there are too many of them then.
    """
    last = {one.name: one for one in changes}
    if not last:
        return
    named = tuple_(properties.c.namespace, properties.c.name).in_(list(last))
    connection.execute(delete(properties).where(properties.c.entry == number, named))
    new = [
        {"entry": number, "namespace": one.name[0], "name": one.name[1], "value": one.value}
        for one in last.values()
        if isinstance(one, SetProperty)
    ]
    if new:
        connection.execute(insert(properties), new)
        text = func.length(properties.c.namespace) + func.length(properties.c.name) + func.length(properties.c.value)
        totals = select(func.count(), func.sum(text)).where(properties.c.entry == number)
        count, size = connection.execute(totals).one()
        if count > MOST or size > MOST_TEXT:
            raise TooManyProperties(path, MOST, MOST_TEXT)


def growth(changes: Sequence[PropertyChange]) -> int:
    """About how many bytes they may add."""
    return sum(len(one.value) for one in changes if isinstance(one, SetProperty))
