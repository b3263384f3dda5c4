"""Dead properties: what clients want remembered about an entry, verbatim."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

from sqlalchemy import Connection, and_, delete, insert, or_, select

from tahoeish.namespace.schema import properties

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


def change(connection: Connection, number: int, changes: Sequence[PropertyChange]) -> None:
    """One after the other, in this order; of several about the same property the last one counts."""
    last = {one.name: one for one in changes}
    if not last:
        return
    named = [and_(properties.c.namespace == namespace, properties.c.name == name) for namespace, name in last]
    connection.execute(delete(properties).where(properties.c.entry == number, or_(*named)))
    new = [
        {"entry": number, "namespace": one.name[0], "name": one.name[1], "value": one.value}
        for one in last.values()
        if isinstance(one, SetProperty)
    ]
    if new:
        connection.execute(insert(properties), new)
