"""What a client wants to have in a new directory, in its words: `{NAME: [KIND, {"ro_uri": CAP, "metadata": {}}]}`."""

from __future__ import annotations

import json
from typing import Any

from tahoeish.chk.directory import Child, parse_child_cap
from tahoeish.chk.errors import BadCap, MutableCap
from tahoeish.gateway.errors import Refused


def children_from(body: bytes) -> dict[str, Child]:
    """The kind doesn't matter, since the cap says it. Raises `Refused`."""
    try:
        wanted = json.loads(body or b"{}")
    except (ValueError, RecursionError) as error:
        raise Refused(400, f"the children of the directory are not valid JSON: {error}") from None
    if not isinstance(wanted, dict):
        raise Refused(400, "the children of the directory should be a JSON object, {NAME: [KIND, {...}]}")
    return {name: _child(name, value) for name, value in wanted.items()}


def _child(name: str, value: Any) -> Child:
    match value:
        case [_, {**facts}]:
            cap = facts.get("rw_uri") or facts.get("ro_uri")
            metadata = facts.get("metadata", {})
        case _:
            raise Refused(400, f'the child {name!r} should be written as ["filenode", {{"ro_uri": CAP}}]')
    if not isinstance(cap, str):
        raise Refused(400, f"the child {name!r} has no ro_uri, which should be its cap")
    if not isinstance(metadata, dict):
        raise Refused(400, f"the metadata of the child {name!r} should be a JSON object")
    try:
        return Child(parse_child_cap(cap.strip()), metadata)
    except MutableCap as error:
        # Tools look for this word.
        raise Refused(400, f"MustBeDeepImmutableError: the child {name!r}: {error}") from None
    except BadCap as error:
        raise Refused(400, f"the child {name!r}: {error}") from None
